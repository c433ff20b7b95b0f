"""Connections with a deadline for every wait, to a server that accepts writes."""

from __future__ import annotations

import logging
import select
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

import psycopg
from psycopg.abc import RV, PQGen
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq.abc import PGconn
from psycopg.waiting import Ready, Wait

from preference_center.infra.db.database_timeouts import DatabaseTimeouts

PLANNER_SETTINGS: Mapping[str, str] = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "jit": "off",
}
"""For every session: plan a statement once, and for index scans whatever the tables' sizes.

Planning the write path takes longer than executing it. A plan is kept as long as its connection,
so it must not be one that suits small tables only.
"""

LIBPQ_DEFAULTS: Mapping[str, str | int] = {
    "connect_timeout": 2,  # per host, seconds
    "target_session_attrs": "read-write",  # of several hosts the primary; never a standby
    "tcp_user_timeout": 10_000,  # milliseconds
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}
"""Defaults for what DATABASE_URL leaves out. None of it is sent to the server."""

_SET_LIMITS = """set_config('lock_timeout', %(lock)s, %(local)s),
    set_config('statement_timeout', %(statement)s, %(local)s),
    set_config('idle_in_transaction_session_timeout', %(idle)s, %(local)s)"""
_SET_PLANNER = ", ".join(
    f"set_config('{name}', '{value}', %(local)s)" for name, value in PLANNER_SETTINGS.items()
)
_BEGIN_SESSION = f"""
SELECT pg_backend_pid() = %(pid)s, CASE WHEN pg_backend_pid() = %(pid)s THEN
    ROW({_SET_LIMITS}, {_SET_PLANNER}, CASE WHEN version() !~* 'windows|visual' THEN
        set_config('client_connection_check_interval', '1s', false) END) END
"""
"""Does nothing if the server's process is not the one that the connection was made to.

Then a pooler is between, and the next user of the session would get its settings. The last one,
which Windows lacks, ends a statement whose client has disconnected.
"""
_BEGIN_TRANSACTION = f"SELECT {_SET_LIMITS}"
_BEGIN_POOLED_TRANSACTION = f"{_BEGIN_TRANSACTION}, {_SET_PLANNER}"


def _tells_more_than_its_exception(record: logging.LogRecord) -> bool:
    """Not if psycopg logs that it skipped the rest of a pipeline: what failed in it is raised.

    So it is at the first append after each start of the server, which begins an epoch and is
    repeated, and after every lock timeout.
    """
    given = record.args if isinstance(record.args, tuple) else ()
    return not any(isinstance(each, psycopg.errors.PipelineAborted) for each in given)


logging.getLogger("psycopg").addFilter(_tells_more_than_its_exception)


class DatabaseTimeout(psycopg.OperationalError):
    """The server did not respond by the deadline. The connection is closed."""


class DeadlineConnection(psycopg.Connection[tuple[Any, ...]]):
    """A connection that is closed if a wait would exceed its deadline.

    With a frozen server, or a proxy that stopped forwarding, the socket stays open, so neither
    TCP nor `statement_timeout` ends such a wait.
    """

    deadline: float | None = None
    """By `time.monotonic()`; None for no limit, as in migrations."""
    limits: DatabaseTimeouts | None = None
    """The limits of its session; None if each transaction must begin with its own."""
    is_pooled: bool = False
    """Whether a pooler (PgBouncer, RDS Proxy) is between: each transaction may then have another
    session of the server."""
    pipeline_aborted: bool = False
    """Whether a pipeline on it failed: psycopg then considers statements prepared that the server
    skipped, and every later use of them would fail (26000, seen with psycopg 3.3.9)."""
    _socket_poll: select.poll | None = None

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        """See psycopg, which calls it for every wait. Raises DatabaseTimeout."""
        if self.deadline is None:
            return super().wait(gen, interval, timeout)
        left = max(self.deadline - time.monotonic(), 0)
        try:
            return super().wait(gen, interval, left if timeout is None else min(left, timeout))
        except psycopg.OperationalError as error:
            if error.sqlstate is None and time.monotonic() >= self.deadline:
                self.pgconn.finish()
                with suppress(psycopg.Error, RuntimeError):
                    gen.close()  # else its clean-up fails, and is logged, when it is collected
                self.close_and_raise_timeout()
            raise

    def wait_for_result(self) -> None:
        """Wait for the complete result of what was sent by `pgconn`. Raises DatabaseTimeout.

        The same as `wait` at a quarter of its cost, for `PreparedStatement`.
        """
        pgconn = self.pgconn
        if self._socket_poll is None:
            self._socket_poll = select.poll()
            self._socket_poll.register(pgconn.socket, select.POLLIN)
        if pgconn.flush():
            self.wait(_flush(pgconn))
        while True:
            if self.deadline is None:
                self._socket_poll.poll()
            else:
                left = self.deadline - time.monotonic()
                if left <= 0:
                    self.close_and_raise_timeout()
                self._socket_poll.poll(left * 1000)
            pgconn.consume_input()
            if not pgconn.is_busy():
                return

    def close_and_raise_timeout(self) -> None:
        """Close it, since the state of its server is unknown. Raises DatabaseTimeout."""
        self.pgconn.finish()
        raise DatabaseTimeout("the server did not answer in time")

    def begin_session(self, limits: DatabaseTimeouts, *, is_pooled: bool = False) -> None:
        """Make the server enforce `limits` until the session ends, unless a pooler is between."""
        pid = None if is_pooled else self.info.backend_pid  # NULL equals nothing
        given = _to_settings(limits) | {"local": False, "pid": pid}
        row = self.execute(_BEGIN_SESSION, given).fetchone()
        assert row  # a SELECT without FROM
        self.is_pooled = not row[0]
        self.limits = None if self.is_pooled else limits

    def begin_transaction(self, limits: DatabaseTimeouts) -> None:
        """Make the server enforce `limits` until the transaction ends."""
        statement = _BEGIN_POOLED_TRANSACTION if self.is_pooled else _BEGIN_TRANSACTION
        self.execute(statement, _to_settings(limits) | {"local": True})


