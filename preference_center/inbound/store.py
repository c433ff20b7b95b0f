"""This module stores mails that somebody has to review: their beginning, sealed, until a decision.

The decision deletes the content; the row follows after RETENTION. Without a decision the content
is deleted after RETENTION, too (I6), but the row stays and is listed: that somebody wrote is
never lost.

The tables of the review queue and of bursts are described here.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import BigInteger, Index, Integer, LargeBinary, SmallInteger, Text, Uuid, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from preference_center.core.keys import Keys
from preference_center.infra.context import db
from preference_center.infra.db.transactions import Connection
from preference_center.infra.keys.sealed_columns import review_queue_context
from preference_center.infra.models import TimestampTz

MAX_HEAD_BYTES = 64 * 1024
"""Bytes of a mail that are stored."""


RETENTION = timedelta(days=30)
"""How long content is kept, and how long a resolved item is."""


@dataclass(frozen=True, slots=True)
class ReviewItem:
    """One mail to be reviewed. `size` is that of the whole mail, if all of it was received."""

    id: UUID
    mailbox: str
    reason: str
    size: int
    received_at: datetime
    has_content: bool = True


def insert_item(
    connection: Connection, keys: Keys, item: ReviewItem, content_digest: bytes, head: bytes
) -> None:
    """Store a mail, once."""
    connection.execute(
        """INSERT INTO review_queue (id, content_digest, mailbox, reason, size, head,
            received_at)
        VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (content_digest) DO NOTHING""",
        (
            item.id,
            content_digest,
            item.mailbox,
            item.reason,
            item.size,
            _seal_head(keys, item.id, head),
            item.received_at,
        ),
    )


def list_open_items(connection: Connection, limit: int) -> Sequence[ReviewItem]:
    """Items without a decision, the oldest first."""
    rows = connection.execute(
        """SELECT id, mailbox, reason, size, received_at, head IS NOT NULL FROM review_queue
        WHERE resolved_at IS NULL ORDER BY received_at, id LIMIT %s""",
        (limit,),
    )
    return [ReviewItem(*row) for row in rows]


MAX_OPEN_ITEMS = 1_000


def count_open_items(connection: Connection) -> int:
    """How many have no decision yet (to MAX_OPEN_ITEMS)."""
    row = connection.execute(
        """SELECT count(*) FROM (
            SELECT FROM review_queue WHERE resolved_at IS NULL LIMIT %s) AS found""",
        (MAX_OPEN_ITEMS,),
    ).fetchone()
    assert row
    return int(row[0])


def load_open_item(
    connection: Connection, keys: Keys, item_id: UUID
) -> tuple[ReviewItem, bytes] | None:
    """One open item, and its content (empty after RETENTION); None if none has this id."""
    row = connection.execute(
        """SELECT id, mailbox, reason, size, received_at, head FROM review_queue
        WHERE id = %s AND resolved_at IS NULL""",
        (item_id,),
    ).fetchone()
    if row is None:
        return None
    sealed = row[5]
    mail = ReviewItem(item_id, row[1], row[2], row[3], row[4], sealed is not None)
    return mail, b"" if sealed is None else _open_head(keys, item_id, sealed)


def resolve_item(connection: Connection, item_id: UUID, outcome: str, now: datetime) -> bool:
    """Record a decision and delete the content. False if it was resolved before."""
    done = connection.execute(
        """UPDATE review_queue SET resolved_at = %s, outcome = %s, head = NULL
        WHERE id = %s AND resolved_at IS NULL""",
        (now, outcome, item_id),
    )
    return done.rowcount > 0


def purge_items(connection: Connection, now: datetime) -> None:
    """Delete resolved items and content older than RETENTION."""
    connection.execute("DELETE FROM review_queue WHERE resolved_at < %s", (now - RETENTION,))
    connection.execute(
        "UPDATE review_queue SET head = NULL WHERE received_at < %s AND head IS NOT NULL",
        (now - RETENTION,),
    )


def _seal_head(keys: Keys, item_id: UUID, head: bytes) -> bytes:
    text = base64.b64encode(zlib.compress(head[:MAX_HEAD_BYTES])).decode()
    return keys.seal(text, context=review_queue_context(item_id))


def _open_head(keys: Keys, item_id: UUID, sealed: bytes) -> bytes:
    return zlib.decompress(
        base64.b64decode(keys.open(sealed, context=review_queue_context(item_id)))
    )


class BurstRow(db.Model):  # type: ignore[misc,name-defined]
    """One burst. `known_addresses` counts the stored addresses of its domain at that time."""

    __tablename__ = "burst"
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    domain_digest: Mapped[bytes] = mapped_column(LargeBinary)
    detected_at: Mapped[datetime] = mapped_column(TimestampTz)
    first_at: Mapped[datetime] = mapped_column(TimestampTz)
    last_at: Mapped[datetime] = mapped_column(TimestampTz)
    issued_first: Mapped[datetime] = mapped_column(TimestampTz)
    issued_last: Mapped[datetime] = mapped_column(TimestampTz)
    events: Mapped[int] = mapped_column(Integer)
    addresses: Mapped[int] = mapped_column(Integer)
    known_addresses: Mapped[int] = mapped_column(Integer)
    message_ids: Mapped[list[str]] = mapped_column(ARRAY(Text))
    __table_args__ = (Index("burst_detected_at", "detected_at"),)


class BurstEventRow(db.Model):  # type: ignore[misc,name-defined]
    """Which burst an event is part of."""

    __tablename__ = "burst_event"
    event_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    burst_id: Mapped[UUID] = mapped_column(Uuid)
    __table_args__ = (Index("burst_event_burst", "burst_id"),)


class BurstScanRow(db.Model):  # type: ignore[misc,name-defined]
    """One row: up to when events were scanned for bursts."""

    __tablename__ = "burst_scan"
    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    scanned_until: Mapped[datetime] = mapped_column(TimestampTz)


class ReviewQueueRow(db.Model):  # type: ignore[misc,name-defined]
    """A mail whose meaning or sender is uncertain; see `inbound.store`.

    `head` is its beginning, sealed; null once it is resolved or too old. `content_digest` is a
    keyed digest of it: a mail that is delivered again has the same row.
    """

    __tablename__ = "review_queue"
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    content_digest: Mapped[bytes] = mapped_column(LargeBinary)
    mailbox: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    size: Mapped[int] = mapped_column(BigInteger)
    head: Mapped[bytes | None] = mapped_column(LargeBinary)
    received_at: Mapped[datetime] = mapped_column(TimestampTz)
    resolved_at: Mapped[datetime | None] = mapped_column(TimestampTz)
    outcome: Mapped[str] = mapped_column(Text, server_default="")
    __table_args__ = (
        Index("review_queue_content_digest", "content_digest", unique=True),
        Index("review_queue_open", "received_at", postgresql_where=text("resolved_at IS NULL")),
        Index("review_queue_resolved_at", "resolved_at"),
        Index(
            "review_queue_with_content", "received_at", postgresql_where=text("head IS NOT NULL")
        ),
    )
