"""This module counts events per day (UTC), and reads these counts for reports.

The scheduler counts: no opt-out waits for it, no report reads the events. Events are counted in
order of their `seq`, each exactly once, in bounded steps, up to one below which no transaction can
add another: every writer holds the append lock, and those who held it are waited for. A chunk and
how far it reaches are one transaction, so a process may be killed anywhere, and any number may run.

`count_requests` and `list_late_requests` tell whether data-subject requests were answered in time,
by law and kind.

Nothing in the ledger depends on the tables `DailyCountRow` and `DailyCountProgressRow`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from sqlalchemy import BigInteger, SmallInteger
from sqlalchemy.orm import Mapped, mapped_column

from preference_center.catalogue.rules.privacy import Law
from preference_center.core.errors import InvalidInput, Unavailable
from preference_center.core.events import DESTINATION_PREFIX, DESTINATION_SOURCE
from preference_center.infra import audit
from preference_center.infra.context import db, services
from preference_center.infra.db.transactions import (
    Connection,
    await_writers,
    current_limits,
    fetch_count,
    override_limits,
    run_in_transaction,
)
from preference_center.rights.rules.requests import RequestKind

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
    return fetch_count(connection, "SELECT COALESCE(max(seq), 0) FROM event")


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


MAX_REQUESTS = 50_000
"""The newest requests of a period that are counted."""


# A stopped clock does not run out; an extension counts as the deadline.
_REQUESTS = """
SELECT id, law, kind, closed_at, COALESCE(extended_to, due_at) AS deadline,
    state IN ('withdrawn', 'lapsed') AS ended_early,
    COALESCE(stopped_at, closed_at, %(now)s) > COALESCE(extended_to, due_at) AS is_late
FROM rights_request WHERE received_at >= %(start)s AND received_at < %(end)s
ORDER BY received_at DESC LIMIT %(limit)s
"""


_COUNTS = f"""
SELECT law, kind,
    count(*) FILTER (WHERE closed_at IS NOT NULL AND NOT ended_early AND NOT is_late),
    count(*) FILTER (WHERE closed_at IS NOT NULL AND NOT ended_early AND is_late),
    count(*) FILTER (WHERE closed_at IS NULL AND NOT is_late),
    count(*) FILTER (WHERE closed_at IS NULL AND is_late),
    count(*) FILTER (WHERE ended_early)
