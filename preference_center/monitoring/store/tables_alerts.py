"""Alerts that hold, and notices about them that are still to be sent. Nothing personal."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import Boolean, Integer, Text, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from preference_center.infra.context import db
from preference_center.infra.models import TimestampTz


class AlertRow(db.Model):  # type: ignore[misc,name-defined]
    """An alert that has begun and not ended; `seen_at` is when its condition last held."""

    __tablename__ = "alert"
    kind: Mapped[str] = mapped_column(Text, primary_key=True)
    subject: Mapped[str] = mapped_column(Text, primary_key=True)
    began_at: Mapped[datetime] = mapped_column(TimestampTz)
    seen_at: Mapped[datetime] = mapped_column(TimestampTz)


class AlertNoticeRow(db.Model):  # type: ignore[misc,name-defined]
    """A notice to one channel; deleted once it was sent. `next_at` is the queue."""

    __tablename__ = "alert_notice"
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    channel: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    subject: Mapped[str] = mapped_column(Text)
    has_ended: Mapped[bool] = mapped_column(Boolean)
    at: Mapped[datetime] = mapped_column(TimestampTz)
    next_at: Mapped[datetime] = mapped_column(TimestampTz, index=True)
    attempts: Mapped[int] = mapped_column(Integer, server_default="0")
