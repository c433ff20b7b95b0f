"""What calls take and return. Unknown fields of a response are ignored: the API may add some."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

Json = dict[str, Any]
Channel = Literal["email", "sms", "phone"]


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether one message may be sent to one address at this moment."""

    allow: bool
    rule: str
    """The rule that decided, e.g. `not_opted_out`; more may be added."""
    scope: str | None = None
    event: str | None = None
    since: datetime | None = None
    advisory: str | None = None
    frequency: str | None = None
    """How often the person wants the topic; send no more often."""


DIGEST_HEAD_BYTES = 8
"""Of each digest in a `DigestsPage`."""

UNANSWERED = "unanswered"
"""The rule of a decision that the service did not make, since it could not be reached."""


@dataclass(frozen=True, slots=True)
class WriteResult:
    """Whether a write recorded an act, or one at most 5 s apart was there; and its event."""

    recorded: bool
    event: str | None = None


@dataclass(frozen=True, slots=True, repr=False)
class OptOut:
    """An opt-out that reached you other than on the service's pages. Times are aware."""

    address: str
    scope: str
    """A topic, or `all_marketing`."""
    via: Literal[
        "phone", "postal_mail", "reply", "certified_mail", "in_person", "chat", "form", "app"
    ]
    received_at: datetime
    """When the company received it: the 72 hours count from this time."""
    occurred_at: datetime | None = None
    channel: Channel = "email"
    policy: str = ""
    """The version of the privacy policy that was shown, if one was."""

    def to_json(self) -> Json:
        """The body of the API."""
        return _drop_none(
            address=self.address,
            channel=self.channel,
            scope=self.scope,
            via=self.via,
            received_at=_to_text(self.received_at),
            occurred_at=_to_text(self.occurred_at),
            policy=self.policy or None,
        )


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the person agreed to, where and when. It must not contain the address."""

    source: str
    wording: str
    language: str
    """A language tag (BCP 47)."""
    occurred_at: datetime
    policy: str | None = None
    """The version of the privacy policy that was shown with it, if one was."""

    def to_json(self) -> Json:
        """The body of the API."""
        return _drop_none(
            source=self.source,
            wording=self.wording,
            language=self.language,
            occurred_at=_to_text(self.occurred_at),
            policy=self.policy,
        )


@dataclass(frozen=True, slots=True, repr=False)
class Consent:
    """A consent to a topic. Only with `own_act` may it lift an older opt-out."""

    address: str
    topic: str
    evidence: Evidence
    own_act: bool = False
    channel: Channel = "email"

    def to_json(self) -> Json:
        """The body of the API."""
        body: Json = {
            "address": self.address,
            "channel": self.channel,
            "topic": self.topic,
            "evidence": self.evidence.to_json(),
        }
        return body | {"own_act": True} if self.own_act else body


@dataclass(frozen=True, slots=True, repr=False)
class LinkRequest:
    """A message that needs links; `scope` is what they opt out of."""

    address: str
    scope: str
    message_id: str = ""
    channel: Channel = "email"
    short: bool = False

    def to_json(self) -> Json:
        """The body of the API."""
        body = _drop_none(
            address=self.address,
            channel=self.channel,
            scope=self.scope,
            message_id=self.message_id or None,
        )
        return body | {"short": True} if self.short else body


@dataclass(frozen=True, slots=True, repr=False)
class MessageLinks:
    """The links and headers of one message. Set the headers unfolded, and let DKIM sign them."""

    unsubscribe_url: str
    preferences_url: str
    headers: Mapping[str, str]
    short_url: str | None = None


@dataclass(frozen=True, slots=True, repr=False)
class ContactResult:
    """A contact after a write."""

    contact: str
    account: str
    """`open`, `deactivated` or `erased`."""
    recorded: bool


@dataclass(frozen=True, slots=True, repr=False)
class ChangesPage:
    """A page of the change feed. Store `next` together with what you made of `changes`."""

    changes: Sequence[Json]
    next: str
    more: bool
    """Whether to ask for the next page at once."""


@dataclass(frozen=True, slots=True, repr=False)
class DigestsPage:
    """Digests for a local filter, all of them or those since a watermark."""

    start: Json
    """The first line: `watermark`, `digest_keys`, `message_types` and others."""
    data: bytes
    """The first 8 bytes of each digest, one after the other."""


def read_digests_page(lines: Sequence[Json]) -> DigestsPage:
    """Those of a response. Raises ValueError if it was cut off."""
    first, *blocks, last = lines
    data = b"".join(b64decode(block["digests"]) for block in blocks)
    if last != {"end": True, "count": len(data) // DIGEST_HEAD_BYTES}:
        raise ValueError("the response was cut off")
    return DigestsPage(first, data)


def read_decision(body: Mapping[str, Any]) -> Decision:
    """A decision of a response. Raises TypeError unless `allow` is a boolean."""
    allow = body["allow"]
    if not isinstance(allow, bool):
        raise TypeError("allow is no boolean")
    return Decision(
        allow,
        str(body["rule"]),
        body.get("scope"),
        body.get("event"),
        datetime.fromisoformat(body["since"]) if body.get("since") else None,
        body.get("advisory"),
        body.get("frequency"),
    )


def read_decisions(body: Mapping[str, Any], count: int) -> list[Decision]:
    """Those of a list. Raises ValueError unless there is one per recipient."""
    decisions = [read_decision(each) for each in body["decisions"]]
    if len(decisions) != count:
        raise ValueError("there is not one decision per recipient")
    return decisions


def read_write_result(body: Mapping[str, Any]) -> WriteResult:
    """The result of an opt-out or a consent."""
    return WriteResult(bool(body["recorded"]), body.get("event"))


def read_message_links(body: Mapping[str, Any]) -> MessageLinks:
    """The links of one message."""
    return MessageLinks(
        body["unsubscribe_url"], body["preferences_url"], body["headers"], body.get("short_url")
    )


def read_contact_result(body: Mapping[str, Any]) -> ContactResult:
    """The result of a write to a contact."""
    return ContactResult(body["contact"], body["account"], bool(body["recorded"]))


def read_changes_page(body: Mapping[str, Any]) -> ChangesPage:
    """A page of the change feed."""
    return ChangesPage(body["changes"], body["next"], bool(body["more"]))


def read_object(body: Any) -> Json:
    """A JSON object as it is. Raises TypeError for anything else."""
    if not isinstance(body, dict):
        raise TypeError("not an object")
    return body


def _to_text(moment: datetime | None) -> str | None:
    if moment is not None and moment.tzinfo is None:
        raise ValueError("a time needs a time zone: datetime.now(timezone.utc)")
    return None if moment is None else moment.isoformat()


def _drop_none(**fields: Any) -> Json:
    return {name: value for name, value in fields.items() if value is not None}
