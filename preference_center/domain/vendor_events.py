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

WHOLE_LIST = "audience"
"""A `thing`: the whole of a tool's list, which a destination may map to its only topic."""
ALL_EMAIL = "email"
"""A `thing`: all email of a tool's account, which may be mapped likewise."""
ALL_SMS = "sms"
"""A `thing`: all text messages of a tool's account, which may be mapped likewise."""


class VendorEventKind(StrEnum):
    """What happened there."""

    OPTED_OUT = "opted_out"
    COMPLAINED = "complained"
    """Marked as spam: counts for all marketing, or for `thing`, as the catalogue says."""
    BOUNCED = "bounced"
    """It did not arrive: see `News.bounce`."""
    RESUBSCRIBED = "resubscribed"
    """Never lifts (I5): where our "no" stands, the tool is told it again."""
    CONTACT_CHANGED = "seen"
    """A contact was added or changed: who should be suppressed there is (I13)."""
    UNKNOWN_TYPE = "unknown"
    """Of a type, the `thing`, that its vendor's module doesn't know: it is counted, for
    people to look at, and the body is kept for a while. About nobody: `address` is ""."""


@dataclass(frozen=True, slots=True)
class VendorEvent:
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

    kind: VendorEventKind
    address: str
    target: str | None = None
    occurred_at: datetime | None = None
    id: str = ""
    by_person: bool = False
    channel: Channel = Channel.EMAIL
    contact_id: str = ""
    bounce: Bounce | None = None
    received_at: datetime | None = None
    unsubscribed_from_all: bool | None = None


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """A request to `/in/<destination>`, as it came. Header names are in lower case."""

    method: str
    url: str
    """What the tool called, by our public URL, with path and query."""
    path_secret: str
    """The rest of the path, `/in/<destination>/<secret>`; "" if there is none."""
    headers: Mapping[str, str]
    body: bytes
    remote_address: str = field(default="", repr=False)
    """Who calls, as the proxies in front tell it (`TRUSTED_PROXIES`); never to be stored or
    logged."""
    certificate: bytes = b""
    """What stands at the URL that `Certified.certificate` tells; PEM."""


class SignatureError(InvalidInput):
    """The request was not proved to come from the tool; it is not read any further."""


class NotConfigured(SignatureError):
    """The destination's settings don't let any request be believed; says the remedy."""


class WebhookVerifier(Protocol):
    """What proves one vendor's webhook: pure, no I/O. Registered in `sources`."""

    settings: ClassVar[Mapping[str, str]]
    """Names of settings that it needs -> what they are; all end in `?`, since a destination
    works without a webhook."""

    def verify(
        self, request: WebhookRequest, settings: Mapping[str, str], now: datetime
    ) -> str | None:
        """Return if `post` was made by the tool that `settings` belong to.

        Looks at headers, secret and the raw body only; compares in constant time. A text
        that it returns is good for one request: another that brings it is refused.
        Raises Unready, before it looks at `post`, while a needed setting is missing or
        wrong, and Unverified for what the tool did not send, or sent too long ago.
        """
        ...


class WebhookSource(WebhookVerifier, Protocol):
    """One vendor's webhook whose bodies are stored, and read by a job."""

    def parse(self, body: bytes) -> Sequence[VendorEvent]:
        """What the body says, without the types that we have no use for.

        Those that are not known are UNKNOWN news (`reading.unknown`): vendors add some.
        Raises InvalidInput when it is not what the vendor promises, without quoting it.
        """
        ...


class HeaderDated(Protocol):
    """A NewsSource whose vendor says only in a header when it was.

    One body may then be posted of two acts.
    """

    def stored_body(self, request: WebhookRequest) -> bytes:
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
class SupportsInboundMail(Protocol):
    """A NewsSource whose vendor also posts the mails that it receives, as replies."""

    def parse_mails(self, body: bytes) -> Sequence[ReceivedMail]:
        """The mails in a body, of which `parse` says nothing. Raises InvalidInput as that does."""
        ...


@runtime_checkable
class NeedsCertificate(Protocol):
    """A Webhook whose vendor signs with a key that stands in a certificate online."""

    def certificate_url(self, request: WebhookRequest, settings: Mapping[str, str]) -> str:
        """The https URL, at a host of the vendor's, of the certificate that `post` names.

        Raises Unverified for any other, and for what can be told without it not to be
        genuine: then nothing is fetched.
        """
        ...


@dataclass(frozen=True, slots=True)
class SubscriptionConfirmation:
    """A GET of `/` at a host of the vendor's, after which it begins to report."""

    host: str
    query: Mapping[str, str]


@runtime_checkable
class NeedsConfirmation(Protocol):
    """A NewsSource whose vendor wants to be told once that its reports are welcome."""

    def confirmation(self, body: bytes) -> SubscriptionConfirmation | None:
        """What is to be asked for, if that is what the body, which was verified, wants."""
        ...
