"""Connections and transactions. Reads and writes go to the primary, through one pool."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import psycopg
from psycopg import errors
from psycopg.pq import TransactionStatus
from sqlalchemy import exc
from sqlalchemy.pool import PoolProxiedConnection

from preference_center.errors import Unavailable
from preference_center.extensions import db, services

T = TypeVar("T")
Connection = psycopg.Connection[tuple[Any, ...]]

OPTIONS = "-c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c jit=off"
"""For every connection: plan a statement once, and by index whatever the tables hold.

Planning the write path takes longer than running it. A plan is kept while its connection
lives, so it must not be one for the tables as they were before the first opt-outs.
"""

_TRANSIENT = (errors.DeadlockDetected, errors.LockNotAvailable, errors.SerializationFailure)
_ATTEMPTS = 4
_PAUSE = 0.02  # seconds


def run(work: Callable[[Connection], T]) -> T:
    """`work(connection)` inside one transaction, committed when this returns.

    A broken connection, a deadlock, or a lock not had in time is tried again on a fresh
    transaction, so `work` must be safe to repeat: writes carry ids that were made before.
    Raises Unavailable when the database can't be reached, or is too busy with others' locks.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        proxy = _check_out()
        connection = cast("Connection", proxy.driver_connection)
        try:
            result = work(connection)
            connection.commit()
        except _TRANSIENT as error:
            _roll_back(proxy, connection)
            if attempt == _ATTEMPTS:
                raise Unavailable("the database is too busy") from error
            # Back at once, it would take its first lock again before the other has woken.
            time.sleep(services().random.uniform(0.5, 1.5) * _PAUSE * attempt)
        except psycopg.OperationalError as error:
            proxy.invalidate()
            if attempt == _ATTEMPTS or not _is_disconnect(error):
                raise Unavailable("the database can't be reached") from error
            # Every idle connection is probably as dead as this one.
            db.engine.dispose()
        except BaseException:
            _roll_back(proxy, connection)
            raise
        else:
            return result
        finally:
            proxy.close()
    raise AssertionError("unreachable")


def run_at_once(work: Callable[[Connection], T]) -> T:
    """`run` for work that the server gets at once: one statement, or one pipeline.

    It is a transaction by itself, which saves the round trips of BEGIN and COMMIT: more
    than half of the time a check takes.
    """

    def alone(connection: Connection) -> T:
        connection.autocommit = True
        try:
            return work(connection)
        finally:
            if connection.info.transaction_status is TransactionStatus.IDLE:
                connection.autocommit = False
            else:  # cut off half-way: fit for nobody any more
                connection.close()

    return run(alone)


def is_writable(connection: Connection) -> bool:
    """Whether the server takes writes: a standby, or one set to read only, does not."""
    row = connection.execute(
        "SELECT NOT pg_is_in_recovery() AND current_setting('transaction_read_only') = 'off'"
    ).fetchone()
    return row == (True,)


@contextmanager
def transaction() -> Iterator[Connection]:
    """A connection inside one transaction: commits at the end, rolls back on an error.

    Raises Unavailable when the database can't be reached. Never retries: use `run`
    where a restart of the database should not be felt.
    """
    proxy = _check_out()
    connection = cast("Connection", proxy.driver_connection)
    try:
        yield connection
        connection.commit()
    except psycopg.OperationalError as error:
        proxy.invalidate()
        raise Unavailable("the database can't be reached") from error
    except BaseException:
        _roll_back(proxy, connection)
        raise
    finally:
        proxy.close()


def _check_out() -> PoolProxiedConnection:
    try:
        return db.engine.raw_connection()
    except (psycopg.OperationalError, exc.OperationalError, exc.TimeoutError) as error:
        raise Unavailable("the database can't be reached") from error


def _roll_back(proxy: PoolProxiedConnection, connection: Connection) -> None:
    try:
        connection.rollback()
    except psycopg.Error:
        proxy.invalidate()


def _is_disconnect(error: psycopg.OperationalError) -> bool:
    """Whether the server went away (class 57P, or no SQLSTATE at all: the socket died)."""
    return error.sqlstate is None or error.sqlstate.startswith("57P")
