"""What is known of one address at one destination: claimed, settled, read back, reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

NOT_PUSHED = "not_pushed"
"""Outcome of a row that asked for no request: there was nothing to turn off or on."""


@dataclass(frozen=True, slots=True)
class SyncClaim:
    """One row that this worker holds until its lease ends."""

    address_id: int
    wanted_version: int
    reflected_version: int
    due_at: datetime | None
    attempts: int
    turned_off: Sequence[str]
    lift_until: datetime | None
    next_position: LanePosition
    """Where the next claim may begin: before it, this one left nothing that it could see."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """What a worker found out about one claimed row.

    `done`: the tool reflects `version`, or does not know the address. `sure`: no older
    request that turns a topic on can still be under way. `next_at`: when to look again
    (the end of a pause, a retry), None for never. `off`: the topics that were, or may have been,
    turned off there; `lifted`: those that were turned on again. `verify_after`: when to read it
    back, sooner or later by how often that found it missing; None for never.
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
"""How long an absent address is left alone; twice as long each time, up to 32 days."""


@dataclass(frozen=True, slots=True)
class AddressSyncState:
    """One address at one destination, as far as reading needs it.

    `row` is false where the destination has no row of the address. `waits`: something is
    still to be pushed, or is being pushed right now.
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
    """When the destination was last told something about it."""
    last_push_at: datetime | None = None
    """When it last took from us what is off and on there."""


@dataclass(frozen=True, slots=True)
class ReportedOptOuts:
    """Per scope, the newest `seq` of one address's events; retracted ones count for nothing."""

    opt_outs: dict[str, int] = field(default_factory=dict)
    """Those that this destination reported."""
    opt_ins: dict[str, int] = field(default_factory=dict)
    """The person's own, wherever they were made."""


@dataclass(frozen=True, slots=True)
class LanePosition:
    """Where a claim begins to search each lane, by `next_at`."""

    live: datetime
    bulk: datetime


LANE_BEGINNING = LanePosition(datetime.min.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC))
