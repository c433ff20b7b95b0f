"""Going on with the forms of a mailbox that an event did not raise in its own transaction (I9).

`deferred_form` has a row per key and scope, written with the event. The scheduler has the rest
raised in short transactions. Each raises the next forms by id and notes how far it came, so
whichever process dies loses nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import structlog

from preference_center.context import services
from preference_center.domain.deadlines import WINDOW
from preference_center.errors import Unavailable
from preference_center.ledger.sync_state_sql import RAISE_DEFERRED
from preference_center.storage.db.database import (
    Connection,
    current_limits,
    override_limits,
    run_in_transaction,
)

log = structlog.get_logger()

FORMS_PER_TRANSACTION = 200
"""Forms of one transaction: clicks of the same mailbox wait for no more of them."""
MAX_TRANSACTIONS = 10
"""Transactions of one call."""
_LOCK_TIMEOUT = 0.1
"""Seconds that it waits for a row: what it has locked meanwhile, clicks wait for."""

_BEGIN_DEFERRED = """
UPDATE deferred_form SET started = true WHERE id IN (
    SELECT id FROM deferred_form r WHERE NOT started AND NOT EXISTS (
        SELECT FROM deferred_form earlier WHERE earlier.started AND earlier.digest = r.digest
            AND earlier.channel = r.channel AND earlier.kind = r.kind AND earlier.scope = r.scope)
    ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED)
"""
"""An event that comes while a row is gone on with gets a row of its own, which is begun when
that one has ended. So events that keep coming can't keep the last forms from being raised.
"""


def raise_deferred_states(
    *, steps: int = MAX_TRANSACTIONS, size: int = FORMS_PER_TRANSACTION
) -> bool:
    """Raise up to `steps` times `size` more forms, of all mailboxes in turn; whether any are left.

    Each step is a transaction. One that can't be had now, since somebody holds a row of it, is
    left for the next call. Several processes may do it at once.
    Raises Unavailable; what was done by then stays.
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
                log.warning("deferred_raise_failed", deferred=current, cause=error.cause)
    return left or bool(waiting)


def _begin_deferred(connection: Connection, limit: int) -> Sequence[int]:
    """Rows to go on with, those that have waited longest first."""
    connection.execute(_BEGIN_DEFERRED, (limit,))
    rows = connection.execute(
        "SELECT id FROM deferred_form WHERE started ORDER BY id LIMIT %s", (limit,)
    )
    return [row[0] for row in rows]


def _step(connection: Connection, deferred_id: int, size: int) -> bool:
    """Whether it is done with, or another process has it."""
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
