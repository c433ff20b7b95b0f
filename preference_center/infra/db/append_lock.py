"""Waiting for running writers without blocking new ones."""

from __future__ import annotations

import time

from preference_center.core.errors import Unavailable, UnavailableCause
from preference_center.infra.db.database import Connection, current_limits, run_in_transaction
from preference_center.infra.db.digest_length import APPEND_LOCK

_POLL_INTERVAL = 0.02  # seconds

_SELECT_WRITERS = f"""
SELECT virtualtransaction FROM pg_locks
WHERE locktype = 'advisory' AND granted AND objsubid = 1
    AND classid = {APPEND_LOCK >> 32} AND objid = {APPEND_LOCK & 0xFFFFFFFF}
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""  # noqa: S608 - a constant


def await_writers(connection: Connection | None = None) -> None:
    """Return once every transaction that was appending when this was called has ended.

    With a `connection` it looks from within that transaction, which must be READ COMMITTED and
    not append itself.

    Requesting APPEND_LOCK exclusively would also wait for them, but later writers would queue
    behind that request (I2). Here none does: a writer that acquires the lock after this call
    sees everything committed before it. Raises Unavailable if one of them does not end.
    """

    def list_writers() -> set[str]:
        return _list_writers(connection) if connection else run_in_transaction(_list_writers)

    until = time.monotonic() + current_limits().total
    writing = list_writers()
    while writing:
        if time.monotonic() >= until:
            raise Unavailable(
                "a transaction that writes to the ledger does not end",
                UnavailableCause.LOCK_TIMEOUT,
            )
        time.sleep(_POLL_INTERVAL)
        writing &= list_writers()


def _list_writers(connection: Connection) -> set[str]:
    return {row[0] for row in connection.execute(_SELECT_WRITERS)}
