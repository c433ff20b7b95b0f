"""Transactions. Reads and writes go to the primary, through one pool."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import count
from typing import Any, TypeVar, cast

import psycopg
from flask import has_app_context
from psycopg.pq import TransactionStatus
from sqlalchemy import Engine, exc
from sqlalchemy.pool import PoolProxiedConnection

from preference_center.database_timeouts import Limits
from preference_center.errors import Cause
from preference_center.extensions import db, services
from preference_center.storage.db import outage
from preference_center.storage.db.connections import Bounded
from preference_center.storage.db.error_causes import cause_of, unavailable

T = TypeVar("T")
Connection = psycopg.Connection[tuple[Any, ...]]

_DISCONNECTS = 3
"""How many broken connections in a row are replaced."""
_PAUSE, _LONGEST_PAUSE = 0.02, 0.5  # seconds
_GONE = {Cause.UNREACHABLE, Cause.READ_ONLY}
_CHOSEN: ContextVar[Limits | None] = ContextVar("limits", default=None)


def current_limits() -> Limits:
    """The limits that hold in this thread now."""
    return _CHOSEN.get() or services().limits


@contextmanager
def within(limits: Limits) -> Iterator[None]:
    """Other limits for the work of this block, in this thread."""
    token = _CHOSEN.set(limits)
    try:
        yield
    finally:
        _CHOSEN.reset(token)


def run(work: Callable[[Connection], T]) -> T:
    """`work(connection)` inside one transaction, committed when this returns.

    A broken connection, a server that has become read-only, a deadlock, or a lock not had in
    time is tried again on a fresh transaction while `Limits.retry` allows, so `work` must be
    safe to repeat: writes carry ids that were made before. Raises Unavailable, which names
    the cause, within `Limits.total`.
    """
    limits = current_limits()

    def limited(connection: Bounded) -> T:
        keep_to_limits(connection)
        return work(connection)

    return _run(limited, limits, limits.total)


def run_at_once(work: Callable[[Connection], T], *, long: bool = False) -> T:
    """`run` for work that the server gets at once: one statement, or one pipeline.

    It is a transaction by itself, which saves the round trips of BEGIN and COMMIT: more
    than half of the time a check takes. It is given `Limits.at_once`, unless it is `long`.
    PostgreSQL keeps to the limits of the session, whatever was chosen with `within`, unless
    `work` is a pipeline that begins with `keep_to_limits`.
    """
    limits = current_limits()

    def alone(connection: Bounded) -> T:
        connection.autocommit = True
        try:
            return work(connection)
        except psycopg.Error:
            connection.spoiled = True
            raise
        finally:
            if connection.info.transaction_status is TransactionStatus.IDLE:
                connection.autocommit = False
            else:  # cut off half-way: fit for nobody any more
                connection.close()

    return _run(alone, limits, limits.total if long else limits.at_once)


def is_writable(connection: Connection) -> bool:
    """Whether the server takes writes: a standby, or one set to read only, does not."""
    row = connection.execute(
        "SELECT NOT pg_is_in_recovery() AND current_setting('transaction_read_only') = 'off'"
    ).fetchone()
    return row == (True,)


@contextmanager
def transaction(limits: Limits | None = None, *, one_moment: bool = False) -> Iterator[Connection]:
    """A connection inside one transaction: commits at the end, rolls back on an error.

    All that it reads is as of `one_moment` if that is asked for, and it can't write then.
    Raises Unavailable as `run` does. Never retries: use `run` where a restart of the
    database should not be felt.
    """
    limits = limits or current_limits()
    engine = db.engine  # a stream may end outside of the app's context
    proxy = _check_out(engine)
    connection = _driver(proxy, time.monotonic() + limits.total)
    try:
        if one_moment:  # before any query
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        keep_to_limits(connection, limits)
        yield connection
        connection.commit()
    except psycopg.Error as error:
        cause = _clean_up(error, proxy, engine)
        if cause is None:
            raise
        raise unavailable(cause) from error
    except BaseException:
        _roll_back(proxy)
        raise
    finally:
        proxy.close()


def keep_to_limits(connection: Connection, limits: Limits | None = None) -> None:
    """Have PostgreSQL keep to `limits` until this transaction, or pipeline, ends.

    By default to the current ones. Costs nothing where they are those that the session began with.
    """
    limits = limits or current_limits()
    if isinstance(connection, Bounded) and not limits.same_session(connection.limits):
        connection.set_limits(limits, local=True)


def _run(work: Callable[[Bounded], T], limits: Limits, total: float) -> T:
    begun, engine = time.monotonic(), db.engine
    for attempt in count(1):
        proxy = _check_out(engine)
        connection = _driver(proxy, begun + total)
        try:
            result = work(connection)
            connection.commit()
        except psycopg.Error as error:
            cause = _clean_up(error, proxy, engine)
            if cause is None:
                raise
            passed = time.monotonic() - begun
            if not _worth_another(cause, attempt, passed, limits, total):
                raise unavailable(cause) from error
        except BaseException:
            _roll_back(proxy)
            raise
        else:
            return result
        finally:
            proxy.close()
        if cause is Cause.LOCK:
            # Back at once, it would take its first lock again before the other has woken.
            pause = services().random.uniform(0.5, 1.5) * _PAUSE * attempt
            time.sleep(min(pause, _LONGEST_PAUSE))
    raise AssertionError("unreachable")


def _worth_another(cause: Cause, attempt: int, passed: float, limits: Limits, total: float) -> bool:
    """Whether to try again, `passed` of `total` seconds after the first attempt began."""
    if passed >= limits.retry:
        return False
    if cause is Cause.LOCK:  # another wait must end on the server, not by our giving up
        return passed + limits.lock <= total
    return cause in _GONE and attempt <= _DISCONNECTS


def _check_out(engine: Engine) -> PoolProxiedConnection:
    outage.refuse()
    try:
        return engine.raw_connection()
    except (psycopg.Error, exc.SQLAlchemyError) as error:
        cause = cause_of(error)
        if cause is None:
            raise
        outage.begin(cause)
        raise unavailable(cause) from error


def _driver(proxy: PoolProxiedConnection, deadline: float) -> Bounded:
    connection = cast("Bounded", proxy.driver_connection)
    connection.deadline = deadline
    return connection


def _clean_up(error: psycopg.Error, proxy: PoolProxiedConnection, engine: Engine) -> Cause | None:
    """Roll back, or throw away what can't be; None if the statement itself is at fault."""
    connection = cast("Bounded", proxy.driver_connection)
    cause = cause_of(error)
    if cause is None and connection.closed:
        cause = Cause.UNREACHABLE
    # Whoever comes next need not wait as long; a stream may end outside of the app's context.
    if cause is Cause.SILENT and has_app_context():
        outage.begin(cause)
    if cause in _GONE or connection.closed:
        proxy.invalidate()
        # Every idle connection is probably as dead, as frozen or as read-only as this one.
        engine.dispose()
    elif connection.spoiled:
        proxy.invalidate()
    else:
        _roll_back(proxy)
    return cause


def _roll_back(proxy: PoolProxiedConnection) -> None:
    connection = cast("Bounded", proxy.driver_connection)
    try:
        connection.rollback()
    except psycopg.Error:
        proxy.invalidate()
