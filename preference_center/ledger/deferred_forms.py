"""Update the sync states of a mailbox's forms that an event left for later (I9).

`deferred_form` has a row per key and scope, written with the event. The scheduler updates the
remaining forms in short transactions. Each processes the next forms by id and stores its progress,
so nothing is lost if a process dies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import structlog

from preference_center.core.deadlines import WINDOW
from preference_center.core.errors import Unavailable
from preference_center.infra.context import services
from preference_center.infra.db.transactions import (
    Connection,
    current_limits,
    override_limits,
    run_in_transaction,
)
from preference_center.ledger.sync_state_sql import RAISE_DEFERRED

log = structlog.get_logger()

FORMS_PER_TRANSACTION = 200
"""Forms per transaction: clicks of the same mailbox wait for at most so many."""
MAX_TRANSACTIONS = 10
"""Transactions per call."""
_LOCK_TIMEOUT = 0.1
"""Seconds that it waits for a row; clicks wait for the rows that it has locked already."""

_BEGIN_DEFERRED = """
UPDATE deferred_form SET started = true WHERE id IN (
    SELECT id FROM deferred_form r WHERE NOT started AND NOT EXISTS (
        SELECT FROM deferred_form earlier WHERE earlier.started AND earlier.digest = r.digest
            AND earlier.channel = r.channel AND earlier.kind = r.kind AND earlier.scope = r.scope)
    ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED)
"""
"""An event during the processing of a row gets a row of its own, which starts when that one has
ended. So a stream of events can't prevent the last forms from being updated.
"""


def raise_deferred_states(
    *, steps: int = MAX_TRANSACTIONS, size: int = FORMS_PER_TRANSACTION
) -> bool:
    """Update up to `steps` times `size` forms, of all mailboxes in turn; returns if any are left.

    Each step is a transaction. A step that meets a locked row is left for the next call. Several
    processes may do it at once. Raises Unavailable; what was done by then is kept.
    """
    waiting = list(run_in_transaction(lambda connection: _begin_deferred(connection, steps)))
    left = False
    with override_limits(replace(current_limits(), lock=_LOCK_TIMEOUT, retry=0.0)):
        while waiting and steps:
            steps -= 1
            current = waiting.pop(0)
            try:
                if not run_in_transaction(lambda c, current=current: _step(c, current, size)):  # type: ignore[misc]
                    waiting.append(current)
            except Unavailable as error:
                left = True
                log.warning("deferred_forms_failed", deferred=current, **error.log_fields)
    return left or bool(waiting)


def _begin_deferred(connection: Connection, limit: int) -> Sequence[int]:
    """Start waiting rows; returns the started ones, the oldest first."""
    connection.execute(_BEGIN_DEFERRED, (limit,))
    rows = connection.execute(
        "SELECT id FROM deferred_form WHERE started ORDER BY id LIMIT %s", (limit,)
    )
    return [row[0] for row in rows]


def _step(connection: Connection, deferred_id: int, size: int) -> bool:
    """Process the next forms; True if they were the last, or another process has the row."""
    row = connection.execute(
        RAISE_DEFERRED,
        {
            "id": deferred_id,
            "size": size,
            "now": services().now(),
            "window": WINDOW,
            "bulk": True,
        },
    ).fetchone()
    assert row  # the statement ends in an aggregate
    return bool(row[0])
