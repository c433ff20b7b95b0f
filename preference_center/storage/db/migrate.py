"""Migrations beside a service at work: they give a lock up before anybody behind them is late."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import cast

import click
import structlog
from sqlalchemy import Connection, Engine, event, exc

from preference_center.errors import Cause
from preference_center.storage.db.connections import Bounded
from preference_center.storage.db.error_causes import cause_of

log = structlog.get_logger()

LOCK = 1.0
"""Seconds that a migration waits for a table. Everybody who comes meanwhile waits behind it."""
PAUSE = 5.0
"""Seconds before the next attempt, in which those have their turn."""
ATTEMPTS = 12

_HINT = (
    "Another transaction keeps a table that the migration needs, {} attempts long. Find it with"
    " SELECT pid, pg_blocking_pids(pid), query FROM pg_stat_activity, e.g. a snapshot, an export"
    " or a session somebody left open. Wait for it, or end it with SELECT"
    " pg_terminate_backend(PID), then run `flask db upgrade` again: it goes on where it was."
)


def patiently(engine: Engine, migrate: Callable[[Connection], None]) -> None:
    """`migrate(connection)`, again and again while others keep a table from it.

    Inside of each transaction it waits for a lock for LOCK seconds at most; there is no other
    limit, and none outside, where an index is built concurrently. Raises ClickException that
    says what to do once ATTEMPTS have failed.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with engine.connect() as connection:
                _lift_limits(connection)
                event.listen(connection, "begin", _limit_locks)
                migrate(connection)
        except exc.OperationalError as error:
            if cause_of(error) is not Cause.LOCK:
                raise
            log.warning("migration_waits", attempt=attempt, of=ATTEMPTS)
            if attempt == ATTEMPTS:
                raise click.ClickException(_HINT.format(ATTEMPTS)) from error
            time.sleep(PAUSE)
        else:
            return


def _lift_limits(connection: Connection) -> None:
    driver = cast("Bounded", connection.connection.driver_connection)
    driver.deadline = None
    for name in ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout"):
        connection.exec_driver_sql(f"SET {name} = 0")
    connection.commit()
    driver.limits = None  # it is not what the pool thinks it is


def _limit_locks(connection: Connection) -> None:
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{round(LOCK * 1000)}ms'")
