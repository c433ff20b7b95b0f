"""Changes of concurrent requests are one transaction, and each gets its own result."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from dataclasses import replace
from threading import Barrier, Event, Thread
from typing import Any
from uuid import UUID

import psycopg
import pytest
from flask import Flask

from dev.processes import wait_until
from preference_center.core.addresses import Channel, parse_address
from preference_center.core.errors import Unavailable, UnavailableCause
from preference_center.core.events import Change
from preference_center.infra.context import services
from preference_center.infra.db.connections import WEB_TIMEOUTS, DatabaseTimeouts
from preference_center.infra.db.transactions import override_limits, run_in_transaction
from preference_center.ledger import RecordResult, record, recording
from preference_center.ledger.recording import Batcher
from tests.ledger.changes import change

LATER = 5
"""How many come while the first is being written."""


class Slow:
    """`record`, whose first call waits until the test lets it continue."""

    def __init__(self) -> None:
        self.go_on = Event()
        self.sizes: list[int] = []
        self.fault: Exception | None = None

    def __call__(self, changes: Sequence[Change]) -> RecordResult:
        self.sizes.append(len(changes))
        if len(self.sizes) == 1:
            assert self.go_on.wait(30)
        if self.fault:
            raise self.fault
        return record(changes)


@pytest.fixture
def slow(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[Slow]:
    slow = Slow()
    monkeypatch.setattr(recording, "record", slow)
    with app.app_context():
        yield slow


def say(app: Flask, slow: Slow, changes: Sequence[Change]) -> list[object]:
    """What each got: its events or its error. The first is alone, the others come meanwhile."""
    group, got = Batcher(max_wait=30), list[object](["nothing"] * len(changes))

    def work(number: int) -> None:
        with app.app_context():
            try:
                got[number] = group.record(changes[number])
            except Exception as error:  # noqa: BLE001 - raised by the main thread
                got[number] = error

    threads = [Thread(target=work, args=(n,), daemon=True) for n in range(len(changes))]
    threads[0].start()
    assert wait_until(lambda: bool(slow.sizes), 30)
    for thread in threads[1:]:
        thread.start()
    assert wait_until(lambda: len(group._waiting) == len(changes) - 1, 30)
    slow.go_on.set()
    for thread in threads:
        thread.join(30)
    return got


def person(number: int, **given: Any) -> Change:
    address = parse_address(f"person-{number}@example.org", Channel.EMAIL)
    return change(number, **{"address": address, **given})


def stored() -> set[UUID]:
    return {
        row[0] for row in run_in_transaction(lambda c: c.execute("SELECT id FROM event").fetchall())
    }


def test_changes_that_arrive_during_a_write_are_written_together(
    app: Flask, slow: Slow
) -> None:  # I1
    changes = [person(n) for n in range(1 + LATER)]
    assert say(app, slow, changes) == [(change.id,) for change in changes]
    assert slow.sizes == [1, LATER]
    assert stored() == {change.id for change in changes}


def test_one_act_of_one_person_is_one_event(app: Flask, slow: Slow) -> None:  # I7
    same = parse_address("same@example.org", Channel.EMAIL)
    changes = [person(n, own_act=True, address=same) for n in range(1 + LATER)]
    got = say(app, slow, changes)
    # Of those that were written together one is kept, and it repeats the first.
    assert sorted(map(str, got)) == sorted(map(str, [(changes[0].id,)] * 2 + [()] * (LATER - 1)))
    assert stored() == {changes[0].id}


def test_an_invalid_change_does_not_prevent_the_others(app: Flask, slow: Slow) -> None:  # I1
    changes = [person(n) for n in range(1 + LATER)]
    changes[3] = person(3, evidence={"method": "\0"})
    got = say(app, slow, changes)
    assert isinstance(got.pop(3), psycopg.DataError)
    good = [change for change in changes if change.id != UUID(int=3)]
    assert got == [(change.id,) for change in good]
    assert stored() == {change.id for change in good}


def test_every_change_of_a_batch_fails_if_the_database_is_down(
    app: Flask, slow: Slow
) -> None:  # I1
    slow.fault = Unavailable("the database can't be reached")
    got = say(app, slow, [person(n) for n in range(1 + LATER)])
    assert [type(one) for one in got] == [Unavailable] * (1 + LATER)
    assert slow.sizes == [1, LATER]


OTHERS = 12
"""No more than there are connections: nobody is to wait for one."""
PATIENT = replace(WEB_TIMEOUTS, round_trip=30)
"""However slow the machine is: who meets no lock is not to be refused for it."""


def lock(connection: psycopg.Connection, who: Change) -> None:
    """Hold the row of this change's address, which is recorded first."""
    record([replace(who, id=UUID(int=10_000))])
    digest = services().keys.exact_digest(who.address)
    connection.execute("SELECT FROM address WHERE digest = %s FOR UPDATE", (digest,))


