"""The conditions that somebody must learn of, evaluated from what was measured.

One table, without I/O and clock. docs/monitoring.md says what to do about each; deploy/alerts.yml
has the same conditions for Prometheus.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from preference_center.core.deadlines import DeadlineStage, RequestStage
from preference_center.core.occurrences import Noted, Occurrence
from preference_center.destinations.rules.promise import (
    BacklogKind,
    DestinationMeasurement,
    HostMeasurements,
    Measurements,
    QueueMeasurement,
    SpoolMeasurement,
)
from preference_center.monitoring.rules.notices import Alert, AlertKind

WAITING_AFTER = timedelta(minutes=15)
"""For how long an opt-out waits for a destination, in whatever state, before that is an alert;
the same of what a tool reported until it is processed or decided, and of a reading that fails."""
TICK_MISSING_AFTER = timedelta(minutes=2)
HOUSEKEEPING_MISSING_AFTER = timedelta(minutes=15)
DATABASE_AWAY_AFTER = timedelta(minutes=2)
EMAIL_STUCK_AFTER = timedelta(minutes=15)
COMPANY_WEBHOOKS_FAIL_AFTER = timedelta(minutes=15)
MAX_REFUSED_SHARE = 0.5
"""Of the newest emails; single people's addresses are refused at any time."""
FEED_HELD_AFTER = timedelta(minutes=5)
PUBLISHER_BEHIND_AFTER = timedelta(minutes=15)
SPOOL_WAITING_AFTER = timedelta(minutes=5)
"""For how long an opt-out may wait on a disk while the database is there."""
ROTATION_UNFINISHED_AFTER = timedelta(days=7)
MAX_CLOCK_OFFSET = timedelta(seconds=2)
MIN_FREE_SHARE = 0.1
"""Less of a disk than this is an alert."""

_VENDOR_EVENTS = (BacklogKind.WEBHOOK, BacklogKind.VENDOR_EVENT)
_LATE = (DeadlineStage.PAST_TARGET, DeadlineStage.OVERDUE)


@dataclass(frozen=True, slots=True)
class Observation:
    """What the conditions are evaluated on. `measured` is None while the database is away."""

    at: datetime
    measured: Measurements | None
    host: HostMeasurements = field(default_factory=HostMeasurements)
    queue: QueueMeasurement = field(default_factory=QueueMeasurement)
    database_away_since: datetime | None = None
    occurred: Collection[Noted] = ()
    """What happened in this process since it looked before."""
    ticked_at: datetime | None = None
    """When the scheduler last looked for due work; it begins at its start."""
    housekept_at: datetime | None = None
    """When it last deleted what has expired; the same."""


@dataclass(slots=True)
class HoldTimer:
    """Since when each condition has held without a break."""

    _since: dict[Alert, datetime] = field(default_factory=dict)

    def select_persisting(self, holding: frozenset[Alert], now: datetime) -> frozenset[Alert]:
        """Those of `holding`, all that hold now, that have held for as long as HOLDS_FOR says."""
        self._since = {alert: self._since.get(alert, now) for alert in holding}
        return frozenset(
            alert
            for alert, since in self._since.items()
            if now >= since + HOLDS_FOR.get(alert.kind, timedelta())
        )


Condition = Callable[[Observation], Iterator[str]]
"""The subjects for which it holds."""


def find_alerts(seen: Observation) -> frozenset[Alert]:
    """All conditions that hold."""
    return frozenset(
        Alert(kind, subject) for kind, holds in CONDITIONS.items() for subject in holds(seen)
    )


def _database_unavailable(seen: Observation) -> Iterator[str]:
    since = seen.database_away_since
    if since is not None and seen.at >= since + DATABASE_AWAY_AFTER:
        yield ""


def _scheduler_silent(seen: Observation) -> Iterator[str]:
    # Without the database it can't look, and that is an alert of its own.
    if seen.measured and _has_passed(TICK_MISSING_AFTER, seen.ticked_at, seen.at):
        yield ""


def _housekeeping_fails(seen: Observation) -> Iterator[str]:
    is_silent = _has_passed(TICK_MISSING_AFTER, seen.ticked_at, seen.at)
    if not is_silent and _has_passed(HOUSEKEEPING_MISSING_AFTER, seen.housekept_at, seen.at):
        yield ""


def _has_passed(limit: timedelta, since: datetime | None, now: datetime) -> bool:
    return since is not None and now >= since + limit


def _redis_unusable(seen: Observation) -> Iterator[str]:
    if seen.queue.problem is not None:
        yield seen.queue.problem


