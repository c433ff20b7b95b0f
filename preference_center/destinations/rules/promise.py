"""Whether every opt-out reaches every tool inside the window, from what was measured (I3)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from preference_center.core.deadlines import WINDOW, DeadlineStage, deadline_stage, worst_stage
from preference_center.destinations.rules.measurements import DestinationMeasurement, Measurements


@dataclass(frozen=True, slots=True)
class Promise:
    """How far the promise is kept.

    `stage` is the worst of all that waits, as /healthz reports it; `oldest_received_at` is when
    the oldest opt-out was received that some destination does not reflect, or that is on disk.
    """

    stage: DeadlineStage
    oldest_received_at: datetime | None
    pending: int
    """Addresses that wait, up to the limit of their count; once for each destination."""
    late_destinations: Sequence[str]
    """Those with opt-outs that are at risk or worse."""
    has_late_backlog: bool
    """Whether something that nobody has decided is at risk or worse."""


def evaluate_promise(measured: Measurements, spooled_at: datetime | None = None) -> Promise:
    """The promise at `measured.at`; `spooled_at`: when the oldest of the spool was received."""
    waiting = [each.oldest_received_at for each in measured.destinations if each.oldest_received_at]
    waiting += [spooled_at] if spooled_at else []
    stages = {stage for _, stage in measured.backlog}
    stages |= {stage for each in measured.destinations for stage in each.late}
    stages |= {deadline_stage(at + WINDOW, measured.at) for at in waiting}
    return Promise(
        stage=worst_stage(stages),
        oldest_received_at=min(waiting, default=None),
        pending=sum(each.pending for each in measured.destinations),
        late_destinations=[each.name for each in measured.destinations if any(each.late.values())],
        has_late_backlog=bool(measured.backlog),
    )


_STATE_ORDER = {"broken": 0, "paused": 1, "observe": 2, "active": 3}


def sort_worst_first(found: Iterable[DestinationMeasurement]) -> list[DestinationMeasurement]:
    """The destination whose oldest opt-out has waited longest first, then by state and name."""
    return sorted(
        found,
        key=lambda each: (
            each.oldest_received_at is None,
            each.oldest_received_at.timestamp() if each.oldest_received_at else 0,
            _STATE_ORDER.get(each.state, 0),
            each.name,
        ),
    )


def window_share(received_at: datetime | None, now: datetime) -> float:
    """How much of the window has passed since, from 0 to 1."""
    if received_at is None:
        return 0.0
    return min(max((now - received_at) / WINDOW, 0.0), 1.0)
