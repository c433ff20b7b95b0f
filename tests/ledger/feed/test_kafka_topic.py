"""A topic of librdkafka's own mock cluster: keys keep their partition, pages are transactions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer

from preference_center.core.errors import ConfigError
from preference_center.ledger.feed.kafka_topic import KafkaTopic, read_config
from preference_center.ledger.feed.publish import (
    FeedMessage,
    MessageType,
    TopicTaken,
    TopicUnavailable,
    snapshot_message,
)
from preference_center.ledger.watermarks import Watermark
from tests.ledger.feed.kafka_reader import read_topic

EPOCH = "9f86d081"


@pytest.fixture(scope="module")
def brokers() -> Iterator[str]:
    cluster = Producer({"test.mock.num.brokers": 1, "log_level": 0})
    (broker,) = cluster.list_topics(timeout=10).brokers.values()
    yield f"{broker.host}:{broker.port}"
    del cluster


def message(ref: str, number: int) -> FeedMessage:
    return FeedMessage(MessageType.CHANGE, ref, EPOCH, {"ref": ref, "id": str(number)})


def opened(brokers: str, topic: str) -> KafkaTopic:
    return KafkaTopic(topic, topic, {"bootstrap.servers": brokers, "log_level": "0"})


def test_messages_of_one_key_stay_in_order_in_one_partition(brokers: str) -> None:
    topic = opened(brokers, "ordered")
    for page in range(3):
        topic.publish([message(str(n % 5), 20 * page + n) for n in range(20)])
    found = read_topic(brokers, "ordered", 60)
    assert len(found) == 60
    for ref in map(str, range(5)):
        own = [each for each in found if each.key() == ref.encode()]
        assert len({each.partition() for each in own}) == 1
        numbers = [int(json.loads(each.value() or b"")["id"]) for each in own]
        assert numbers == sorted(numbers)
    assert dict(found[0].headers() or [])["epoch"] == EPOCH.encode()


def test_every_partition_learns_of_a_snapshot(brokers: str) -> None:
    topic = opened(brokers, "snapshots")
    topic.publish([snapshot_message(MessageType.SNAPSHOT_BEGIN, Watermark(EPOCH, 7))])
    found = read_topic(brokers, "snapshots", 4)
    assert sorted(each.partition() or 0 for each in found) == [0, 1, 2, 3]
    assert {each.value() for each in found} == {b'{"watermark":"9f86d081.7.0"}'}


def test_another_process_goes_on_where_the_last_was_cut_off(brokers: str) -> None:
    first = opened(brokers, "resumed")
    first.publish([message("1", 1)])
    first._producer.begin_transaction()  # killed in the middle of a page
    opened(brokers, "resumed").publish([message("1", 2)])
    assert [json.loads(e.value() or b"")["id"] for e in read_topic(brokers, "resumed", 2)] == [
        "1",
        "2",
    ]


@pytest.mark.parametrize(
    "code, error",
    [
        (KafkaError._FENCED, TopicTaken),
        (KafkaError.INVALID_PRODUCER_EPOCH, TopicTaken),
        (KafkaError._ALL_BROKERS_DOWN, TopicUnavailable),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, TopicUnavailable),
    ],
)
def test_a_process_that_was_replaced_stops_and_any_other_error_is_tried_again(
    brokers: str, monkeypatch: pytest.MonkeyPatch, code: int, error: type[Exception]
) -> None:
    # The mock cluster does not fence: the broker's refusal is made here.
    topic = opened(brokers, "fenced")

    class Refusing:
        def begin_transaction(self) -> None:
            raise KafkaException(KafkaError(code, "ada@example.com", fatal=True))

    monkeypatch.setattr(topic, "_producer", Refusing())
    with pytest.raises(error) as caught:
        topic.publish([message("1", 1)])
    assert "ada" not in str(caught.value)  # I12


def test_a_broker_that_is_away_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("preference_center.ledger.feed.kafka_topic.TIME_LIMIT", 0.2)
    with pytest.raises(TopicUnavailable):
        opened("127.0.0.1:1", "away")


@pytest.mark.parametrize(
    "text, problem",
    [
        ("bootstrap.servers", "line 1"),
        ("# nothing\n", "bootstrap.servers"),
        ("bootstrap.servers=\n", "bootstrap.servers"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused(
    tmp_path: Path, text: str, problem: str
) -> None:
    path = tmp_path / "kafka.properties"
    path.write_text(text)
    with pytest.raises(ConfigError, match=problem):
        read_config(path)
    with pytest.raises(ConfigError, match="can't be read"):
        read_config(tmp_path / "missing")


def test_properties_are_passed_to_the_library(tmp_path: Path) -> None:
    path = tmp_path / "kafka.properties"
    path.write_text("# ours\nbootstrap.servers = a:9092,b:9092\nsasl.password=a=b\n\n")
    found: dict[str, Any] = read_config(path)
    assert found == {"bootstrap.servers": "a:9092,b:9092", "sasl.password": "a=b"}
    with pytest.raises(ConfigError, match="can't be used"):
        KafkaTopic("x", "x", found | {"no.such.property": "1"})
