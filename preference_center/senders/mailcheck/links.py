"""`check_link` checks one link of ours in a mail: what it contains, and whether that is right.

A `Finding` has a severity, a remedy, and the source of the rule.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from urllib.parse import SplitResult, unquote, urlsplit

from preference_center.catalogue import Catalogue
from preference_center.core.addresses import Address
from preference_center.core.errors import ExpiredLink, InvalidLink, ProbeLink
from preference_center.core.events import ALL_MARKETING
from preference_center.core.links import Links
from preference_center.core.links.offline import SENDER_TOKEN_PREFIX
from preference_center.core.links.tokens import Link, MailtoTokenData, TokenPurpose


class Severity(StrEnum):
    """The severity of a finding."""

    ERROR = "error"
    """Opt-outs are lost, or a requirement of a large mailbox provider is not met."""
    WARNING = "warning"
    """Works only for most people, or only for some time."""
    OK = "ok"
    """Correct; reported to show what was checked."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding. `code` is stable, for scripts; `remedy` is empty where all is correct."""

    code: str
    severity: Severity
    message: str
    remedy: str = ""
    source: str = ""

    def as_dict(self) -> dict[str, str]:
        """For JSON."""
        return asdict(self)


def error(code: str, message: str, remedy: str, source: str) -> Finding:
    """An error."""
    return Finding(code, Severity.ERROR, message, remedy, source)


def warning(code: str, message: str, remedy: str, source: str) -> Finding:
    """A warning."""
    return Finding(code, Severity.WARNING, message, remedy, source)


def ok(code: str, message: str) -> Finding:
    """A check that passed."""
    return Finding(code, Severity.OK, message)


MAX_KEY_AGE = timedelta(days=730)
"""Age from which a sender's key should be replaced: NIST SP 800-57 part 1, 5.3.6 recommends one
to three years for signing keys."""


PAGE_LIFETIME = timedelta(days=60)
"""How long the link of a message shows all choices (docs/decisions/0005)."""


MAX_LINK_LEAD_TIME = timedelta(days=1)
"""How much older than the mail a link may be: mails are prepared, and queued."""


MERGE_TAG = re.compile(
    r"\*\|.{0,200}?\|\*|\{\{.{0,200}?\}\}|\{%.{0,200}?%\}|%%.{1,200}?%%|<%.{0,200}?%>"
    r"|\[[\w ]{1,200}\]|\$\{.{0,200}?\}"
)
"""Merge tags of tools: one that is still in a text was not replaced.

Lengths are bounded so that a text full of opening brackets is searched in linear time.
"""


_DOCS = "docs/links.md"


@dataclass(frozen=True, slots=True)
class Installation:
    """The data of this installation that checks need."""

    links: Links
    catalogue: Catalogue
    digest_prefixes: Callable[[Address], Collection[bytes]]
    """How mail tokens may name an address: by the beginning of its digest, now or earlier."""

    def token_matches_link(self, reference: MailtoTokenData, link: Link) -> bool:
        """Whether a mailto token names the address and the scope of a link."""
        same = reference.digest_prefix in self.digest_prefixes(link.address)
        return same and reference.match_scope([link.scope]) is not None

    @property
    def hosts(self) -> frozenset[str]:
        """The host names of our pages, in lower case."""
        brands = (brand.host for brand in self.catalogue.brands.values())
        own = urlsplit(self.links.public_url).hostname
        return frozenset(host.lower() for host in (own, *brands) if host)

    def is_own_url(self, url: str) -> bool:
        """Whether a URL leads to us."""
        return (split_url(url).hostname or "") in self.hosts

    def contains_own_url(self, url: str) -> bool:
        """Whether a URL to another host contains one of ours."""
        plain = unquote(unquote(url)).lower()
        return not self.is_own_url(url) and any(f"//{host}/" in plain for host in self.hosts)


def split_url(url: str) -> SplitResult:
    """The parts of a URL; empty parts if it is malformed."""
    try:
        found = urlsplit(url.strip())
        found.hostname  # noqa: B018 - raises for brackets that don't match
    except ValueError:
        return SplitResult("", "", "", "", "")
    return found


def check_url(
    url: str, location: str, installation: Installation, now: datetime
) -> tuple[Link | None, Iterable[Finding]]:
    """The link in a URL of ours, and the problems found.

    `location` is where the URL was found: it begins the codes of findings.
    """
    if MERGE_TAG.search(unquote(url)):
        return None, [_merge_tag_finding(location)]
    token = unquote(split_url(url).path).partition("/")[2].partition("/")[2]
    try:
        link = installation.links.read_token(token, now)
    except ProbeLink:
        return None, [_one_time_token_finding(location, "a probe of `flask check-domain`")]
    except InvalidLink:
        return None, [_other_token_finding(token, location, installation, now)]
    if link.proves_control or link.expired:
        return None, [
            _one_time_token_finding(
                location, "a one-time link: it opens the person's page to anyone who reads the mail"
            )
        ]
    return link, check_link(link, location, installation)


