"""Samples of what waits for each destination, and what was delivered to it, for plots over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from preference_center.core.deadlines import WINDOW
from preference_center.destinations.store import measurements
from preference_center.infra.db.transactions import Connection

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
    found = measurements.list_pending(connection)
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
