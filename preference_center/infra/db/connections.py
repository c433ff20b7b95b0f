"""Connections to PostgreSQL give every wait a deadline, and reach a server that accepts writes.

`DatabaseTimeouts` state how long each kind of work may wait for the database: no wait is without a
limit (I2). `create_service` has the limits of a process; `infra.db.transactions.override_limits`
changes them temporarily.

An `Outage` states whether this process knows that the database is down; then requests fail at
once. Only a process with a thread that retries the database takes part (`track_outages`). There
the first failure to connect makes all others fail immediately, until the retry succeeds. In any
other process each request tries for itself.

A connection also asks how many of the digest keys the stored digests were made with, and keeps to
that number. While a key waits to be rotated in, each transaction asks. Otherwise only a new
connection does: so a process that does not have the newest key is stopped when it connects again.
"""

from __future__ import annotations

import logging
import select
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg
from flask import current_app
from psycopg.abc import RV, PQGen
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq.abc import PGconn
from psycopg.waiting import Ready, Wait

from preference_center.core.errors import KeyMismatch, Unavailable, UnavailableCause
from preference_center.core.keys import NEXT_DIGEST, Keys
from preference_center.infra.db.error_causes import DatabaseTimeout

EXTENSION_NAME = "preference_center.outage"


_OUTAGE_CAUSES = {
    UnavailableCause.READ_ONLY,
    UnavailableCause.UNRESPONSIVE,
    UnavailableCause.STATEMENT_TIMEOUT,
    UnavailableCause.UNREACHABLE,
    UnavailableCause.SCHEMA,
    UnavailableCause.KEYS,
}
"""Not LOCK_TIMEOUT, which concerns few rows, nor RESOURCES_EXHAUSTED: a check may still work."""


@dataclass(slots=True)
class Outage:
    """Whether the database is known to be down. Thread-safe."""

    down: threading.Event = field(default_factory=threading.Event)
    """Set while it is down; the threads that retry wait for this."""
    cause: UnavailableCause = UnavailableCause.UNREACHABLE
    """The cause that was reported last."""
    reason: str = ""
    """What was stated of it."""
    _retrying: threading.local = field(default_factory=threading.local)

    @property
    def is_retried_here(self) -> bool:
        """Whether this thread is one of those that try an unavailable database."""
        return getattr(self._retrying, "on", False)

    @property
    def blocks_thread(self) -> bool:
        """Whether this thread must not try."""
        return self.down.is_set() and not self.is_retried_here

    @contextmanager
    def allow_retry(self) -> Iterator[None]:
        """Inside, this thread tries the database even if it is known to be down."""
        before, self._retrying.on = self.is_retried_here, True
        try:
            yield
        finally:
            self._retrying.on = before


def track_outages() -> Outage:
    """Track outages in this process; the caller must end each one by clearing `down`."""
    found: Outage = current_app.extensions.setdefault(EXTENSION_NAME, Outage())
    return found


def is_database_down() -> bool:
    """Whether the database is known to be down."""
    outage: Outage | None = current_app.extensions.get(EXTENSION_NAME)
    return outage is not None and outage.blocks_thread


def report_failure(cause: UnavailableCause, reason: str = "") -> None:
    """Record that the database is down, if `cause` means that. `reason` is that of Unavailable.

    Inside `allow_retry` nothing is recorded: a record that is replayed may be at fault.
    """
    outage: Outage | None = current_app.extensions.get(EXTENSION_NAME)
    if outage is not None and cause in _OUTAGE_CAUSES and not outage.is_retried_here:
        outage.cause, outage.reason = cause, reason
        outage.down.set()


def keys_unavailable(error: KeyMismatch) -> Unavailable:
    """Record that the database can't be used with our digest keys; returns what to raise."""
    report_failure(UnavailableCause.KEYS, str(error))
    return Unavailable(str(error), UnavailableCause.KEYS, str(error))


def raise_if_database_down() -> None:
    """Raise Unavailable if the database is known to be down."""
    outage: Outage | None = current_app.extensions.get(EXTENSION_NAME)
    if outage is not None and outage.blocks_thread:
        message = "the database can't be used: it is tried again"
        raise Unavailable(message, outage.cause, outage.reason)


