"""Following the feed on a real PostgreSQL: no event is skipped or delivered twice."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from threading import Thread
from typing import TYPE_CHECKING
from uuid import UUID

import psycopg
import pytest

from dev.processes import wait_until
from preference_center.core.addresses import Channel, parse_address
from preference_center.core.errors import StaleWatermark
from preference_center.core.events import ALL_MARKETING, Change, EventKind, Retraction
from preference_center.infra.context import services
from preference_center.infra.db.transactions import override_limits, run_in_transaction
from preference_center.ledger import record, watermarks
from preference_center.ledger.feed.changes import FeedScopeStatus, iter_snapshot
from preference_center.ledger.feed.cursors import load_feed_lag
from preference_center.ledger.watermarks import Watermark, load_horizon
from tests.clock import START
from tests.core.histories import NEWS, OFFERS
from tests.environment import with_database
from tests.ledger.changes import change, in_parts, patient, retraction
from tests.ledger.feed.reader import Reader, held_open, page, writing_elsewhere

if TYPE_CHECKING:
    from flask import Flask

MINUTE = timedelta(minutes=1)
PEOPLE = [parse_address(f"p{number}@example.org", Channel.EMAIL) for number in range(6)]


@pytest.fixture(autouse=True)
def _context(app: Flask) -> Iterator[None]:
    with app.app_context():
        watermarks.ensure_epoch()
        yield


def ids(*numbers: int) -> list[UUID]:
    return [UUID(int=number) for number in numbers]


def test_pages_list_all_events_in_order_and_then_wait() -> None:
    record([change(number, address=PEOPLE[number]) for number in range(1, 6)])
    reader = Reader()
    reader.poll_until(5, limit=2)
    assert reader.seen == ids(1, 2, 3, 4, 5)
    reader.catch_up()
    again = page(reader.after)
    assert (again.entries, again.has_more, again.lag) == ((), False, None)
    assert reader.after is not None
    assert again.next_watermark.position >= reader.after.position


def test_a_page_reports_whether_there_is_more() -> None:
    record([change(1)])
    record([change(2, scope=OFFERS)])
    Reader().catch_up()
    assert page(limit=1).has_more
    assert not page(limit=2).has_more


def _tells_for_how_long() -> bool:
    """The transaction may be another test's, on this server, that has ended meanwhile."""
    waiting = page().lag
    return (
        waiting is not None
        and waiting.blocking_age is not None
        and waiting.blocking_age > timedelta(0)
    )


def test_a_late_commit_is_not_skipped(app: Flask) -> None:
    reader, naive = Reader(), 0
    with held_open(app, change(1, address=PEOPLE[1])):
        record([change(2, address=PEOPLE[2])])
        behind = reader.poll()
        # Going by the number of the event, one would go on after the second event now.
        naive = run_in_transaction(lambda c: c.execute("SELECT max(seq) FROM event").fetchall())[0][
            0
        ]
        assert reader.seen == []
        assert behind.lag is not None
        assert behind.lag.events == 1
        assert wait_until(_tells_for_how_long, seconds=30)
    reader.catch_up()
    assert reader.seen == ids(1, 2)
    missed = run_in_transaction(
        lambda c: c.execute("SELECT id FROM event WHERE seq <= %s", (naive,)).fetchall()
    )
    assert (UUID(int=1),) in missed


def test_a_transaction_in_another_database_holds_back_too(database_url: str) -> None:
    # Transaction ids are the server's: that it can't touch our tables is not known to us.
    reader = Reader()
    with writing_elsewhere(with_database(database_url, "postgres")):
        record([change(1)])
        behind = reader.poll()
        assert reader.seen == []
        assert behind.lag is not None
        assert behind.lag.events == 1
    reader.catch_up()
    assert reader.seen == ids(1)


def test_the_age_is_that_of_what_still_holds_once_an_older_transaction_has_ended(
    database_url: str,
) -> None:
    url = with_database(database_url, "postgres")
    with ExitStack() as stack:
        with writing_elsewhere(url):
            stack.enter_context(writing_elsewhere(url))
            record([change(1)])
            horizon = run_in_transaction(load_horizon)
        lag = run_in_transaction(lambda connection: load_feed_lag(connection, horizon))
        assert lag is not None
        assert lag.blocking_age is not None
        assert lag.blocking_age > timedelta(0)


