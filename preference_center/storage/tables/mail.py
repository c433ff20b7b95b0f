"""Email sent and received: the outbox, opt-outs by mail, bounces and the review queue."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import BigInteger, Date, Index, LargeBinary, Text, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from preference_center.extensions import db
from preference_center.storage.tables.column_types import TimestampTz


class PendingMailOptOutRow(db.Model):  # type: ignore[misc,name-defined]
    """An opt-out by mail whose address is not known yet; checks apply it already."""

    __tablename__ = "pending_mail_opt_out"
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    digest_prefix: Mapped[bytes] = mapped_column(LargeBinary)
    scope_hash: Mapped[bytes] = mapped_column(LargeBinary)
    scope: Mapped[str | None] = mapped_column(Text)
    key_id: Mapped[str] = mapped_column(Text)
    issued_on: Mapped[date | None] = mapped_column(Date)
    received_at: Mapped[datetime] = mapped_column(TimestampTz)
    last_received_at: Mapped[datetime] = mapped_column(TimestampTz)
    dismissed_at: Mapped[datetime | None] = mapped_column(TimestampTz)
    """When somebody decided that its address can't be found; it no longer counts as late."""
    dismissal_reason: Mapped[str] = mapped_column(Text, server_default="")
    __table_args__ = (
        Index("pending_mail_opt_out_digests", "digest_prefix", "scope_hash", unique=True),
        Index(
            "pending_mail_opt_out_open",
            "received_at",
            postgresql_where=text("dismissed_at IS NULL"),
        ),
    )


class ReviewQueueRow(db.Model):  # type: ignore[misc,name-defined]
    """A mail whose meaning or sender is uncertain; see `storage.mail.review_queue`.

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


class EmailStopRow(db.Model):  # type: ignore[misc,name-defined]
    """A mailbox that wants no emails which anybody can cause; see `storage.mail.email_stops`.

    `digest` is that of the mailbox. Deleted once it has ended.
    """

    __tablename__ = "email_stop"
    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    ends_at: Mapped[datetime] = mapped_column(TimestampTz)


class CountedBounceRow(db.Model):  # type: ignore[misc,name-defined]
    """A bounce that does not suppress by itself; deleted when it can't count any more.

    `digest` is the exact one of the address, `code` how the bounce was classified. The `id` is
    the same whenever the same bounce is reported again.
    """

    __tablename__ = "counted_bounce"
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    code: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(TimestampTz)
    __table_args__ = (
        Index("counted_bounce_digest", "digest"),
        Index("counted_bounce_at", "at"),
    )
