"""Vendor events: what a person did in a tool, as the tool reports it (I13).

They arrive in three ways and mean the same in each: by the tool's webhook at
`/in/<destination>`, which the vendor's `webhook.py` verifies and parses; by a connector that
lists the tool's opt-outs; and from a contact whose state was read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, Protocol, runtime_checkable

from preference_center.core.addresses import Channel
from preference_center.core.bounces import Bounce
from preference_center.core.errors import InvalidInput

WHOLE_LIST = "audience"
"""A target: the whole of a tool's list, which a destination may map to its only topic."""
ALL_EMAIL = "email"
"""A target: all email of a tool's account, which may be mapped likewise."""
ALL_SMS = "sms"
"""A target: all text messages of a tool's account, which may be mapped likewise."""


class VendorEventKind(StrEnum):
    """What happened in the tool."""

    OPTED_OUT = "opted_out"
    COMPLAINED = "complained"
    """Reported as spam: counts for all marketing, or for the target, as the catalogue states."""
    BOUNCED = "bounced"
    """A message was not delivered: see `VendorEvent.bounce`."""
    RESUBSCRIBED = "resubscribed"
    """Never lifts a suppression (I5): where one is active, it is pushed to the tool again."""
    CONTACT_CHANGED = "contact_changed"
    """A contact was added or changed: it is suppressed there if it should be (I13)."""
    UNKNOWN_TYPE = "unknown_type"
    """Of a type, the `target`, that the vendor's module doesn't know. It is counted for people
    to look at, and the body is kept for a while. It concerns nobody: `address` is ""."""


@dataclass(frozen=True, slots=True)
class VendorEvent:
    """One event that a tool reports about one address.

    - `target`: the vendor's id of the list, group or subscription type, as in a destination's
      mapping. None means everything that the account sends; WHOLE_LIST the whole list, ALL_EMAIL
      all its email and ALL_SMS all its texts. The last three are treated like None unless a topic
      is mapped to them.
    - `occurred_at`: when the person acted (UTC); None if the tool doesn't report it.
    - `id`: the vendor's own id of the event, the same in every repeat; "" if it has none.
    - `by_person`: true only where the vendor documents that no API call caused the event, so
      that it is never the echo of our own push.
    - `contact_id`: the vendor's id of the contact, for a tool that doesn't report the `address`.
    - `bounce`: details of a BOUNCED; without them the tool itself calls the failure permanent.
    - `received_at`: when the webhook reached us, if earlier than its processing; no vendor
      reports it.
    - `unsubscribed_from_all`: state of the contact's own switch for everything that the account
      sends, of a tool that shows it on and off and where no push of ours changes it; None if
      the event is not about one. While it stays off it is reported again and again, which is one
      act (decision 36).
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
    """The URL that the tool requested, under our public URL, with path and query."""
    path_secret: str
    """The rest of the path, `/in/<destination>/<secret>`; "" if there is none."""
    headers: Mapping[str, str]
    body: bytes
    remote_address: str = field(default="", repr=False)
    """The client's address as the proxies report it (`TRUSTED_PROXIES`); never stored or
    logged."""
    certificate: bytes = b""
    """PEM, from the URL that `NeedsCertificate.certificate_url` returns; else empty."""

    def require_header(self, name: str) -> str:
        """A header that a genuine request has. Raises SignatureError."""
        if found := self.headers.get(name):
            return found
        raise SignatureError("the request is not signed")


class SignatureError(InvalidInput):
    """The request can't be verified to come from the tool; it is not processed."""


class NotConfigured(SignatureError):
    """No request can be verified with the destination's settings; states the remedy."""


class WebhookVerifier(Protocol):
    """Verification of one vendor's webhook: pure, no I/O. Named by the vendor's `INTEGRATION`."""

    settings: ClassVar[Mapping[str, str]]
    """Names of settings that it needs -> what they are; all end in `?`, since a destination
    works without a webhook."""
    secret_settings: ClassVar[frozenset[str]] = frozenset()
    """Those of its settings, without the `?`, that are never displayed."""
    secret_in_path: ClassVar[bool] = False
    """Whether the webhook's URL contains the setting `webhook_secret`. Other vendors sign with
    it, and keep it out of URLs."""
    requires_200: ClassVar[bool] = False
    """Whether the vendor documents that it repeats every request not answered with exactly
    200. Others are answered with 204."""

    def verify(
        self, request: WebhookRequest, settings: Mapping[str, str], now: datetime
    ) -> str | None:
        """Return if `request` was made by the tool that `settings` belong to.

        Reads only headers, secret and the raw body; compares in constant time. A returned text
        is a one-time token: a later request with the same one is rejected.
        Raises NotConfigured, before it reads `request`, while a required setting is missing or
        wrong, and SignatureError for what the tool did not send, or sent too long ago.
        """
        ...


