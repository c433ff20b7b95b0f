"""Email sent and received: the outbox, opt-outs by mail, bounces and the review queue."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Index, LargeBinary, Text, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from preference_center.infra.context import db
from preference_center.infra.models import TimestampTz


class ReviewQueueRow(db.Model):  # type: ignore[misc,name-defined]
    """A mail whose meaning or sender is uncertain; see `inbound.store.review_queue`.

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
