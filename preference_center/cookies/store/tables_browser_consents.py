"""What browsers chose about the cookies of the company's sites; no row is anybody's."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Identity, Index, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from preference_center.infra.context import db
from preference_center.infra.models import TimestampTz


class BrowserConsentRow(db.Model):  # type: ignore[misc,name-defined]
    """One choice. Rows are never updated: a newer one names the `previous` that it ends."""

    __tablename__ = "browser_consent"
    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    id: Mapped[UUID] = mapped_column(Uuid, unique=True)
    site: Mapped[str] = mapped_column(Text)
    choices: Mapped[dict[str, bool]] = mapped_column(JSONB)
    method: Mapped[str] = mapped_column(Text)
    version: Mapped[str] = mapped_column(Text)
    policy_version: Mapped[str | None] = mapped_column(Text)
    language: Mapped[str] = mapped_column(Text)
    decided_at: Mapped[datetime] = mapped_column(TimestampTz)
    expires_at: Mapped[datetime] = mapped_column(TimestampTz)
    previous: Mapped[UUID | None] = mapped_column(Uuid)
    __table_args__ = (
        Index("browser_consent_previous", "previous"),
        Index("browser_consent_decided_at", "decided_at"),
    )
