"""Bounces that are counted: how often, on which days, and nothing readable of whose."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, LargeBinary, Text, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from preference_center.extensions import db
from preference_center.storage.tables.moments import Moment


class CountedBounceRow(db.Model):  # type: ignore[misc,name-defined]
    """One bounce that does not suppress by itself; forgotten when it can't count any more.

    `digest` is the exact one of the address, `code` what the bounce was read as. The `id` is
    the same whenever the same bounce is told again.
    """

    __tablename__ = "counted_bounce"
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    code: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(Moment)
    __table_args__ = (
        Index("counted_bounce_digest", "digest"),
        Index("counted_bounce_age", "at"),
    )
