"""The feed arrives whole and in order, and a page that was cut off comes again."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.errors import ReplayPending
from preference_center.core.events import EventKind
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger import record, watermarks
from preference_center.ledger.feed import cursors, publish
from preference_center.ledger.feed.publish import (
    CONTROL_TYPES,
    FeedMessage,
    FeedPublisher,
    MessageType,
    TopicTaken,
    TopicUnavailable,
)
from preference_center.ledger.restore_gate import CHECK_INTERVAL
from tests.clock import START, Clock
from tests.core.histories import NEWS, OFFERS
from tests.ledger.changes import change, retraction
from tests.ledger.feed.topics import Copy, ListTopic, publish_all

if TYPE_CHECKING:
    from flask import Flask

PEOPLE = [parse_address(f"p{number}@example.org", Channel.EMAIL) for number in range(4)]


@pytest.fixture(autouse=True)
def _context(app: Flask) -> Iterator[None]:
    with app.app_context():
        watermarks.ensure_epoch()
        yield


@pytest.fixture
def topic() -> ListTopic:
    return ListTopic()


def publisher(topic: ListTopic, *, readable: bool = False) -> FeedPublisher:
    return FeedPublisher("warehouse", topic, readable=readable)


def whole_copy() -> dict[tuple[str, str], dict[str, object]]:
    """What a snapshot of now makes of it."""
    topic, copy = ListTopic(), Copy()
    FeedPublisher("another", topic, readable=False).publish_next()
    run_in_transaction(lambda c: cursors.delete_cursor(c, "another"))
    copy.read(topic.messages)
    return copy.statuses


def test_it_begins_with_a_snapshot_and_goes_on_with_changes(topic: ListTopic) -> None:
    record([change(1, address=PEOPLE[1]), change(2, address=PEOPLE[2])])
    publish_all(publisher(topic))
    record([change(3, EventKind.OPTED_OUT, OFFERS, address=PEOPLE[1])])
    publish_all(publisher(topic))
    begin, *rows, end, last = topic.messages
    assert begin.type is MessageType.SNAPSHOT_BEGIN
    assert [row.type for row in rows] == [MessageType.STATUS] * 2
    assert (end.type, end.body["count"]) == (MessageType.SNAPSHOT_END, 2)
    assert begin.body["watermark"] == end.body["watermark"]
    assert last.type is MessageType.CHANGE
    assert last.key == last.body["ref"] in {row.key for row in rows}
    assert last.headers["id"] == "00000000-0000-0000-0000-000000000003"
    assert all(message.key is None for message in topic.messages if message.type in CONTROL_TYPES)


def test_no_address_is_readable_unless_that_is_set(topic: ListTopic) -> None:  # I12
    record([change(1, address=PEOPLE[1])])
    publish_all(publisher(topic))
    record([change(2, scope=OFFERS, address=PEOPLE[1])])
    publish_all(publisher(topic))
    assert b"example.org" not in b"".join(message.encode() for message in topic.messages)
    keyed = services().keys.exact_digest(PEOPLE[1]).hex()
    rows = [message for message in topic.messages if message.key]
    assert {json.loads(row.encode())["digest"] for row in rows} == {keyed}

    readable = ListTopic()
    FeedPublisher("mailer", readable, readable=True).publish_next()
    assert {m.body["address"] for m in readable.messages if m.key} == {"p1@example.org"}


def test_a_page_that_the_topic_refused_comes_again(topic: ListTopic) -> None:
    publish_all(publisher(topic))
    record([change(1, address=PEOPLE[1])])
    topic.refuse = {topic.asked + 1}
    with pytest.raises(TopicUnavailable):
        publish_all(publisher(topic))
    publish_all(publisher(topic))
    assert [m.body["id"][-1:] for m in topic.messages if m.type is MessageType.CHANGE] == ["1"]


def test_a_process_killed_before_its_cursor_moved_repeats_the_page_alike(
    topic: ListTopic, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_all(publisher(topic))
    record([change(1, address=PEOPLE[1]), change(2, address=PEOPLE[2])])
    with monkeypatch.context() as patch:
        patch.setattr(publish, "move_cursor", lambda *_: (_ for _ in ()).throw(SystemExit))
        with pytest.raises(SystemExit):
            publish_all(publisher(topic))
    publish_all(publisher(topic))
    first, again = topic.pages[-2:]
    assert [message.encode() for message in first] == [message.encode() for message in again]
    copy = Copy()
    copy.read(topic.messages)
    assert copy.statuses == whole_copy()


def test_a_snapshot_that_breaks_off_begins_again(
    topic: ListTopic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish, "PAGE_SIZE", 1)
    record([change(n, address=PEOPLE[n]) for n in range(1, 4)])
    topic.refuse = {3}
    with pytest.raises(TopicUnavailable):
        publish_all(publisher(topic))
    assert MessageType.SNAPSHOT_END not in topic.types()
    publish_all(publisher(topic))
    assert topic.types()[2:] == [
        MessageType.SNAPSHOT_BEGIN,
        *[MessageType.STATUS] * 3,
        MessageType.SNAPSHOT_END,
    ]


def test_nothing_more_is_published_once_events_are_found_lost(
    topic: ListTopic, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:  # I2: not the rest of a snapshot, either
    monkeypatch.setattr(publish, "PAGE_SIZE", 1)
    record([change(n, address=PEOPLE[n]) for n in range(1, 4)])
    append = topic.publish

    def lose(messages: Sequence[FeedMessage]) -> None:
        append(messages)
        if messages[0].type is MessageType.STATUS:
            insert = "INSERT INTO history_loss (found_at) VALUES (%s)"
            run_in_transaction(lambda c: c.execute(insert, (clock(),)))
            clock.advance(CHECK_INTERVAL)

    monkeypatch.setattr(topic, "publish", lose)
    with pytest.raises(ReplayPending):
        publish_all(publisher(topic))
    assert topic.types() == [MessageType.SNAPSHOT_BEGIN, MessageType.STATUS]


def test_after_a_new_epoch_comes_a_snapshot_and_a_copy_forgets_what_was_lost(
    topic: ListTopic, clock: Clock
) -> None:
    record([change(1, address=PEOPLE[1])])
    publish_all(publisher(topic))
    copy = Copy()
    copy.read(topic.messages)
    copy.rows["999", NEWS] = (topic.messages[0].epoch, {"off": True})  # of a history that was lost
    run_in_transaction(lambda c: watermarks.begin_epoch(c, clock() + timedelta(minutes=1)))
    already = len(topic.messages)
    publish_all(publisher(topic))
    newer = topic.messages[already:]
    assert newer[0].type is MessageType.SNAPSHOT_BEGIN
    assert newer[0].epoch != topic.messages[0].epoch
    copy.read(newer)
    assert copy.statuses == whole_copy()


def test_of_two_processes_one_stops(topic: ListTopic, monkeypatch: pytest.MonkeyPatch) -> None:
    publish_all(publisher(topic))
    record([change(1, address=PEOPLE[1])])
    real_publish = topic.publish

    def overtaken(messages: list[FeedMessage]) -> None:
        real_publish(messages)
        monkeypatch.setattr(topic, "publish", real_publish)
        publish_all(publisher(topic))  # another process is quicker

    monkeypatch.setattr(topic, "publish", overtaken)
    with pytest.raises(TopicTaken):
        publish_all(publisher(topic))


@pytest.mark.parametrize("seed", range(3))
def test_a_copy_ends_at_our_state_whatever_is_refused(
    topic: ListTopic, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    dice = random.Random(seed)
    monkeypatch.setattr(publish, "PAGE_SIZE", 3)
    topic.refuse = {number for number in range(200) if dice.random() < 0.3}
    kinds = [EventKind.OPTED_OUT, EventKind.OPTED_IN, EventKind.COMPLAINED]
    for step in range(12):
        at = START + timedelta(minutes=step)
        record(
            [
                change(
                    10 * step + n,
                    dice.choice(kinds),
                    dice.choice([NEWS, OFFERS]),
                    address=dice.choice(PEOPLE),
                    at=at,
                )
                for n in range(1, 5)
            ]
        )
        if step % 4 == 3:
            record([retraction(1000 + step, 10 * step + 1)])
        try:
            publish_all(publisher(topic))
        except TopicUnavailable:
            continue
    topic.refuse = set()
    publish_all(publisher(topic))
    copy = Copy()
    copy.read(topic.messages)
    assert copy.statuses == whole_copy()


def test_what_is_not_passed_on_yet_has_an_age(topic: ListTopic) -> None:
    def oldest() -> object:
        return run_in_transaction(cursors.load_oldest_unpublished)["warehouse"]

    publish_all(publisher(topic))
    assert oldest() is None
    record([change(1, address=PEOPLE[1])])
    assert oldest() == START
    publish_all(publisher(topic))
    assert oldest() is None
    run_in_transaction(lambda c: watermarks.begin_epoch(c, START + timedelta(hours=1)))
    assert oldest() == START  # nothing was passed on since
