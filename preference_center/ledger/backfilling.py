"""A destination's first rows: every suppression there is, and none between two stools.

Addresses are gone through in order of their ids, some hundreds in each transaction, and how
far it has come is stored. So nobody's click waits for it, and where it was cut off another
process goes on: the scheduler has it done (`workers.jobs.backfill`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from preference_center.context import services
from preference_center.ledger.append_lock import await_writers
from preference_center.storage.db.database import (
    Connection,
    current_limits,
    override_limits,
    run_in_transaction,
)
from preference_center.storage.sync import backfills
from preference_center.storage.sync.backfills import Backfill

_LOCK_TIMEOUT = 0.1
"""Seconds that it waits for a row: what it has locked meanwhile, clicks wait for."""
_INITIAL_SIZE, _MIN_SIZE, _MAX_SIZE = 200, 10, 2_000
"""Addresses of one transaction."""
_GROW_BELOW, _SHRINK_ABOVE = 0.02, 0.05
"""Seconds. Transactions shorter than the one grow, those longer than the other shrink."""


def backfill(destination_id: int, progress: Callable[[Backfill], None] | None = None) -> int:
    """Raise a sync state for all that is suppressed now; returns how many were missing.

    To be called once the destination is committed. A writer that began before that does
    not know of it, so all such writers are waited for: what they wrote is then seen here,
    and what comes later raises its own row. Safe to repeat, and by several at once; nothing
    is done where it has been finished. `progress` is called after each transaction.
    Raises Unavailable; what was done by then stays.
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
    """Go on with what was begun until `stop()`; how far it is then."""
    found = run_in_transaction(
        lambda connection: backfills.load_backfill(connection, destination_id)
    )
    if found.until_id is None:
        await_writers()
        run_in_transaction(lambda connection: backfills.set_until_id(connection, destination_id))
    size = _INITIAL_SIZE
    with override_limits(replace(current_limits(), lock=_LOCK_TIMEOUT)):
        while not (found.finished or stop()):
            begun = time.monotonic()
            found = run_in_transaction(lambda c, size=size: _step(c, destination_id, size))  # type: ignore[misc]
            size = _next_size(size, time.monotonic() - begun)
            if progress:
                progress(found)
    return found


def _step(connection: Connection, destination_id: int, size: int) -> Backfill:
    return backfills.run_backfill_step(connection, destination_id, size, services().now())


def _next_size(size: int, seconds: float) -> int:
    if seconds < _GROW_BELOW:
        return min(size * 2, _MAX_SIZE)
    return max(size // 2, _MIN_SIZE) if seconds > _SHRINK_ABOVE else size
