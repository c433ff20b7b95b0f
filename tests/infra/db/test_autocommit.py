"""`run_autocommit`: a transaction without BEGIN and COMMIT, on connections shared with writers."""

from __future__ import annotations

import select
from typing import TYPE_CHECKING

import psycopg
import pytest

from preference_center.core.errors import Unavailable
from preference_center.infra.context import db
from preference_center.infra.db.transactions import Connection, run_autocommit, run_in_transaction

if TYPE_CHECKING:
    from flask import Flask


@pytest.mark.own_session
def test_a_read_needs_no_transaction(app: Flask) -> None:
    def status(connection: Connection) -> psycopg.pq.TransactionStatus:
        connection.execute("SELECT 1")
        return connection.info.transaction_status

    with app.app_context():
        assert run_autocommit(status) is psycopg.pq.TransactionStatus.IDLE
        assert run_in_transaction(status) is psycopg.pq.TransactionStatus.INTRANS


@pytest.mark.parametrize("query", ["SELECT 1", "SELECT 1 / 0", "SELECT pg_sleep(0) FROM nowhere"])
def test_writes_still_roll_back_after_a_read_or_a_failed_read(app: Flask, query: str) -> None:
    def write_and_fail(connection: Connection) -> None:
        connection.execute(
            "INSERT INTO audit (at, actor, action, detail) VALUES (now(), 'a', 'b', '{}')"
        )
        raise ZeroDivisionError

    with app.app_context():
        try:
            run_autocommit(lambda connection: connection.execute(query.encode()).fetchall())
        except (psycopg.Error, Unavailable):
            assert query != "SELECT 1"
        with pytest.raises(ZeroDivisionError):
            run_in_transaction(write_and_fail)
        assert run_in_transaction(lambda c: c.execute("SELECT count(*) FROM audit").fetchone()) == (
            0,
        )


def test_a_read_survives_the_loss_of_its_connection(app: Flask, database_url: str) -> None:
    with app.app_context():
        pid = run_autocommit(lambda connection: connection.info.backend_pid)
        with psycopg.connect(database_url, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))

        assert run_autocommit(lambda c: c.execute("SELECT 1").fetchone()) == (1,)


def _note(connection: Connection, text: str) -> None:
    connection.execute(
        "INSERT INTO audit (at, actor, action, detail) VALUES (now(), 'test', %s, '{}')", (text,)
    )


def test_a_pipeline_is_all_or_nothing(app: Flask) -> None:  # I1
    def fail_half_way(connection: Connection) -> None:
        with connection.pipeline():
            _note(connection, "before")
            connection.execute("SELECT 1 / 0")
            _note(connection, "after")

    with app.app_context():
        with pytest.raises(psycopg.errors.DivisionByZero):
            run_autocommit(fail_half_way)
        assert run_in_transaction(lambda c: c.execute("SELECT count(*) FROM audit").fetchone()) == (
            0,
        )


def test_a_pipeline_that_fails_logs_nothing(  # its exception says it
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    def fail_in_the_block(connection: Connection) -> None:
        with connection.pipeline():
            connection.execute("SELECT 1 / 0")
            select.select([connection], [], [], 10)  # the error is here, before the next is sent
            _note(connection, "skipped")

    with app.app_context():
        db.engine.dispose()  # other tests have ended sessions
        with pytest.raises(psycopg.errors.DivisionByZero):
            run_autocommit(fail_in_the_block)
    assert not [record for record in caplog.records if record.name == "psycopg"]


def test_a_pipeline_that_fails_at_its_commit_raises(app: Flask) -> None:  # I1
    def fail_at_commit(connection: Connection) -> None:
        with connection.pipeline():
            connection.execute(
                "CREATE TEMPORARY TABLE late (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)"
            )
            connection.execute("INSERT INTO late VALUES (1), (1)")
            _note(connection, "lost")

    with app.app_context():
        # Which one depends on how much of the answer had come when psycopg looked; it stumbles
        # over its own queue now and then (IndexError), and loses nothing by it.
        with pytest.raises((Unavailable, psycopg.Error, IndexError)):
            run_autocommit(fail_at_commit)
        assert run_in_transaction(lambda c: c.execute("SELECT count(*) FROM audit").fetchone()) == (
            0,
        )
