"""The ledger, and what is derived from it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    Computed,
    Identity,
    Index,
    LargeBinary,
    SmallInteger,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from preference_center.extensions import db
from preference_center.storage.tables.epochs import TransactionId
from preference_center.storage.tables.moments import Moment

MAY_STAND = "standing OR pause_until IS NOT NULL"
"""The suppressions that lists look at; whether a pause still runs is for the reader to see."""

REASON = "CASE WHEN standing THEN reason ELSE 'paused' END"
"""Why one of those stands, if it does: the `Kind` of the event."""


class AddressRow(db.Model):  # type: ignore[misc,name-defined]
    """One form of an address. `ciphertext` is null when only a digest is known.

    `domain_digest` is null for domains that many people share too (`domain.bursts`).
    """

    __tablename__ = "address"
    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    channel: Mapped[str] = mapped_column(Text)
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    norm_version: Mapped[int] = mapped_column(SmallInteger)
    ciphertext: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(Moment)
    erased_at: Mapped[datetime | None] = mapped_column(Moment)
    domain_digest: Mapped[bytes | None] = mapped_column(LargeBinary)
    __table_args__ = (
        Index("address_digest", "digest", "channel", unique=True),
        Index(
            "address_domain", "domain_digest", postgresql_where=text("domain_digest IS NOT NULL")
        ),
    )


class AddressKeyRow(db.Model):  # type: ignore[misc,name-defined]
    """Every digest under which an address is found (I9); `kind` as in `KeyKind`."""

    __tablename__ = "address_key"
    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    channel: Mapped[str] = mapped_column(Text, primary_key=True)
    address_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    kind: Mapped[int] = mapped_column(SmallInteger)
    __table_args__ = (Index("address_key_address", "address_id"),)


class EventRow(db.Model):  # type: ignore[misc,name-defined]
    """The ledger. A trigger refuses updates and deletes (I8)."""

    __tablename__ = "event"
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True), unique=True)
    address_id: Mapped[int] = mapped_column(BigInteger, index=True)
    kind: Mapped[str] = mapped_column(Text)
    scope: Mapped[str] = mapped_column(Text)
    occurred_at: Mapped[datetime] = mapped_column(Moment)
    received_at: Mapped[datetime] = mapped_column(Moment)
    recorded_at: Mapped[datetime] = mapped_column(Moment)
    counts_at: Mapped[datetime] = mapped_column(Moment)
    until: Mapped[datetime | None] = mapped_column(Moment)
    source: Mapped[str] = mapped_column(Text)
    actor: Mapped[str] = mapped_column(Text)
    own: Mapped[bool] = mapped_column(Boolean)
    evidence: Mapped[dict[str, str]] = mapped_column(JSONB)
    retracts: Mapped[list[UUID] | None] = mapped_column(ARRAY(Uuid))
    xid: Mapped[int | None] = mapped_column(
        TransactionId, server_default=text("pg_current_xact_id()")
    )
    """The transaction that wrote it; null if older than the column. See `watermarks`."""
    __table_args__ = (Index("event_order", "xid", "seq", postgresql_where=text("xid IS NOT NULL")),)


class RetractedRow(db.Model):  # type: ignore[misc,name-defined]
    """The events that a retraction took back."""

    __tablename__ = "retracted"
    event_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    by_event_id: Mapped[UUID] = mapped_column(Uuid)


class EventRepeatRow(db.Model):  # type: ignore[misc,name-defined]
    """When an own opt-out was last repeated, within seconds: it counts from then (I5, I7)."""

    __tablename__ = "event_repeat"
    event_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    last_at: Mapped[datetime] = mapped_column(Moment)


class SuppressionRow(db.Model):  # type: ignore[misc,name-defined]
    """The maxima per address and scope (I5). `standing` leaves wider lifts aside."""

    __tablename__ = "suppression"
    address_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    scope: Mapped[str] = mapped_column(Text, primary_key=True)
    out_at: Mapped[datetime | None] = mapped_column(Moment)
    out_event: Mapped[UUID | None] = mapped_column(Uuid)
    reason: Mapped[str | None] = mapped_column(Text)
    own: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    lift_at: Mapped[datetime | None] = mapped_column(Moment)
    lift_event: Mapped[UUID | None] = mapped_column(Uuid)
    pause_at: Mapped[datetime | None] = mapped_column(Moment)
    pause_event: Mapped[UUID | None] = mapped_column(Uuid)
    pause_until: Mapped[datetime | None] = mapped_column(Moment)
    standing: Mapped[bool | None] = mapped_column(
        Boolean,
        Computed("out_at IS NOT NULL AND (lift_at IS NULL OR out_at >= lift_at)", persisted=True),
    )
    __table_args__ = (
        Index("suppression_scope", "scope", "address_id", postgresql_where=text(MAY_STAND)),
        Index(
            "suppression_reason",
            text(f"({REASON})"),
            "address_id",
            "scope",
            postgresql_where=text(MAY_STAND),
        ),
    )


class ConsentRow(db.Model):  # type: ignore[misc,name-defined]
    """The newest consent per address and topic; its evidence is in the event."""

    __tablename__ = "consent"
    address_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    topic: Mapped[str] = mapped_column(Text, primary_key=True)
    at: Mapped[datetime] = mapped_column(Moment)
    event: Mapped[UUID] = mapped_column(Uuid)
