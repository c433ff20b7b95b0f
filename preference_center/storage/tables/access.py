"""What the service itself is run with."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Identity, Integer, LargeBinary, Text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from preference_center.extensions import db
from preference_center.storage.tables.moments import Moment


class CatalogueVersionRow(db.Model):  # type: ignore[misc,name-defined]
    """Every catalogue that was ever applied."""

    __tablename__ = "catalogue_version"
    id: Mapped[int] = mapped_column(Integer, Identity(always=True), primary_key=True)
    text: Mapped[str] = mapped_column(Text)
    digest: Mapped[str] = mapped_column(Text)
    applied_at: Mapped[datetime] = mapped_column(Moment)


class ApiKeyRow(db.Model):  # type: ignore[misc,name-defined]
    """A sender's key, hashed."""

    __tablename__ = "api_key"
    id: Mapped[int] = mapped_column(Integer, Identity(always=True), primary_key=True)
    name: Mapped[str] = mapped_column(Text, unique=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    message_types: Mapped[list[str]] = mapped_column(ARRAY(Text))
    rate: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Moment)
    revoked_at: Mapped[datetime | None] = mapped_column(Moment)


class KeptAnswerRow(db.Model):  # type: ignore[misc,name-defined]
    """The answer to a write with an Idempotency-Key, sealed, kept for its repeats."""

    __tablename__ = "kept_answer"
    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    ciphertext: Mapped[bytes] = mapped_column(LargeBinary)
    kept_at: Mapped[datetime] = mapped_column(Moment, index=True)


class AuditRow(db.Model):  # type: ignore[misc,name-defined]
    """Who did or tried what, besides the ledger; nothing personal."""

    __tablename__ = "audit"
    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    at: Mapped[datetime] = mapped_column(Moment)
    actor: Mapped[str] = mapped_column(Text)
    action: Mapped[str] = mapped_column(Text)
    detail: Mapped[dict[str, Any]] = mapped_column(JSONB)


class KeyFingerprintRow(db.Model):  # type: ignore[misc,name-defined]
    """Fingerprints of the keys that the stored data was made with."""

    __tablename__ = "key_fingerprint"
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    fingerprint: Mapped[str] = mapped_column(Text)
