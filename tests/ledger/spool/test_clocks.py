"""A spooled opt-out counts from when it happened, whatever the clock of its host shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.events import Change, EventKind
from preference_center.infra.context import EXTENSION_NAME
from preference_center.infra.db.clock import DatabaseClock
from preference_center.ledger import record
from preference_center.ledger.spool import host_time
from preference_center.ledger.store.lookup import load_exact_facts
from tests.clock import START, Clock
from tests.ledger.spool.conftest import ADDRESS, PAIR, TOPIC, Database, Replay
from tests.ledger.tables import Ledger

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

    from preference_center.ledger.spool.replayer import SpoolReplayer

SECOND = timedelta(seconds=1)
JANE = parse_address(ADDRESS, Channel.EMAIL)
Wait = Callable[[timedelta], None]


@pytest.fixture
def elapse(clock: Clock, replayer: SpoolReplayer) -> Iterator[Wait]:
    """`elapse(time)`: by the database's clock, that of the host and that since its boot."""
    true = Clock()

    def do(time: timedelta) -> None:
        true.advance(time)
        clock.advance(time)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(host_time, "load_database_time", true)
        patch.setattr(host_time, "read_boot_clock", lambda: ("boot", true() - START))
        yield do


def opt_in(app: Flask, at: datetime) -> None:
    with app.app_context():
        record([Change(uuid4(), EventKind.OPTED_IN, JANE, TOPIC, at, at, "test", "test")])


def is_suppressed(app: Flask) -> bool:
    with app.app_context():
        facts = load_exact_facts([JANE])[0]
    return any(fact.state.is_suppressed for fact in facts if fact.scope == TOPIC)


@pytest.mark.parametrize("step", [timedelta(0), timedelta(hours=1)], ids=["", "set right"])
@pytest.mark.parametrize("behind", [60 * SECOND, timedelta(hours=1)], ids=str)
def test_by_a_clock_behind_it_does_not_lose_against_an_older_opt_in(
    app: Flask,
    client: FlaskClient,
    token: str,
    ledger: Ledger,
    database: Database,
    replay: Replay,
    clock: Clock,
    elapse: Wait,
    behind: timedelta,
    step: timedelta,
) -> None:  # I5
    opt_in(app, START)
    elapse(SECOND)
    clock.advance(-behind)
    with database.away():
        assert client.post(f"/u/{token}", data=PAIR).status_code == 202
    elapse(30 * SECOND)
    clock.advance(min(step, behind))
    assert replay().recorded == 1
    assert is_suppressed(app)
    _, event = ledger.events()
    assert event["received_at"] == event["counts_at"] == START + SECOND
    assert event["recorded_at"] == START + 31 * SECOND


@pytest.fixture
def begin(app: Flask, replayer: SpoolReplayer) -> Iterator[Callable[[str, Clock, Clock], None]]:
    """`begin(boot, clock, host)`: a process that goes by `clock`, after this boot of its host."""
    with pytest.MonkeyPatch.context() as patch:

        def do(boot: str, clock: Clock, host: Clock) -> None:
            now = DatabaseClock(lambda: clock().timestamp(), lambda: clock().timestamp())
            now.host_time = lambda: host().timestamp()
            wired = replace(app.extensions[EXTENSION_NAME], now=now)
            patch.setitem(app.extensions, EXTENSION_NAME, wired)
            patch.setattr(host_time, "read_boot_clock", lambda: (boot, clock() - START))

        yield do


def test_one_from_before_a_boot_has_the_age_that_the_clock_of_its_host_says(
    app: Flask,
    client: FlaskClient,
    token: str,
    ledger: Ledger,
    database: Database,
    replay: Replay,
    begin: Callable[[str, Clock, Clock], None],
) -> None:  # I5: the process began in the outage, and has the time of its host, which is behind
    true, host = Clock(START), Clock(START - timedelta(hours=1))
    opt_in(app, START)
    true.advance(SECOND)
    host.advance(SECOND)
    begin("first", host, host)
    with database.away():
        assert client.post(f"/u/{token}", data=PAIR).status_code == 202
    true.advance(30 * SECOND)
    host.advance(30 * SECOND)
    begin("second", true, host)
    assert replay().recorded == 1
    assert is_suppressed(app)
    assert ledger.events()[1]["received_at"] == START + SECOND


def test_a_newer_opt_in_stands_whatever_the_clock(
    app: Flask,
    client: FlaskClient,
    token: str,
    database: Database,
    replayer: SpoolReplayer,
    replay: Replay,
    clock: Clock,
    elapse: Wait,
) -> None:  # I5
    clock.advance(-60 * SECOND)
    with database.away():
        assert client.post(f"/u/{token}", data=PAIR).status_code == 202
    clock.advance(60 * SECOND)
    elapse(30 * SECOND)
    replayer.outage.down.clear()  # as in another process, which never saw an outage
    opt_in(app, clock())
    clock.advance(-60 * SECOND)
    elapse(30 * SECOND)
    assert replay().recorded == 1
    assert not is_suppressed(app)


def test_the_clocks_are_read(app: Flask) -> None:
    with app.app_context():
        assert abs(host_time.load_database_time() - datetime.now(UTC)) < timedelta(minutes=1)
    first, second = host_time.read_boot_clock(), host_time.read_boot_clock()
    assert len(first[0]) == len("7216d47b-b148-4e3c-b3d8-6060e8d37a60")
    assert first[0] == second[0]
    assert timedelta(0) < first[1] <= second[1]
