"""Topics as tests of publishers use them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from dev.processes import wait_until
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger.feed.cursors import count_waiting_events
from preference_center.ledger.feed.publish import (
    FeedMessage,
    FeedPublisher,
    MessageType,
    TopicUnavailable,
)
from preference_center.ledger.watermarks import load_horizon


@dataclass
class ListTopic:
    """Keeps what is published; refuses the pages whose numbers are in `refuse`."""

    pages: list[list[FeedMessage]] = field(default_factory=list)
    refuse: set[int] = field(default_factory=set)
    asked: int = 0

    def publish(self, messages: Sequence[FeedMessage]) -> None:
        self.asked += 1
        if self.asked in self.refuse:
            raise TopicUnavailable("refused")
        self.pages.append(list(messages))

    @property
    def messages(self) -> list[FeedMessage]:
        return [message for page in self.pages for message in page]

    def types(self) -> list[MessageType]:
        return [message.type for message in self.messages]


def publish_all(publisher: FeedPublisher) -> None:
    """Publish all that is recorded; others' transactions on this server may delay it."""
    assert wait_until(lambda: run_in_transaction(is_complete), 30)
    while publisher.publish_next():
        pass


def is_complete(connection: Connection) -> bool:
    """Whether the feed has all that is recorded."""
    return not count_waiting_events(connection, load_horizon(connection))


@dataclass
class Copy:
    """What docs/outlets.md tells a reader to do: a row for each ref and scope."""

    rows: dict[tuple[str, str], tuple[str, dict[str, Any]]] = field(default_factory=dict)

    def read(self, messages: Sequence[FeedMessage]) -> None:
        for message in messages:
            if message.type is MessageType.SNAPSHOT_END:
                self.rows = {k: row for k, row in self.rows.items() if row[0] == message.epoch}
            elif message.type is not MessageType.SNAPSHOT_BEGIN:
                key = (message.body["ref"], message.body["scope"])
                self.rows[key] = (message.epoch, message.body["status"])
                if message.body["status"] == {"off": False}:
                    del self.rows[key]

    @property
    def statuses(self) -> dict[tuple[str, str], dict[str, Any]]:
        return {key: status for key, (_, status) in self.rows.items()}
