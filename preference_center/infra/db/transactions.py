"""Transactions go to the primary, through one pool; only snapshots may read a replica.

`require_durable` checks whether commits that the database acknowledged survive a crash (I1).
`await_writers` waits for running writers without blocking new ones.

`read_snapshot` reads as of one point in time, in a transaction with a fixed snapshot. While it is
open, vacuum can't remove rows that were deleted or updated since, anywhere in the database: after
60,000 changes a worker's claim took four times as long. So its time is limited.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from itertools import count
from typing import Any, TypeVar, cast

import psycopg
import structlog
from flask import has_app_context
from psycopg.abc import Params, QueryNoTemplate
from psycopg.pq import TransactionStatus
from sqlalchemy import Engine, exc
from sqlalchemy.pool import PoolProxiedConnection

from preference_center.core.errors import (
    KeyMismatch,
    NotDurable,
    ReplayPending,
    Unavailable,
    UnavailableCause,
)
from preference_center.infra.context import db, services
from preference_center.infra.db import connections
from preference_center.infra.db.connections import (
    APPEND_LOCK,
    DatabaseTimeouts,
    DeadlineConnection,
    follow_if_waiting,
)
from preference_center.infra.db.error_causes import classify_error, unavailable_error

T = TypeVar("T")


Connection = psycopg.Connection[tuple[Any, ...]]


REPLICA = "replica"
"""The name of the replica's engine."""


_MAX_DISCONNECTS = 3
"""How many broken connections in a row are replaced."""


_RETRY_DELAY, _MAX_RETRY_DELAY = 0.02, 0.5  # seconds


OUTAGE_PATIENCE = 180.0
"""Seconds for which a part of a long list waits for the database: a failover takes less, and
proxies have to wait as long (docs/deploy.md)."""


_OUTAGE_PAUSE = 1.0  # seconds


_CONNECTION_LOST = {UnavailableCause.UNREACHABLE, UnavailableCause.READ_ONLY}


_LIMITS: ContextVar[DatabaseTimeouts | None] = ContextVar("limits", default=None)


def current_limits() -> DatabaseTimeouts:
    """The limits of this thread."""
    return _LIMITS.get() or services().timeouts


@contextmanager
def override_limits(limits: DatabaseTimeouts) -> Iterator[None]:
    """Use other limits in this block, in this thread."""
    token = _LIMITS.set(limits)
    try:
        yield
    finally:
        _LIMITS.reset(token)


def outlast_outage(
    operation: Callable[[], T],
    limits: DatabaseTimeouts | None = None,
    patience: float = OUTAGE_PATIENCE,
) -> T:
    """Call `operation()` until the database is available, and return its result.

    It must be safe to repeat, and has the `limits` given, or those of this thread. Raises
    Unavailable once a call begun after `patience` seconds fails, and ReplayPending at once: that
    waits for a person.
    """
    begun = time.monotonic()
    with override_limits(limits or current_limits()):
        for attempt in count(1):
            is_last = time.monotonic() - begun >= patience
            try:
                return operation()
            except Unavailable as error:
                if is_last or isinstance(error, ReplayPending):
                    raise
                if attempt == 1:
                    log.warning("waiting_for_database", **error.log_fields)
            time.sleep(_OUTAGE_PAUSE)
    raise AssertionError("unreachable")


def run_in_transaction(operation: Callable[[Connection], T]) -> T:
    """Call `operation(connection)` inside one transaction, which is committed on return.

    After a broken connection, a server that became read-only, a deadlock or a lock timeout it is
    retried in a new transaction while `DatabaseTimeouts.retry` allows, so `operation` must be
    safe to repeat: ids of what it writes are made beforehand. Raises Unavailable with the cause,
    within `DatabaseTimeouts.total`.
    """
    limits = current_limits()

    def apply_and_run(connection: DeadlineConnection) -> T:
        apply_limits(connection)
        follow_if_waiting(connection, services().keys)
        return operation(connection)

    return _run_with_retries(apply_and_run, limits, limits.total)


def run_autocommit(
    operation: Callable[[Connection], T],
    *,
    allow_total: bool = False,
    never_in_transaction: bool = False,
) -> T:
    """`run_in_transaction` for an operation that is one statement, or one pipeline.

    That is a transaction by itself, which saves the round trips of BEGIN and COMMIT: more than
    half of the time of a check. Its limit is `DatabaseTimeouts.round_trip`, or `total` with
    `allow_total`. PostgreSQL enforces the limits of the session, whatever `override_limits`
    chose, unless the operation is a pipeline that begins with `apply_limits`.

    Through a pooler there is no session with limits, so it is a transaction like any other, unless
    it is `never_in_transaction`: a pipeline that begins with `apply_limits`, a look-up that waits
    for no lock, or what PostgreSQL allows outside of transactions only.
    """
    limits = current_limits()

    def run_without_transaction(connection: DeadlineConnection) -> T:
        if connection.is_pooled and not never_in_transaction:
            apply_limits(connection)
            follow_if_waiting(connection, services().keys)
            return operation(connection)
        connection.autocommit = True
        try:
            follow_if_waiting(connection, services().keys)
            return operation(connection)
        except psycopg.Error:
            connection.pipeline_aborted = True
            raise
        finally:
            if connection.info.transaction_status is TransactionStatus.IDLE:
                connection.autocommit = False
            else:  # interrupted: it can't be reused
                connection.close()

    return _run_with_retries(
        run_without_transaction, limits, limits.total if allow_total else limits.round_trip
    )


