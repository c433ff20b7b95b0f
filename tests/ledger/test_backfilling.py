from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import psycopg
import pytest
from flask import Flask

from dev.processes import wait_until
from preference_center.domain.addresses import Channel, parse
from preference_center.domain.events import Change, Kind, Retraction
from preference_center.extensions import services
from preference_center.ledger import record
from preference_center.ledger.backfilling import backfill
from preference_center.ledger.recording import _append
from preference_center.ledger.retracting import await_appends, retract
from preference_center.storage import destinations
from preference_center.storage.database import Connection, run
from tests.clock import START, Clock

JANE = parse("jane@example.com", Channel.EMAIL)
WAITING = b"SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


@pytest.fixture(autouse=True)
def _context(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


def add() -> int:
    context = services()
    return run(
        lambda connection: destinations.add(
            connection,
            context.keys,
            name="mailer",
            kind="tool",
            settings={},
            channels=frozenset({Channel.EMAIL}),
            mapping={},
            sends=frozenset({"news"}),
            sends_service=False,
            now=context.now(),
        )
    )


def change(kind: Kind) -> Change:
    now = services().now()
    return Change(uuid4(), kind, JANE, "news", now, now, "test", "test")


def backfilled_after(app: Flask, writer: Connection) -> int:
    """What `backfill` finds that begins before `writer` commits."""

    def begin() -> int:
        with app.app_context():
            return backfill(number)

    number = add()
    with ThreadPoolExecutor(1) as pool:
        rows = pool.submit(begin)
        assert wait_until(lambda: bool(run(lambda c: c.execute(WAITING).fetchall())), 10)
        writer.commit()
        return rows.result(10)


def test_an_opt_out_under_way_while_a_destination_is_added_is_not_missed(
    app: Flask, database_url: str
) -> None:  # I3
    with psycopg.connect(database_url) as writer:
        _append(writer, services(), [change(Kind.OPTED_OUT)])
        assert backfilled_after(app, writer) == 1


def test_nor_is_one_that_a_retraction_under_way_brings_back(
    app: Flask, clock: Clock, database_url: str
) -> None:  # I3
    record([change(Kind.OPTED_OUT)])
    clock.now = START.replace(hour=10)
    lift = change(Kind.OPTED_IN)
    record([lift])
    taken_back = Retraction(uuid4(), (lift.id,), clock(), "test", "test")
    with psycopg.connect(database_url) as writer:
        await_appends(writer, [taken_back])
        retract(writer, taken_back, clock())
        assert backfilled_after(app, writer) == 1


def test_a_second_backfill_adds_nothing(app: Flask) -> None:
    record([change(Kind.OPTED_OUT)])
    number = add()
    assert (backfill(number), backfill(number)) == (1, 0)
