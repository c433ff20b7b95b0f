"""A retraction of an event not stored yet takes the append lock without blocking writers."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from uuid import UUID

import psycopg
import pytest
from flask import Flask

from dev.processes import wait_until
from preference_center.core.addresses import Channel, parse_address
from preference_center.core.errors import Unavailable, UnavailableCause
from preference_center.core.events import Change
from preference_center.infra.context import services
from preference_center.infra.db import transactions
from preference_center.infra.db.connections import WEB_TIMEOUTS, WORKER_TIMEOUTS
from preference_center.infra.db.transactions import override_limits, run_in_transaction, transaction
from preference_center.ledger import record
from preference_center.ledger.recording import _append
from tests.ledger.changes import change, retraction

GATE_ASKED = b"""SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""


@pytest.fixture(autouse=True)
def _context(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


def person(number: int) -> Change:
    return change(number, address=parse_address(f"person-{number}@example.org", Channel.EMAIL))


@contextmanager
def writing(database_url: str) -> Iterator[psycopg.Connection]:
    """Somebody who has passed the gate and does not end."""
    record([person(8)])  # begins the epoch
    with psycopg.connect(database_url) as writer:
        _append(writer, services(), [person(1)])
        yield writer


def test_writers_behind_a_waiting_retraction_are_not_blocked(
    app: Flask, database_url: str
) -> None:  # I2
    def take_back() -> tuple[UUID, ...]:
        with app.app_context(), override_limits(replace(WORKER_TIMEOUTS, lock=60, statement=60)):
            return record([retraction(9, 3)]).events

    with writing(database_url) as writer, ThreadPoolExecutor(1) as pool:
        retracted = pool.submit(take_back)
        assert wait_until(
            lambda: bool(run_in_transaction(lambda c: c.execute(GATE_ASKED).fetchall())), 30
        )
        assert record([person(2)]).events == (person(2).id,)
        assert not retracted.done()
        writer.rollback()
        retracted.result(30)
    record([person(3)])
    active = run_in_transaction(lambda c: c.execute("SELECT count(*) FROM suppression").fetchone())
    assert active == (2,)  # 2 and 8: what was retracted in advance does not count


def test_running_writers_are_awaited_up_to_a_limit(database_url: str) -> None:  # I2
    with (
        writing(database_url),
        transaction() as looking,  # with a deadline of its own
        override_limits(replace(WEB_TIMEOUTS, total=1.0)),
        pytest.raises(Unavailable) as error,
    ):
        transactions.await_writers(looking)
    assert error.value.cause is UnavailableCause.LOCK_TIMEOUT
    transactions.await_writers()
