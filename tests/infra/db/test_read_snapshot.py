"""A snapshot that is read slowly ends: else it would hold back vacuum without a limit."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from flask import Flask

from dev.processes import wait_until
from preference_center.core.errors import Unavailable, UnavailableCause
from preference_center.infra.context import db, services
from preference_center.infra.db import transactions
from preference_center.infra.db.transactions import Connection, read_snapshot
from preference_center.ledger import record
from preference_center.ledger.feed.changes import iter_snapshot
from preference_center.lists.export import open_export_snapshot
from tests.ledger.changes import change

OPEN = b"""SELECT FROM pg_stat_activity WHERE datname = current_database()
    AND backend_xmin IS NOT NULL AND pid <> pg_backend_pid()"""


@pytest.fixture(autouse=True)
def _context(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield
        db.engine.dispose()


@pytest.fixture
def other(database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


def is_open(other: Connection) -> bool:
    return other.execute(OPEN).fetchone() is not None


@pytest.mark.own_session
def test_a_snapshot_that_is_not_read_is_ended_by_the_server(
    other: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transactions, "IDLE_TIMEOUT", 2.0)
    record([change(1)])
    rows = iter_snapshot(services().keys)
    next(rows)  # the watermark
    assert is_open(other)
    assert wait_until(lambda: not is_open(other), 30)
    with pytest.raises(Unavailable, match="SNAPSHOT_MINUTES") as error:
        next(rows)
    assert error.value.cause is UnavailableCause.STATEMENT_TIMEOUT


def test_a_snapshot_that_is_read_all_the_time_ends_too(
    other: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transactions, "SECONDS_PER_MINUTE", 0.01)

    def read_on() -> None:
        with read_snapshot() as connection:
            while True:
                connection.execute("SELECT pg_sleep(0.01)")

    with pytest.raises(Unavailable, match="SNAPSHOT_MINUTES"):
        read_on()
    assert wait_until(lambda: not is_open(other), 30)


def test_an_export_has_the_same_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transactions, "SECONDS_PER_MINUTE", 0.0)
    context = services()
    with (
        pytest.raises(Unavailable, match="SNAPSHOT_MINUTES"),
        open_export_snapshot(context.keys, context.now()),
    ):
        pytest.fail("it has no time at all")
