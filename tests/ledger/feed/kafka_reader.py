"""Reading a topic of a mock cluster from its beginning."""

from __future__ import annotations

import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, TopicPartition


def read_topic(brokers: str, topic: str, count: int) -> list[Message[bytes, bytes]]:
    """The first `count` messages, or as many as there are."""
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": topic, "log_level": 0})
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    # Without a group, which takes three seconds to form.
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in partitions])
    found: list[Message[bytes, bytes]] = []
    deadline = time.monotonic() + 60
    while len(found) < count and time.monotonic() < deadline:
        each = consumer.poll(0.1)
        if each is not None and each.error() is None:
            found.append(each)
    consumer.close()
    return found
