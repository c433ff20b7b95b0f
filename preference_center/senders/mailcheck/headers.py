"""This module checks the two headers of RFC 8058 in a mail.

It also checks whether a DKIM signature covers them (RFC 8058 4). Signatures are not verified. Only
the recipient's server can do that: keys in the DNS change, and every hop may have changed the mail.
What any copy of a mail shows is what a signature claims to cover.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.message import Message
from email.utils import getaddresses
from urllib.parse import unquote

from preference_center.core.errors import InvalidLink
from preference_center.core.links import ONE_CLICK
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

_HEADER_NAMES = ("List-Unsubscribe", "List-Unsubscribe-Post")


_RFC = "RFC 8058 3.1"


_CLIENTS = "the mail clients' own code and pages"


_BRACKETED_URI = re.compile(r"<([^<>]*)>")


_FOLDED_LINE = re.compile(r"\r?\n(?=[ \t])")


_SPACE = re.compile(r"\s")


@dataclass(slots=True)
class UnsubscribeHeader:
    """The result: the link of the HTTPS URI, if it is ours and can be read."""

    link: Link | None = None


def check_header_pair(
    mail: Message, installation: Installation, now: datetime, header: UnsubscribeHeader
) -> Iterator[Finding]:
    """Check both headers; sets the link in `header`."""
    values = {
        name: [_unfolded(value) for value in mail.get_all(name, [])] for name in _HEADER_NAMES
    }
    for name, given in values.items():
        if not given:
            yield _missing_header(name)
        elif len(given) > 1:
            yield error(
                "header_repeated",
                f"There are {len(given)} {name} headers.",
                "Keep one. Does a tool add its own?",
                "RFC 2369 3; RFC 8058 3.1",
            )
    for value in values["List-Unsubscribe-Post"][:1]:
        yield _check_post_header(value)
    for value in values["List-Unsubscribe"][:1]:
        yield from _check_value(value, installation, now, header)


def _missing_header(name: str) -> Finding:
    return error(
        "header_missing",
        f"There is no {name} header.",
        "Set both headers as they were returned with the link. If your tool can't, its own"
        " one-click must count: see docs/campaign-tools.md.",
        f"{_RFC}; Google and Yahoo require it of senders of marketing mail",
    )


def _check_post_header(value: str) -> Finding:
    if value.strip() == ONE_CLICK:
        return ok("post_value", "List-Unsubscribe-Post has the only valid value.")
    return error(
        "post_value",
        "List-Unsubscribe-Post has another value than the only valid one.",
        f"Write exactly {ONE_CLICK}.",
        f"{_RFC}, 5",
    )


def _check_value(
    value: str, installation: Installation, now: datetime, header: UnsubscribeHeader
) -> Iterator[Finding]:
    if "=?" in value:
        yield error(
            "header_encoded",
            "List-Unsubscribe is encoded (=?utf-8?q?...): mail clients can't read it.",
            "Make your mail library write this header unfolded. With Python's EmailMessage:"
            " policy.SMTP.clone(max_line_length=998).",
            "RFC 2047 5; docs/links.md",
        )
        return
    entries = _BRACKETED_URI.findall(value)
    if not entries:
        yield error(
            "header_form",
            "List-Unsubscribe has no URI in angle brackets.",
            "Write <https://...>, <mailto:...>.",
            "RFC 2369 2",
        )
        return
    if any(_SPACE.search(entry.strip()) or not entry.isascii() for entry in entries):
        yield error(
            "header_folded",
            "A URI contains white space or non-ASCII characters: some library folded the line.",
            "Write it unfolded; a line may have 998 characters.",
            "RFC 5322 2.2.3; RFC 8058 3.1",
        )
    entries = [_SPACE.sub("", entry) for entry in entries]
    schemes = [entry.partition(":")[0].lower() for entry in entries]
    yield from _check_schemes(schemes)
    for entry, scheme in zip(entries, schemes, strict=True):
        if scheme == "https" and schemes.count("https") == 1:
            yield from _check_https(entry, installation, now, header)
    mailboxes = [
        entry for entry, scheme in zip(entries, schemes, strict=True) if scheme == "mailto"
    ]
    yield from _check_mailto(mailboxes, installation, header.link)


def _check_schemes(schemes: Sequence[str]) -> Iterator[Finding]:
    if schemes.count("https") != 1:
        yield error(
            "https_count",
            f"List-Unsubscribe has {schemes.count('https')} HTTPS URIs.",
            "It must have exactly one.",
            _RFC,
        )
    elif schemes[0] != "https":
        yield warning(
            "https_not_first",
            "The HTTPS URI is not the first one: some clients stop at the first.",
            "Put it first.",
            f"{_CLIENTS} (Nextcloud Mail)",
        )
    if "http" in schemes:
        yield error(
            "plain_http",
            "List-Unsubscribe has a URI with plain http.",
            "Use https: clients post to https only.",
            _RFC,
        )


def _check_https(
    url: str, installation: Installation, now: datetime, header: UnsubscribeHeader
) -> Iterator[Finding]:
    host = split_url(url).hostname or "nowhere"
    if installation.contains_own_url(url):
        yield error(
            "header_rewritten",
            f"Click tracking has rewritten the header's link to {host}.",
            "Turn click tracking off for it: clients do not follow a redirect.",
            f"{_RFC}, 3.2",
        )
    elif not installation.is_own_url(url):
        yield warning(
            "header_foreign",
            f"One-click goes to {host}, not to us: it counts in that tool, and here only once"
            " the tool reports it.",
            "Set our headers. If the tool can't, connect it, so that its opt-outs spread.",
            "docs/campaign-tools.md",
        )
    elif not split_url(url).path.startswith("/u/") and not MERGE_TAG.search(unquote(url)):
        yield error(
            "header_page",
            "The header's link leads to a page of ours where a one-click does nothing.",
            "Use the unsubscribe link, whose path begins with /u/.",
            "RFC 8058 3.2",
        )
    else:
        header.link, findings = check_url(url, "header", installation, now)
        yield from findings


def _check_mailto(
    uris: Sequence[str], installation: Installation, link: Link | None
) -> Iterator[Finding]:
    if not uris:
        yield warning(
            "mailto_missing",
            "There is no mailto URI: Outlook.com offers nothing else, and Apple Mail prefers it.",
            "Receive opt-outs by mail (docs/mail-receiver.md), and generate links again."
            if installation.links.mail_domain is None
            else "Use the header as it was returned with the link.",
            f"RFC 2369 3.2; {_CLIENTS}",
        )
        return
    for entry in uris:
        local = unquote(entry.partition(":")[2].partition("?")[0]).rpartition("@")[0]
        try:
            reference = installation.links.read_mailto_token(local)
        except InvalidLink:
            yield warning(
                "mailto_foreign",
                "The mailto URI is not ours: opt-outs by mail go elsewhere.",
                "Use the header as it was returned with the link.",
                "docs/mail-receiver.md",
            )
            continue
        if link and not installation.token_matches_link(reference, link):
            yield error(
                "mailto_mismatch",
                "The mailto URI opts out another address, or of another scope, than the link.",
                "Generate both together, for one message.",
                "docs/links.md",
            )
        else:
            yield ok("mailto", "The mailto URI is one of ours.")


def _unfolded(value: object) -> str:
    """A header's value on one line (RFC 5322 2.2.3)."""
    return _FOLDED_LINE.sub("", str(value)).strip()


