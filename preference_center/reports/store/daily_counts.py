"""Events per day (UTC), counted in order of their `seq`: each exactly once, in bounded steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from preference_center.core.events import DESTINATION_PREFIX, DESTINATION_SOURCE
from preference_center.infra.db.transactions import Connection

RECORDING_SPAN = timedelta(hours=1)
"""How much later than the times of two events their `seq` may be in order: the time that a
transaction takes, and clocks that differ.
"""

_INSERT_PROGRESS = "INSERT INTO daily_count_progress (id) VALUES (1) ON CONFLICT DO NOTHING"
_COLUMNS = "seq, counted_until, first_day, rebuilt_since, rebuilt_seq"

_COUNT = f"""
WITH chunk AS MATERIALIZED (
    SELECT seq, recorded_at, kind, scope,
        CASE WHEN source = '{DESTINATION_SOURCE}' THEN '{DESTINATION_PREFIX}' || actor
            ELSE source END AS source
    FROM event WHERE seq > %(seq)s AND seq <= %(bound)s ORDER BY seq LIMIT %(size)s
), added AS (
    INSERT INTO daily_count AS c (day, kind, scope, source, count)
    SELECT (recorded_at AT TIME ZONE 'UTC')::date AS day, kind, scope, source, count(*)
    FROM chunk WHERE seq > %(rebuilt_seq)s OR recorded_at >= %(since)s::timestamptz
    GROUP BY 1, 2, 3, 4
    ON CONFLICT (day, kind, scope, source) DO UPDATE SET count = c.count + EXCLUDED.count
)
SELECT count(*), max(seq), max(recorded_at), min(recorded_at) FROM chunk
"""  # noqa: S608 - constants


@dataclass(frozen=True, slots=True)
class CountProgress:
    """How far events are counted; see `DailyCountProgressRow`. None before the first ones."""

    seq: int = 0
    counted_until: datetime | None = None
    first_day: date | None = None
    rebuilt_since: date | None = None
    rebuilt_seq: int = 0


def load_progress(connection: Connection) -> CountProgress:
    """How far events are counted."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM daily_count_progress").fetchone()  # noqa: S608 - a constant
    return CountProgress(*row) if row else CountProgress()


def lock_progress(connection: Connection) -> CountProgress | None:
    """The same, until this transaction ends for nobody else; None while another process counts."""
    connection.execute(_INSERT_PROGRESS)
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM daily_count_progress FOR UPDATE SKIP LOCKED"  # noqa: S608 - a constant
    ).fetchone()
    return CountProgress(*row) if row else None


def save_progress(connection: Connection, progress: CountProgress) -> None:
    """Store it. To be called in the transaction that counted, or rewound."""
    connection.execute(
        """UPDATE daily_count_progress
        SET seq = %s, counted_until = %s, first_day = %s, rebuilt_since = %s, rebuilt_seq = %s""",
        (
            progress.seq,
            progress.counted_until,
            progress.first_day,
            progress.rebuilt_since,
            progress.rebuilt_seq,
        ),
    )


def last_seq(connection: Connection) -> int:
    """The highest `seq` that is visible; 0 in an empty ledger."""
    row = connection.execute("SELECT COALESCE(max(seq), 0) FROM event").fetchone()
    assert row  # an aggregate
    found: int = row[0]
    return found


def count_chunk(
    connection: Connection, progress: CountProgress, bound: int, size: int
) -> tuple[int, CountProgress]:
    """Count the next `size` events up to the seq `bound`; how many there were, and how far it is.

    All that are visible later and have a `seq` up to `bound` must be visible now.
    """
    row = connection.execute(
        _COUNT,
        {
            "seq": progress.seq,
            "bound": bound,
            "size": size,
            "rebuilt_seq": progress.rebuilt_seq,
            "since": _midnight(progress.rebuilt_since) if progress.rebuilt_since else None,
        },
    ).fetchone()
    assert row  # an aggregate
    count, seq, newest, oldest = row
    if not count:
        return 0, progress
    first_day = progress.first_day or oldest.astimezone(UTC).date()
    until = max(newest, progress.counted_until or newest)
    return count, replace(progress, seq=seq, counted_until=until, first_day=first_day)


def find_seq_before(connection: Connection, day: date) -> int:
    """A `seq` before all events of this day (UTC) and later, and after nearly all older ones.

    By bisection: `recorded_at` has no index, and grows with `seq` but for RECORDING_SPAN.
    """
    sought = _midnight(day) - RECORDING_SPAN
    low, high = 0, last_seq(connection)
    while low < high:
        middle = (low + high) // 2
        row = connection.execute(
            "SELECT seq, recorded_at FROM event WHERE seq > %s ORDER BY seq LIMIT 1", (middle,)
        ).fetchone()
        if row is not None and row[1] < sought:
            low = row[0]
        else:
            high = middle
    return low


def delete_counts(connection: Connection, since: date | None) -> None:
    """Delete the counts of this day and later; None: all."""
    connection.execute(
        "DELETE FROM daily_count WHERE %(since)s::date IS NULL OR day >= %(since)s",
        {"since": since},
    )


@dataclass(frozen=True, slots=True)
class CountRow:
    """How many events of one kind, scope and source were recorded in a stretch of days."""

    kind: str
    scope: str
    source: str
    count: int


@dataclass(frozen=True, slots=True)
class PeriodCounts:
    """What was recorded in a stretch of days: by kind, scope and source, and by day and kind."""

    rows: Sequence[CountRow]
    by_day: Mapping[tuple[date, str], int]


def load_counts(
    connection: Connection, first: date, last: date, kinds: Sequence[str]
) -> PeriodCounts:
    """What was recorded on these days (UTC), of these kinds; the rows are read once for both."""
    found = connection.execute(
        """SELECT day, kind, scope, source, sum(count)::bigint FROM daily_count
        WHERE day BETWEEN %s AND %s AND kind = ANY(%s)
        GROUP BY GROUPING SETS ((kind, scope, source), (day, kind)) ORDER BY 1, 2, 3, 4""",
        (first, last, list(kinds)),
    ).fetchall()
    return PeriodCounts(
        [CountRow(*row[1:]) for row in found if row[0] is None],
        {(row[0], row[1]): row[4] for row in found if row[0] is not None},
    )


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