def _no_worker(seen: Observation) -> Iterator[str]:
    missing = [queue for queue, count in seen.queue.workers.items() if not count]
    yield from [""] if missing and len(missing) == len(seen.queue.workers) else missing


def _destinations(seen: Observation) -> Sequence[DestinationMeasurement]:
    return seen.measured.destinations if seen.measured else ()


def _opt_outs_wait(seen: Observation) -> Iterator[str]:
    for each in _destinations(seen):
        oldest = each.oldest_received_at
        if oldest and seen.at >= oldest + WAITING_AFTER:
            yield each.name


def _addresses_refused(seen: Observation) -> Iterator[str]:
    yield from (each.name for each in _destinations(seen) if each.refused_new)


def _tool_knows_nobody(seen: Observation) -> Iterator[str]:
    for each in _destinations(seen):
        if each.absent_share >= 1 and not each.is_absence_accepted:
            yield each.name


def _reading_fails(seen: Observation) -> Iterator[str]:
    for each in _destinations(seen):
        if _has_passed(WAITING_AFTER, each.unread_since, seen.at):
            yield each.name


def _vendor_events_wait(seen: Observation) -> Iterator[str]:
    for (kind, name), since in seen.measured.waiting_since.items() if seen.measured else ():
        if kind in _VENDOR_EVENTS and seen.at >= since + WAITING_AFTER:
            yield name


def _drift_repeats(seen: Observation) -> Iterator[str]:
    for each in _destinations(seen):
        if each.repeats_drift(seen.at):
            yield each.name


def _waiting_since(*stages: DeadlineStage) -> Condition:
    def holds(seen: Observation) -> Iterator[str]:
        if seen.measured is None:
            return
        for each in seen.measured.destinations:
            if any(each.count_late(stage) for stage in stages):
                yield each.name
        yield from sorted({kind for kind, stage in seen.measured.backlog if stage in stages})

    return holds


def _feed_publisher_behind(seen: Observation) -> Iterator[str]:
    for name, since in seen.measured.publishers.items() if seen.measured else ():
        if since and seen.at >= since + PUBLISHER_BEHIND_AFTER:
            yield name


def _measured(is_so: Callable[[Measurements], object]) -> Condition:
    def holds(seen: Observation) -> Iterator[str]:
        if seen.measured and is_so(seen.measured):
            yield ""

    return holds


def _longer_than(limit: timedelta, since: Callable[[Measurements], datetime | None]) -> Condition:
    def holds(seen: Observation) -> Iterator[str]:
        begun = seen.measured and since(seen.measured)
        if begun and seen.at >= begun + limit:
            yield ""

    return holds


def _email_stuck(seen: Observation) -> Iterator[str]:
    # A refused one is tried no more, so it has no age.
    if seen.measured and (
        _has_passed(EMAIL_STUCK_AFTER, seen.measured.oldest_email_created_at, seen.at)
        or seen.measured.emails_refused_share > MAX_REFUSED_SHARE
    ):
        yield ""


def _disk_nearly_full(seen: Observation) -> Iterator[str]:
    for folder, disk in seen.host.disks.items():
        if disk.free < disk.size * MIN_FREE_SHARE:
            yield f"{folder} of {seen.host.name}"


def _clock_differs(seen: Observation) -> Iterator[str]:
    if abs(seen.host.clock_offset) > MAX_CLOCK_OFFSET:
        yield seen.host.name


def _of_spool(holds: Callable[[SpoolMeasurement, datetime], object]) -> Condition:
    def condition(seen: Observation) -> Iterator[str]:
        spool = seen.host.spool
        if spool is not None and holds(spool, seen.at):
            yield seen.host.name

    return condition


def _has_waited(spool: SpoolMeasurement, now: datetime) -> bool:
    oldest = spool.oldest_received_at
    return oldest is not None and now >= oldest + SPOOL_WAITING_AFTER


def _occurred(occurrence: Occurrence) -> Condition:
    """With the subject of what happened; without one, with the host on which it did."""

    def holds(seen: Observation) -> Iterator[str]:
        for kind, subject in seen.occurred:
            if kind is occurrence:
                yield subject or seen.host.name

    return holds


