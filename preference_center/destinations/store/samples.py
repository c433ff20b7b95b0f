"""These queries say what the console, monitoring and plots show of every destination.

Each query for the console and for monitoring reads a limited number of rows, by an index.

A sample says what waits for each destination, and what was delivered to it, for plots over time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from preference_center.core.deadlines import WINDOW
from preference_center.destinations.rules.states import (
    Condition,
    DestinationStatus,
    Trouble,
    find_condition,
    find_trouble,
    repeats_drift,
    status_label,
)
from preference_center.infra.db.transactions import Connection
from preference_center.integrations.base.contract import PushResult

MAX_RECENT_DELIVERIES = 20_000
"""How many of the newest deliveries are read, of all destinations together."""


MAX_DRIFT_ROWS = 1_000
"""Among how many pending rows of a destination those that were found missing are counted."""


@dataclass(frozen=True, slots=True)
class DestinationState:
    """One destination without its settings: its state, and what reading it found."""

    id: int
    name: str
    kind: str
    status: DestinationStatus
    reason: str
    """Why it was paused or its circuit is open, in words that may be the tool's own."""
    retry_at: datetime | None
    """When an open circuit is tried again."""
    trouble: Trouble | None
    sends: Sequence[str]
    drift_total: int
    """Opt-outs that the tool had confirmed and no longer had, since it was set up."""
    drift_pending: int
    """Those of them that are not pushed again yet, among the first MAX_DRIFT_ROWS that wait."""
    drift_repeated_at: datetime | None
    """When it last lost an opt-out that it had lost before."""
    read_at: datetime | None
    """When a listing or the read-back last ended."""
    read_problem: str
    """Why reading it fails now, if it does."""
    has_backfill: bool
    """Whether its back-fill is not finished."""

    def condition(self, now: datetime) -> Condition:
        """What is the matter with it."""
        return find_condition(
            self.status,
            self.retry_at,
            self.trouble,
            now,
            reads_fail=bool(self.read_problem),
            has_drift=self.drift_pending > 0,
            drift_repeats=repeats_drift(self.drift_repeated_at, now),
        )


def list_states(connection: Connection, name: str | None = None) -> list[DestinationState]:
    """All destinations by name, or the one of this name."""
    rows = connection.execute(
        """SELECT d.id, d.name, d.kind, d.status, d.reason, d.retry_at, d.trouble, d.sends,
            COALESCE(v.drift, 0),
            CASE WHEN COALESCE(v.drift, 0) = 0 THEN 0 ELSE (
                SELECT count(*) FILTER (WHERE first.outcome = 'drift') FROM (
                    SELECT s.outcome FROM sync_state s
                    WHERE s.destination_id = d.id AND s.due_at IS NOT NULL
                    ORDER BY s.due_at LIMIT %(rows)s) AS first) END,
            v.drift_repeated_at, l.read_at, COALESCE(l.problem, ''), b.destination_id IS NOT NULL
        FROM destination d
        LEFT JOIN verification v ON v.destination_id = d.id
        LEFT JOIN backfill b ON b.destination_id = d.id AND b.finished_at IS NULL
        LEFT JOIN LATERAL (SELECT max(finished_at) AS read_at,
                max(reason) FILTER (WHERE reason <> '') AS problem
            FROM listing WHERE destination_id = d.id) AS l ON true
        WHERE %(name)s::text IS NULL OR d.name = %(name)s ORDER BY d.name""",
        {"rows": MAX_DRIFT_ROWS, "name": name},
    )
    return [
        DestinationState(
            number,
            name,
            kind,
            DestinationStatus(status),
            reason,
            retry_at,
            find_trouble(retry_at, trouble),
            *rest,
        )
        for number, name, kind, status, reason, retry_at, trouble, *rest in rows
    ]


@dataclass(frozen=True, slots=True)
class DeliveryCount:
    """Deliveries of one destination in one minute (UTC) with one outcome."""

    destination_id: int
    minute: datetime
    outcome: str
    count: int

    @property
    def is_pushed(self) -> bool:
        """Whether the tool holds our state by it, or does not know the address."""
        return self.outcome in {PushResult.REFLECTED, PushResult.ABSENT}


@dataclass(frozen=True, slots=True)
class RecentDeliveries:
    """The newest deliveries; complete from `since` on."""

    since: datetime
    counts: Sequence[DeliveryCount]


def load_recent_deliveries(connection: Connection, since: datetime) -> RecentDeliveries:
    """Deliveries since then, at most MAX_RECENT_DELIVERIES: fewer minutes if there are more."""
    rows = connection.execute(
        """WITH newest AS MATERIALIZED (
            SELECT destination_id, outcome, at FROM delivery ORDER BY id DESC LIMIT %(limit)s),
        covered AS (SELECT CASE WHEN count(*) < %(limit)s THEN %(since)s
            ELSE GREATEST(%(since)s, min(at)) END AS since FROM newest)
        SELECT covered.since, destination_id, date_trunc('minute', at), outcome, count(outcome)
        FROM covered LEFT JOIN newest ON at >= covered.since AND outcome <> 'superseded'
        GROUP BY 1, 2, 3, 4 ORDER BY 3 DESC, 2, 4""",
        {"limit": MAX_RECENT_DELIVERIES, "since": since},
    ).fetchall()
    counts = [DeliveryCount(*row[1:]) for row in rows if row[1] is not None]
    return RecentDeliveries(rows[0][0] if rows else since, counts)


