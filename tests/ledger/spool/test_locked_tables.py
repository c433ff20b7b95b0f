"""Whoever locks a table keeps nobody waiting for long."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import psycopg
import pytest

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.errors import Unavailable, UnavailableCause
from preference_center.infra.db.transactions import current_limits, override_limits
from preference_center.ledger.recording import record_batched
from preference_center.ledger.spool import locked_tables, recorder
from preference_center.ledger.spool.locked_tables import (
    MAX_TIMEOUTS,
    RETRY_INTERVAL,
    LockedTables,
)
from tests.core.histories import OFFERS
from tests.ledger.changes import change
from tests.ledger.spool.conftest import Database, Replay
from tests.ledger.tables import Ledger

if TYPE_CHECKING:
    from uuid import UUID

    from flask import Flask

    from preference_center.core.events import Change


class Tries:
    """Opt-outs, each of another mailbox, and how many of them asked the database."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked = 0
        monkeypatch.setattr(recorder, "record_batched", self._record)
        self._numbers = iter(range(1, 100))

    def _record(self, given: Change) -> tuple[UUID, ...]:
        self.asked += 1
        return record_batched(given)

    def one(self) -> bool:
        """Whether it was recorded; else it is on disk."""
        number = next(self._numbers)
        address = parse_address(f"p{number}@example.org", Channel.EMAIL)
        given = change(number, address=address, own_act=True)
        return recorder.record_or_spool([given]) is not None


@pytest.fixture
def time(replayer: object, app: Flask) -> Iterator[list[float]]:
    """The seconds by which the spool of the app tells when to try again."""
    seconds = [0.0]
    with app.app_context():
        spool = recorder.current_spool()
        assert spool
        locked = replace(spool, locked_tables=LockedTables(lambda: seconds[0]))
        app.extensions[recorder.EXTENSION_KEY] = locked
        impatient = replace(current_limits(), lock=0.1, retry=0.0)
        with override_limits(impatient):
            yield seconds


def test_opt_outs_are_spooled_at_once_while_a_table_is_locked(
    time: list[float],
    database: Database,
    ledger: Ledger,
    replay: Replay,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # I1, I2: else they hold the threads that decisions need
    tries = Tries(monkeypatch)
    with psycopg.connect(database.url) as index:
        index.execute("LOCK TABLE suppression IN SHARE MODE")  # as CREATE INDEX does
        assert not any(tries.one() for _ in range(MAX_TIMEOUTS + 5))
        assert tries.asked == MAX_TIMEOUTS
        time[0] += RETRY_INTERVAL
        assert not tries.one()
        assert not tries.one()
        assert tries.asked == MAX_TIMEOUTS + 1  # one has looked
    time[0] += RETRY_INTERVAL
    assert tries.one()
    assert tries.one()
    assert replay().recorded == MAX_TIMEOUTS + 7
    assert len(ledger.events()) == MAX_TIMEOUTS + 9


def test_a_locked_row_sends_no_opt_out_of_others_to_the_disk(
    time: list[float], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:  # I2: until they are recorded a check would allow mail
    tries = Tries(monkeypatch)
    assert tries.one()
    same = parse_address("p1@example.org", Channel.EMAIL)
    with database.locked():
        for number in range(100, 100 + MAX_TIMEOUTS + 1):
            given = change(number, scope=OFFERS, address=same, own_act=True)
            assert recorder.record_or_spool([given]) is None
        assert tries.asked == MAX_TIMEOUTS + 2
        assert tries.one()


def is_tried(locked: LockedTables, cause: UnavailableCause = UnavailableCause.LOCK_TIMEOUT) -> bool:
    """Whether an opt-out that fails for this cause asks the database."""
    tried = False
    with suppress(Unavailable), locked.attempt():
        tried = True
        raise Unavailable("busy", cause)
    return tried


def test_after_three_time_outs_one_a_second_asks() -> None:  # I2
    now = 0.0
    locked = LockedTables(lambda: now, lambda: True)
    assert [is_tried(locked) for _ in range(5)] == [True, True, True, False, False]
    with pytest.raises(Unavailable, match="a table is locked") as raised, locked.attempt():
        pass
    assert raised.value.cause is UnavailableCause.LOCK_TIMEOUT
    for second in (1.0, 2.0, 3.0):
        now = second - 0.1
        assert not is_tried(locked)
        now = second
        with suppress(ZeroDivisionError), locked.attempt():
            assert not is_tried(locked)  # one asks, and the others do not wait for it
            raise ZeroDivisionError
        assert not is_tried(locked)


def test_a_time_out_counts_from_its_end() -> None:
    now = 0.0
    locked = LockedTables(lambda: now, lambda: True)
    for _ in range(3):
        with suppress(Unavailable), locked.attempt():
            now += 5.0
            raise Unavailable("busy", UnavailableCause.LOCK_TIMEOUT)
    now += 0.9
    assert not is_tried(locked)
    now += 0.1
    assert is_tried(locked)


def test_other_failures_say_nothing_of_locks() -> None:
    locked = LockedTables(lambda: 0.0, lambda: True)
    assert all(is_tried(locked, UnavailableCause.UNREACHABLE) for _ in range(9))


def test_a_deadlock_says_nothing_of_a_table() -> None:
    locked = LockedTables(lambda: 0.0, lambda: False)
    assert all(is_tried(locked) for _ in range(9))


def test_a_table_counts_as_locked_if_the_database_cannot_say(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:  # I2: rather on disk at once than one more thread that waits
    def fail(_: object) -> None:
        raise Unavailable("busy", UnavailableCause.STATEMENT_TIMEOUT)

    monkeypatch.setattr(locked_tables, "run_autocommit", fail)
    with app.app_context():
        assert locked_tables.is_any_table_locked() is True


def test_a_success_between_two_time_outs_shows_that_only_mailboxes_are_locked() -> None:
    locked = LockedTables(lambda: 0.0, lambda: True)
    for _ in range(3):
        for _ in range(MAX_TIMEOUTS - 1):
            assert is_tried(locked)
        with locked.attempt():
            pass
    assert is_tried(locked)
    with locked.attempt():
        pass
