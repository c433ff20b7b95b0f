"""The messages of a topic that carries the feed. docs/outlets.md is their reference."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from preference_center.ledger.feed.changes import FeedEntry, FeedScopeStatus
from preference_center.ledger.feed.feed_change_json import change_json, scope_status_json
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
