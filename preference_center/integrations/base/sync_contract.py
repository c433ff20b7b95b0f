"""The values that the sync loop and a connector exchange."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Generic, TypeVar
from uuid import UUID

from preference_center.core.addresses import Channel

T = TypeVar("T")
Row = TypeVar("Row")


class PushResult(StrEnum):
    """The outcome of one address in one push."""

    REFLECTED = "reflected"
    """The tool has acknowledged the state."""
    ABSENT = "absent"
    """The tool does not know the address, so it can't mail it; checked again later, and
    not created there unless `DestinationConfig.create_contacts`."""
    RETRY_LATER = "later"
    """This address failed for now; try again."""
    REFUSED = "refused"
    """The tool will never accept this address (e.g. it calls it invalid)."""


@dataclass(frozen=True, slots=True)
class TopicOffReason:
    """Why a topic is off: the decision about it, and when a pause ends (UTC)."""

    rule: str
    scope: str
    event: UUID
    since: datetime
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class PushItem:
    """The state one address should have in the tool.

    `off` are topics that must be off. `lift` are topics that *we* turned off there
    before and that must be on again; empty unless `can_lift`. A topic in neither
    must stay as it is (I13).
    """

    ref: int
    """Opaque to the connector: names the row in the outcome."""
    address: str
    """An email address, or on the other channels a phone number in E.164."""
    channel: Channel
    off: frozenset[str] = frozenset()
    lift: frozenset[str] = frozenset()
    all_off: bool = False
    """The opt-out covers all marketing, not just the topics this destination sends."""
    version: int = 0
    """Ledger version of this state; larger is newer."""
    since: datetime | None = None
    """When the newest opt-out of it was received (UTC)."""
    reasons: Mapping[str, TopicOffReason] = field(default_factory=dict, hash=False)
    """Topic -> why it is off, for a tool that can use it."""
    frequencies: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Topic -> how often the person wants it, where somebody chose; only for tools that hold it."""


@dataclass(frozen=True, slots=True)
class PushOutcome:
    """The outcome of one item. `ack` is the tool's own acknowledgement (id or status)."""

    result: PushResult
    ack: str = ""
    retry_after: timedelta | None = None
    """When to try again; of REFLECTED, when to push the same once more: a part of it that is no
    opt-out failed."""
    job: str = ""
    """Of an erasure that the tool does later, RETRY_LATER until then: what `EraseItem.job` is to
    be at the next call. The tool's own id of it, at most 200 characters, never an address."""


@dataclass(frozen=True, slots=True)
class ContactPage(Generic[T]):
    """One page of a listing.

    `cursor` is opaque, at most 2,000 characters, holds no address (it is stored and
    logged), and stays good for days. With `done` there is nothing more now: a
    listing of changes goes on from `cursor` minutes later, and a sweep, whose last cursor is
    None, starts again. `poll_after`: the next page is not ready yet, since the tool prepares it
    in a job, whose id is in the cursor; it is requested no sooner than after that.
    """

    rows: tuple[T, ...]
    cursor: str | None
    done: bool
    poll_after: timedelta | None = None

    def expand(self, rows_of: Callable[[T], Iterable[Row]]) -> ContactPage[Row]:
        """The page with what `rows_of` makes of each row: none, one or several."""
        rows = tuple(row for each in self.rows for row in rows_of(each))
        return ContactPage(rows, self.cursor, self.done, self.poll_after)


@dataclass(frozen=True, slots=True)
class ContactSnapshot:
    """A contact of the tool.

    `off` as `read` would return it, and `link` the value of the field for links ("" if empty),
    each None where the listing doesn't contain it. A connector that is SupportsContactFields
    returns `link`, since links are only written where they are missing. `all_off` is
    `VendorEvent.unsubscribed_from_all`: a connector whose `pull` reports it without a date must
    also show here where it is on (I13).
    """

    address: str
    channel: Channel = Channel.EMAIL
    off: frozenset[str] | None = None
    link: str | None = None
    all_off: bool | None = None
    connector_data: object = None
    """What the connector itself needs of the contact for `push_scanned`."""


@dataclass(frozen=True, slots=True)
class FieldItem:
    """A value for a custom field of a contact; "" empties that."""

    ref: int
    address: str
    channel: Channel
    value: str


@dataclass(frozen=True, slots=True)
class EraseItem:
    """An address whose data the tool is to delete. The tool reflects its opt-out already."""

    ref: int
    address: str
    channel: Channel
    job: str = ""
    """What the latest outcome had as `job`; "" where no deletion was begun."""