@runtime_checkable
class WebhookSource(WebhookVerifier, Protocol):
    """One vendor's webhook whose bodies are stored, and parsed by a job."""

    def parse(self, body: bytes) -> Sequence[VendorEvent]:
        """The events in a body, without the types that have no use here.

        Types that the module doesn't know are UNKNOWN_TYPE events (`webhook.unknown_event`):
        vendors add some. Raises InvalidInput, without quoting the body, when it is not what the
        vendor documents.
        """
        ...


class HeaderDated(Protocol):
    """A WebhookSource whose vendor gives the time only in a header.

    Two events may then have the same body.
    """

    def stored_body(self, request: WebhookRequest) -> bytes:
        """What is stored and parsed of a verified request: its body, and its time."""
        ...


@dataclass(frozen=True, slots=True)
class ReceivedMail:
    """A mail that a vendor received for us, as it would have arrived by SMTP."""

    content: bytes = field(repr=False)
    """RFC 5322; composed from its parts where the vendor does not post the whole."""
    recipients: Sequence[str] = field(repr=False)
    sender: str = field(default="", repr=False)
    """The envelope's; "" if the vendor does not post it."""


@runtime_checkable
class SupportsInboundMail(Protocol):
    """A WebhookSource whose vendor also posts the mails that it receives, as replies."""

    def parse_mails(self, body: bytes) -> Sequence[ReceivedMail]:
        """The mails in a body, which `parse` leaves out. Raises InvalidInput as that does."""
        ...


@dataclass(frozen=True, slots=True)
class TextMessage:
    """A text message that a person sent to us."""

    sender: str = field(repr=False)
    recipients: frozenset[str]
    """What it was sent to, as the vendor names it: our number, and its messaging service."""
    body: str = field(repr=False)
    message_id: str
    """The vendor's own id of the message."""
    handled_as: SmsIntent | None
    """The keyword that the vendor has already answered, also for words that the company
    configured only there."""


@runtime_checkable
class SupportsTextMessages(Protocol):
    """A WebhookVerifier of incoming text messages, which are processed and answered at once."""

    reply_type: ClassVar[str]
    """Media type of what `format_reply` returns."""

    def parse_text_message(self, body: bytes) -> TextMessage | None:
        """The message in a body; None for a report about one that we sent.

        Raises InvalidInput, without quoting the body, when it is not what the vendor documents.
        """
        ...

    def format_reply(self, message: str) -> str:
        """The response that has the vendor send `message`; "" sends nothing."""
        ...


@runtime_checkable
class NeedsCertificate(Protocol):
    """A WebhookVerifier whose vendor signs with the key of a certificate published online."""

    def certificate_url(self, request: WebhookRequest, settings: Mapping[str, str]) -> str:
        """The https URL, at a host of the vendor's, of the certificate that `request` names.

        Raises SignatureError for any other URL, and for what is recognizably not genuine
        without the certificate: then nothing is fetched.
        """
        ...


@dataclass(frozen=True, slots=True)
class SubscriptionConfirmation:
    """A GET of `/` at a host of the vendor's, after which it begins to report."""

    host: str
    query: Mapping[str, str]


@runtime_checkable
class NeedsConfirmation(Protocol):
    """A WebhookSource whose vendor requires its subscription to be confirmed once."""

    def confirmation(self, body: bytes) -> SubscriptionConfirmation | None:
        """The request to make, if the verified body asks for a confirmation; else None."""
        ...


class SmsIntent(StrEnum):
    """What a text asks for."""

    STOP = "stop"
    STOP_ALL = "stop_all"
    """Stop everything, whichever number it was texted to."""
    HELP = "help"
    START = "start"
    UNCLEAR = "unclear"
    """Staff must read it."""