def has_replica() -> bool:
    """Whether DATABASE_REPLICA_URL names one."""
    return REPLICA in db.engines


def fetch_count(connection: Connection, query: QueryNoTemplate, given: Params = ()) -> int:
    """The number that a query counts; 0 without a row."""
    row = connection.execute(query, given).fetchone()
    return int(row[0]) if row else 0


def is_writable(connection: Connection) -> bool:
    """Whether the server accepts writes: a standby or a read-only server does not."""
    row = connection.execute(
        "SELECT NOT pg_is_in_recovery() AND current_setting('transaction_read_only') = 'off'"
    ).fetchone()
    return row == (True,)


@contextmanager
def transaction(
    limits: DatabaseTimeouts | None = None,
    *,
    read_snapshot: bool = False,
    from_replica: bool = False,
) -> Iterator[Connection]:
    """A connection inside one transaction: commits at the end, rolls back on an error.

    With `read_snapshot` everything is read as of one point in time, and nothing can be written.
    `from_replica` is for snapshots only. Raises Unavailable. Never retries: use
    `run_in_transaction` to survive a restart of the database.
    """
    limits = limits or current_limits()
    # A stream may end outside of the app's context.
    engine = db.engines[REPLICA] if from_replica else db.engine
    proxy = _check_out(engine)
    connection = _driver_connection(proxy, time.monotonic() + limits.total)
    try:
        if read_snapshot:  # before any query
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        apply_limits(connection, limits)
        if has_app_context() and not from_replica:  # the primary states which keys are in use
            follow_if_waiting(connection, services().keys)
        yield connection
        connection.commit()
    except psycopg.Error as error:
        cause = _clean_up(error, proxy, engine)
        if cause is None:
            raise
        raise unavailable_error(cause, error) from error
    except BaseException:
        _roll_back(proxy)
        raise
    finally:
        proxy.close()


def apply_limits(connection: Connection, limits: DatabaseTimeouts | None = None) -> None:
    """Make PostgreSQL enforce `limits`, by default the current ones, until the transaction ends.

    Or until the pipeline does. No statement is sent if the session has these limits already.
    """
    limits = limits or current_limits()
    if isinstance(connection, DeadlineConnection) and not limits.has_same_session_settings(
        connection.limits
    ):
        connection.begin_transaction(limits)


def _run_with_retries(
    operation: Callable[[DeadlineConnection], T], limits: DatabaseTimeouts, timeout: float
) -> T:
    begun, engine = time.monotonic(), db.engine
    for attempt in count(1):
        proxy = _check_out(engine)
        connection = _driver_connection(proxy, begun + timeout)
        try:
            result = operation(connection)
            connection.commit()
        except psycopg.Error as error:
            cause = _clean_up(error, proxy, engine)
            if cause is None:
                raise
            passed = time.monotonic() - begun
            if not _should_retry(cause, attempt, passed, limits, timeout):
                raise unavailable_error(cause, error) from error
        except BaseException:
            _roll_back(proxy)
            raise
        else:
            return result
        finally:
            proxy.close()
        if cause is UnavailableCause.LOCK_TIMEOUT:
            # Without a pause it would take its first lock again before the other transaction.
            pause = services().random.uniform(0.5, 1.5) * _RETRY_DELAY * attempt
            time.sleep(min(pause, _MAX_RETRY_DELAY))
    raise AssertionError("unreachable")


def _should_retry(
    cause: UnavailableCause, attempt: int, elapsed: float, limits: DatabaseTimeouts, timeout: float
) -> bool:
    """Whether to retry, `elapsed` seconds after the first attempt began."""
    if elapsed >= limits.retry:
        return False
    if cause is UnavailableCause.LOCK_TIMEOUT:
        # Another wait must be ended by the server, not by our deadline.
        return elapsed + limits.lock <= timeout
    return cause in _CONNECTION_LOST and attempt <= _MAX_DISCONNECTS


