"""These classes describe the tables of the ledger, and of what is derived from it."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Computed,
    Date,
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

from preference_center.infra.context import db
from preference_center.infra.models import (
    APPEND_ONLY,
    RESEAL_OR_DELETE_ONLY,
    VACUUM_OFTEN,
    TimestampTz,
    TransactionId,
)

MAY_BE_ACTIVE = "active OR pause_until IS NOT NULL"
"""The suppressions that lists select; the reader must check whether a pause still runs."""


ACTIVE_REASON = "CASE WHEN active THEN reason ELSE 'paused' END"
"""Why one of those is active, if it is: the `EventKind` of the event."""


class AddressRow(db.Model):  # type: ignore[misc,name-defined]
    """One form of an address. `ciphertext` is null when only a digest is known.

    `domain_digest` is null for domains that many people share, too (`core.bursts`).
    """

    __tablename__ = "address"
    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    channel: Mapped[str] = mapped_column(Text)
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    norm_version: Mapped[int] = mapped_column(SmallInteger)
    ciphertext: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(TimestampTz)
    erased_at: Mapped[datetime | None] = mapped_column(TimestampTz)
    """When it was erased; null once the person came back, unlike `last_erased_at`."""
    last_erased_at: Mapped[datetime | None] = mapped_column(TimestampTz)
    domain_digest: Mapped[bytes | None] = mapped_column(LargeBinary)
    widened_xid: Mapped[int | None] = mapped_column(TransactionId)
    """The last transaction in which it became known, and is found under more digests since."""
    __table_args__ = (
        Index("address_digest", "digest", "channel", unique=True),
        Index(
            "address_domain", "domain_digest", postgresql_where=text("domain_digest IS NOT NULL")
        ),
        Index("address_widened", "widened_xid", postgresql_where=text("widened_xid IS NOT NULL")),
    )


class AddressKeyRow(db.Model):  # type: ignore[misc,name-defined]
    """Every digest under which an address is found (I9); `kind` as in `KeyKind`."""

    __tablename__ = "address_key"
    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    channel: Mapped[str] = mapped_column(Text, primary_key=True)
    address_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    kind: Mapped[int] = mapped_column(SmallInteger)
    __table_args__ = (Index("address_key_address", "address_id"),)


class Md5MatchingRow(db.Model):  # type: ignore[misc,name-defined]
    """One row, from the first MD5 import on: every address has `md5_keys` in `address_key`.

    Addresses stored before that get them in order of their ids. `last_address_id` is the last
    one that has them; `finished_at` is set when all do.
    """

    __tablename__ = "md5_matching"
    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, server_default=text("1"))
    started_at: Mapped[datetime] = mapped_column(TimestampTz)
    last_address_id: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    finished_at: Mapped[datetime | None] = mapped_column(TimestampTz)
    __table_args__ = (CheckConstraint("id = 1", name="md5_matching_single_row"),)


class EventRow(db.Model):  # type: ignore[misc,name-defined]
    """The ledger. A trigger rejects updates and deletes (I8)."""

    __tablename__ = "event"
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True), unique=True)
    address_id: Mapped[int] = mapped_column(BigInteger, index=True)
    kind: Mapped[str] = mapped_column(Text)
    scope: Mapped[str] = mapped_column(Text)
    occurred_at: Mapped[datetime] = mapped_column(TimestampTz)
    received_at: Mapped[datetime] = mapped_column(TimestampTz)
    recorded_at: Mapped[datetime] = mapped_column(TimestampTz)
    counts_at: Mapped[datetime] = mapped_column(TimestampTz)
    until: Mapped[datetime | None] = mapped_column(TimestampTz)
    frequency: Mapped[str | None] = mapped_column(Text)
    """The key that was chosen; `frequency_rank` was its place in the catalogue then."""
    frequency_rank: Mapped[int | None] = mapped_column(SmallInteger)
    source: Mapped[str] = mapped_column(Text)
    actor: Mapped[str] = mapped_column(Text)
    own: Mapped[bool] = mapped_column(Boolean)
    evidence_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    """Keyed hash of its evidence (`ledger.store.events`); null for events older than that."""
    retracts: Mapped[list[UUID] | None] = mapped_column(ARRAY(Uuid))
    xid: Mapped[int] = mapped_column(TransactionId, server_default=text("pg_current_xact_id()"))
    """The transaction that wrote it. See `ledger.watermarks`."""
    __table_args__ = (
        Index("event_xid_seq", "xid", "seq"),
        {**APPEND_ONLY, "postgresql_with": VACUUM_OFTEN},
    )


class EventEvidenceRow(db.Model):  # type: ignore[misc,name-defined]
    """The evidence of an event, next to it so that it can be erased; a trigger rejects updates.

    Every event had a row once: where there is none, it was erased or has expired (I6, I8).
    `sealed` has the FREE_TEXT of the evidence, if there is any, as JSON.
    """

    __tablename__ = "event_evidence"
    event_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    evidence: Mapped[dict[str, str]] = mapped_column(JSONB)
    sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    __table_args__ = ({**RESEAL_OR_DELETE_ONLY, "postgresql_with": VACUUM_OFTEN},)


class RetractionRow(db.Model):  # type: ignore[misc,name-defined]
    """A retracted event, and the event that retracts it; append-only like the ledger."""

    __tablename__ = "retraction"
    event_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    retraction_event_id: Mapped[UUID] = mapped_column(Uuid)
    __table_args__ = (APPEND_ONLY,)


class EventRepeatRow(db.Model):  # type: ignore[misc,name-defined]
    """When an own opt-out was last repeated, within seconds: it counts from then (I5, I7)."""

    __tablename__ = "event_repeat"
    event_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    last_at: Mapped[datetime] = mapped_column(TimestampTz)


class SuppressionRow(db.Model):  # type: ignore[misc,name-defined]
    """The maxima per address and scope (I5). `active` does not consider wider lifts."""

    __tablename__ = "suppression"
    address_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    scope: Mapped[str] = mapped_column(Text, primary_key=True)
    out_at: Mapped[datetime | None] = mapped_column(TimestampTz)
    out_event: Mapped[UUID | None] = mapped_column(Uuid)
    reason: Mapped[str | None] = mapped_column(Text)
    own: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    lift_at: Mapped[datetime | None] = mapped_column(TimestampTz)
    lift_event: Mapped[UUID | None] = mapped_column(Uuid)
    pause_at: Mapped[datetime | None] = mapped_column(TimestampTz)
    pause_event: Mapped[UUID | None] = mapped_column(Uuid)
    pause_until: Mapped[datetime | None] = mapped_column(TimestampTz)
    frequency_at: Mapped[datetime | None] = mapped_column(TimestampTz)
    frequency_rank: Mapped[int | None] = mapped_column(SmallInteger)
    frequency_event: Mapped[UUID | None] = mapped_column(Uuid)
    frequency: Mapped[str | None] = mapped_column(Text)
    active: Mapped[bool | None] = mapped_column(
        Boolean,
        Computed("out_at IS NOT NULL AND (lift_at IS NULL OR out_at >= lift_at)", persisted=True),
    )
    __table_args__ = (
        Index("suppression_scope", "scope", "address_id", postgresql_where=text(MAY_BE_ACTIVE)),
        Index(
            "suppression_reason",
            text(f"({ACTIVE_REASON})"),
            "address_id",
            "scope",
            postgresql_where=text(MAY_BE_ACTIVE),
        ),
        Index(
            "suppression_lifted",
            "scope",
            postgresql_where=text("out_at IS NOT NULL AND NOT active"),
        ),
        Index(
            "suppression_frequency",
            "scope",
            "frequency",
            postgresql_where=text("frequency IS NOT NULL"),
        ),
    )


class ConsentRow(db.Model):  # type: ignore[misc,name-defined]
    """The newest consent per address and topic; its evidence is in the event."""

    __tablename__ = "consent"
    address_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    topic: Mapped[str] = mapped_column(Text, primary_key=True)
    at: Mapped[datetime] = mapped_column(TimestampTz)
    event: Mapped[UUID] = mapped_column(Uuid)


class EpochRow(db.Model):  # type: ignore[misc,name-defined]
    """One timeline of the database, to which watermarks belong; the newest is in force.

    It has ended if the server was not started at `server_started_at`, if another transaction than
    `xid` inserted the row, which was then loaded from a dump, or if the table is another `file`
    than then: the database is a copy.
    Transaction ids of events up to the seq `floor` are older than the epoch and mean nothing
    in it.
    """

    __tablename__ = "epoch"
    id: Mapped[int] = mapped_column(Integer, Identity(always=True), primary_key=True)
    name: Mapped[str] = mapped_column(Text, unique=True)
    floor: Mapped[int] = mapped_column(BigInteger)
    started_at: Mapped[datetime] = mapped_column(TimestampTz)
    server_started_at: Mapped[datetime] = mapped_column(TimestampTz)
    xid: Mapped[int] = mapped_column(TransactionId)
    file: Mapped[str | None] = mapped_column(Text)
    """None if a version before 0020 has begun it."""


class HistoryLossRow(db.Model):  # type: ignore[misc,name-defined]
    """The database lacks events that it had: it was restored. See `ledger.history_loss`.

    While one is not accepted, nothing is answered.
    """

    __tablename__ = "history_loss"
    id: Mapped[int] = mapped_column(Integer, Identity(always=True), primary_key=True)
    found_at: Mapped[datetime] = mapped_column(TimestampTz)
    accepted_at: Mapped[datetime | None] = mapped_column(TimestampTz)
    accepted_by: Mapped[str | None] = mapped_column(Text)


class PendingMailOptOutRow(db.Model):  # type: ignore[misc,name-defined]
    """An opt-out by mail whose address is not known yet; checks apply it already."""

    __tablename__ = "pending_mail_opt_out"
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    digest_prefix: Mapped[bytes] = mapped_column(LargeBinary)
    scope_hash: Mapped[bytes] = mapped_column(LargeBinary)
    scope: Mapped[str | None] = mapped_column(Text)
    key_id: Mapped[str] = mapped_column(Text)
    issued_on: Mapped[date | None] = mapped_column(Date)
    received_at: Mapped[datetime] = mapped_column(TimestampTz)
    last_received_at: Mapped[datetime] = mapped_column(TimestampTz)
    dismissed_at: Mapped[datetime | None] = mapped_column(TimestampTz)
    """When somebody decided that its address can't be found; it no longer counts as late."""
    dismissal_reason: Mapped[str] = mapped_column(Text, server_default="")
    __table_args__ = (
        Index("pending_mail_opt_out_digests", "digest_prefix", "scope_hash", unique=True),
        Index(
            "pending_mail_opt_out_open",
            "received_at",
            postgresql_where=text("dismissed_at IS NULL"),
        ),
    )


class CountedBounceRow(db.Model):  # type: ignore[misc,name-defined]
    """A bounce that does not suppress by itself; deleted when it can't count any more.

    `digest` is the exact one of the address, `code` how the bounce was classified. The `id` is
    the same whenever the same bounce is reported again.
    """

    __tablename__ = "counted_bounce"
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    code: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(TimestampTz)
    __table_args__ = (
        Index("counted_bounce_digest", "digest"),
        Index("counted_bounce_at", "at"),
    )


class FeedCursorRow(db.Model):  # type: ignore[misc,name-defined]
    """A publisher, and the watermark up to which it has passed on everything."""

    __tablename__ = "feed_cursor"
    name: Mapped[str] = mapped_column(Text, primary_key=True)
    watermark: Mapped[str] = mapped_column(Text)
    updated_at: Mapped[datetime] = mapped_column(TimestampTz)
