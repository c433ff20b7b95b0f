"""These classes are a destination's states: its settings, its condition, and each address there.

- A destination is one configured account of a connected tool.
- The sync state of one address there is claimed, settled, read back and reported.
- The condition says what is the matter with a destination, so that a person knows what to do next.
- `VerificationStats` counts what reading a destination found.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Protocol, assert_never

from preference_center.core.addresses import Channel
from preference_center.core.events import SHARING

NOT_PUSHED = "not_pushed"
"""Outcome of a row that needed no request: there was nothing to turn off or on."""


class PlannedRow(Protocol):
    """What a plan needs of a row: of one that is claimed, or that is read back."""

    @property
    def address_id(self) -> int:
        """Whose row it is."""

    @property
    def wanted_version(self) -> int:
        """The version that the destination should reflect."""

    @property
    def turned_off(self) -> Collection[str]:
        """The topics that we turned off there."""


@dataclass(frozen=True, slots=True)
class SyncClaim:
    """One row that a worker holds until its lease ends."""

    address_id: int
    wanted_version: int
    reflected_version: int
    due_at: datetime | None
    attempts: int
    turned_off: Sequence[str]
    lift_until: datetime | None
    next_position: LanePosition
    """Where the next claim may begin: this one left no visible row before it."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """The result of one claimed row.

    `is_done`: the tool reflects `version`, or does not know the address. `is_final`: no older
    request that turns a topic on can still be running. `next_at`: when to claim it again (the
    end of a pause, a retry), None for never. `turned_off`: the topics that were, or may have
    been, turned off there; `turned_on`: those that were turned on again. `verify_after`: the
    delay before it is read back, which grows with each read-back that found it missing; None
    for never.
    """

    address_id: int
    version: int
    previous_version: int
    outcome: str
    ack: str
    is_done: bool
    is_final: bool
    next_at: datetime | None
    turned_off: frozenset[str] = frozenset()
    turned_on: frozenset[str] = frozenset()
    verify_after: timedelta | None = None


READ_BACK_DELAY = timedelta(minutes=5)
"""How long after a push it is read back; four times longer whenever it had to be repeated."""


ABSENT_RECHECK_INTERVAL = timedelta(days=1)
"""When an absent address is checked again; twice as long each time, up to 32 days."""


@dataclass(frozen=True, slots=True)
class AddressSyncState:
    """One address at one destination, as far as verification needs it.

    `has_row` is false where the destination has no row of the address. `push_pending`: a push
    is due or running.
    """

    address_id: int
    readable: bool
    erased: bool
    has_row: bool
    wanted_version: int
    turned_off: frozenset[str]
    push_pending: bool
    last_outcome: str | None
    last_delivery_at: datetime | None
    """When something was last delivered to the destination about it."""
    last_push_at: datetime | None = None
    """When it last accepted our state of the address."""


@dataclass(frozen=True, slots=True)
class ReportedOptOuts:
    """Per scope, the newest `seq` of one address's events; retracted ones don't count."""

    opt_outs: dict[str, int] = field(default_factory=dict)
    """Those that this destination reported."""
    opt_ins: dict[str, int] = field(default_factory=dict)
    """The person's own, made anywhere."""


@dataclass(frozen=True, slots=True)
class LanePosition:
    """Where a claim starts in each lane, by `next_at`."""

    live: datetime
    bulk: datetime


LANE_BEGINNING = LanePosition(datetime.min.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC))


class DestinationStatus(StrEnum):
    """Whether a destination is pushed to."""

    OBSERVE = "observe"
    """New: it shows what would be pushed; nothing is pushed until it is resumed."""
    ACTIVE = "active"
    PAUSED = "paused"
    """Stopped by staff, or by the receiver itself; its rows keep their deadlines (I3)."""


class Trouble(StrEnum):
    """What keeps a destination from being pushed to for now."""

    SLOWED = "slowed"
    """The tool takes no more requests for now, or our own limit for it permits none. Pushes have
    worked since the one before, or half an hour ago at most."""
    REFUSED = "refused"
    """It refuses our credentials, a right or what we ask for, until a person changes something."""
    FAILING = "failing"
    """It does not answer, or with an error."""


SLOWED_AT_MOST = timedelta(minutes=30)
"""For how long a tool that takes no requests is taken for slow; from then on it is broken."""


def find_trouble(retry_at: datetime | None, trouble: str | None) -> Trouble | None:
    """The trouble of a destination; None while its circuit is closed.

    `trouble` is what is stored: nothing if a version of before has opened the circuit.
    """
    return None if retry_at is None else Trouble(trouble or Trouble.FAILING)


def status_label(status: DestinationStatus, trouble: Trouble | None) -> str:
    """The status as one word: an active one in trouble is `slowed` or `broken`."""
    if status is not DestinationStatus.ACTIVE or trouble is None:
        return status.value
    return "slowed" if trouble is Trouble.SLOWED else "broken"