FROM ({_REQUESTS}) AS request GROUP BY law, kind ORDER BY law NULLS LAST, kind
"""  # noqa: S608 - a constant


_LATE = f"""
SELECT id, law, kind, deadline, closed_at FROM ({_REQUESTS}) AS request
WHERE is_late AND NOT ended_early ORDER BY deadline DESC LIMIT %(listed)s
"""  # noqa: S608 - a constant


@dataclass(frozen=True, slots=True)
class RequestCounts:
    """Requests of one law and kind, by what became of them until now.

    `ended` are those that were withdrawn, or lapsed without proof of identity: no deadline
    counts for them.
    """

    law: Law | None
    kind: RequestKind
    in_time: int
    late: int
    open: int
    overdue: int
    ended: int


@dataclass(frozen=True, slots=True)
class LateRequest:
    """A request that was answered late, or is open past its deadline (`closed_at` is None)."""

    id: UUID
    law: Law | None
    kind: RequestKind
    deadline: datetime
    closed_at: datetime | None


def count_requests(
    connection: Connection, start: datetime, end: datetime, now: datetime
) -> list[RequestCounts]:
    """What became of the requests that were received from `start` until before `end`."""
    given = {"start": start, "end": end, "now": now, "limit": MAX_REQUESTS}
    return [
        RequestCounts(Law(law) if law else None, RequestKind(kind), *counts)
        for law, kind, *counts in connection.execute(_COUNTS, given)
    ]


def list_late_requests(
    connection: Connection, start: datetime, end: datetime, now: datetime, limit: int
) -> list[LateRequest]:
    """Those of them that are or were late, up to `limit`; the newest deadline first."""
    given = {"start": start, "end": end, "now": now, "limit": MAX_REQUESTS, "listed": limit}
    return [
        LateRequest(id_, Law(law) if law else None, RequestKind(kind), deadline, closed_at)
        for id_, law, kind, deadline, closed_at in connection.execute(_LATE, given)
    ]


CHUNK_SIZE = 10_000
"""Events of one transaction."""


CHUNKS_PER_TICK = 20
"""How many chunks the scheduler counts at most before it does something else."""


WRITERS_AWAITED = 0.5
"""Seconds that the scheduler waits for transactions that append: a long import delays no push."""


def count_a_few_events(now: datetime) -> int:
    """Count some of what is new, as the scheduler does each minute; returns how many.

    Nothing, if a transaction that appends does not end soon: the next call counts it. Raises
    Unavailable.
    """
    bound = run_in_transaction(last_seq)
    try:
        with override_limits(replace(current_limits(), total=WRITERS_AWAITED)):
            _await_writers(bound)
    except Unavailable:
        return 0
    return _count_up_to(bound, now, CHUNKS_PER_TICK)


def count_new_events(
    now: datetime,
    max_chunks: int | None = None,
    on_progress: Callable[[int, CountProgress], None] | None = None,
) -> int:
    """Count the events that were recorded before this call, up to `max_chunks` chunks; None: all.

    Returns how many were counted. `on_progress` is called after each chunk, with the events so
    far. Raises Unavailable, also if a transaction that appends does not end.
    """
    bound = run_in_transaction(last_seq)
    _await_writers(bound)
    return _count_up_to(bound, now, max_chunks, on_progress)


def rebuild(since: date, actor: str) -> None:
    """Have the events of this day (UTC) and later counted again: by `count_new_events`.

    Counts of older days stay, unless there would be days between them and `since` without any.
    Raises InvalidInput for a day in the future.
    """
    now = services().now()
    if since > now.astimezone(UTC).date():
        raise InvalidInput("--since lies in the future: name a day that has begun (UTC)")

    def rewind(connection: Connection) -> None:
        progress = lock_progress(connection)
        if progress is None:
            raise InvalidInput("another process is counting: try again")
        seq = find_seq_before(connection, since)
        follows = progress.first_day is not None and (
            progress.first_day < since and seq <= progress.seq
        )
        delete_counts(connection, since if follows else None)
        save_progress(
            connection,
            CountProgress(
                seq=seq,
                counted_until=None,
                first_day=progress.first_day if follows else since,
                rebuilt_since=since,
                # What was not counted yet counts, whatever its day, unless days are left out.
                rebuilt_seq=progress.seq if follows else last_seq(connection),
            ),
        )
        detail = {"since": since.isoformat()}
        audit.insert_audit_entry(connection, now, actor, "reports.rebuilt", detail)

    run_in_transaction(rewind)


def _await_writers(bound: int) -> None:
    """Return once no transaction can add an event with a lower `seq`, if any are to be counted."""
    if run_in_transaction(load_progress).seq < bound:
        await_writers()


def _count_up_to(
    bound: int,
    now: datetime,
    max_chunks: int | None,
    on_progress: Callable[[int, CountProgress], None] | None = None,
) -> int:
    counted = chunks = 0
    while max_chunks is None or chunks < max_chunks:
        step = run_in_transaction(lambda connection: _count_chunk(connection, bound, now))
        if step is None:
            break
        count, progress = step
        if not count:
            break
        counted, chunks = counted + count, chunks + 1
        if on_progress:
            on_progress(counted, progress)
    return counted


def _count_chunk(
    connection: Connection, bound: int, now: datetime
) -> tuple[int, CountProgress] | None:
    """None while another process counts. All up to `bound` was recorded before `now`."""
    progress = lock_progress(connection)
    if progress is None:
        return None
    count, progress = count_chunk(connection, progress, bound, CHUNK_SIZE)
    if count < CHUNK_SIZE and progress.seq >= bound:
        progress = replace(progress, counted_until=max(now, progress.counted_until or now))
    save_progress(connection, progress)
    return count, progress


class DailyCountRow(db.Model):  # type: ignore[misc,name-defined]
    """Events recorded on one day (UTC); nothing about whom. `daily_count_progress` has how far."""

    __tablename__ = "daily_count"
    day: Mapped[date] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    scope: Mapped[str] = mapped_column(primary_key=True)
    source: Mapped[str] = mapped_column(primary_key=True)
    """The event's; of what a tool reported, `destination:` and its name."""
    count: Mapped[int] = mapped_column(BigInteger)


class DailyCountProgressRow(db.Model):  # type: ignore[misc,name-defined]
    """One row: the events up to `seq` are counted, of the days from `first_day` on.

    All that was recorded until `counted_until` is. Events up to `rebuilt_seq` count only if they
    are of `rebuilt_since` or later: older ones are counted already, or not wanted.
    """

    __tablename__ = "daily_count_progress"
    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, server_default="1")
    seq: Mapped[int] = mapped_column(BigInteger, server_default="0")
    counted_until: Mapped[datetime | None]
    first_day: Mapped[date | None]
    rebuilt_since: Mapped[date | None]
    rebuilt_seq: Mapped[int] = mapped_column(BigInteger, server_default="0")
    delivery_id: Mapped[int] = mapped_column(BigInteger, server_default="0")
    """Deliveries up to this one are counted, and all that were made until `delivered_until`."""
    delivered_until: Mapped[datetime | None]