@dataclass(frozen=True, slots=True)
class DatabaseTimeouts:
    """All in seconds.

    PostgreSQL enforces `lock`, `statement` and `idle`: one wait for a lock, one statement, and
    the time between two statements of a transaction (`lock_timeout`, `statement_timeout`,
    `idle_in_transaction_session_timeout`).

    The client enforces the others. `retry`: no further attempt begins after this time.
    `total`: all attempts together; a connection that has not responded by then is closed,
    since its server may be frozen. `round_trip`: the same for what takes one round trip, and
    for a new connection.
    """

    lock: float
    statement: float
    idle: float
    retry: float
    total: float
    round_trip: float

    def has_same_session_settings(self, other: DatabaseTimeouts | None) -> bool:
        """Whether the limits that PostgreSQL enforces are the same."""
        return self is other or (
            other is not None
            and (self.lock, self.statement, self.idle) == (other.lock, other.statement, other.idle)
        )


WEB_TIMEOUTS = DatabaseTimeouts(lock=1.25, statement=10, idle=10, retry=2, total=12, round_trip=1.5)
"""A person waits for the response: a click that meets no lock gets it within two seconds.

`lock` is longer than PostgreSQL's `deadlock_timeout` of a second, so that a deadlock aborts only
one of two transactions; and shorter than `round_trip`, so that a locked row is not taken for an
unavailable server.
"""


LINK_CLICK_TIMEOUTS = replace(WEB_TIMEOUTS, total=1.5)
"""The same, for requests to a person's link."""


WORKER_TIMEOUTS = DatabaseTimeouts(
    lock=1, statement=120, idle=60, retry=60, total=240, round_trip=150
)
"""No person waits for the response.

But others may wait for rows that a long list has locked already, so the transaction is rolled
back and retried when it can't get a lock soon.
"""


COMMAND_TIMEOUTS = DatabaseTimeouts(
    lock=1, statement=1800, idle=600, retry=120, total=3600, round_trip=1800
)
"""An operator waits, and can interrupt it."""


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


DIGEST_LENGTH_SQL = "(SELECT count(*) FROM key_fingerprint WHERE starts_with(key, 'digest:'))"
"""How many digest keys are in use. In a statement that looks something up by digests, it states
whether those are of the snapshot that the statement reads."""


APPEND_LOCK = 0x7265747261637421
"""Advisory lock: shared for appends; exclusive to retract an event that is not stored yet, and to
change the digest keys in use."""


APPLICATION_NAME = "preference_center"


def application_name(keys: Keys) -> str:
    """The name of our sessions: it shows how many digest keys a process has been given."""
    return f"{APPLICATION_NAME}/{len(keys.digest_chain)}"


def load_digest_length(connection: psycopg.Connection[tuple[Any, ...]]) -> int | None:
    """How many digest keys are in use; None if the database has none yet."""
    row = connection.execute(f"SELECT {DIGEST_LENGTH_SQL}").fetchone()
    return row[0] or None if row else None


def follow_on_connect(connection: psycopg.Connection[tuple[Any, ...]], keys: Keys) -> None:
    """Make `keys` follow the database that this new connection is to.

    Raises KeyMismatch if the newest one is missing, or the one to which digests are being brought.
    """
    try:
        rows = connection.execute(
            "SELECT key, fingerprint FROM key_fingerprint WHERE key ~ '^(next_)?digest:'"
        ).fetchall()
    except psycopg.errors.UndefinedTable:  # before the first migration
        return
    stored: dict[str, str] = dict(rows)
    keys.verify_fingerprints(
        {name: each for name, each in stored.items() if name.startswith(NEXT_DIGEST)}
    )
    if length := sum(name.startswith("digest:") for name in stored):
        keys.follow(length)


def follow_if_waiting(connection: psycopg.Connection[tuple[Any, ...]], keys: Keys) -> None:
    """Make `keys` follow the database while one of them waits to be used."""
    if keys.is_digest_key_waiting:
        length = load_digest_length(connection)
        if length is not None:
            keys.follow(length)


def hold_digest_length(connection: psycopg.Connection[tuple[Any, ...]], keys: Keys) -> None:
    """Keep the digest keys in use as they are until this transaction ends.

    To be called before digests are made that will be stored. Does nothing while no key waits.
    """
    if keys.is_digest_key_waiting:
        connection.execute("SELECT pg_advisory_xact_lock_shared(%s)", (APPEND_LOCK,))
        follow_if_waiting(connection, keys)


def list_other_applications(
    connection: psycopg.Connection[tuple[Any, ...]], name: str
) -> list[int]:
    """The server processes of our sessions in this database with another application name."""
    rows = connection.execute(
        """SELECT pid FROM pg_stat_activity WHERE datname = current_database()
        AND application_name LIKE %s AND application_name <> %s ORDER BY pid""",
        (f"{APPLICATION_NAME}/%", name),
    )
    return [row[0] for row in rows]
