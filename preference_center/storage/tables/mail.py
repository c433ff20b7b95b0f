"""What serves the people who write to us and whom we answer."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import Date, Index, Integer, LargeBinary, Text, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from preference_center.extensions import db
from preference_center.storage.tables.moments import Moment


class OutgoingMailRow(db.Model):  # type: ignore[misc,name-defined]
    """A mail of ours that is to be sent, or was.

    `next_at` alone is the queue: null means done, and while a worker holds the row it is
    the end of its lease. `ciphertext` is all that is personal; it is null once done.
    """

    __tablename__ = "outgoing_mail"
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    ciphertext: Mapped[bytes | None] = mapped_column(LargeBinary)
    language: Mapped[str] = mapped_column(Text)
    brand: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Moment)
    expires_at: Mapped[datetime] = mapped_column(Moment)
    next_at: Mapped[datetime | None] = mapped_column(Moment)
    attempts: Mapped[int] = mapped_column(Integer, server_default="0")
    lease: Mapped[UUID | None] = mapped_column(Uuid)
    outcome: Mapped[str | None] = mapped_column(Text)
    __table_args__ = (
        Index("outgoing_mail_queue", "next_at", postgresql_where=text("next_at IS NOT NULL")),
        Index("outgoing_mail_done", "created_at", postgresql_where=text("next_at IS NULL")),
    )


class SpentPassRow(db.Model):  # type: ignore[misc,name-defined]
    """A pass that may be used once, and was; forgotten when it opens nothing any more."""

    __tablename__ = "spent_pass"
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    spent_at: Mapped[datetime] = mapped_column(Moment)
    forget_at: Mapped[datetime] = mapped_column(Moment, index=True)


class ReasonCountRow(db.Model):  # type: ignore[misc,name-defined]
    """Why people left: counts per month, without anything about who."""

    __tablename__ = "reason_count"
    month: Mapped[date] = mapped_column(Date, primary_key=True)
    scope: Mapped[str] = mapped_column(Text, primary_key=True)
    reason: Mapped[str] = mapped_column(Text, primary_key=True)
    count: Mapped[int] = mapped_column(Integer)


class InboundUnresolvedRow(db.Model):  # type: ignore[misc,name-defined]
    """An opt-out by mail whose address is not known yet; checks honour it meanwhile."""

    __tablename__ = "inbound_unresolved"
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    digest_prefix: Mapped[bytes] = mapped_column(LargeBinary)
    scope_mark: Mapped[bytes] = mapped_column(LargeBinary)
    scope: Mapped[str | None] = mapped_column(Text)
    key_id: Mapped[str] = mapped_column(Text)
    issued_on: Mapped[date | None] = mapped_column(Date)
    received_at: Mapped[datetime] = mapped_column(Moment)
    last_received_at: Mapped[datetime] = mapped_column(Moment)
    dismissed_at: Mapped[datetime | None] = mapped_column(Moment)
    """When a person decided that its address can't be found; it counts as late no more."""
    dismissal: Mapped[str] = mapped_column(Text, server_default="")
    __table_args__ = (
        Index("inbound_unresolved_reference", "digest_prefix", "scope_mark", unique=True),
        Index(
            "inbound_unresolved_open",
            "received_at",
            postgresql_where=text("dismissed_at IS NULL"),
        ),
    )
