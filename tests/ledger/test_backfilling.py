from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import psycopg
import pytest
from flask import Flask

from dev.processes import wait_until
from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.events import Change, EventKind, Retraction
from preference_center.destinations.store import backfills, destinations
from preference_center.destinations.store.backfills import Backfill, backfill
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, override_limits, run_in_transaction
from preference_center.ledger import record
from preference_center.ledger.recording import _append
from preference_center.ledger.retracting import await_appends, retract
from tests.clock import START, Clock
from tests.ledger.changes import blocked_pids, patient

JANE = parse_address("jane@example.com", Channel.EMAIL)
BEGUN = b"SELECT FROM backfill WHERE until_id IS NULL"


@pytest.fixture(autouse=True)
def _context(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


def add() -> int:
    context = services()
    return run_in_transaction(
        lambda connection: destinations.insert_destination(
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


def change(kind: EventKind, address: Address = JANE) -> Change:
    now = services().now()
    return Change(uuid4(), kind, address, "news", now, now, "test", "test")


def people(count: int) -> list[Address]:
    """Each has opted out."""
    found = [parse_address(f"person-{n}@example.com", Channel.EMAIL) for n in range(count)]
    record([change(EventKind.OPTED_OUT, address) for address in found])
    return found


def waiting(destination: int) -> int:
    query = "SELECT count(*) FROM sync_state WHERE destination_id = %s"
    row = run_in_transaction(lambda c: c.execute(query, (destination,)).fetchone())
    assert row
    return int(row[0])


def backfilled_after(app: Flask, writer: Connection) -> int:
    """What `backfill` finds that begins before `writer` commits."""

    def begin() -> int:
        with app.app_context():
            return backfill(number)

    number = add()
    with ThreadPoolExecutor(1) as pool:
        rows = pool.submit(begin)
        assert wait_until(
            lambda: bool(run_in_transaction(lambda c: c.execute(BEGUN).fetchall())), 30
        )
        # Nobody queues behind it: a click of another person goes through meanwhile (I2).
        record([change(EventKind.OPTED_OUT, parse_address("other@example.com", Channel.EMAIL))])
        assert run_in_transaction(lambda c: c.execute(BEGUN).fetchall())
        writer.commit()
        return rows.result(30)


def test_an_opt_out_under_way_while_a_destination_is_added_is_not_missed(
    app: Flask, database_url: str
) -> None:  # I3
    with psycopg.connect(database_url) as writer:
        _append(writer, services(), [change(EventKind.OPTED_OUT)])
        assert backfilled_after(app, writer) == 1


def test_an_opt_out_restored_by_a_running_retraction_is_not_missed(
    app: Flask, clock: Clock, database_url: str
) -> None:  # I3
    record([change(EventKind.OPTED_OUT)])
    clock.now = START.replace(hour=10)
    lift = change(EventKind.OPTED_IN)
    record([lift])
    taken_back = Retraction(uuid4(), (lift.id,), clock(), "test", "test")
    with psycopg.connect(database_url) as writer:
        await_appends(writer, [taken_back])
        retract(writer, taken_back, clock())
        assert backfilled_after(app, writer) == 1


def test_a_second_backfill_adds_nothing(app: Flask) -> None:
    record([change(EventKind.OPTED_OUT)])
    number = add()
    assert (backfill(number), backfill(number)) == (1, 0)


class Killed(BaseException):
    """As a process that ends between two transactions."""


def die(_: Backfill) -> None:
    raise Killed


@pytest.fixture
def _small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfills, "_INITIAL_SIZE", 10)
    monkeypatch.setattr(backfills, "_MAX_SIZE", 10)


@pytest.mark.usefixtures("_small_steps")
def test_an_interrupted_backfill_resumes(app: Flask) -> None:  # I3
    people(25)
    number = add()
    with pytest.raises(Killed):
        backfill(number, die)
    half = run_in_transaction(backfills.list_unfinished)[number]
    assert (waiting(number), half.rows_created, half.finished) == (10, 10, False)
    seen: list[int] = []
    assert backfill(number, lambda found: seen.append(found.rows_created)) == 15
    assert seen == [20, 25]
    assert waiting(number) == 25
    assert run_in_transaction(backfills.list_unfinished) == {}


@pytest.mark.usefixtures("_small_steps")
def test_several_processes_share_the_work_and_create_each_row_once(app: Flask) -> None:
    people(95)
    number = add()

    def work() -> None:
        with app.app_context(), override_limits(patient()):
            backfill(number)

    with ThreadPoolExecutor(4) as pool:
        for one in [pool.submit(work) for _ in range(4)]:
            one.result(60)
    assert (
        waiting(number)
        == run_in_transaction(lambda c: backfills.load_backfill(c, number)).rows_created
        == 95
    )


def test_rows_locked_by_another_transaction_are_not_skipped(
    app: Flask, database_url: str
) -> None:  # I3
    people(3)
    number = add()

    def work() -> int:
        with app.app_context(), override_limits(patient()):
            return backfill(number)

    with psycopg.connect(database_url) as other, ThreadPoolExecutor(1) as pool:
        other.execute(
            """INSERT INTO sync_state (destination_id, address_id, wanted_version)
            SELECT %s, min(id) + 1, 1 FROM address""",
            (number,),
        )
        rows = pool.submit(work)
        assert wait_until(lambda: bool(run_in_transaction(blocked_pids)), 30)
        other.rollback()
        assert rows.result(30) == 3


def test_a_form_gets_the_newest_version_of_its_whole_mailbox(app: Flask) -> None:  # I9
    record([change(EventKind.OPTED_OUT, parse_address("jane+news@example.com", Channel.EMAIL))])
    record([change(EventKind.OPTED_OUT)])
    number = add()
    assert backfill(number) == 2
    rows = run_in_transaction(
        lambda c: c.execute("SELECT DISTINCT wanted_version FROM sync_state").fetchall()
    )
    assert rows == run_in_transaction(lambda c: c.execute("SELECT max(seq) FROM event").fetchall())
