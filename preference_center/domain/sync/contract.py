"""What passes between the sync loop and a connector."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Generic, TypeVar
from uuid import UUID

from preference_center.domain.addresses import Channel

T = TypeVar("T")


class PushResult(StrEnum):
    """What became of one address in one push."""

    REFLECTED = "reflected"
    """The tool has acknowledged the state."""
    ABSENT = "absent"
    """The tool does not know the address, so it can't mail it; looked at again later, and
    not created there unless `Setup.create_contacts`."""
    RETRY_LATER = "later"
    """This address failed for now; try again."""
    REFUSED = "refused"
    """The tool will never take this address (e.g. it calls it invalid)."""


@dataclass(frozen=True, slots=True)
class TopicOffReason:
    """Why a topic is off: what a decision about it would say, and when a pause ends (UTC)."""

    rule: str
    scope: str
    event: UUID
    since: datetime
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class PushItem:
    """The state one address should have in the tool.

    `off` are topics that must be off. `lift` are topics that *we* turned off there
    before and that must be on again; empty unless `can_lift`. A topic in neither is
    none of our business and must stay as it is (I13).
    """

    ref: int
    """Opaque to the connector: names the row in the outcome."""
    address: str
    """An email address, or on the other channels a phone number in E.164."""
    channel: Channel
    off: frozenset[str] = frozenset()
    lift: frozenset[str] = frozenset()
    all_off: bool = False
    """The no covers all marketing, not just the topics this destination sends."""
    version: int = 0
    """Ledger version of this state; larger is newer."""
    since: datetime | None = None
    """When the newest of it was received (UTC)."""
    reasons: Mapping[str, TopicOffReason] = field(default_factory=dict, hash=False)
    """Topic -> why it is off, for a tool that can use it."""


@dataclass(frozen=True, slots=True)
class PushOutcome:
    """What came of one item. `ack` is the tool's own acknowledgement (id or status)."""

    result: PushResult
    ack: str = ""
    retry_after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class ContactPage(Generic[T]):
    """One page of a listing.

    `cursor` is opaque, at most 2,000 characters, holds no address (it is stored and
    logged), and stays good for days. `done` says that there is nothing more now. Then a
    listing by change goes on from `cursor` minutes later, and a sweep, whose last cursor is
    None, starts again. `again`: what comes next is not ready yet, since the tool prepares it
    by a job of its own, whose id is in the cursor; to be asked again no sooner than after that.
    """

    rows: tuple[T, ...]
    cursor: str | None
    done: bool
    poll_after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class ContactSnapshot:
    """A contact of the tool.

    `off` as `read` would answer, and `link` as it stands in the field for links ("" if
    empty), each None where the listing doesn't tell. A connector that is Fieldable tells
    `link`, since only contacts without theirs are given one. `all_off` as in `News`: a
    connector whose `pull` reports it without a date must show here where it is on, too (I13).
    """

    address: str
    channel: Channel = Channel.EMAIL
    off: frozenset[str] | None = None
    link: str | None = None
    all_off: bool | None = None
    connector_data: object = None
    """What the connector itself needs to know of the contact for `push_seen`."""


@dataclass(frozen=True, slots=True)
class LinkItem:
    """A contact's standing link, for its custom field."""

    ref: int
    address: str
    channel: Channel
    link: str
