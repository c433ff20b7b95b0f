"""The process that passes the feed on: it goes on after errors, and stops when replaced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import Producer

from dev.processes import wait_until
from preference_center.core.errors import ConfigError
from preference_center.infra.context import EXTENSION_NAME, services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger import record
from preference_center.ledger.feed.publish import (
    FeedMessage,
    MessageType,
    TopicTaken,
    TopicUnavailable,
)
from tests.ledger.changes import change
from tests.ledger.feed.kafka_reader import read_topic
from tests.ledger.feed.topics import ListTopic, is_complete
from workers import feed_publisher

if TYPE_CHECKING:
    from flask import Flask

pytestmark = pytest.mark.usefixtures("in_context")


class Stop(Event):
    """Set once the snapshot and a page have been published, or when somebody waits."""

    def __init__(self, topic: ListTopic) -> None:
        super().__init__()
        self.topic = topic
        self.waits: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout)
        if MessageType.SNAPSHOT_END in self.topic.types():
            self.set()
        return self.is_set()


class AfterWaits(Event):
    """Set once somebody has waited that often."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.left = count

    def wait(self, timeout: float | None = None) -> bool:  # noqa: ARG002 - as Event has it
        self.left -= 1
        if not self.left:
            self.set()
        return self.is_set()


def test_it_connects_again_with_growing_pauses() -> None:
    record([change(1)])
    topic = ListTopic(refuse={1, 3})
    stop, opened = Stop(topic), 0

    def open_topic() -> ListTopic:
        nonlocal opened
        opened += 1
        if opened == 1:
            raise TopicUnavailable("no broker")
        return topic

    feed_publisher.run(open_topic, stop, name="x", readable=False)
    assert opened == 4
    assert topic.types().count(MessageType.SNAPSHOT_END) == 1
    assert stop.waits[:3] == [2.0, 4.0, 8.0]


def test_it_stops_when_another_took_its_place() -> None:
    class Taken(ListTopic):
        def publish(self, _: Sequence[FeedMessage]) -> None:
            raise TopicTaken("another")

    topic = Taken()
    with pytest.raises(TopicTaken):
        feed_publisher.run(lambda: topic, Stop(topic), name="x", readable=False)


def test_settings_that_are_missing_are_named(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="FEED_KAFKA_TOPIC"):
        feed_publisher.kafka_topic_factory()
    settings = services().settings.model_copy(
        update={"feed_kafka_topic": "feed", "feed_kafka_config": "/nowhere"}
    )
    monkeypatch.setitem(app.extensions, EXTENSION_NAME, replace(services(), settings=settings))
    with pytest.raises(ConfigError, match="/nowhere can't be read"):
        feed_publisher.kafka_topic_factory()


def test_the_feed_arrives_in_kafka(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Producer({"test.mock.num.brokers": 1, "log_level": 0})
    (broker,) = cluster.list_topics(timeout=10).brokers.values()
    config = tmp_path / "kafka.properties"
    config.write_text(f"bootstrap.servers={broker.host}:{broker.port}\nlog_level=0\n")
    settings = services().settings.model_copy(
        update={"feed_kafka_topic": "feed", "feed_kafka_config": str(config)}
    )
    monkeypatch.setitem(app.extensions, EXTENSION_NAME, replace(services(), settings=settings))
    record([change(1)])
    assert wait_until(lambda: run_in_transaction(is_complete), 30)
    stop = AfterWaits(2)
    feed_publisher.run(feed_publisher.kafka_topic_factory(), stop, name="feed", readable=False)

    messages = read_topic(f"{broker.host}:{broker.port}", "feed", 9)
    types = [dict(message.headers() or [])["type"] for message in messages]
    assert types.count(b"status") == 1
    assert types.count(b"snapshot_begin") == 4  # in each partition
    assert types.count(b"snapshot_end") == 4
