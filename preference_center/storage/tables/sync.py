"""Destinations, and what each of them knows."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
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
from preference_center.storage.tables.moments import Moment


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
    pulled_at: Mapped[datetime | None] = mapped_column(Moment)
    """When the tool's own opt-outs had been read in; the back-fill waits for it."""
    slow_until: Mapped[datetime | None] = mapped_column(Moment)
    """Until when it counts as slow, after a push that took long: see `domain.lanes`."""


class PushRow(db.Model):  # type: ignore[misc,name-defined]
    """A push under way; one whose `ends_at` has passed was a worker's that died."""

    __tablename__ = "push"
    lease: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    destination_id: Mapped[int] = mapped_column(Integer)
    began_at: Mapped[datetime] = mapped_column(Moment)
    ends_at: Mapped[datetime] = mapped_column(Moment)
    __table_args__ = (Index("push_destination", "destination_id"),)


class SyncStateRow(db.Model):  # type: ignore[misc,name-defined]
    """Per destination and address: what it should reflect, what it does, what is next.

    `next_at` alone is the queue: null means settled, and while a worker holds the row
    it is the end of its lease. What an import or a back-fill raised is `bulk` and waits
    behind what people do now. `due_at` belongs to the earliest opt-out not yet
    reflected. `told` are the topics we turned off there, and `all_marketing` where the tool
    showed the contact's own switch for all it sends as off. Until `lift_until` a request
    that turns one on may still be under way (a frozen worker, a slow tool). At
    `verify_at` it is read back, or an absent address looked for again; `checks` counts how
    often in a row that found it missing.
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
    bulk: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    verify_at: Mapped[datetime | None] = mapped_column(Moment)
    checks: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    __table_args__ = (
        Index(
            "sync_state_queue",
            "destination_id",
            "bulk",
            "next_at",
            postgresql_where=text("next_at IS NOT NULL"),
        ),
        Index(
            "sync_state_verify",
            "destination_id",
            "verify_at",
            postgresql_where=text("verify_at IS NOT NULL"),
        ),
        Index(
            "sync_state_late",
            "destination_id",
            "due_at",
            postgresql_where=text("due_at IS NOT NULL"),
        ),
        {"postgresql_with": {"fillfactor": "80"}},
    )


class BackfillRow(db.Model):  # type: ignore[misc,name-defined]
    """How far a destination's first rows have been raised; see `backfills.Backfill`."""

    __tablename__ = "backfill"
    destination_id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    reached: Mapped[int] = mapped_column(BigInteger, server_default="0")
    until_id: Mapped[int | None] = mapped_column(BigInteger)
    rows: Mapped[int] = mapped_column(BigInteger, server_default="0")
    started_at: Mapped[datetime] = mapped_column(Moment)
    finished_at: Mapped[datetime | None] = mapped_column(Moment)


class DeferredRaiseRow(db.Model):  # type: ignore[misc,name-defined]
    """The forms of a mailbox whose sync states an event has still to raise (I9).

    They are those that match the key (`digest`, `channel`, `kind`) and have ids above
    `reached`. Events of one key and scope share a row until it is `begun`; `received_at` is
    the earliest of them, null if all of them lift.
    """

    __tablename__ = "deferred_raise"
    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    channel: Mapped[str] = mapped_column(Text)
    kind: Mapped[int] = mapped_column(SmallInteger)
    scope: Mapped[str] = mapped_column(Text)
    version: Mapped[int] = mapped_column(BigInteger)
    received_at: Mapped[datetime | None] = mapped_column(Moment)
    reached: Mapped[int] = mapped_column(BigInteger)
    begun: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    __table_args__ = (
        Index(
            "deferred_raise_waiting",
            "digest",
            "channel",
            "kind",
            "scope",
            unique=True,
            postgresql_where=text("NOT begun"),
        ),
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
