"""How far publishers have passed on the feed. Nothing personal."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Text
from sqlalchemy.orm import Mapped, mapped_column

from preference_center.infra.context import db
from preference_center.infra.models import TimestampTz


class FeedCursorRow(db.Model):  # type: ignore[misc,name-defined]
    """A publisher, and the watermark up to which it has passed on everything."""

    __tablename__ = "feed_cursor"
    name: Mapped[str] = mapped_column(Text, primary_key=True)
    watermark: Mapped[str] = mapped_column(Text)
    updated_at: Mapped[datetime] = mapped_column(TimestampTz)
