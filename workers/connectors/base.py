"""What a connector is: the contract between the sync loop and one kind of tool.

A connector knows one tool's API and nothing of our database, Flask or RQ. The sync
loop hands it the state an address should have; the connector makes the tool agree
and says, per address, what came of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, Protocol
from uuid import UUID

from preference_center.domain.addresses import Channel


class Result(StrEnum):
    """What became of one address in one push."""

    REFLECTED = "reflected"
    """The tool has acknowledged the state."""
    ABSENT = "absent"
    """The tool does not know the address, so it can't mail it; looked at again later."""
    LATER = "later"
    """This address failed for now; try again."""
    REFUSED = "refused"
    """The tool will never take this address (e.g. it calls it invalid)."""


class Scopes(StrEnum):
    """Which "no" a tool can hold without approximation (I10)."""

    TOPIC = "topic"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """A connector's abilities as data; set-up checks and docs are made from them."""

    channels: frozenset[Channel]
    scopes: frozenset[Scopes]
    can_lift: bool
    """Whether the API can turn a topic back on. If not, pauses are not pushed."""
    batch_size: int
    """The most addresses one `push` may be given."""
    rate: float | None = None
    """The vendor's documented limit in requests per second, or None."""
    can_read: bool = False
    can_scan: bool = False
    can_erase: bool = False
    needs_mapping: bool = True
    """Whether every topic must be mapped to a thing in the tool."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a topic is off: what a decision about it would say, and when a pause ends (UTC)."""

    rule: str
    scope: str
    event: UUID
    since: datetime
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """The state one address should have in the tool.

    `off` are topics that must be off. `lift` are topics that *we* turned off there
    before and that must be on again; empty unless `can_lift`. A topic in neither is
    none of our business and must stay as it is (I13).
    """

    ref: int
    """Opaque to the connector: names the row in the outcome."""
    address: str
    channel: Channel
    off: frozenset[str] = frozenset()
    lift: frozenset[str] = frozenset()
    all_off: bool = False
    """The no covers all marketing, not just the topics this destination sends."""
    version: int = 0
    """Ledger version of this state; larger is newer."""
    since: datetime | None = None
    """When the newest of it was received (UTC)."""
    reasons: Mapping[str, Reason] = field(default_factory=dict)
    """Topic -> why it is off, for a tool that can use it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one item. `ack` is the tool's own acknowledgement (id or status)."""

    result: Result
    ack: str = ""
    retry_after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What `check` found.

    `problems` are faults that forbid sending, each with its remedy; `unmapped` names
    things in the tool that no topic maps to.
    """

    problems: tuple[str, ...] = ()
    unmapped: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the destination may be sent to."""
        return not self.problems


@dataclass(frozen=True, slots=True)
class Setup:
    """One destination's settings as a connector sees them."""

    name: str
    settings: Mapping[str, str]
    """Account settings and secrets; the names are the connector's own."""
    topics: Mapping[str, str] = field(default_factory=dict)
    """Our topic -> the tool's own id of its group, list or subscription type."""
    sends_service: bool = False
    """Whether service mail goes out through this account too (I10)."""


class DeliveryError(Exception):
    """The whole push failed.

    `permanent` means the destination is broken until a person mends it (bad credentials,
    gone); `retry_after` is the tool's own wish.
    """

    def __init__(
        self, message: str, *, permanent: bool = False, retry_after: timedelta | None = None
    ) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.retry_after = retry_after


class Gone(DeliveryError):
    """The receiver asked us to stop (HTTP 410): the destination pauses."""

    def __init__(self, message: str) -> None:
        super().__init__(message, permanent=True)


class UnsupportedByDestination(Exception):
    """Asked for something that this tool can't hold exactly; says the remedy."""


class Connector(Protocol):
    """One destination's connector, made by `registry.make(kind, setup, http)`."""

    kind: ClassVar[str]
    capabilities: ClassVar[Capabilities]
    settings: ClassVar[Mapping[str, str]]
    """Setting name -> what it is, for `--help` and messages. A name that ends in
    `?` is optional."""

    def check(self) -> Report:
        """Verify credentials and that every mapped thing exists; changes nothing."""
        ...

    def push(self, batch: Sequence[Item]) -> Mapping[int, Outcome]:
        """Make the tool reflect `batch` (at most `capabilities.batch_size`).

        Idempotent. Answers for every `ref`; a ref left out counts as LATER.
        Raises DeliveryError when nothing of the batch can be said to have happened, and
        always when it is permanent or the lease ended: part may then have happened.
        Raises UnsupportedByDestination, before anything is sent, for a batch that the
        tool can't hold exactly (a topic that isn't mapped, a lift where none can be).
        """
        ...


class Readable(Protocol):
    """A connector with `can_read`."""

    def read(self, batch: Sequence[Item]) -> Mapping[int, frozenset[str] | None]:
        """Per ref: our topics that are off there now, or None if absent."""
        ...


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a scan: addresses seen, and the cursor to go on from (None: done)."""

    addresses: tuple[str, ...]
    cursor: str | None


class Scannable(Protocol):
    """A connector with `can_scan`."""

    def scan(self, cursor: str | None) -> Page:
        """List contacts that were added or changed since `cursor`."""
        ...


class Erasable(Protocol):
    """A connector with `can_erase`."""

    def erase(self, batch: Sequence[Item]) -> Mapping[int, Outcome]:
        """Delete the person's data in the tool, keeping its suppression."""
        ...
