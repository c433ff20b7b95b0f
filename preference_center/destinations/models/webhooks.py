"""Webhooks of connected tools as they arrived, and the questions that they leave open."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Index, Integer, LargeBinary, Text, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from preference_center.infra.context import db
from preference_center.infra.models import TimestampTz


class WebhookInboxRow(db.Model):  # type: ignore[misc,name-defined]
    """A verified POST to `/in/<destination>`, sealed; `next_at` is the queue.

    `body_digest` is keyed: a body that a tool sends again has the same row.
    """

    __tablename__ = "webhook_inbox"
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    destination_id: Mapped[int] = mapped_column(Integer)
    body_digest: Mapped[bytes] = mapped_column(LargeBinary)
    body: Mapped[bytes] = mapped_column(LargeBinary)
    received_at: Mapped[datetime] = mapped_column(TimestampTz)
    next_at: Mapped[datetime | None] = mapped_column(TimestampTz)
    attempts: Mapped[int] = mapped_column(Integer, server_default="0")
    outcome: Mapped[str] = mapped_column(Text, server_default="")
    __table_args__ = (
        Index("webhook_inbox_body_digest", "destination_id", "body_digest", unique=True),
        Index(
            "webhook_inbox_queue",
            "destination_id",
            "next_at",
            "id",
            postgresql_where=text("next_at IS NOT NULL"),
        ),
        Index("webhook_inbox_received_at", "received_at"),
        Index("webhook_inbox_pending", "received_at", postgresql_where=text("next_at IS NOT NULL")),
    )


class UsedWebhookTokenRow(db.Model):  # type: ignore[misc,name-defined]
    """A signed token that is valid for one POST and was used by it; the digest is keyed.

    It is written in the transaction that stores the POST, not to Redis, which may lose it.
    """

    __tablename__ = "used_webhook_token"
    destination_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    token_digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    webhook_id: Mapped[UUID] = mapped_column(Uuid)
    used_at: Mapped[datetime] = mapped_column(TimestampTz)
    __table_args__ = (Index("used_webhook_token_used_at", "used_at"),)


class UndecidedEventRow(db.Model):  # type: ignore[misc,name-defined]
    """A question that a vendor event leaves open, until somebody decides."""

    __tablename__ = "undecided_event"
    webhook_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    question: Mapped[str] = mapped_column(Text, primary_key=True)
    destination_id: Mapped[int] = mapped_column(Integer)
    received_at: Mapped[datetime] = mapped_column(TimestampTz)
    decided_at: Mapped[datetime | None] = mapped_column(TimestampTz)
    decision: Mapped[str] = mapped_column(Text, server_default="")
    __table_args__ = (
        Index("undecided_event_open", "received_at", postgresql_where=text("decided_at IS NULL")),
        Index(
            "undecided_event_decided",
            "decided_at",
            postgresql_where=text("decided_at IS NOT NULL"),
        ),
    )


class IgnoredQuestionRow(db.Model):  # type: ignore[misc,name-defined]
    """A question that is not to be asked again at one destination."""

    __tablename__ = "ignored_question"
    destination_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    question: Mapped[str] = mapped_column(Text, primary_key=True)
    reason: Mapped[str] = mapped_column(Text)
    ignored_at: Mapped[datetime] = mapped_column(TimestampTz)


class UnknownEventTypeRow(db.Model):  # type: ignore[misc,name-defined]
    """A type of vendor event that a tool reported and no integration knows."""

    __tablename__ = "unknown_event_type"
    destination_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    type: Mapped[str] = mapped_column(Text, primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger)
    last_at: Mapped[datetime] = mapped_column(TimestampTz)
