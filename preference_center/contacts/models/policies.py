"""Who is informed of which version of the privacy policy."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Identity, Index, Integer, Text, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from preference_center.infra.context import db
from preference_center.infra.models import TimestampTz


class PolicyAnnouncementRow(db.Model):  # type: ignore[misc,name-defined]
    """One version that is announced, and how far its recipients are selected."""

    __tablename__ = "policy_announcement"
    version: Mapped[str] = mapped_column(Text, primary_key=True)
    begun_at: Mapped[datetime] = mapped_column(TimestampTz)
    last_address_id: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    """The last address that was looked at: where a run that was stopped goes on."""
    selected_at: Mapped[datetime | None] = mapped_column(TimestampTz)
    """When all were looked at, last."""


class PolicyNoticeRow(db.Model):  # type: ignore[misc,name-defined]
    """One person to inform of a version: a contact, or an address of no contact; each once."""

    __tablename__ = "policy_notice"
    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    """In the order in which they were committed: the cursor of readers."""
    version: Mapped[str] = mapped_column(Text)
    address_id: Mapped[int] = mapped_column(BigInteger)
    contact_id: Mapped[UUID | None] = mapped_column(Uuid)
    reach: Mapped[str] = mapped_column(Text)
    """`contacts.notices.rules.Reach`, when they were selected."""
    selected_at: Mapped[datetime] = mapped_column(TimestampTz)
    noticed_at: Mapped[datetime | None] = mapped_column(TimestampTz)
    """When their row was handed to the sender of the notice."""
    via: Mapped[str | None] = mapped_column(Text)
    """`contacts.notices.rules.NoticeChannel`."""
    __table_args__ = (
        Index("policy_notice_address", "address_id", "version", unique=True),
        Index(
            "policy_notice_contact",
            "contact_id",
            "version",
            unique=True,
            postgresql_where=text("contact_id IS NOT NULL"),
        ),
        Index("policy_notice_version", "version", "seq"),
    )


class PolicyWebhookRow(db.Model):  # type: ignore[misc,name-defined]
    """A batch of notices for the company's webhook, until it is delivered; nothing personal.

    `next_at` is the queue, and while a worker holds the row, the end of its lease.
    """

    __tablename__ = "policy_webhook"
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    version: Mapped[str] = mapped_column(Text)
    first_seq: Mapped[int] = mapped_column(BigInteger)
    last_seq: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(TimestampTz)
    next_at: Mapped[datetime | None] = mapped_column(TimestampTz)
    attempts: Mapped[int] = mapped_column(Integer, server_default="0")
    outcome: Mapped[str] = mapped_column(Text, server_default="")
    __table_args__ = (
        Index("policy_webhook_queue", "next_at", postgresql_where=text("next_at IS NOT NULL")),
    )
