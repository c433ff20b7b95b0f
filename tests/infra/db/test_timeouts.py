"""Every wait for the database has a limit, and its error has the cause."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import psycopg
import pytest
from flask import current_app

from dev.engines import for_test
from dev.processes import wait_until
from preference_center.app.web import create_app
from preference_center.catalogue.store import current_catalogue
from preference_center.core.errors import (
    CatalogueError,
    ReplayPending,
    Unavailable,
    UnavailableCause,
)
from preference_center.infra.context import db
from preference_center.infra.db import connections
from preference_center.infra.db.connections import (
    WEB_TIMEOUTS,
    DeadlineConnection,
    connection_factory,
)
from preference_center.infra.db.error_causes import DatabaseTimeout
from preference_center.infra.db.transactions import (
    Connection,
    apply_limits,
    current_limits,
    outlast_outage,
    override_limits,
    run_autocommit,
    run_in_transaction,
    transaction,
)
from preference_center.ledger import record
from preference_center.ledger.store.lookup import load_facts
from preference_center.web.api import keys
from tests.clock import START, Clock
from tests.environment import migrate, patient_timeouts, settings_for
from tests.ledger.changes import JANE, change

if TYPE_CHECKING:
    from flask import Flask

    from preference_center.infra.config import Settings

SHORT = replace(WEB_TIMEOUTS, lock=0.2, statement=30, idle=30, retry=0.2, total=60, round_trip=60)
FROZEN = replace(WEB_TIMEOUTS, total=0.5, round_trip=0.5)
LONG = 600.0
KEY = "pc_somebody_" + "0" * 43
READ = "SELECT count(*) FROM audit"


@pytest.fixture(autouse=True)
def _context(app: Flask) -> Iterator[None]:
    with app.app_context():
        db.engine.dispose()  # another test may have set its sessions otherwise
        yield
        db.engine.dispose()


def write(connection: Connection) -> None:
    connection.execute(
        "INSERT INTO audit (at, actor, action, detail) VALUES (%s, 'test', 'x', '{}')", (START,)
    )


def write_in_a_pipeline(connection: Connection) -> None:
    with connection.pipeline():
        apply_limits(connection)
        write(connection)
        connection.execute("SELECT 'x'")


def cause(error: pytest.ExceptionInfo[Unavailable]) -> UnavailableCause:
    return error.value.cause


@contextmanager
def locked(database_url: str) -> Iterator[None]:
    """Somebody else holds the whole table `audit`."""
    with psycopg.connect(database_url) as other:
        other.execute("LOCK TABLE audit IN ACCESS EXCLUSIVE MODE")
        yield


def test_a_session_begins_with_the_limits_of_its_process() -> None:
    names = "lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout"
    shown = [
        run_in_transaction(lambda c, n=name: c.execute(f"SHOW {n}".encode()).fetchone())  # type: ignore[misc]
        for name in names
    ]
    assert shown == [("1250ms",), ("10s",), ("10s",)]


@pytest.mark.parametrize("how", [run_in_transaction, run_autocommit], ids=["run", "at once"])
def test_waiting_for_a_lock_that_others_keep_ends(how: object, database_url: str) -> None:  # I2
    with locked(database_url), override_limits(SHORT), pytest.raises(Unavailable) as error:
        run_autocommit(write_in_a_pipeline) if how is run_autocommit else run_in_transaction(write)
    assert cause(error) is UnavailableCause.LOCK_TIMEOUT


def test_overridden_limits_end_with_their_block() -> None:
    before = current_limits()
    with override_limits(SHORT):
        assert run_in_transaction(lambda c: c.execute("SHOW lock_timeout").fetchone()) == ("200ms",)
        run_autocommit(write_in_a_pipeline)
    assert current_limits() == before
    assert run_in_transaction(lambda c: c.execute("SHOW lock_timeout").fetchone()) == ("1250ms",)
    assert run_autocommit(lambda c: c.execute("SHOW lock_timeout").fetchone()) == ("1250ms",)


def test_a_pipeline_works_after_one_that_was_aborted(database_url: str) -> None:
    """What psycopg was about to prepare in it was never prepared (I7: no click gets a 500)."""
    db.engine.dispose()
    with override_limits(SHORT):
        for _ in range(5):  # after which psycopg prepares it
            run_autocommit(write_in_a_pipeline)
        with locked(database_url), pytest.raises(Unavailable):
            run_autocommit(write_in_a_pipeline)
        for _ in range(10):
            run_autocommit(write_in_a_pipeline)
            run_autocommit(lambda connection: connection.execute(READ).fetchone())


def test_a_lock_is_acquired_by_a_retry_once_it_is_free(database_url: str) -> None:
    tries: list[int] = []

    def work(connection: Connection) -> None:
        tries.append(1)
        if len(tries) == 2:
            held.__exit__(None, None, None)
        write(connection)

    held = locked(database_url)
    held.__enter__()
    with override_limits(replace(SHORT, retry=30, total=60)):
        run_in_transaction(work)
    assert len(tries) == 2


def test_what_waits_for_a_person_is_not_tried_again() -> None:
    calls: list[None] = []

    def refuse() -> None:
        calls.append(None)
        raise ReplayPending("restored")

    with pytest.raises(ReplayPending):
        outlast_outage(refuse, patience=0.01)
    assert len(calls) == 1


def test_a_slow_statement_is_cancelled() -> None:
    limits = replace(SHORT, statement=0.5)
    with override_limits(limits), pytest.raises(Unavailable) as error:
        run_in_transaction(lambda connection: connection.execute("SELECT pg_sleep(60)"))
    assert cause(error) is UnavailableCause.STATEMENT_TIMEOUT


@pytest.mark.own_session
def test_a_transaction_that_is_left_open_is_ended(database_url: str) -> None:  # I2
    def leave_open() -> None:
        with transaction() as connection:
            write(connection)
            pid = connection.info.backend_pid
            gone = f"SELECT FROM pg_stat_activity WHERE pid = {pid}"
            with psycopg.connect(database_url, autocommit=True) as other:
                assert wait_until(lambda: other.execute(gone.encode()).fetchone() is None, 30)
            connection.execute(READ)

    limits = replace(SHORT, idle=0.3)
    with override_limits(limits), pytest.raises(Unavailable) as error:
        leave_open()
    assert cause(error) is UnavailableCause.STATEMENT_TIMEOUT


@pytest.mark.parametrize(
    "state, expected",
    [
        ("08006", UnavailableCause.UNREACHABLE),
        ("25006", UnavailableCause.READ_ONLY),
        ("40001", UnavailableCause.LOCK_TIMEOUT),
        ("40P01", UnavailableCause.LOCK_TIMEOUT),
        ("53100", UnavailableCause.DISK_FULL),
        ("42501", UnavailableCause.REFUSED),
        ("55000", UnavailableCause.REFUSED),
        ("58030", UnavailableCause.SERVER_ERROR),
        ("XX001", UnavailableCause.SERVER_ERROR),
        ("53200", UnavailableCause.RESOURCES_EXHAUSTED),
        ("53300", UnavailableCause.RESOURCES_EXHAUSTED),
        ("55P03", UnavailableCause.LOCK_TIMEOUT),
        ("57014", UnavailableCause.STATEMENT_TIMEOUT),
        ("57P01", UnavailableCause.UNREACHABLE),
        ("57P03", UnavailableCause.UNREACHABLE),
    ],
)
@pytest.mark.parametrize("how", ["run", "at once", "transaction"])
def test_the_cause_of_a_server_error_is_classified(
    state: str, expected: UnavailableCause, how: str
) -> None:
    def work(connection: Connection) -> None:
        connection.execute(f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{state}'; END $$")

    def by_hand() -> None:
        with transaction() as connection:
            work(connection)

    ways = {
        "run": lambda: run_in_transaction(work),
        "at once": lambda: run_autocommit(work),
        "transaction": by_hand,
    }
    with override_limits(SHORT), pytest.raises(Unavailable) as error:
        ways[how]()
    assert cause(error) is expected


def test_a_session_that_became_read_only_is_replaced() -> None:  # I1
    def turn(connection: Connection) -> None:
        connection.execute("SET default_transaction_read_only = on")

    db.engine.dispose()
    run_in_transaction(turn)
    run_in_transaction(write)
    run_autocommit(turn)
    run_autocommit(write)
    assert run_in_transaction(lambda c: c.execute(READ).fetchone()) == (2,)


def test_a_request_is_refused_if_every_connection_is_in_use(app: Flask) -> None:  # I2
    size = app.config["SQLALCHEMY_ENGINE_OPTIONS"]["pool_size"]
    held = [db.engine.raw_connection() for _ in range(2 * size)]
    with pytest.raises(Unavailable) as error:
        run_in_transaction(write)
    assert cause(error) is UnavailableCause.RESOURCES_EXHAUSTED
    for proxy in held:
        proxy.close()
    run_in_transaction(write)


@pytest.fixture(scope="module")
def other_database(redis_url: str) -> Iterator[Settings]:
    """A database server whose processes may be stopped, for all tests that do."""
    with for_test(environ={}) as engines:
        settings = settings_for(engines.database.url, redis_url)
        migrate(settings)
        yield settings


@pytest.fixture
def frozen(other_database: Settings) -> Iterator[list[DeadlineConnection]]:
    """The connections of the pool, all idle; their servers do not run."""
    with create_app(other_database, now=Clock(), timeouts=patient_timeouts()).app_context():
        record([change(1)])
        load_facts([JANE])
        proxies = [db.engine.raw_connection() for _ in range(2)]
        stopped = [proxy.driver_connection for proxy in proxies]
        pids = [connection.info.backend_pid for connection in stopped if connection]
        for proxy in proxies:
            proxy.close()
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield [one for one in stopped if isinstance(one, DeadlineConnection)]
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
            db.engine.dispose()


@pytest.mark.faults
@pytest.mark.parametrize("what", ["record", "decide", "find key", "catalogue", "transaction"])
def test_a_frozen_connection_is_closed_and_the_next_one_works(
    frozen: list[DeadlineConnection], what: str
) -> None:  # I1, I2
    def by_hand() -> None:
        with transaction() as connection:
            connection.execute(READ)

    def catalogue() -> None:
        with suppress(CatalogueError):  # none was applied
            current_catalogue()

    ways = {
        "record": lambda: record([change(2)]),
        "decide": lambda: load_facts([JANE]),
        "find key": lambda: keys.find_key(KEY),
        "catalogue": catalogue,
        "transaction": by_hand,
    }
    failed: list[Unavailable] = []

    # What a decision needs is one round trip each, and must not get the time of many.
    limits = FROZEN if what in {"record", "transaction"} else replace(FROZEN, total=LONG)
    app = current_app._get_current_object()  # type: ignore[attr-defined]

    def work() -> None:
        with app.app_context(), override_limits(limits), pytest.raises(Unavailable) as error:
            ways[what]()
        failed.append(error.value)

    threads = [threading.Thread(target=work, daemon=True) for _ in frozen]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [error.cause for error in failed] == [UnavailableCause.UNRESPONSIVE] * len(frozen)
    assert all(connection.closed for connection in frozen)
    ways[what]()


@pytest.mark.faults
@pytest.mark.usefixtures("frozen")
def test_a_server_that_was_found_unresponsive_is_not_tried_again() -> None:  # I2
    noted = connections.track_outages()
    with override_limits(FROZEN), pytest.raises(Unavailable) as first:
        record([change(2)])
    with (
        override_limits(replace(WEB_TIMEOUTS, total=LONG, round_trip=LONG)),
        pytest.raises(Unavailable) as second,
    ):
        record([change(2)])
    assert (cause(first), cause(second)) == (
        UnavailableCause.UNRESPONSIVE,
        UnavailableCause.UNRESPONSIVE,
    )
    noted.down.clear()


def test_connecting_to_unresponsive_hosts_times_out() -> None:  # I2
    """libpq would wait for two seconds and more, for each of them."""
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as two,
    ):
        ports = f"{one.getsockname()[1]},{two.getsockname()[1]}"
        connect = connection_factory(f"host=127.0.0.1,127.0.0.1 port={ports} user=any", FROZEN)
        with pytest.raises(DatabaseTimeout):
            connect()