def all_at_once(
    app: Flask, group: Batcher, changes: Sequence[Change], limits: DatabaseTimeouts = PATIENT
) -> list[object]:
    """What each got, all begun at one moment."""
    meeting = Barrier(len(changes))

    def work(change: Change) -> object:
        with app.app_context(), override_limits(limits):
            meeting.wait(30)
            try:
                return group.record(change)
            except Unavailable as error:
                return error

    with ThreadPoolExecutor(len(changes)) as pool:
        return list(pool.map(work, changes))


def test_one_locked_address_does_not_delay_others(
    app: Flask, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:  # I2
    for name in ("SHARED_TOTAL_TIMEOUT", "SHARED_STATEMENT_TIMEOUT"):
        monkeypatch.setattr(recording, name, 30.0)  # the lock is still given up soon
    changes = [person(n) for n in range(1 + OTHERS)]
    with app.app_context(), psycopg.connect(database_url) as other:
        lock(other, changes[0])
        got = all_at_once(app, Batcher(), changes)  # the lock is held until all are answered
        refused = got.pop(0)
        assert isinstance(refused, Unavailable)
        assert refused.cause is UnavailableCause.LOCK_TIMEOUT
        assert got == [(change.id,) for change in changes[1:]]
        assert stored() >= {change.id for change in changes[1:]}
        other.rollback()
        assert Batcher().record(changes[0]) == (changes[0].id,)


def test_a_change_that_arrives_during_a_lock_wait_is_written(
    app: Flask, database_url: str
) -> None:  # I2
    group = Batcher()
    with app.app_context(), psycopg.connect(database_url) as other:
        lock(other, person(0))
        blocked: list[object] = []

        def wait_for_it() -> None:
            with app.app_context(), suppress(Unavailable):
                blocked.append(group.record(person(0)))

        limits = replace(WEB_TIMEOUTS, lock=60, statement=60, retry=60, round_trip=60)
        with override_limits(limits):  # the first one, alone, would wait for a minute
            first = Thread(target=copy_context().run, args=(wait_for_it,), daemon=True)
            first.start()
        assert wait_until(lambda: group._writing == 1, 30)
        assert group.record(person(1)) == (person(1).id,)
        assert group.record(person(2)) == (person(2).id,)
        assert first.is_alive()
        other.rollback()
        first.join(30)
    assert blocked == [(person(0).id,)]
    assert group._writing == 0


def test_every_change_is_refused_if_the_whole_database_is_blocked(
    app: Flask, database_url: str
) -> None:  # I2
    with app.app_context(), psycopg.connect(database_url) as other:
        other.execute("LOCK TABLE event IN ACCESS EXCLUSIVE MODE")
        soon = replace(PATIENT, lock=0.3, retry=0.3)  # nobody gets the lock, however long it waits
        got = all_at_once(app, Batcher(), [person(n) for n in range(1 + LATER)], soon)
        assert [type(one) for one in got] == [Unavailable] * (1 + LATER)
