"""The sync state of one address at one destination: claimed, settled, read back, reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

NOT_PUSHED = "not_pushed"
"""Outcome of a row that needed no request: there was nothing to turn off or on."""


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
