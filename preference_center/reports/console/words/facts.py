"""What a report is made of: read in one transaction, from counts per day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from preference_center.core.deadlines import DeadlineStage
from preference_center.destinations.rules.promise import ReflectionTimes
from preference_center.destinations.store import deliveries, states
from preference_center.destinations.store.states import LateRows
from preference_center.infra.db.transactions import Connection
from preference_center.recipients.store import SurveyCount, list_counts_between
from preference_center.reports.rules.opt_out_counts import COUNTED_KINDS
from preference_center.reports.rules.periods import Period, Unit
from preference_center.reports.store import daily_counts, request_outcomes
from preference_center.reports.store.daily_counts import CountProgress, PeriodCounts
from preference_center.reports.store.request_outcomes import LateRequest, RequestCounts

MAX_LATE_LISTED = 50
"""How many late requests are listed."""


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """All of one report. `overdue` is what waits past the window now, whatever the period."""

    period: Period
    unit: Unit
    progress: CountProgress
    counts: PeriodCounts
    reflected_since: date | None
    times: Sequence[ReflectionTimes]
    overdue: Sequence[LateRows]
    requests: Sequence[RequestCounts]
    late_requests: Sequence[LateRequest]
    survey: Sequence[SurveyCount]


def load_facts(connection: Connection, period: Period, unit: Unit, now: datetime) -> ReportFacts:
    """Read them."""
    first, last = period.first, period.last
    start, end = _midnight(first), _midnight(last + timedelta(days=1))
    late = states.list_late(connection, now)
    return ReportFacts(
        period=period,
        unit=unit,
        progress=daily_counts.load_progress(connection),
        counts=daily_counts.load_counts(connection, first, last, COUNTED_KINDS),
        reflected_since=deliveries.find_first_day(connection),
        times=deliveries.list_reflection_times(connection, first, last),
        overdue=[rows for rows in late if rows.stage is DeadlineStage.OVERDUE],
        requests=request_outcomes.count_requests(connection, start, end, now),
        late_requests=request_outcomes.list_late_requests(
            connection, start, end, now, MAX_LATE_LISTED
        ),
        survey=list_counts_between(connection, first, last),
    )


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
