"""The links that people see in a mail."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.message import Message
from html.parser import HTMLParser
from urllib.parse import unquote

from preference_center.core.links.tokens import Link
from preference_center.senders.mailcheck.links import (
    MERGE_TAG,
    Finding,
    Installation,
    check_url,
    error,
    ok,
    split_url,
    warning,
)

_URL = re.compile(r"https?://[^\s<>\"']+", re.IGNORECASE)
_OWN_PAGE_PATH = re.compile(r"/[up]/")
_SOURCE = "Google, email sender guidelines; Yahoo, sender best practices"

# How link texts announce an unsubscribe link, in the languages of our pages.
_UNSUBSCRIBE_TEXT = re.compile(
    r"unsub|opt.?out|disiscri|cancella\w{0,20}.{0,20}iscrizion|abmeld|abbestell|austrag|d[ée]sabonn"
    r"|d[ée]sinscri|desinscri|darse.de.baja|cancelar.{0,20}suscripci",
    re.IGNORECASE,
)
# Redirects by which tools count clicks.
_TRACKERS = re.compile(
    r"/ls/click\b|/wf/click\b|list-manage\.com/track/click|mandrillapp\.com/track/click"
    r"|hubspotlinks|hubspotemail|/e3t/|awstrack\.me|sendibt\d|mjt\.lu/|rs6\.net/tn|klclick",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class BodyLink:
    """One link of a body: its URL and its text."""

    url: str
    text: str = ""

    @property
    def is_unsubscribe(self) -> bool:
        """Whether people would take it for an unsubscribe link."""
        return bool(
            _UNSUBSCRIBE_TEXT.search(self.text) or _UNSUBSCRIBE_TEXT.search(unquote(self.url))
        )


def check_bodies(
    mail: Message, installation: Installation, now: datetime, header_link: Link | None
) -> Iterator[Finding]:
    """All links of all parts; `header_link` is the link of the header, if it is one of ours."""
    links = find_links(mail)
    own = [
        link
        for link in links
        if installation.is_own_url(link.url) and _OWN_PAGE_PATH.match(split_url(link.url).path)
    ]
    if any(link.url.lower().startswith("http:") for link in own):
        yield error(
            "body_plain_http",
            "A link to us in the body begins with http.",
            "Use the link as it was generated: it begins with https.",
            "docs/proxy.md",
        )
    if own:
        yield from _check_own_links(own, installation, now, header_link)
    if any(MERGE_TAG.search(unquote(link.url)) for link in links if link not in own):
        yield error(
            "body_merge_tag",
            "A link in the body is a field that was not filled in.",
            "Check the field's name in the tool, and that the contact has a value for it.",
            "docs/campaign-tools.md",
        )
    yield from _check_other_links(
        [link for link in links if link not in own], bool(own), installation
    )


def find_links(mail: Message) -> list[BodyLink]:
    """Every link of the mail's text and HTML parts."""
    found: list[BodyLink] = []
    for part in mail.walk():
        kind = part.get_content_type()
        if kind == "text/html":
            reader = _AnchorParser()
            reader.feed(_part_text(part))
            reader.close()
            found += reader.links
        elif kind == "text/plain" and part.get_content_disposition() != "attachment":
            found += [BodyLink(url.rstrip(".,;:!?)")) for url in _URL.findall(_part_text(part))]
    return found


def _check_own_links(
    own: Sequence[BodyLink], installation: Installation, now: datetime, header_link: Link | None
) -> Iterator[Finding]:
    reported: set[str] = set()
    yield ok("body_link", "The body has a link to us.")
    for link in own:
        read, findings = check_url(link.url, "body", installation, now)
        for finding in findings:
            if finding.code not in reported:  # the same again in the other part
                reported.add(finding.code)
                yield finding
        if (
            read
            and header_link
            and read.address != header_link.address
            and "body_mismatch" not in reported
        ):
            reported.add("body_mismatch")
            yield error(
                "body_mismatch",
                "A link in the body is about another address than the one in the header.",
                "Generate both together, for one message.",
                "docs/links.md",
            )


def _check_other_links(
    links: Sequence[BodyLink],
    has_own: bool,  # noqa: FBT001
    installation: Installation,
) -> Iterator[Finding]:
    """Those that don't lead to a page of ours."""
    rewritten = [link for link in links if installation.contains_own_url(link.url)]
    foreign = [link for link in links if link.is_unsubscribe and link not in rewritten]
    if not has_own:
        rewritten += [link for link in foreign if _TRACKERS.search(link.url)]
    foreign = [link for link in foreign if link not in rewritten]
    if rewritten:
        yield error(
            "body_rewritten",
            "Click tracking has rewritten a link in the body: it leads to "
            f"{_format_hosts(rewritten)}.",
            "Turn click tracking off for our links. A tracker that is down or blocked keeps"
            " people from opting out, and it learns the token.",
            "docs/campaign-tools.md",
        )
    if any(not link.url.strip() for link in foreign):
        yield error(
            "body_empty_link",
            "An unsubscribe link has no target: its field is empty.",
            "Give every contact a value: `flask links export` writes one for each.",
            "docs/campaign-tools.md",
        )
    foreign = [link for link in foreign if split_url(link.url).hostname]
    if foreign:
        yield warning(
            "body_second_link",
            f"An unsubscribe link leads to {_format_hosts(foreign)}: an opt-out there "
            "counts in that"
            " tool, and here only once the tool reports it.",
            "Remove it if the tool allows; else connect the tool, so that its opt-outs spread.",
            "docs/campaign-tools.md",
        )
    if not has_own and not rewritten:
        yield error(
            "body_no_link",
            "The body has no link to us.",
            "Add a clearly visible one: to the unsubscribe page, or to the preferences.",
            _SOURCE,
        )


def _format_hosts(links: Sequence[BodyLink]) -> str:
    return ", ".join(sorted({split_url(link.url).hostname or "nowhere" for link in links}))


def _part_text(part: Message) -> str:
    payload = part.get_payload(decode=True)
    content = payload if isinstance(payload, bytes) else b""
    try:
        return content.decode(part.get_content_charset("utf-8"), "replace")
    except LookupError:
        return content.decode("utf-8", "replace")


class _AnchorParser(HTMLParser):
    """Collects `a` elements: their targets and their content."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[BodyLink] = []
        self._url: str | None = None
        self._text_parts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An anchor, or an image in one."""
        given = dict(attrs)
        if tag in {"a", "area"} and "href" in given:
            self._finish_link()
            self._url = given["href"] or ""
        elif tag == "img":
            self._text_parts.append(given.get("alt") or "")

    def handle_data(self, data: str) -> None:
        """Text, in an anchor or not."""
        if self._url is not None:
            self._text_parts.append(data)

    def handle_endtag(self, tag: str) -> None:
        """The end of an anchor."""
        if tag == "a":
            self._finish_link()

    def close(self) -> None:
        """The end, with whatever is still open."""
        super().close()
        self._finish_link()

    def _finish_link(self) -> None:
        if self._url is not None:
            self.links.append(BodyLink(self._url, " ".join(self._text_parts)))
        self._url, self._text_parts = None, []