NEWEST = 100
"""Of how many deliveries of a destination the share is taken; of fewer than MIN_NEWEST none is."""


MIN_NEWEST = 20


MAX_READ_FOR_SHARES = 5_000
"""Among how many of the newest deliveries of all destinations those are found."""


def load_absent_shares(connection: Connection) -> dict[str, float]:
    """By destination, the share (0 to 1) of its newest deliveries that the tool did not know.

    One with fewer than MIN_NEWEST among the MAX_READ_FOR_SHARES newest has none.
    """
    rows = connection.execute(
        """WITH newest AS MATERIALIZED (
            SELECT id, destination_id, outcome FROM delivery ORDER BY id DESC LIMIT %(limit)s),
        numbered AS (SELECT destination_id, outcome,
                row_number() OVER (PARTITION BY destination_id ORDER BY id DESC) AS number
            FROM newest WHERE outcome IN ('reflected', 'absent'))
        SELECT d.name, avg(CASE WHEN outcome = 'absent' THEN 1.0 ELSE 0 END)::float
        FROM numbered JOIN destination d ON d.id = destination_id
        WHERE number <= %(newest)s GROUP BY d.name HAVING count(*) >= %(least)s""",
        {"limit": MAX_READ_FOR_SHARES, "newest": NEWEST, "least": MIN_NEWEST},
    )
    return dict(rows.fetchall())


MAX_PENDING = 10_000
"""Pending rows are counted up to here, for all destinations together ..."""


MIN_PENDING = 100
"""... but up to this many for each."""


MAX_EMAILS = 10_000


@dataclass(frozen=True, slots=True)
class PendingRows:
    """Rows that wait for one destination.

    `due_at` is the earliest deadline of those that the tool has not refused: a refused one waits
    for a person. With `has_more` there are more than `count`.
    """

    destination: str
    status_label: str
    count: int
    due_at: datetime | None
    has_more: bool
    refused: int
    """Those among them that the tool refused when they were pushed last."""
    drift_repeated_at: datetime | None
    """When the tool last lost an opt-out that it had lost before."""
    unread_since: datetime | None
    """When the pass of a listing began that fails now."""
    refused_new: int
    """Those of `refused` that were received after such ones were accepted."""
    is_absence_accepted: bool
    """Whether a person has accepted that the tool holds none of the people."""


def list_pending(connection: Connection) -> list[PendingRows]:
    """What waits for each destination, by name; counted up to its share of MAX_PENDING."""
    rows = connection.execute(
        """WITH row_limit AS MATERIALIZED (
            SELECT GREATEST(%s, %s / GREATEST(count(*), 1)) AS max_rows FROM destination)
        SELECT d.name, d.status, d.retry_at, d.trouble,
            LEAST(found.count, max_rows), found.earliest, found.count > max_rows, found.refused,
            v.drift_repeated_at,
            (SELECT min(l.started_at) FROM listing l
                WHERE l.destination_id = d.id AND d.status = 'active' AND l.reason <> ''),
            found.refused_new, d.absent_accepted_at IS NOT NULL
        FROM destination d LEFT JOIN verification v ON v.destination_id = d.id
        CROSS JOIN row_limit CROSS JOIN LATERAL (
            SELECT count(*) AS count, count(*) FILTER (WHERE is_refused) AS refused,
                count(*) FILTER (WHERE is_refused AND (d.refused_accepted_at IS NULL
                    OR first.due_at > d.refused_accepted_at + %s)) AS refused_new,
                min(first.due_at) FILTER (WHERE NOT is_refused) AS earliest
            FROM (SELECT s.due_at, s.outcome IS NOT DISTINCT FROM 'refused' AS is_refused
                FROM sync_state s WHERE s.destination_id = d.id AND s.due_at IS NOT NULL
                ORDER BY s.due_at LIMIT max_rows + 1) AS first) AS found
        ORDER BY d.name""",
        (MIN_PENDING, MAX_PENDING, WINDOW),
    )
    return [
        PendingRows(
            name, status_label(DestinationStatus(status), find_trouble(retry_at, trouble)), *found
        )
        for name, status, retry_at, trouble, *found in rows
    ]


def load_due_emails(connection: Connection, now: datetime) -> tuple[int, datetime | None]:
    """How many emails are due (to MAX_EMAILS), and since when the oldest that is not sent waits.

    By when it was enqueued: each attempt that fails makes it due a few minutes later.
    """
    row = connection.execute(
        """SELECT count(*) FILTER (WHERE next_at <= %s), min(created_at)
        FROM (SELECT next_at, created_at FROM outgoing_mail
            WHERE next_at IS NOT NULL ORDER BY next_at LIMIT %s) AS pending""",
        (now, MAX_EMAILS),
    ).fetchone()
    assert row  # an aggregate
    return row[0], row[1]