def check_link(link: Link, location: str, installation: Installation) -> Iterator[Finding]:
    """Problems of a link that do not depend on the mail around it."""
    yield ok(f"{location}_readable", f"The link in the {location} is one of ours and can be read.")
    if link.revoked:
        yield error(
            f"{location}_revoked",
            "It was revoked: it only opts out, and shows no choices any more.",
            "Give the sender a new key (`flask keys link-key`), or upload a new column"
            " (`flask links export`).",
            _DOCS,
        )
    topic = installation.catalogue.topics.get(link.scope)
    if link.scope != ALL_MARKETING and (topic is None or topic.retired):
        what = "retired" if topic else "not in the catalogue"
        yield warning(
            f"{location}_topic",
            f"It opts out of a topic that is {what}.",
            "Generate links for the topic that the mail belongs to.",
            "docs/catalogue.md",
        )


def check_key(link: Link, installation: Installation, now: datetime) -> Iterator[Finding]:
    """The age of the key of a link."""
    if not link.key_id.startswith(SENDER_TOKEN_PREFIX):
        if link.key_id != installation.links.newest_key_id:
            yield warning(
                "key_not_newest",
                "The link was made with a key of LINK_KEYS that is not the first one.",
                "Restart the process that made it with current settings, or export the column"
                " again. Existing links keep working while the old key stays in LINK_KEYS.",
                "docs/deploy.md",
            )
        else:
            yield ok("key_newest", "It was made with the newest key of LINK_KEYS.")
        return
    key = installation.links.registry.find_sender(
        int(link.key_id.removeprefix(SENDER_TOKEN_PREFIX))
    )
    assert key  # it was just read with it
    age = now - key.created_at
    if age > MAX_KEY_AGE:
        yield warning(
            "key_old",
            f"The sender's key {key.name} is {age.days:,} days old.",
            "Give the sender a new one; existing links keep working.",
            "NIST SP 800-57 part 1, 5.3.6",
        )
    else:
        yield ok("key_age", f"The sender's key {key.name} is {age.days} days old.")


def check_time(link: Link, sent_at: datetime | None, now: datetime) -> Iterator[Finding]:
    """When a link of a message was made, compared with the date of the mail."""
    if not link.message_id:
        return  # a permanent link
    if sent_at is not None and sent_at - link.issued_at > MAX_LINK_LEAD_TIME:
        yield warning(
            "link_reused",
            f"The link is {(sent_at - link.issued_at).days} days older than the mail.",
            "Make a link for every message; one that stays in a field for years must name no"
            " message.",
            _DOCS,
        )
    elif now - link.issued_at > PAGE_LIFETIME:
        yield warning(
            "link_aged",
            "The link is more than 60 days old: it only opts out, and shows no choices any more.",
            "Nothing, if the mail is as old.",
            "docs/decisions/0005-proof-of-control.md",
        )


def check_recipients(link: Link, recipients: Sequence[Address]) -> Iterator[Finding]:
    """Whether the link is about the only recipient of the mail."""
    if len(recipients) > 1:
        yield warning(
            "many_recipients",
            f"The mail is addressed to {len(recipients)} people, who share one link: it opts "
            "out one.",
            "Send a separate mail to each of them.",
            "RFC 8058 3.1",
        )
    elif recipients and recipients[0].exact != link.address.exact:
        yield error(
            "recipient_mismatch",
            "The link opts out another address than the mail is addressed to.",
            "Generate the link for the recipient of each mail. Was one link used for all?",
            "RFC 8058 3.1",
        )
    elif recipients:
        yield ok("recipient", "The link is about the address that the mail was sent to.")


def _other_token_finding(
    token: str, location: str, installation: Installation, now: datetime
) -> Finding:
    for use in (TokenPurpose.EMAILED_LINK, TokenPurpose.PORTAL):
        try:
            installation.links.read_one_time_token(token, use, now)
        except ExpiredLink:
            pass
        except InvalidLink:
            continue
        return _one_time_token_finding(
            location, "a one-time link: it opens the person's page to anyone who reads the mail"
        )
    return error(
        f"{location}_unreadable",
        f"The link in the {location} leads to us, but its token can't be read.",
        "Was it truncated, encoded twice or made by another installation? Was its key removed"
        " from LINK_KEYS? People get an error page, and mail clients a 404.",
        _DOCS,
    )


def _one_time_token_finding(location: str, description: str) -> Finding:
    return error(
        f"{location}_one_time_token",
        f"The link in the {location} is {description}.",
        "Use links of messages: from POST /v1/links, generated offline, or from a column.",
        _DOCS,
    )


def _merge_tag_finding(location: str) -> Finding:
    return error(
        f"{location}_merge_tag",
        f"A link in the {location} contains a merge tag that was not replaced.",
        "Check the field's name in the tool, and that the contact has a value for it.",
        "docs/campaign-tools.md",
    )
