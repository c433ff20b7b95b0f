"""`run_in_transaction` on a PostgreSQL that drops connections, deadlocks and stops."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Barrier

import psycopg
import pytest
from flask import Flask

from dev.engines import Engines
from dev.processes import wait_until
from preference_center.app.web import create_app
from preference_center.core.errors import Unavailable
from preference_center.infra.context import db
from preference_center.infra.db.transactions import (
    Connection,
    override_limits,
    run_in_transaction,
    transaction,
)
from preference_center.ledger import record
from preference_center.ledger.store.lookup import load_facts
from tests.clock import START, Clock
from tests.environment import migrate, patient_timeouts, settings_for
from tests.ledger.changes import JANE, blocked_pids, change, id_of, patient, together


@pytest.fixture
def killer(app: Flask, admin_url: str) -> Iterator[Connection]:
    """A connection of an administrator, outside the pool."""
    with app.app_context(), psycopg.connect(admin_url, autocommit=True) as connection:
        yield connection


def _kill(killer: Connection, victim: Connection) -> None:
    row = victim.execute("SELECT pg_backend_pid()").fetchone()  # a pooler states another
    killer.execute("SELECT pg_terminate_backend(%s, 10000)", row)


def _note(connection: Connection, text: str) -> None:
    connection.execute(
        "INSERT INTO audit (at, actor, action, detail) VALUES (%s, 'test', %s, '{}')",
        (START, text),
    )


def _notes() -> list[str]:
    rows = run_in_transaction(
        lambda c: c.execute("SELECT action FROM audit ORDER BY id").fetchall()
    )
    return [row[0] for row in rows]


def test_a_broken_connection_is_replaced(killer: Connection) -> None:
    tries: list[int] = []

    def work(connection: Connection) -> str:
        tries.append(1)
        _note(connection, f"try {len(tries)}")
        if len(tries) == 1:
            _kill(killer, connection)  # noticed only at the commit
        return "done"

    with override_limits(patient()):
        assert run_in_transaction(work) == "done"
    assert _notes() == ["try 2"]  # what the first try wrote is gone


def test_a_connection_that_broke_while_idle_is_replaced(killer: Connection) -> None:
    run_in_transaction(lambda connection: _note(connection, "before"))
    killer.execute(
        """SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()"""
    )
    run_in_transaction(lambda connection: _note(connection, "after"))
    assert _notes() == ["before", "after"]


def test_it_raises_unavailable_in_the_end(killer: Connection) -> None:
    def work(connection: Connection) -> None:
        _note(connection, "never")
        _kill(killer, connection)
        connection.execute("SELECT 1")

    with pytest.raises(Unavailable):
        run_in_transaction(work)
    assert _notes() == []


def test_an_error_of_the_operation_rolls_back(killer: Connection) -> None:
    def work(connection: Connection) -> None:
        _note(connection, "never")
        raise KeyError

    with pytest.raises(KeyError):
        run_in_transaction(work)
    assert _notes() == []


def test_a_refused_statement_is_not_retried(killer: Connection) -> None:
    tries: list[int] = []

    def work(connection: Connection) -> None:
        tries.append(1)
        connection.execute("SELECT 1 / 0")

    with pytest.raises(psycopg.errors.DivisionByZero):
        run_in_transaction(work)
    assert len(tries) == 1


def test_a_transaction_raises_for_a_broken_connection(killer: Connection) -> None:
    def work() -> None:
        with transaction() as connection:
            _note(connection, "never")
            _kill(killer, connection)

    with pytest.raises(Unavailable):
        work()
    assert _notes() == []


def test_a_transaction_rolls_back_on_an_error(killer: Connection) -> None:
    def work() -> None:
        with transaction() as connection:
            _note(connection, "never")
            raise KeyError

    with pytest.raises(KeyError):
        work()
    assert _notes() == []


def test_a_deadlock_is_retried(killer: Connection) -> None:
    run_in_transaction(lambda connection: _note(connection, "a"))
    run_in_transaction(lambda connection: _note(connection, "b"))
    meeting, tries = Barrier(2), {"ab": 0, "ba": 0}

    def work(connection: Connection, order: str) -> None:
        tries[order] += 1
        for name in order:
            connection.execute("SELECT FROM audit WHERE action = %s FOR UPDATE", (name,))
            if tries[order] == 1 and name == order[0]:
                meeting.wait(timeout=30)
        _note(connection, order)

    together(
        lambda: run_in_transaction(lambda c: work(c, "ab")),
        lambda: run_in_transaction(lambda c: work(c, "ba")),
    )
    assert sorted(_notes()) == ["a", "ab", "b", "ba"]
    # Both had to begin again if the first one was back before the other woke.
    assert max(tries.values()) > 1


def test_repeated_deadlocks_raise_unavailable_in_the_end(killer: Connection) -> None:
    tries: list[int] = []

    def work(connection: Connection) -> None:
        tries.append(1)
        _note(connection, "never")
        connection.execute("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40001'; END $$")

    with pytest.raises(Unavailable):
        run_in_transaction(work)
    assert len(tries) > 1
    assert _notes() == []


def test_an_interrupted_record_is_complete_in_the_end(killer: Connection) -> None:  # I1
    record([change(1)])
    jane = id_of(JANE)

    def cut_off() -> None:
        with killer.transaction():
            killer.execute("SELECT FROM address WHERE id = %s FOR UPDATE", (jane,))
            assert wait_until(lambda: bool(blocked_pids(killer)), 30)
            killer.execute("SELECT pg_terminate_backend(%s, 10000)", (blocked_pids(killer)[0],))

    together(cut_off, lambda: _record_once_locked(killer))
    rows = run_in_transaction(lambda c: c.execute("SELECT count(*) FROM event").fetchone())
    assert rows == (2,)


def _record_once_locked(killer: Connection) -> None:
    held = psycopg.pq.TransactionStatus.INTRANS
    assert wait_until(lambda: killer.info.transaction_status == held, 30)
    recorded = record([change(2)])
    assert recorded.events == (change(2).id,)


@pytest.mark.faults
def test_record_raises_without_a_database_and_writes_nothing(
    own_engines: Engines, redis_url: str
) -> None:  # I1
    settings = settings_for(own_engines.database.url, redis_url)
    migrate(settings)
    app = create_app(settings, now=Clock(), timeouts=patient_timeouts())
    with app.app_context():
        record([change(1)])
        own_engines.database.restart()
        record([change(2)])  # on a connection of before the restart
        own_engines.database.stop()
        with pytest.raises(Unavailable):
            record([change(3)])
        with pytest.raises(Unavailable):
            load_facts([JANE])
        with pytest.raises(Unavailable), transaction():
            pytest.fail("there is no database")
        own_engines.database.start()
        record([change(4)])
        ids = run_in_transaction(
            lambda c: c.execute("SELECT id FROM event ORDER BY seq").fetchall()
        )
        assert [row[0].int for row in ids] == [1, 2, 4]
        db.engine.dispose()
