"""A migration changes the tables of a running service without making its requests time out.

A migration gives up a lock before the requests behind it time out. Several `flask db upgrade` at
once are one: the others wait, and find nothing to do. `require_own_tables` checks whether the
migrations of this version are those that made a database's tables.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import cast

import click
import structlog
from sqlalchemy import Connection, Engine, event, exc, inspect

from preference_center.core.errors import Unavailable, UnavailableCause
from preference_center.infra.db.connections import DeadlineConnection
from preference_center.infra.db.error_causes import classify_error

log = structlog.get_logger()


MIGRATION_LOCK = 0x6D696772617465


POLL_INTERVAL = 0.5
"""Seconds between attempts."""


_LOG_INTERVAL = 10.0  # seconds


_LOCK_LOST = (
    "The database ended the session by which this command kept others from doing the same, as when"
    " it restarts. What was done is stored. Run the command again: it continues where it stopped."
)


@contextmanager
def only_process(
    connection: Connection, lock: int, sleep: Callable[[float], None] = time.sleep
) -> Iterator[None]:
    """Hold an advisory lock. Waits for another that has it, and logs that, as long as it takes.

    The lock belongs to a transaction of `connection`, which must do nothing else: a pooler would
    give a lock of the session to others (decision 30). The transaction keeps no snapshot, so an
    index can be built concurrently meanwhile. Nor does one who waits, which is why it asks again
    and again: the snapshot of a statement that waits would stop such an index for ever.

    Raises Unavailable if the lock was lost with its session, and then another process may have
    begun the same.
    """
    waited = 0.0
    while not _try_lock(connection, lock):
        connection.rollback()
        if waited % _LOG_INTERVAL == 0:
            log.warning("waiting_for_another_process", waited_seconds=round(waited))
        sleep(POLL_INTERVAL)
        waited += POLL_INTERVAL
    try:
        yield
    finally:
        try:
            connection.rollback()
        except exc.OperationalError as error:
            raise Unavailable(_LOCK_LOST, UnavailableCause.UNREACHABLE) from error


def _try_lock(connection: Connection, lock: int) -> bool:
    connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
    statement = f"SELECT pg_try_advisory_xact_lock({lock})"
    return bool(connection.exec_driver_sql(statement).scalar())


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
        with only_process(connection, MIGRATION_LOCK):
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


OF_FIRST_SCHEMA = "webhook_inbox"
"""A table that the first migration makes, and that no commit before it had."""


_ADVICE = "create a new database and name it in DATABASE_URL"


_UNKNOWN = (
    "The tables are at revision {}, which this version does not have: a newer version made them, or"
    f" another application. Use that version, or {_ADVICE}."
)


_OTHER_MIGRATIONS = (
    "A commit before the first release made these tables. Its migrations had the same numbers but"
    f" were others, so this version can't continue: {_ADVICE}."
)


_NO_REVISION = (
    "There are tables, {} among them, but no revision that states which migrations made them:"
    f" restore the table alembic_version, or {_ADVICE}."
)


def require_own_tables(
    connection: Connection, revisions: Collection[str], tables: Collection[str]
) -> None:
    """Check the tables before the first migration runs.

    `revisions` are those of this version, `tables` the names of its tables. Raises ClickException
    with what to do.
    """
    inspector = inspect(connection)
    present = set(inspector.get_table_names())
    found = _read_revision(connection) if "alembic_version" in present else None
    if found is None:
        ours = sorted(present & set(tables))
        message = _NO_REVISION.format(ours[0]) if ours else None
    elif found not in revisions:
        message = _UNKNOWN.format(found)
    else:
        message = None if OF_FIRST_SCHEMA in present else _OTHER_MIGRATIONS
    connection.rollback()
    if message:
        raise click.ClickException(message)


def _read_revision(connection: Connection) -> str | None:
    query = "SELECT version_num FROM alembic_version LIMIT 1"
    return connection.exec_driver_sql(query).scalar()
