"""Count the events of each day, from the scheduler: no opt-out waits for it, no report reads them.

Events are counted in order of their `seq`, up to one below which no transaction can add another:
every writer holds the append lock, and those who held it are waited for. A chunk and how far it
reaches are one transaction, so a process may be killed anywhere, and any number may run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime

from preference_center.core.errors import InvalidInput, Unavailable
from preference_center.infra import audit
from preference_center.infra.context import services
from preference_center.infra.db.transactions import (
    Connection,
    await_writers,
    current_limits,
    override_limits,
    run_in_transaction,
)
from preference_center.reports.store import daily_counts as stored
from preference_center.reports.store.daily_counts import CountProgress

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
    bound = run_in_transaction(stored.last_seq)
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
    bound = run_in_transaction(stored.last_seq)
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
        progress = stored.lock_progress(connection)
        if progress is None:
            raise InvalidInput("another process is counting: try again")
        seq = stored.find_seq_before(connection, since)
        follows = progress.first_day is not None and (
            progress.first_day < since and seq <= progress.seq
        )
        stored.delete_counts(connection, since if follows else None)
        stored.save_progress(
            connection,
            CountProgress(
                seq=seq,
                counted_until=None,
                first_day=progress.first_day if follows else since,
                rebuilt_since=since,
                # What was not counted yet counts, whatever its day, unless days are left out.
                rebuilt_seq=progress.seq if follows else stored.last_seq(connection),
            ),
        )
        detail = {"since": since.isoformat()}
        audit.insert_audit_entry(connection, now, actor, "reports.rebuilt", detail)

    run_in_transaction(rewind)


def _await_writers(bound: int) -> None:
    """Return once no transaction can add an event with a lower `seq`, if any are to be counted."""
    if run_in_transaction(stored.load_progress).seq < bound:
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
    progress = stored.lock_progress(connection)
    if progress is None:
        return None
    count, progress = stored.count_chunk(connection, progress, bound, CHUNK_SIZE)
    if count < CHUNK_SIZE and progress.seq >= bound:
        progress = replace(progress, counted_until=max(now, progress.counted_until or now))
    stored.save_progress(connection, progress)
    return count, progress
