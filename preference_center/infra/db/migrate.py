"""Migrations of a running service: they give up a lock before requests behind them time out."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import cast

import click
import structlog
from sqlalchemy import Connection, Engine, event, exc

from preference_center.core.errors import UnavailableCause
from preference_center.infra.db.connections import DeadlineConnection
from preference_center.infra.db.error_causes import classify_error
from preference_center.infra.db.migration_lock import only_migration

log = structlog.get_logger()

LOCK_TIMEOUT = 1.2
"""Seconds that a migration waits for a table. Later requests wait behind it, for 1.25 seconds at
most. PostgreSQL ends an autovacuum that is in the way for more than a second."""
RETRY_DELAY = 5.0
"""Seconds before the next attempt, in which those requests proceed."""
MAX_ATTEMPTS = 12
_OTHER_LIMITS = ("statement_timeout", "idle_in_transaction_session_timeout")

_HINT = (
    "Another transaction locked a table that the migration needs during {} attempts. Find it with"
    " SELECT pid, pg_blocking_pids(pid), query FROM pg_stat_activity, e.g. a snapshot, an export"
    " or a session that was left open. Wait for it, or end it with SELECT"
    " pg_terminate_backend(PID), then run `flask db upgrade` again: it continues."
)


def migrate_with_retries(engine: Engine, migrate: Callable[[Connection], None]) -> None:
    """Call `migrate(connection)`, and again while other transactions lock a table that it needs.

    Processes that call it at once do so one after another. In each transaction it waits at most
    LOCK_TIMEOUT seconds for a lock. There is no other limit, and none outside of transactions,
    where an index is built concurrently. Raises ClickException with instructions after
    MAX_ATTEMPTS.
    """
    with engine.connect() as connection:
        _remove_limits(connection)
        with only_migration(connection):
            _migrate(engine, migrate)


def _migrate(engine: Engine, migrate: Callable[[Connection], None]) -> None:
    for attempt in range(1, MAX_ATTEMPTS + 1):
        try:
            with engine.connect() as connection:
                _remove_limits(connection)
                event.listen(connection, "begin", _limit_locks)
                migrate(connection)
        except exc.OperationalError as error:
            if classify_error(error) is not UnavailableCause.LOCK_TIMEOUT:
                raise
            log.warning("migration_waiting_for_lock", attempt=attempt, of=MAX_ATTEMPTS)
            if attempt == MAX_ATTEMPTS:
                raise click.ClickException(_HINT.format(MAX_ATTEMPTS)) from error
            time.sleep(RETRY_DELAY)
        else:
            return


def _remove_limits(connection: Connection) -> None:
    driver = cast("DeadlineConnection", connection.connection.driver_connection)
    driver.deadline = None
    if not driver.is_pooled:
        for name in ("lock_timeout", *_OTHER_LIMITS):
            connection.exec_driver_sql(f"SET {name} = 0")
        connection.commit()
    driver.limits = None  # the connection's limits are no longer those that the pool set


def _limit_locks(connection: Connection) -> None:
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{round(LOCK_TIMEOUT * 1000)}ms'")
    for name in _OTHER_LIMITS:  # the role may have some
        connection.exec_driver_sql(f"SET LOCAL {name} = 0")
