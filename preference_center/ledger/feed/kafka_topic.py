"""`KafkaTopic` writes a topic of Kafka in transactions.

`transactional.id` is the publisher's name: the broker refuses a process that was replaced by
another (KIP-98), which a lease of ours could not, since what an old process has sent may arrive
late. Readers with `isolation.level=read_committed`, the default of librdkafka, see whole pages
only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka import KafkaError, KafkaException, Producer

from preference_center.core.errors import ConfigError
from preference_center.ledger.feed.publish import FeedMessage, TopicTaken, TopicUnavailable

_BY_KEY = -1
TIME_LIMIT = 30.0
"""Seconds that the broker may take for one step."""
_FENCED = {KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH}  # noqa: SLF001 - the library's names for them


class KafkaTopic:
    """One topic, written by one publisher."""

    def __init__(self, name: str, topic: str, config: Mapping[str, str]) -> None:
        """Connect as the publisher `name`. Raises TopicUnavailable, and ConfigError."""
        self._topic = topic
        try:
            self._producer = Producer(
                {
                    "partitioner": "murmur2_random",  # that of Java's clients
                    **config,
                    "transactional.id": f"preference-center.{name}",
                    "enable.idempotence": True,
                }
            )
        except KafkaException as error:
            raise ConfigError(f"Kafka's configuration can't be used: {_text(error)}") from None
        with self._translate_errors():
            self._producer.init_transactions(TIME_LIMIT)

    def publish(self, messages: Sequence[FeedMessage]) -> None:
        """See FeedTopic."""
        with self._translate_errors():
            self._producer.begin_transaction()
            for message in messages:
                for partition in self._partitions(message):
                    self._produce(message, partition)
            self._repeat(lambda: self._producer.commit_transaction(TIME_LIMIT))

    def _partitions(self, message: FeedMessage) -> Iterator[int]:
        """_BY_KEY for the one that its key belongs to."""
        if message.key is not None:
            yield _BY_KEY
            return
        found = self._producer.list_topics(self._topic, TIME_LIMIT).topics[self._topic]
        if found.error is not None:
            raise KafkaException(found.error)
        yield from found.partitions

    def _produce(self, message: FeedMessage, partition: int) -> None:
        while True:
            try:
                self._producer.produce(
                    self._topic,
                    key=message.key,
                    value=message.encode(),
                    headers=message.headers,
                    partition=partition,
                )
            except BufferError:  # the queue is full: wait until some are sent
                self._producer.poll(1.0)
            else:
                return

    def _repeat(self, step: Callable[[], None]) -> None:
        """Do a step again where the library says that it can be."""
        for _ in range(3):
            try:
                step()
            except KafkaException as error:
                if not error.args[0].retriable():
                    raise
            else:
                return
        raise TopicUnavailable("Kafka did not end the transaction in time")

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except KafkaException as error:
            if error.args[0].code() in _FENCED:
                raise TopicTaken("another process publishes the feed under this name") from None
            # Without an abort: the next process of this name ends the transaction.
            raise TopicUnavailable(f"Kafka refused the messages: {_text(error)}") from None


def _text(error: KafkaException) -> str:
    """Its code: the text may quote the configuration."""
    return str(error.args[0].name()) if isinstance(error.args[0], KafkaError) else "see its manual"


def read_config(path: Path) -> dict[str, str]:
    """A file of librdkafka's properties: `name=value` in each line, # for comments.

    Raises ConfigError.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise ConfigError(f"{path} can't be read: {reason}") from None
    found = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals:
            raise ConfigError(f"{path}, line {number}: write it as name=value")
        found[name.strip()] = value.strip()
    if not found.get("bootstrap.servers") and not found.get("test.mock.num.brokers"):
        raise ConfigError(f"{path} lacks bootstrap.servers")
    return found