def _to_settings(limits: DatabaseTimeouts) -> dict[str, object]:
    seconds = {"lock": limits.lock, "statement": limits.statement, "idle": limits.idle}
    return {name: f"{round(value * 1000)}ms" for name, value in seconds.items()}


def _flush(pgconn: PGconn) -> PQGen[None]:
    """Send what did not fit into the socket's buffer, and read meanwhile, as libpq requires."""
    while pgconn.flush():
        if (yield Wait.RW) & Ready.R:
            pgconn.consume_input()


def connection_factory(
    conninfo: str,
    limits: DatabaseTimeouts,
    on_connect: Callable[[DeadlineConnection], None] = lambda _: None,
    application_name: str = "",
    *,
    is_pooled: bool = False,
) -> Callable[[], DeadlineConnection]:
    """A factory of connections for the pool, each with its session set to `limits`.

    Through a pooler no session is set. It is noticed, unless `is_pooled` states that one is there.

    `on_connect` may refuse one by an exception. The server shows `application_name`, unless
    `conninfo` has another.
    """
    given = with_defaults(conninfo, **LIBPQ_DEFAULTS, application_name=application_name)

    def connect() -> DeadlineConnection:
        deadline = time.monotonic() + limits.round_trip
        connection = _connect_within(
            lambda: DeadlineConnection.connect(given, autocommit=True), limits.round_trip
        )
        connection.deadline = deadline
        try:
            connection.begin_session(limits, is_pooled=is_pooled)
            on_connect(connection)
        except BaseException:
            connection.close()
            raise
        connection.autocommit = False
        connection.deadline = None  # set when it is checked out
        return connection

    return connect


def with_defaults(conninfo: str, **defaults: str | int) -> str:
    """`conninfo` with those of `defaults` that it leaves out and that have a value."""
    known = conninfo_to_dict(conninfo)
    return make_conninfo(conninfo, **{k: v for k, v in defaults.items() if v and k not in known})


def _connect_within(
    connect: Callable[[], DeadlineConnection], seconds: float
) -> DeadlineConnection:
    """`connect()`, or DatabaseTimeout after so many seconds; a late connection is closed.

    libpq waits at least two seconds for each host, so it runs in a thread of its own.
    """
    future: Future[DeadlineConnection] = Future()

    def work() -> None:
        try:
            future.set_result(connect())
        except BaseException as error:  # noqa: BLE001 - it is raised by future.result()
            future.set_exception(error)

    threading.Thread(target=work, name="db-connect", daemon=True).start()
    try:
        return future.result(seconds)
    except TimeoutError:
        future.add_done_callback(_close_late_connection)
        raise DatabaseTimeout("the server did not accept a connection in time") from None


def _close_late_connection(late: Future[DeadlineConnection]) -> None:
    if late.exception() is None:
        late.result().close()
