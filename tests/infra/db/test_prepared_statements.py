"""Statements without psycopg's cursor return and fail like those of a cursor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import psycopg
import pytest

from preference_center.core.errors import Unavailable
from preference_center.infra.db.statements import (
    BYTEA_ARRAY_OID,
    ByteaArray,
    NumberedStatement,
    PreparedStatement,
    decode_rows,
)
from preference_center.infra.db.transactions import Connection, run_autocommit, run_in_transaction

if TYPE_CHECKING:
    from flask import Flask

SIZES = PreparedStatement(
    "sizes",
    "SELECT n, octet_length(o) FROM unnest($1) WITH ORDINALITY AS t (o, n)",
    [BYTEA_ARRAY_OID],
)


def sizes(connection: Connection, values: Sequence[bytes]) -> list[tuple[object, ...]]:
    result = SIZES.run(connection, [ByteaArray(values).dump()])
    return decode_rows(connection, result, range(result.ntuples))


@pytest.mark.parametrize("values", [[], [b""], [b"a" * 32, b"\0" * 1000]])
def test_bytes_arrive_unchanged(app: Flask, values: list[bytes]) -> None:
    expected = [(number, len(one)) for number, one in enumerate(values, start=1)]
    query = "SELECT %b::bytea[] = %b::bytea[]"
    with app.app_context():
        assert run_autocommit(lambda connection: sizes(connection, values)) == expected
        # psycopg encodes the array in the same way
        both = (ByteaArray(values), values)
        assert run_in_transaction(lambda c: c.execute(query, both).fetchone()) == (True,)


def test_it_is_prepared_again_after_a_rollback(app: Flask) -> None:
    def fail(connection: Connection) -> None:
        connection.execute("SELECT 1")
        raise ZeroDivisionError

    with app.app_context():
        for _ in range(2):
            assert run_autocommit(lambda connection: sizes(connection, [b"x"])) == [(1, 1)]
            with pytest.raises(ZeroDivisionError):
                run_in_transaction(fail)
            run_in_transaction(
                lambda connection: connection.execute("SELECT %s", ("psycopg clears up",))
            )


def test_a_lost_connection_is_replaced(app: Flask, database_url: str) -> None:
    with app.app_context():
        pid = run_autocommit(lambda connection: connection.info.backend_pid)
        assert run_autocommit(lambda connection: sizes(connection, [b"x"])) == [(1, 1)]
        with psycopg.connect(database_url, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
        assert run_autocommit(lambda connection: sizes(connection, [b"x"])) == [(1, 1)]


@pytest.mark.own_session
def test_its_errors_are_those_of_psycopg(app: Flask) -> None:
    wrong = PreparedStatement("wrong", "SELECT 1 / octet_length($1[1])", [BYTEA_ARRAY_OID])
    with app.app_context():
        with pytest.raises(psycopg.errors.DivisionByZero):
            run_autocommit(lambda connection: wrong.run(connection, [ByteaArray([b""]).dump()]))
        locked = PreparedStatement("late", "SELECT pg_sleep(9), $1", [BYTEA_ARRAY_OID])

        def too_late(connection: Connection) -> None:
            connection.execute("SET statement_timeout = 20")
            try:
                locked.run(connection, [ByteaArray([]).dump()])
            finally:
                connection.execute("RESET statement_timeout")

        with pytest.raises(Unavailable):
            run_autocommit(too_late)


def test_a_name_that_occurs_twice_is_one_parameter(app: Flask) -> None:
    twice = NumberedStatement("SELECT %(n)s::int + %(n)s::int, %(text)s::text")
    with app.app_context():
        row = run_autocommit(lambda c: twice.run(c, {"text": "a", "n": 2, "unused": 0}).fetchone())
    assert row == (4, "a")


def test_a_long_statement_is_parsed_once(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    # psycopg keeps what it found in a statement of up to 4,096 bytes only.
    long = NumberedStatement(f"SELECT %(n)s::int /* {'x' * 5_000} */")

    def parse(*_: object) -> None:
        raise AssertionError("parsed again")

    monkeypatch.setattr("psycopg._queries._split_query", parse)
    with app.app_context():
        assert run_autocommit(lambda c: long.run(c, {"n": 2}).fetchone()) == (2,)
