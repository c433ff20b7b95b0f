"""Daily counts are those of the ledger, whenever they are taken and however often they stop."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.errors import InvalidInput, Unavailable
from preference_center.core.events import EventKind
from preference_center.infra.context import services
from preference_center.infra.db.connections import WEB_TIMEOUTS
from preference_center.infra.db.transactions import (
    Connection,
    override_limits,
    run_in_transaction,
    transaction,
)
from preference_center.ledger import record
from preference_center.ledger.recording import _append
from preference_center.reports import store as reports_store
from preference_center.reports.store import (
    CountProgress,
    count_a_few_events,
    count_new_events,
    load_progress,
    rebuild,
    save_progress,
)
from tests.clock import START, Clock
from tests.ledger.changes import change, retraction

pytestmark = pytest.mark.usefixtures("in_context")
Counts = Counter[tuple[Any, ...]]


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports_store, "CHUNK_SIZE", 7)


def counted(where: str = "true") -> Counts:
    rows = run_in_transaction(
        lambda c: c.execute(
            f"SELECT day, kind, scope, source, count FROM daily_count WHERE {where}".encode()
        ).fetchall()
    )
    return Counter({tuple(row[:4]): row[4] for row in rows})


def in_the_ledger() -> Counts:
    """The same, one event at a time."""
    rows = run_in_transaction(
        lambda c: c.execute("SELECT recorded_at, kind, scope, source, actor FROM event").fetchall()
    )
    return Counter(
        (
            at.astimezone(UTC).date(),
            kind,
            scope,
            f"destination:{actor}" if source == "destination" else source,
        )
        for at, kind, scope, source, actor in rows
    )


def progress() -> CountProgress:
    return run_in_transaction(load_progress)


_numbers = iter(range(1, 1_000_000))


def append(count: int = 1, kind: EventKind = EventKind.OPTED_OUT, **given: Any) -> None:
    now = services().now()
    changes = []
    for _ in range(count):
        number = next(_numbers)
        address = parse_address(f"p{number}@example.com", Channel.EMAIL)
        changes.append(change(number, kind, address=address, at=now, **given))
    record(changes)


def random_history(clock: Clock, seed: int) -> Iterator[None]:
    """Days of events of all sorts; a pause where a count may happen."""
    chance = random.Random(seed)
    for _ in range(12):
        clock.advance(timedelta(hours=chance.randint(1, 40)))
        for _ in range(chance.randint(0, 4)):
            kind = chance.choice([EventKind.OPTED_OUT, EventKind.OPTED_IN, EventKind.COMPLAINED])
            source = chance.choice(["page", "senders", "destination"])
            append(chance.randint(1, 9), kind, source=source)
        yield


@pytest.mark.parametrize("seed", range(3))
def test_they_equal_a_count_of_every_event(clock: Clock, seed: int) -> None:
    chance = random.Random(seed)
    for _ in random_history(clock, seed):
        if chance.random() < 0.6:
            count_new_events(clock(), max_chunks=chance.choice([1, 2, None]))
    count_new_events(clock(), None)
    assert counted() == in_the_ledger()
    assert progress().counted_until == clock()


def test_the_scheduler_counts_some_and_goes_on_the_next_time(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports_store, "CHUNKS_PER_TICK", 2)
    append(20)
    assert [count_a_few_events(clock()) for _ in range(3)] == [14, 6, 0]
    assert counted() == in_the_ledger()


def test_counting_again_changes_nothing(clock: Clock) -> None:
    append(10)
    assert count_new_events(clock()) == 10
    found = counted()
    assert count_new_events(clock()) == 0
    assert counted() == found


def test_a_run_that_is_killed_goes_on_where_it_was(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(20)
    calls = iter(range(10))
    save = save_progress

    def fail_at_the_second(connection: Connection, progress: CountProgress) -> None:
        if next(calls) == 1:
            raise KeyboardInterrupt  # counted, and not committed
        save(connection, progress)

    with monkeypatch.context() as broken:
        broken.setattr(reports_store, "save_progress", fail_at_the_second)
        with pytest.raises(KeyboardInterrupt):
            count_new_events(clock())
    assert sum(counted().values()) == 7
    count_new_events(clock())
    assert counted() == in_the_ledger()


def test_an_event_whose_transaction_ends_late_is_not_missed(
    database_url: str, clock: Clock
) -> None:
    """It has the lower `seq`, and is visible after the higher one."""
    append(1)  # begins the epoch
    late = change(next(_numbers), address=parse_address("late@example.com", Channel.EMAIL))
    with psycopg.connect(database_url) as writer:
        _append(writer, services(), [late])
        append(1)
        with override_limits(replace(WEB_TIMEOUTS, total=0.1)), pytest.raises(Unavailable):
            count_new_events(clock())
        assert count_a_few_events(clock()) == 0  # the scheduler does not wait for it (I3)
        assert counted() == Counter()
        writer.commit()
    count_new_events(clock())
    assert counted() == in_the_ledger()
    assert sum(counted().values()) == 3


def test_a_process_that_counts_keeps_others_out_and_they_do_not_wait(clock: Clock) -> None:
    append(3)
    count_new_events(clock())
    append(2)
    with transaction() as other:
        other.execute("SELECT FROM daily_count_progress FOR UPDATE")
        assert count_new_events(clock()) == 0
    assert count_new_events(clock()) == 2


def test_a_day_ends_at_midnight_utc(clock: Clock) -> None:
    midnight = datetime(2026, 11, 30, tzinfo=UTC)
    clock.advance(midnight - timedelta(microseconds=1) - clock())
    append(1)
    clock.advance(timedelta(microseconds=1))
    append(2)
    count_new_events(clock())
    assert {key[0]: count for key, count in counted().items()} == {
        date(2026, 11, 29): 1,
        date(2026, 11, 30): 2,
    }


def test_an_empty_ledger_is_counted_at_once(clock: Clock) -> None:
    assert count_new_events(clock()) == 0
    assert progress() == CountProgress(counted_until=clock())


def test_a_retraction_is_an_event_of_its_own_day_and_takes_nothing_from_another(
    clock: Clock,
) -> None:
    number = next(_numbers)
    record([change(number)])
    count_new_events(clock())
    clock.advance(timedelta(days=3))
    record([retraction(next(_numbers), number)])
    count_new_events(clock())
    days = {(day, kind): count for (day, kind, _, _), count in counted().items()}
    assert days == {
        (START.date(), "opted_out"): 1,
        ((START + timedelta(days=3)).date(), "retracted"): 1,
    }


@pytest.mark.parametrize("back", [0, 3, 100])
@pytest.mark.parametrize("lag", [0, 2])
def test_a_rebuild_counts_the_same_again(clock: Clock, back: int, lag: int) -> None:
    for _ in random_history(clock, 7):
        pass
    count_new_events(clock(), lag or None)
    since = clock().date() - timedelta(days=back)
    rebuild(since, "test")
    rebuild(since, "test")  # as after one that was killed
    count_new_events(clock(), 1)
    count_new_events(clock(), None)
    expected = in_the_ledger()
    if progress().first_day == since:  # it left out what was not counted before it
        expected = Counter({key: n for key, n in expected.items() if key[0] >= since})
    assert counted() == expected


def test_a_rebuild_that_leaves_out_days_says_from_when_counts_are_complete(clock: Clock) -> None:
    append(30)
    clock.advance(timedelta(days=40))
    append(5)
    count_new_events(clock(), 1)
    rebuild(clock().date(), "test")
    count_new_events(clock(), None)
    assert progress().first_day == clock().date()
    assert sum(counted().values()) == 5


def test_a_rebuild_from_the_future_is_refused(clock: Clock) -> None:
    with pytest.raises(InvalidInput, match="future"):
        rebuild(clock().date() + timedelta(days=1), "test")
