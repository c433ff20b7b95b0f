"""The tables, as SQLAlchemy models: the schema's one description (migrations follow it).

Hot paths write SQL of their own against these names and make no ORM objects. Foreign
keys are left out where a row is written per opt-out: rows are never deleted there, and
each check costs a look-up and a lock.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    Computed,
    Date,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from preference_center.extensions import db

Moment = DateTime(timezone=True)


class AddressRow(db.Model):  # type: ignore[misc,name-defined]
    """One form of an address. `ciphertext` is null when only a digest is known."""

    __tablename__ = "address"
    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    channel: Mapped[str] = mapped_column(Text)
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    norm_version: Mapped[int] = mapped_column(SmallInteger)
    ciphertext: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(Moment)
    erased_at: Mapped[datetime | None] = mapped_column(Moment)
    __table_args__ = (Index("address_digest", "digest", "channel", unique=True),)


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


class RetractedRow(db.Model):  # type: ignore[misc,name-defined]
    """The events that a retraction took back."""

    __tablename__ = "retracted"
    event_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    by_event_id: Mapped[UUID] = mapped_column(Uuid)


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


class ConsentRow(db.Model):  # type: ignore[misc,name-defined]
    """The newest consent per address and topic; its evidence is in the event."""

    __tablename__ = "consent"
    address_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    topic: Mapped[str] = mapped_column(Text, primary_key=True)
    at: Mapped[datetime] = mapped_column(Moment)
    event: Mapped[UUID] = mapped_column(Uuid)


class DestinationRow(db.Model):  # type: ignore[misc,name-defined]
    """One configured account of a connected tool, and the state of its circuit."""

    __tablename__ = "destination"
    id: Mapped[int] = mapped_column(Integer, Identity(always=True), primary_key=True)
    name: Mapped[str] = mapped_column(Text, unique=True)
    kind: Mapped[str] = mapped_column(Text)
    settings: Mapped[bytes] = mapped_column(LargeBinary)
    channels: Mapped[list[str]] = mapped_column(ARRAY(Text))
    sends: Mapped[list[str]] = mapped_column(ARRAY(Text))
    mapping: Mapped[dict[str, str]] = mapped_column(JSONB)
    sends_service: Mapped[bool] = mapped_column(Boolean)
    can_lift: Mapped[bool] = mapped_column(Boolean, server_default="true")
    status: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text, server_default="")
    failures: Mapped[int] = mapped_column(Integer, server_default="0")
    retry_at: Mapped[datetime | None] = mapped_column(Moment)
    created_at: Mapped[datetime] = mapped_column(Moment)


class SyncStateRow(db.Model):  # type: ignore[misc,name-defined]
    """Per destination and address: what it should reflect, what it does, what is next.

    `next_at` alone is the queue: null means settled, and while a worker holds the row
    it is the end of its lease. `due_at` belongs to the earliest opt-out not yet
    reflected. `told` are the topics we turned off there. Until `lift_until` a request
    that turns one on may still be under way (a frozen worker, a slow tool).
    """

    __tablename__ = "sync_state"
    destination_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    address_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    wanted: Mapped[int] = mapped_column(BigInteger)
    reflected: Mapped[int] = mapped_column(BigInteger, server_default="0")
    due_at: Mapped[datetime | None] = mapped_column(Moment)
    next_at: Mapped[datetime | None] = mapped_column(Moment)
    attempts: Mapped[int] = mapped_column(Integer, server_default="0")
    lease: Mapped[UUID | None] = mapped_column(Uuid)
    lift_until: Mapped[datetime | None] = mapped_column(Moment)
    told: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    outcome: Mapped[str | None] = mapped_column(Text)
    __table_args__ = (
        Index(
            "sync_state_queue",
            "destination_id",
            "next_at",
            postgresql_where=text("next_at IS NOT NULL"),
        ),
        Index("sync_state_due", "due_at", postgresql_where=text("due_at IS NOT NULL")),
        {"postgresql_with": {"fillfactor": "80"}},
    )


class DeliveryRow(db.Model):  # type: ignore[misc,name-defined]
    """What a destination was told about an address; append-only like the ledger."""

    __tablename__ = "delivery"
    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    destination_id: Mapped[int] = mapped_column(Integer)
    address_id: Mapped[int] = mapped_column(BigInteger, index=True)
    version: Mapped[int] = mapped_column(BigInteger)
    outcome: Mapped[str] = mapped_column(Text)
    ack: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(Moment)


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
    issued_on: Mapped[date] = mapped_column(Date)
    received_at: Mapped[datetime] = mapped_column(Moment)
    last_received_at: Mapped[datetime] = mapped_column(Moment)
    __table_args__ = (
        Index("inbound_unresolved_reference", "digest_prefix", "scope_mark", unique=True),
    )


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
    created_at: Mapped[datetime] = mapped_column(Moment)
    revoked_at: Mapped[datetime | None] = mapped_column(Moment)


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
