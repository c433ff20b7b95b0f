"""Create a destination's initial sync states: one for every current suppression.

There is no gap between the backfill and concurrent writers. Addresses are processed in order of
their ids, some hundreds in each transaction, and the progress is stored. So no click waits for
long, and after an interruption another process continues: the scheduler enqueues it
(`workers.jobs.backfill`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from preference_center.destinations.store import backfills
from preference_center.destinations.store.backfills import Backfill
from preference_center.infra.context import services
from preference_center.infra.db.transactions import (
    Connection,
    await_writers,
    current_limits,
    override_limits,
    run_in_transaction,
)

_LOCK_TIMEOUT = 0.1
"""Seconds that it waits for a row; clicks wait for the rows that it has locked already."""
_INITIAL_SIZE, _MIN_SIZE, _MAX_SIZE = 200, 10, 2_000
"""Addresses per transaction."""
_GROW_BELOW, _SHRINK_ABOVE = 0.02, 0.05
"""Seconds. Shorter transactions are followed by larger ones, longer ones by smaller ones."""


def backfill(destination_id: int, progress: Callable[[Backfill], None] | None = None) -> int:
    """Create a sync state for every current suppression; returns how many were missing.

    To be called once the destination is committed. Writers that began before that do not see it,
    so this waits for them and then finds what they wrote; later writers create the rows
    themselves. Safe to repeat and to run concurrently; does nothing if it was finished.
    `progress` is called after each transaction. Raises Unavailable; what was done by then is
    kept.
    """
    now = services().now()
    run_in_transaction(lambda connection: backfills.start_backfill(connection, destination_id, now))
    before = run_in_transaction(
        lambda connection: backfills.load_backfill(connection, destination_id)
    )
    found = continue_backfill(destination_id, lambda: False, progress)
    return found.rows_created - before.rows_created


def continue_backfill(
    destination_id: int,
    stop: Callable[[], bool],
    progress: Callable[[Backfill], None] | None = None,
) -> Backfill:
    """Continue the backfill until `stop()` is true; returns its progress."""
    found = run_in_transaction(
        lambda connection: backfills.load_backfill(connection, destination_id)
    )
    if found.until_id is None:
        await_writers()
        run_in_transaction(lambda connection: backfills.set_until_id(connection, destination_id))
    size = _INITIAL_SIZE
    with override_limits(replace(current_limits(), lock=_LOCK_TIMEOUT)):
        while not (found.finished or stop()):
            started = time.monotonic()
            found = run_in_transaction(lambda c, size=size: _step(c, destination_id, size))  # type: ignore[misc]
            size = _next_size(size, time.monotonic() - started)
            if progress:
                progress(found)
    return found


def _step(connection: Connection, destination_id: int, size: int) -> Backfill:
    return backfills.run_backfill_step(connection, destination_id, size, services().now())


def _next_size(size: int, seconds: float) -> int:
    if seconds < _GROW_BELOW:
        return min(size * 2, _MAX_SIZE)
    return max(size // 2, _MIN_SIZE) if seconds > _SHRINK_ABOVE else size