INTERVAL = timedelta(minutes=5)
"""Between samples; `at` is a multiple of it."""


DELAY = timedelta(seconds=20)
"""How long after `at` a sample is made: deliveries of before are committed by then."""


THINNED_AFTER = timedelta(days=8)
"""When samples are merged into one an hour."""


RETENTION = timedelta(days=90)


MAX_DELIVERIES = 100_000
"""How many of the newest deliveries are counted for a sample: 20,000 a minute."""


_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


_HOUR = timedelta(hours=1)


def sample_time(now: datetime) -> datetime:
    """The newest time of which a sample may be made now."""
    since = now - DELAY - _EPOCH
    return _EPOCH + since // INTERVAL * INTERVAL


def insert_samples(connection: Connection, at: datetime) -> bool:
    """Make the samples of `at`, with what waits now; False if they are made already."""
    made = connection.execute("SELECT 1 FROM destination_sample WHERE at = %s LIMIT 1", (at,))
    if made.fetchone():
        return False
    found = list_pending(connection)
    connection.execute(
        """WITH recent AS (
            SELECT destination_id, outcome, at FROM delivery ORDER BY id DESC LIMIT %(limit)s
        ), counted AS (
            SELECT destination_id,
                count(*) FILTER (WHERE outcome IN ('reflected', 'absent')) AS pushed,
                count(*) FILTER (WHERE outcome IN ('later', 'refused')) AS failed
            FROM recent WHERE at >= %(from)s AND at < %(at)s GROUP BY destination_id)
        INSERT INTO destination_sample
            (destination_id, at, pending, oldest_received_at, pushed, failed)
        SELECT d.id, %(at)s, given.pending, given.oldest, COALESCE(counted.pushed, 0),
            COALESCE(counted.failed, 0)
        FROM unnest(%(names)s::text[], %(pending)s::int[], %(oldest)s::timestamptz[])
            AS given (name, pending, oldest)
        JOIN destination d ON d.name = given.name
        LEFT JOIN counted ON counted.destination_id = d.id
        ON CONFLICT DO NOTHING""",
        {
            "limit": MAX_DELIVERIES,
            "from": at - INTERVAL,
            "at": at,
            "names": [each.destination for each in found],
            "pending": [each.count for each in found],
            "oldest": [each.due_at and each.due_at - WINDOW for each in found],
        },
    )
    return True


def thin_samples(connection: Connection, now: datetime) -> None:
    """Merge old samples into one an hour, and delete those past RETENTION."""
    connection.execute("DELETE FROM destination_sample WHERE at < %s", (now - RETENTION,))
    connection.execute(
        """WITH old AS (
            DELETE FROM destination_sample WHERE at < %(before)s AND at <> date_trunc('hour', at)
            RETURNING destination_id, date_trunc('hour', at) + %(hour)s AS at, pending,
                oldest_received_at, pushed, failed)
        INSERT INTO destination_sample AS s
            (destination_id, at, pending, oldest_received_at, pushed, failed)
        SELECT destination_id, at, max(pending), min(oldest_received_at), sum(pushed), sum(failed)
        FROM old GROUP BY destination_id, at
        ON CONFLICT (destination_id, at) DO UPDATE SET
            pending = GREATEST(s.pending, EXCLUDED.pending),
            oldest_received_at = LEAST(s.oldest_received_at, EXCLUDED.oldest_received_at),
            pushed = s.pushed + EXCLUDED.pushed, failed = s.failed + EXCLUDED.failed""",
        {"before": _truncate_to_hour(now - THINNED_AFTER), "hour": _HOUR},
    )


def _truncate_to_hour(time: datetime) -> datetime:
    return time.replace(minute=0, second=0, microsecond=0)


@dataclass(frozen=True, slots=True)
class Sample:
    """What waited in one step of time, which ends at `at`; of all destinations the sum.

    `age` is how long the oldest had waited, the longest of the step; None if none waited.
    """

    at: datetime
    pending: int
    age: timedelta | None
    pushed: int
    failed: int


def list_samples(
    connection: Connection,
    since: datetime,
    until: datetime,
    step: timedelta,
    destination: int | None = None,
) -> Sequence[Sample]:
    """The samples of one destination, or of all, in steps of time; those without any are left out.

    `pending` is the largest of a step, `pushed` and `failed` are all of it.
    """
    rows = connection.execute(
        """WITH at_once AS (
            SELECT at, sum(pending) AS pending, max(at - oldest_received_at) AS age,
                sum(pushed) AS pushed, sum(failed) AS failed
            FROM destination_sample
            WHERE at > %(since)s AND at <= %(until)s
                AND (%(destination)s::int IS NULL OR destination_id = %(destination)s)
            GROUP BY at)
        SELECT date_bin(%(step)s, at - interval '1 microsecond', %(since)s) + %(step)s AS ends,
            max(pending), max(age), sum(pushed), sum(failed)
        FROM at_once GROUP BY ends ORDER BY ends""",
        {"since": since, "until": until, "step": step, "destination": destination},
    )
    return [
        Sample(at, int(pending), age, int(pushed), int(failed))
        for at, pending, age, pushed, failed in rows
    ]