@dataclass(frozen=True, slots=True)
class Destination:
    """One configured account of a connected tool.

    `sends` are the topics it may mail, and SHARING if data is shared with it; `mapping`: each of
    them -> its target in the tool. While `retry_at` is ahead the circuit is open: nothing is sent,
    for the given `reason`. `failures` (at most 30) halves the batches that often: where a batch
    fails as a whole, only a small one shows which row causes it.
    """

    id: int
    name: str
    kind: str
    settings: Mapping[str, str]
    channels: frozenset[Channel]
    sends: frozenset[str]
    mapping: Mapping[str, str]
    sends_service: bool
    can_lift: bool
    """Whether the tool can turn on again what we turned off there, and so hold a pause (I10)."""
    status: DestinationStatus
    reason: str
    failures: int
    retry_at: datetime | None
    pulled_at: datetime | None
    """When its own opt-outs had been read; until then its back-fill waits."""
    slow_until: datetime | None
    """Until when it counts as slow, so that it gets one push at a time."""
    trouble: Trouble | None = None
    trouble_since: datetime | None = None
    """When the trouble of this kind began; means nothing without one."""

    def allows_requests(self, now: datetime) -> bool:
        """Whether the tool may be sent requests: it is active and its circuit is not open."""
        is_closed = self.retry_at is None or self.retry_at <= now
        return self.status is DestinationStatus.ACTIVE and is_closed

    def slowed_since(self, now: datetime) -> datetime | None:
        """Since when a tool that takes no more requests now is slow; None if it is broken.

        It is slow while the push before worked, and for SLOWED_AT_MOST from then on.
        """
        if self.trouble is None:
            return now
        since = self.trouble_since if self.trouble is Trouble.SLOWED else None
        return since if since and now < since + SLOWED_AT_MOST else None

    @property
    def log_fields(self) -> dict[str, str | int]:
        """What a log line says of it."""
        return {"destination": self.name, "destination_id": self.id}

    @property
    def topics(self) -> frozenset[str]:
        """The topics that it may mail."""
        return self.sends - {SHARING}

    @property
    def shares(self) -> bool:
        """Whether people's data is used there for advertising elsewhere, as in an audience."""
        return SHARING in self.sends

    def is_slow(self, now: datetime) -> bool:
        """Whether a recent push took long."""
        return self.slow_until is not None and self.slow_until > now


class Condition(StrEnum):
    """The first of these that holds is what to see to."""

    OBSERVED = "observed"
    """Nothing is pushed before it is resumed."""
    PAUSED = "paused"
    RATE_LIMITED = "rate_limited"
    """It works, and takes no more requests for now."""
    FAILED = "failed"
    """Its circuit is open: it is tried again later."""
    TRIED_AGAIN = "tried_again"
    """Its circuit is open, and due to be tried."""
    DRIFT_REPEATS = "drift_repeats"
    """It loses again opt-outs that it had lost, and that were pushed again."""
    NOT_READABLE = "not_readable"
    """It is pushed to, but a listing of it fails."""
    DRIFTED = "drifted"
    """It has lost opt-outs, which are being pushed again."""
    WELL = "well"


class PermanentCondition(StrEnum):
    """What may stay as it is once a person has understood it, by the name of its alert."""

    ADDRESSES_REFUSED = "addresses_refused"
    """The tool refuses opt-outs for single addresses: accepted of those received until then."""
    TOOL_KNOWS_NOBODY = "tool_knows_nobody"
    """The tool holds none of these people: accepted until its settings change."""


DRIFT_LASTS = timedelta(days=2)
"""For how long a destination that lost an opt-out again is taken to lose them: it is read back
ever more rarely."""


def repeats_drift(repeated_at: datetime | None, now: datetime) -> bool:
    """Whether it loses opt-outs again and again; `repeated_at`: when it last did."""
    return repeated_at is not None and now < repeated_at + DRIFT_LASTS


def find_condition(
    status: DestinationStatus,
    retry_at: datetime | None,
    trouble: Trouble | None,
    now: datetime,
    *,
    reads_fail: bool = False,
    has_drift: bool = False,
    drift_repeats: bool = False,
) -> Condition:
    """The condition of a destination; `trouble` and `retry_at` are those of its circuit."""
    match status:
        case DestinationStatus.OBSERVE:
            return Condition.OBSERVED
        case DestinationStatus.PAUSED:
            return Condition.PAUSED
        case DestinationStatus.ACTIVE if retry_at is not None:
            if trouble is Trouble.SLOWED:
                return Condition.RATE_LIMITED
            return Condition.FAILED if retry_at > now else Condition.TRIED_AGAIN
        case DestinationStatus.ACTIVE:
            if drift_repeats:
                return Condition.DRIFT_REPEATS
            if reads_fail:
                return Condition.NOT_READABLE
            return Condition.DRIFTED if has_drift else Condition.WELL
        case _:
            assert_never(status)


@dataclass(frozen=True, slots=True)
class VerificationStats:
    """Counts of one page, one batch or one destination; they can be added up."""

    contacts: int = 0
    """Contacts that a scan listed."""
    reported: int = 0
    """Events that the tool reported, echoes of our own pushes included."""
    recorded: int = 0
    """Of those, the new ones, which became events of the ledger."""
    unmapped: int = 0
    """Events about targets that no topic maps to: not recorded."""
    unreadable: int = 0
    """Contacts and events whose address can't be parsed."""
    newly_suppressed: int = 0
    """Contacts that should have been suppressed there and were not yet."""
    checked: int = 0
    """Addresses that were read back."""
    drift: int = 0
    """Opt-outs that the tool had confirmed and no longer had; they are pushed again."""
    links_written: int = 0
    """Permanent links written into contacts."""

    def __add__(self, other: VerificationStats) -> VerificationStats:
        return VerificationStats(
            *(getattr(self, f.name) + getattr(other, f.name) for f in fields(VerificationStats))
        )
