"""Mails that a person has to look at."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Index, LargeBinary, Text, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from preference_center.extensions import db
from preference_center.storage.tables.moments import Moment


class KeptMailRow(db.Model):  # type: ignore[misc,name-defined]
    """A mail whose meaning, or whose person, is not certain; see `storage.kept_mail`.

    `head` is its beginning, sealed; None once somebody has decided, or after a time. `mark`
    is a keyed digest of it: what is delivered again is the same row.
    """

    __tablename__ = "kept_mail"
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    mark: Mapped[bytes] = mapped_column(LargeBinary)
    door: Mapped[str] = mapped_column(Text)
    why: Mapped[str] = mapped_column(Text)
    size: Mapped[int] = mapped_column(BigInteger)
    head: Mapped[bytes | None] = mapped_column(LargeBinary)
    received_at: Mapped[datetime] = mapped_column(Moment)
    settled_at: Mapped[datetime | None] = mapped_column(Moment)
    outcome: Mapped[str] = mapped_column(Text, server_default="")
    __table_args__ = (
        Index("kept_mail_mark", "mark", unique=True),
        Index("kept_mail_waiting", "received_at", postgresql_where=text("settled_at IS NULL")),
        Index("kept_mail_settled", "settled_at"),
        Index("kept_mail_sealed", "received_at", postgresql_where=text("head IS NOT NULL")),
    )
