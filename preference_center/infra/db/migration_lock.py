"""Several `flask db upgrade` at once are one: the others wait, and find nothing to do."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog
from sqlalchemy import Connection

log = structlog.get_logger()

MIGRATION_LOCK = 0x6D696772617465
POLL_INTERVAL = 0.5
"""Seconds between attempts."""
_LOG_INTERVAL = 10.0  # seconds


@contextmanager
def only_migration(
    connection: Connection, sleep: Callable[[float], None] = time.sleep
) -> Iterator[None]:
    """Inside, no other process is here. Waits for one that is, and logs that, as long as it takes.

    The lock belongs to a transaction of `connection`, which must do nothing else: a pooler would
    give a lock of the session to others (decision 82). The transaction keeps no snapshot, so an
    index can be built concurrently meanwhile. Nor does one who waits, which is why it asks again
    and again: the snapshot of a statement that waits would stop such an index for ever.
    """
    waited = 0.0
    while not _try_lock(connection):
        connection.rollback()
        if waited % _LOG_INTERVAL == 0:
            log.warning("migration_waiting_for_another", waited_seconds=round(waited))
        sleep(POLL_INTERVAL)
        waited += POLL_INTERVAL
    try:
        yield
    finally:
        connection.rollback()


def _try_lock(connection: Connection) -> bool:
    connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
    statement = f"SELECT pg_try_advisory_xact_lock({MIGRATION_LOCK})"
    return bool(connection.exec_driver_sql(statement).scalar())