def _check_out(engine: Engine) -> PoolProxiedConnection:
    of_primary = engine is db.engine
    if of_primary:
        connections.raise_if_database_down()
    try:
        return engine.raw_connection()
    except KeyMismatch as error:
        raise connections.keys_unavailable(error) from error
    except (psycopg.Error, exc.SQLAlchemyError) as error:
        cause = classify_error(error)
        if cause is None:
            raise
        if of_primary:
            connections.report_failure(cause)
        raise unavailable_error(cause, error) from error


def _driver_connection(proxy: PoolProxiedConnection, deadline: float) -> DeadlineConnection:
    connection = cast("DeadlineConnection", proxy.driver_connection)
    connection.deadline = deadline
    return connection


def _clean_up(
    error: psycopg.Error, proxy: PoolProxiedConnection, engine: Engine
) -> UnavailableCause | None:
    """Roll back, or discard the connection. Returns None if the statement itself is at fault."""
    connection = cast("DeadlineConnection", proxy.driver_connection)
    cause = classify_error(error)
    if cause is None and connection.closed:
        cause = UnavailableCause.UNREACHABLE
    # So that later requests fail sooner; a stream may end outside of the app's context.
    unresponsive = cause is UnavailableCause.UNRESPONSIVE
    if unresponsive and has_app_context() and engine is db.engine:
        connections.report_failure(UnavailableCause.UNRESPONSIVE)
    if cause in _CONNECTION_LOST or connection.closed:
        proxy.invalidate()
        # The idle connections are probably in the same state.
        engine.dispose()
    elif connection.pipeline_aborted:
        proxy.invalidate()
    else:
        _roll_back(proxy)
    return cause


def _roll_back(proxy: PoolProxiedConnection) -> None:
    connection = cast("DeadlineConnection", proxy.driver_connection)
    try:
        connection.rollback()
    except psycopg.Error:
        proxy.invalidate()


log = structlog.get_logger()


_SHOW_SETTINGS = """SELECT current_setting('synchronous_commit'), current_setting('fsync'),
    current_setting('synchronous_standby_names')"""


def require_durable(connection: Connection) -> None:
    """Raise NotDurable if a session's commits may be lost after they were acknowledged.

    `synchronous_commit=off` loses the last ones in a crash; `local` loses them in a failover, if
    there is a synchronous standby (PostgreSQL, 20.5.1). `fsync=off` is for tests and only logged.
    """
    row = connection.execute(_SHOW_SETTINGS).fetchone()
    assert row  # a SELECT without FROM
    commit, fsync, standbys = row
    if commit == "off" or (commit == "local" and standbys):
        raise NotDurable(
            f"synchronous_commit is {commit}: an opt-out that was acknowledged could be lost."
            " Set it back to on, for the server or for our role:"
            " ALTER ROLE ... SET synchronous_commit = on"
        )
    if fsync == "off":
        log.warning("database_not_durable", fsync=fsync)


IDLE_TIMEOUT = 60.0
"""Seconds that a reader may pause."""


SECONDS_PER_MINUTE = 60.0


_ADVICE = "set hot_standby_feedback = on there, or a longer max_standby_streaming_delay"


@contextmanager
def read_snapshot(*, from_replica: bool = False) -> Iterator[Connection]:
    """A connection with a fixed snapshot, for SNAPSHOT_MINUTES at most.

    `from_replica`: of the replica, which may lack what was recorded last (`ledger.feed.cursors`).

    The first read after that, or after IDLE_TIMEOUT seconds without one, raises Unavailable with
    the reason.
    """
    minutes = services().settings.snapshot_minutes
    longest = minutes * SECONDS_PER_MINUTE
    limits = replace(current_limits(), statement=longest, idle=IDLE_TIMEOUT, total=longest)
    try:
        with transaction(limits, read_snapshot=True, from_replica=from_replica) as connection:
            yield connection
    except Unavailable as error:
        if from_replica and error.cause is UnavailableCause.LOCK_TIMEOUT:
            raise Unavailable(
                f"the replica ended it, since it had to go on replaying: {_ADVICE}",
                UnavailableCause.STATEMENT_TIMEOUT,
            ) from error
        if from_replica and error.cause is UnavailableCause.UNREACHABLE:
            # So ends a session that was idle when the replica had to go on.
            raise Unavailable(
                f"the replica can't be reached, or had to go on replaying: {_ADVICE}",
                UnavailableCause.UNREACHABLE,
            ) from error
        if error.cause not in {
            UnavailableCause.STATEMENT_TIMEOUT,
            UnavailableCause.UNRESPONSIVE,
        }:  # by the server's clock, or by ours
            raise
        raise Unavailable(
            f"it took longer than {minutes} minutes (SNAPSHOT_MINUTES), or paused for more"
            f" than {IDLE_TIMEOUT:.0f} seconds: read it faster, or allow more",
            UnavailableCause.STATEMENT_TIMEOUT,
        ) from error


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
