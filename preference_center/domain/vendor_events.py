"""News from tools: what a person did in a tool, in the tool's own words (I13).

It comes in three ways, and means the same in each: a tool's webhook at `/in/<destination>`
(one module per vendor here verifies and parses it), a connector that lists the tool's
opt-outs, and a contact whose state was looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, Protocol, runtime_checkable

from preference_center.domain.addresses import Channel
from preference_center.domain.bounces.bounce import Bounce
from preference_center.errors import InvalidInput

WHOLE = "audience"
"""A `thing`: the whole of a tool's list, which a destination may map to its only topic."""
ALL_EMAIL = "email"
"""A `thing`: all email of a tool's account, which may be mapped likewise."""
ALL_SMS = "sms"
"""A `thing`: all text messages of a tool's account, which may be mapped likewise."""


class NewsKind(StrEnum):
    """What happened there."""

    OPTED_OUT = "opted_out"
    COMPLAINED = "complained"
    """Marked as spam: counts for all marketing, or for `thing`, as the catalogue says."""
    BOUNCED = "bounced"
    """It did not arrive: see `News.bounce`."""
    RESUBSCRIBED = "resubscribed"
    """Never lifts (I5): where our "no" stands, the tool is told it again."""
    SEEN = "seen"
    """A contact was added or changed: who should be suppressed there is (I13)."""
    UNKNOWN = "unknown"
    """Of a type, the `thing`, that its vendor's module doesn't know: it is counted, for
    people to look at, and the body is kept for a while. About nobody: `address` is ""."""


@dataclass(frozen=True, slots=True)
class News:
    """One thing that a tool says about one address.

    `thing` is the tool's own id of what it is about, as in a destination's mapping: a
    group, list or subscription type; None for all that the account sends; WHOLE for all
    that its list is sent, ALL_EMAIL for all its email and ALL_SMS for all its texts, which are
    the same unless a topic is mapped to them. `at` is when the
    person acted (UTC), None if the tool doesn't say. `by_person` is only true where the
    vendor says that no API call did it: such an act is never our own echo. `id` is the
    vendor's own id of the act, the same whenever it is told again; "" if it has none.
    `contact` is the tool's id of the contact, for a tool that doesn't tell the `address`.
    `bounce` is what a BOUNCED is about; without it the tool itself says that it is for good.
    `received_at` is when it reached us, if that was before it is taken in: no vendor tells it.
    `all_off` is how a contact's own switch for all that the account sends stands, of a tool
    that shows it off and on, and where no push of ours changes it; None if it is not about one.
    While it stays off it is reported again and again, which is one act (decision 54).
    """

    kind: NewsKind
    address: str
    thing: str | None = None
    at: datetime | None = None
    id: str = ""
    by_person: bool = False
    channel: Channel = Channel.EMAIL
    contact: str = ""
    bounce: Bounce | None = None
    received_at: datetime | None = None
    all_off: bool | None = None


@dataclass(frozen=True, slots=True)
class Post:
    """A request to `/in/<destination>`, as it came. Header names are in lower case."""

    method: str
    url: str
    """What the tool called, by our public URL, with path and query."""
    secret: str
    """The rest of the path, `/in/<destination>/<secret>`; "" if there is none."""
    headers: Mapping[str, str]
    body: bytes
    remote: str = field(default="", repr=False)
    """Who calls, as the proxies in front tell it (`TRUSTED_PROXIES`); never to be stored or
    logged."""
    certificate: bytes = b""
    """What stands at the URL that `Certified.certificate` tells; PEM."""


class Unverified(InvalidInput):
    """The request was not proved to come from the tool; it is not read any further."""


class Unready(Unverified):
    """The destination's settings don't let any request be believed; says the remedy."""


class Webhook(Protocol):
    """What proves one vendor's webhook: pure, no I/O. Registered in `sources`."""

    settings: ClassVar[Mapping[str, str]]
    """Names of settings that it needs -> what they are; all end in `?`, since a destination
    works without a webhook."""

    def verify(self, post: Post, settings: Mapping[str, str], now: datetime) -> str | None:
        """Return if `post` was made by the tool that `settings` belong to.

        Looks at headers, secret and the raw body only; compares in constant time. A text
        that it returns is good for one request: another that brings it is refused.
        Raises Unready, before it looks at `post`, while a needed setting is missing or
        wrong, and Unverified for what the tool did not send, or sent too long ago.
        """
        ...


class NewsSource(Webhook, Protocol):
    """One vendor's webhook whose bodies are stored, and read by a job."""

    def parse(self, body: bytes) -> Sequence[News]:
        """What the body says, without the types that we have no use for.

        Those that are not known are UNKNOWN news (`reading.unknown`): vendors add some.
        Raises InvalidInput when it is not what the vendor promises, without quoting it.
        """
        ...


class Dated(Protocol):
    """A NewsSource whose vendor says only in a header when it was.

    One body may then be posted of two acts.
    """

    def whole(self, post: Post) -> bytes:
        """What is stored and parsed of a verified `post`: its body, and when it was."""
        ...


@dataclass(frozen=True, slots=True)
class ReceivedMail:
    """A mail that a vendor received for us, as it would have come by SMTP."""

    content: bytes = field(repr=False)
    """RFC 5322; composed from its parts where the vendor does not post the whole."""
    recipients: Sequence[str] = field(repr=False)
    sender: str = field(default="", repr=False)
    """The envelope's; "" if the vendor does not post it."""


@runtime_checkable
class CarriesMail(Protocol):
    """A NewsSource whose vendor also posts the mails that it receives, as replies."""

    def mails(self, body: bytes) -> Sequence[ReceivedMail]:
        """The mails in a body, of which `parse` says nothing. Raises InvalidInput as that does."""
        ...


@runtime_checkable
class Certified(Protocol):
    """A Webhook whose vendor signs with a key that stands in a certificate online."""

    def certificate(self, post: Post, settings: Mapping[str, str]) -> str:
        """The https URL, at a host of the vendor's, of the certificate that `post` names.

        Raises Unverified for any other, and for what can be told without it not to be
        genuine: then nothing is fetched.
        """
        ...


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A GET of `/` at a host of the vendor's, after which it begins to report."""

    host: str
    query: Mapping[str, str]


@runtime_checkable
class Confirming(Protocol):
    """A NewsSource whose vendor wants to be told once that its reports are welcome."""

    def confirmation(self, body: bytes) -> Confirmation | None:
        """What is to be asked for, if that is what the body, which was verified, wants."""
        ...
