"""A publisher passes the feed on to a topic: a snapshot, then every change in order, at least once.

docs/outlets.md is the reference of the topic's messages.

The cursor is moved after the topic has a page durably. A process that is killed between the two
repeats that page, message for message. Of two processes of one name the topic lets only the newer
one publish: an older state never comes after a newer one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Any, Protocol

import structlog

from preference_center.core.errors import PreferenceCenterError, StaleWatermark
from preference_center.infra import audit
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger.feed import changes as feed
from preference_center.ledger.feed.changes import (
    FeedEntry,
    FeedScopeStatus,
    change_json,
    scope_status_json,
)
from preference_center.ledger.feed.cursors import LedgerSnapshot, load_cursor, move_cursor
from preference_center.ledger.restore_gate import require_complete_database
from preference_center.ledger.watermarks import Watermark


class MessageType(StrEnum):
    """What a message says."""

    SNAPSHOT_BEGIN = "snapshot_begin"
    STATUS = "status"
    """One row of a snapshot."""
    SNAPSHOT_END = "snapshot_end"
    CHANGE = "change"


CONTROL_TYPES = frozenset({MessageType.SNAPSHOT_BEGIN, MessageType.SNAPSHOT_END})
"""Those without a key: they concern all addresses, so every partition gets one."""


@dataclass(frozen=True, slots=True)
class FeedMessage:
    """One message. Those with one `key`, the address's ref, stay in order."""

    type: MessageType
    key: str | None
    epoch: str
    body: Mapping[str, Any]

    @property
    def headers(self) -> dict[str, str | bytes | None]:
        """What a reader needs to know before it parses."""
        found: dict[str, str | bytes | None] = {"type": self.type.value, "epoch": self.epoch}
        return found | ({"id": str(self.body["id"])} if "id" in self.body else {})

    def encode(self) -> bytes:
        """The value, JSON in UTF-8."""
        return json.dumps(self.body, ensure_ascii=False, separators=(",", ":")).encode()


def snapshot_message(kind: MessageType, at: Watermark, count: int | None = None) -> FeedMessage:
    """The beginning or the end of a snapshot; `count` is that of its rows."""
    counted = {} if count is None else {"count": count}
    return FeedMessage(kind, None, at.epoch, {"watermark": str(at), **counted})


def status_message(status: FeedScopeStatus, epoch: str, *, readable: bool) -> FeedMessage:
    """One row of a snapshot."""
    body = _with_address(scope_status_json(status), status, readable=readable)
    return FeedMessage(MessageType.STATUS, body["ref"], epoch, body)


def change_message(entry: FeedEntry, epoch: str, *, readable: bool) -> FeedMessage:
    """One event, and how its scope stands by now."""
    body = _with_address(change_json(entry), entry.scope_status, readable=readable)
    return FeedMessage(MessageType.CHANGE, body["ref"], epoch, body)


def _with_address(
    body: dict[str, Any], status: FeedScopeStatus, *, readable: bool
) -> dict[str, Any]:
    if not readable:
        body.pop("address", None)
    return {**body, "digest": status.digest.hex()}


log = structlog.get_logger()


PAGE_SIZE = 1_000
"""Messages of one transaction of the topic."""


class TopicUnavailable(PreferenceCenterError):
    """The topic did not take the messages: try again, with a new connection."""


class TopicTaken(PreferenceCenterError):
    """Another process publishes under this name: stop."""


class FeedTopic(Protocol):
    """Where messages go."""

    def publish(self, messages: Sequence[FeedMessage]) -> None:
        """Append them in order, all or none; returns once they are durable.

        A message without a key is appended to every partition. Raises TopicUnavailable, and
        TopicTaken.
        """


class FeedPublisher:
    """Publishes under `name`, whose cursor it moves. `readable`: with addresses."""

    def __init__(self, name: str, topic: FeedTopic, *, readable: bool) -> None:
        self._name = name
        self._topic = topic
        self._readable = readable

    def publish_next(self) -> bool:
        """Publish the next page, or a snapshot if there is none to go on from.

        Returns whether there is more already. Raises Unavailable, TopicUnavailable, TopicTaken, and
        ReplayPending while the database lacks opt-outs or erasures since it was restored.
        """
        after = run_in_transaction(lambda connection: load_cursor(connection, self._name))
        if after is None:
            self._publish_snapshot(None)
            return True
        keys = services().keys
        try:
            page = run_in_transaction(lambda c: feed.list_changes(c, keys, after, PAGE_SIZE))
        except StaleWatermark:
            self._publish_snapshot(after)
            return True
        epoch = page.next_watermark.epoch
        if page.entries:
            self._publish(
                [change_message(entry, epoch, readable=self._readable) for entry in page.entries]
            )
        self._move_cursor(after, page.next_watermark)
        return page.has_more

    def _publish_snapshot(self, after: Watermark | None) -> None:
        """All states as of one point in time, and the cursor to go on from there."""
        rows = feed.iter_snapshot(services().keys)
        try:
            snapshot = next(rows)
            assert isinstance(snapshot, LedgerSnapshot)
            at = snapshot.watermark
            log.info("feed_snapshot_published", publisher=self._name, watermark=str(at))
            self._publish([snapshot_message(MessageType.SNAPSHOT_BEGIN, at)])
            count = 0
            for page in _batched(self._status_messages(rows, at.epoch)):
                self._publish(page)
                count += len(page)
            self._publish([snapshot_message(MessageType.SNAPSHOT_END, at, count)])
        finally:
            rows.close()
        self._move_cursor(after, at, snapshot_rows=count)

    def _publish(self, messages: Sequence[FeedMessage]) -> None:
        """Publish what was read in one epoch."""
        require_complete_database(messages[0].epoch)
        self._topic.publish(messages)

    def _status_messages(
        self, rows: Iterator[LedgerSnapshot | FeedScopeStatus], epoch: str
    ) -> Iterator[FeedMessage]:
        for row in rows:
            assert isinstance(row, FeedScopeStatus)
            yield status_message(row, epoch, readable=self._readable)

    def _move_cursor(
        self, old: Watermark | None, new: Watermark, snapshot_rows: int | None = None
    ) -> None:
        now = services().now()

        def move(connection: Connection) -> bool:
            if snapshot_rows is not None:
                detail = {
                    "publisher": self._name,
                    "rows": str(snapshot_rows),
                    "addresses": "readable" if self._readable else "keyed",
                }
                audit.insert_audit_entry(connection, now, "publisher", "feed.published", detail)
            return move_cursor(connection, self._name, old, new, now)

        if not run_in_transaction(move):
            raise TopicTaken(f"another process publishes the feed as {self._name}: stop one")


def _batched(messages: Iterator[FeedMessage]) -> Iterator[list[FeedMessage]]:
    while page := list(islice(messages, PAGE_SIZE)):
        yield page