_REQUIRED_HEADERS = frozenset({"list-unsubscribe", "list-unsubscribe-post"})


_SOURCE = "RFC 8058 4"


_RESULT = re.compile(r"\bdkim\s*=\s*(\w+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class DkimSignature:
    """The claims of one signature."""

    domain: str
    covered: frozenset[str]
    """Names of headers in lower case."""


def check_dkim(mail: Message) -> Iterator[Finding]:
    """All findings about DKIM."""
    signatures = [_parse_signature(str(value)) for value in mail.get_all("DKIM-Signature", [])]
    if not signatures:
        yield error(
            "dkim_missing",
            "There is no DKIM signature. Mail clients then show no unsubscribe button.",
            "Sign the mail with DKIM, both headers included. If this copy was saved before it"
            " was signed, check one that was received.",
            _SOURCE,
        )
        return
    covering = [each for each in signatures if each.covered >= _REQUIRED_HEADERS]
    if not covering:
        yield _not_covered_finding(signatures)
        return
    yield ok("dkim_covers", "A DKIM signature covers both headers.")
    domains = _from_domains(mail)
    if not any(_is_aligned(each.domain, domain) for each in covering for domain in domains):
        yield warning(
            "dkim_foreign",
            f"It is by {', '.join(sorted({each.domain for each in covering}))}, which is not the"
            " domain in From.",
            "Sign with the domain in From (d=), or DMARC can't rely on it.",
            "RFC 7489 3.1.1; Google, email sender guidelines",
        )
    yield from _check_results(mail.get_all("Authentication-Results", []))


def _not_covered_finding(signatures: Iterable[DkimSignature]) -> Finding:
    best = max(signatures, key=lambda each: len(each.covered & _REQUIRED_HEADERS))
    missing = sorted(name.title() for name in _REQUIRED_HEADERS - best.covered)
    lacking = f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not in h="
    return error(
        "dkim_not_covering",
        f"No DKIM signature covers both headers: {lacking}. Gmail, Yahoo and Apple"
        " then show no unsubscribe button.",
        "Add both names to the signed headers, or set the headers before signing.",
        _SOURCE,
    )


def _check_results(values: Iterable[object]) -> Iterator[Finding]:
    """The receiver's own result, where the mail contains it."""
    results = {found.lower() for value in values for found in _RESULT.findall(str(value))}
    if results and "pass" not in results:
        yield error(
            "dkim_failed",
            "The receiver could not verify any DKIM signature.",
            "Check Authentication-Results in the mail: was it changed after signing, or is"
            " the key missing in the DNS?",
            "RFC 8058 4; RFC 8601",
        )


def _parse_signature(value: str) -> DkimSignature:
    tags = _parse_tags(value)
    names = (name.strip().lower() for name in tags.get("h", "").split(":"))
    return DkimSignature(tags.get("d", "").lower(), frozenset(names))


def _parse_tags(value: str) -> Mapping[str, str]:
    """The tags of a signature, without white space (RFC 6376 3.2)."""
    pairs = (pair.partition("=") for pair in re.sub(r"\s+", "", value).split(";"))
    return {name: found for name, _, found in pairs if name}


def _from_domains(mail: Message) -> list[str]:
    values = [str(value) for value in mail.get_all("From", [])]
    return [address.rpartition("@")[2].lower() for _, address in getaddresses(values)]


def _is_aligned(signer: str, author: str) -> bool:
    """Relaxed alignment, by suffix: a domain also signs for its subdomains."""
    pair = (f".{signer}", f".{author}")
    return "." in signer and (pair[0].endswith(pair[1]) or pair[1].endswith(pair[0]))