CONDITIONS: dict[AlertKind, Condition] = {
    AlertKind.DATABASE_UNAVAILABLE: _database_unavailable,
    AlertKind.SCHEDULER_SILENT: _scheduler_silent,
    AlertKind.HOUSEKEEPING_FAILS: _housekeeping_fails,
    AlertKind.REDIS_UNUSABLE: _redis_unusable,
    AlertKind.NO_WORKER: _no_worker,
    AlertKind.OPT_OUTS_WAIT: _opt_outs_wait,
    AlertKind.JOBS_FAIL: _occurred(Occurrence.JOB_FAILED),
    AlertKind.ADDRESSES_REFUSED: _addresses_refused,
    AlertKind.TOOL_KNOWS_NOBODY: _tool_knows_nobody,
    AlertKind.READING_FAILS: _reading_fails,
    AlertKind.WEBHOOKS_UNVERIFIED: _occurred(Occurrence.WEBHOOK_UNVERIFIED),
    AlertKind.VENDOR_EVENTS_WAIT: _vendor_events_wait,
    AlertKind.DRIFT_REPEATS: _drift_repeats,
    AlertKind.WORK_AT_RISK: _waiting_since(DeadlineStage.AT_RISK),
    AlertKind.WORK_LATE: _waiting_since(*_LATE),
    AlertKind.RIGHTS_DUE_SOON: _measured(lambda m: m.rights.get(RequestStage.DUE_SOON)),
    AlertKind.RIGHTS_OVERDUE: _measured(lambda m: m.rights.get(RequestStage.OVERDUE)),
    AlertKind.EMAIL_STUCK: _email_stuck,
    AlertKind.COMPANY_WEBHOOKS_FAIL: _longer_than(
        COMPANY_WEBHOOKS_FAIL_AFTER, lambda m: m.company_webhooks_failing_since
    ),
    AlertKind.ERASURES_NOT_IN_JOURNAL: _measured(lambda m: m.erasures_not_in_journal),
    AlertKind.ERASURE_JOURNAL_CLOSED: _measured(lambda m: m.is_journal_closed),
    AlertKind.HISTORY_LOST: _measured(lambda m: m.is_history_lost),
    AlertKind.KEY_ROTATION_UNFINISHED: _longer_than(
        ROTATION_UNFINISHED_AFTER, lambda m: m.rotation_started_at
    ),
    AlertKind.FEED_HELD: _longer_than(FEED_HELD_AFTER, lambda m: m.feed_held_since),
    AlertKind.FEED_PUBLISHER_BEHIND: _feed_publisher_behind,
    AlertKind.DISK_NEARLY_FULL: _disk_nearly_full,
    AlertKind.CLOCK_DIFFERS: _clock_differs,
    AlertKind.SPOOL_NOT_EMPTY: _of_spool(_has_waited),
    AlertKind.SPOOL_REJECTED: _of_spool(lambda s, _: s.rejected_files or s.unreadable_files),
    AlertKind.SPOOL_DAMAGED: _of_spool(lambda s, _: s.damaged_files),
    AlertKind.SPOOL_NOT_WRITABLE: _of_spool(lambda s, _: not s.is_writable),
    AlertKind.OPT_OUTS_REFUSED: _occurred(Occurrence.OPT_OUT_REFUSED),
    AlertKind.SENDER_REFUSED: _occurred(Occurrence.KEY_REFUSED),
    AlertKind.LINKS_FAIL: _occurred(Occurrence.LINKS_FAIL),
    AlertKind.LINKS_UNVERIFIED: _occurred(Occurrence.LINKS_UNVERIFIED),
    AlertKind.UNKNOWN_MESSAGE_TYPE: _occurred(Occurrence.UNKNOWN_MESSAGE_TYPE),
}

HOLDS_FOR = {
    AlertKind.SCHEDULER_SILENT: timedelta(minutes=1),  # the database has just come back
    AlertKind.HOUSEKEEPING_FAILS: timedelta(minutes=2),  # it is due after an outage, too
    AlertKind.REDIS_UNUSABLE: timedelta(minutes=2),
    AlertKind.NO_WORKER: timedelta(minutes=2),
    # An opt-out of yesterday that is recorded now has waited for a day: a short failure is none.
    AlertKind.OPT_OUTS_WAIT: timedelta(minutes=5),
    # An announcement that was made long before it was due may fail once.
    AlertKind.COMPANY_WEBHOOKS_FAIL: timedelta(minutes=5),
    # One page of a long listing that fails once is none.
    AlertKind.READING_FAILS: timedelta(minutes=5),
    # The same of what is processed again, at the age that it has.
    AlertKind.VENDOR_EVENTS_WAIT: timedelta(minutes=5),
}
"""For how long a condition must hold until it is an alert; the others are one at once."""
