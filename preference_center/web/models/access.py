"""What the service itself is run with: the catalogue, keys, one-time tokens and the audit."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import BigInteger, Date, Identity, Index, Integer, LargeBinary, Text, Uuid
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from preference_center.infra.context import db
from preference_center.infra.models import TimestampTz


class ApiKeyRow(db.Model):  # type: ignore[misc,name-defined]
    """A sender's key, hashed."""

    __tablename__ = "api_key"
    id: Mapped[int] = mapped_column(Integer, Identity(always=True), primary_key=True)
    name: Mapped[str] = mapped_column(Text, unique=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    message_types: Mapped[list[str]] = mapped_column(ARRAY(Text))
    rate: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(TimestampTz)
    revoked_at: Mapped[datetime | None] = mapped_column(TimestampTz)
    last_used_at: Mapped[datetime | None] = mapped_column(TimestampTz)


class KeyUsageRow(db.Model):  # type: ignore[misc,name-defined]
    """What was done with a sender's key on one day (UTC): counts, and nothing about whom."""

    __tablename__ = "key_usage"
    name: Mapped[str] = mapped_column(Text, primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    requests: Mapped[int] = mapped_column(BigInteger)
    decisions: Mapped[int] = mapped_column(BigInteger)
    denied: Mapped[int] = mapped_column(BigInteger)
    refused: Mapped[int] = mapped_column(BigInteger)
    limited: Mapped[int] = mapped_column(BigInteger)


class ConsumedOneTimeTokenRow(db.Model):  # type: ignore[misc,name-defined]
    """A one-time token that was used; deleted once it has expired."""

    __tablename__ = "consumed_one_time_token"
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    consumed_at: Mapped[datetime] = mapped_column(TimestampTz)
    expires_at: Mapped[datetime] = mapped_column(TimestampTz, index=True)


class ShortLinkRow(db.Model):  # type: ignore[misc,name-defined]
    """What a short link stands for, encrypted by its code; see `web.pages.short_links`."""

    __tablename__ = "short_link"
    lookup: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    content: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(TimestampTz)


class IdempotentResponseRow(db.Model):  # type: ignore[misc,name-defined]
    """The sealed response to a write with an Idempotency-Key, for its repeats."""

    __tablename__ = "idempotent_response"
    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    ciphertext: Mapped[bytes] = mapped_column(LargeBinary)
    stored_at: Mapped[datetime] = mapped_column(TimestampTz, index=True)


class PersonAccessRow(db.Model):  # type: ignore[misc,name-defined]
    """Whose data somebody of the staff looked at, and why; kept as long as its audit entry.

    `digest` is the exact one of the address. An erasure clears `ciphertext` and `reference`.
    """

    __tablename__ = "person_access"
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    audit_id: Mapped[int] = mapped_column(BigInteger, unique=True)
    at: Mapped[datetime] = mapped_column(TimestampTz)
    actor: Mapped[str] = mapped_column(Text)
    action: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    reference: Mapped[str] = mapped_column(Text)
    channel: Mapped[str] = mapped_column(Text)
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    ciphertext: Mapped[bytes | None] = mapped_column(LargeBinary)
    __table_args__ = (Index("person_access_digest", "digest"),)
