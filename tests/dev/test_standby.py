"""A real standby, made and promoted with PostgreSQL's own programs."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from dev.engines import for_test
from dev.postgres import Postgres
from dev.processes import wait_until

LONG = 60.0


class Other(Postgres):
    name = "postgres-other"


@pytest.fixture
def pair() -> Iterator[tuple[Postgres, Postgres]]:
    """A server at work, and one that holds nothing yet, in the same folder."""
    with for_test(environ={}) as engines:
        assert isinstance(engines.database, Postgres)
        other = Other(engines.folder, engines.database.account, durable=False)
        other.stop()
        try:
            yield engines.database, other
        finally:
            other.stop()


def do(server: Postgres, statement: str) -> None:
    with psycopg.connect(server.url) as connection:
        connection.execute(statement.encode())


def rows(server: Postgres) -> int:
    with psycopg.connect(server.url) as connection:
        found = connection.execute("SELECT count(*) FROM word").fetchone()
        assert found is not None
        return int(found[0])


def test_a_standby_follows_is_promoted_and_is_followed_in_turn(
    pair: tuple[Postgres, Postgres],
) -> None:
    first, second = pair
    do(first, "CREATE TABLE word AS SELECT 'before' AS word")
    second.follow(first)
    do(first, "INSERT INTO word VALUES ('after')")
    assert wait_until(lambda: rows(second) == 2, LONG)
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        do(second, "INSERT INTO word VALUES ('refused')")
    first.kill()
    second.promote()
    do(second, "INSERT INTO word VALUES ('promoted')")
    first.follow(second)
    assert wait_until(lambda: rows(first) == 3, LONG)
    assert (first.standby, second.standby) == (True, False)
