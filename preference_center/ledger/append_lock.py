"""Waiting for the writers of before, without holding up those who come."""

from __future__ import annotations

import time

from preference_center.errors import Cause, Unavailable
from preference_center.ledger.sql import GATE
from preference_center.storage.db.database import Connection, current_limits, run

_EVERY = 0.02  # seconds

_WRITING = f"""
SELECT virtualtransaction FROM pg_locks
WHERE locktype = 'advisory' AND granted AND objsubid = 1
    AND classid = {GATE >> 32} AND objid = {GATE & 0xFFFFFFFF}
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""  # noqa: S608 - a constant


def await_writers() -> None:
    """Return once every transaction that was appending when this was called has ended.

    To ask for the gate alone would do as well, but whoever comes meanwhile would queue behind
    that request (I2). Here nobody queues: who passes the gate after this call sees all that
    was committed before it. Raises Unavailable if one of them does not end.
    """
    until = time.monotonic() + current_limits().total
    writing = run(_writing)
    while writing:
        if time.monotonic() >= until:
            raise Unavailable("a transaction that writes to the ledger does not end", Cause.LOCK)
        time.sleep(_EVERY)
        writing &= run(_writing)


def _writing(connection: Connection) -> set[str]:
    return {row[0] for row in connection.execute(_WRITING)}