def test_a_constant_reader_sees_every_event_of_busy_writers_once(app: Flask) -> None:
    changes = [change(n, address=PEOPLE[n % 6], scope=OFFERS) for n in range(1, 161)]
    reader, writers = Reader(), []
    for number, part in enumerate(in_parts(changes, 4)):

        def write(part: list[Change | Retraction] = part, number: int = number) -> None:
            dice = random.Random(number)
            with app.app_context(), override_limits(patient()):
                while part:
                    batch = [part.pop() for _ in range(min(len(part), dice.randrange(1, 5)))]
                    record(batch)

        writers.append(Thread(target=write, daemon=True))
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        reader.poll(limit=7)
    reader.catch_up()
    assert sorted(reader.seen) == ids(*range(1, 161))
    rows = run_in_transaction(
        lambda c: c.execute("SELECT id FROM event ORDER BY xid, seq").fetchall()
    )
    assert reader.seen == [row[0] for row in rows]


def _mixed(seed: int, count: int) -> list[Change | Retraction]:
    dice = random.Random(seed)
    items: list[Change | Retraction] = []
    for number in range(1, count + 1):
        kind = dice.choice(
            [EventKind.OPTED_OUT, EventKind.OPTED_IN, EventKind.PAUSED, EventKind.CONSENTED]
        )
        scopes = [NEWS, OFFERS] if kind is EventKind.CONSENTED else [NEWS, OFFERS, ALL_MARKETING]
        until = START + 60 * MINUTE if kind is EventKind.PAUSED else None
        at = START - dice.randrange(30) * MINUTE
        who = dice.choice(PEOPLE)
        items.append(change(number, kind, dice.choice(scopes), address=who, at=at, until=until))
        if number % 6 == 0:
            items.append(retraction(1000 + number, *(dice.randrange(1, number) for _ in "ab")))
    return items


@pytest.mark.parametrize("seed", range(3))
def test_a_snapshot_and_the_changes_after_it_make_the_state(app: Flask, seed: int) -> None:
    def write(part: list[Change | Retraction]) -> None:
        with app.app_context(), override_limits(patient()):
            for item in part:
                record([item])

    writers = [
        Thread(target=write, args=(part,), daemon=True) for part in in_parts(_mixed(seed, 60), 3)
    ]
    for writer in writers:
        writer.start()
    readers: list[Reader] = []
    while any(writer.is_alive() for writer in writers):
        readers.append(Reader())
        readers[-1].start()
        readers[0].poll(limit=5)
    whole = Reader()
    whole.start()
    assert whole.copy
    for reader in readers:
        reader.catch_up()
        assert reader.copy == whole.copy


def test_a_snapshot_has_the_address_if_it_is_readable() -> None:
    record([change(1), change(2, address=PEOPLE[0])])
    run_in_transaction(
        lambda c: c.execute("UPDATE address SET ciphertext = NULL WHERE channel = 'email'")
    )
    record([change(3, address=PEOPLE[0], scope=OFFERS)])
    rows = [row for row in iter_snapshot(services().keys) if isinstance(row, FeedScopeStatus)]
    assert {row.address for row in rows} == {None, PEOPLE[0].exact}
    assert wait_until(lambda: len(page().entries) == 3, seconds=30)
    entries = page().entries
    assert [entry.scope_status.address for entry in entries] == [None, *[PEOPLE[0].exact] * 2]


def test_an_event_comes_with_the_current_state_of_its_scope() -> None:
    record([change(1, at=START - MINUTE)])
    record([change(2, EventKind.OPTED_IN)])
    reader = Reader()
    reader.catch_up()
    first, second = page().entries
    assert first.event.kind is EventKind.OPTED_OUT
    assert first.scope_status == second.scope_status
    assert second.scope_status.state.lift is not None


def test_events_from_before_the_epoch_come_first_whatever_their_transactions(
    admin_url: str,
) -> None:
    # A dump put back into a younger server brings ids that this one has yet to reach.
    record([change(number, address=PEOPLE[number]) for number in (1, 2, 3)])
    strange = ((1, "7"), (2, "18446744073709551000"), (3, "3"))

    with psycopg.connect(admin_url) as connection:
        connection.execute("SET LOCAL session_replication_role = replica")
        for number, xid in strange:
            connection.execute("UPDATE event SET xid = %s WHERE id = %s", (xid, UUID(int=number)))
    run_in_transaction(lambda connection: watermarks.begin_epoch(connection, START))
    record([change(4, address=PEOPLE[4])])
    reader = Reader()
    reader.poll_until(4, limit=2)
    assert reader.seen == ids(1, 2, 3, 4)
    reader.catch_up()
    assert len(reader.seen) == 4


def test_a_watermark_of_another_epoch_is_refused() -> None:
    old = page().next_watermark
    run_in_transaction(lambda connection: watermarks.begin_epoch(connection, START))
    with pytest.raises(StaleWatermark):
        page(old)
    with pytest.raises(StaleWatermark):
        page(Watermark(page().next_watermark.epoch, 2**63))
