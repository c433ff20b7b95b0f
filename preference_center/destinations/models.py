"""These classes describe the tables of destinations, the states of addresses there, and webhooks.

Webhooks of connected tools are stored as they arrived, with the questions that they leave open.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy import BigInteger, Identity, Index, SmallInteger, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from preference_center.infra.context import db
from preference_center.infra.models import APPEND_ONLY, INSERT_OR_DELETE_ONLY, VACUUM_OFTEN

VACUUM_EARLY = {"autovacuum_vacuum_scale_factor": "0", "autovacuum_vacuum_threshold": "500"}
"""Settings of small tables that are written all the time.

Each push moves a row of `sync_state` twice, and leaves two dead entries in the index that
claims read from its beginning. By default they are removed once a fifth of the table is dead.
"""


class DestinationRow(db.Model):  # type: ignore[misc,name-defined]
    """One configured account of a connected tool, and the state of its circuit."""

    __tablename__ = "destination"
    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str]
    settings: Mapped[bytes]
    channels: Mapped[list[str]]
    sends: Mapped[list[str]]
    mapping: Mapped[dict[str, str]] = mapped_column(JSONB)
    sends_service: Mapped[bool]
    can_lift: Mapped[bool] = mapped_column(server_default="true")
    status: Mapped[str]
    reason: Mapped[str] = mapped_column(server_default="")
    failures: Mapped[int] = mapped_column(server_default="0")
    retry_at: Mapped[datetime | None]
    trouble: Mapped[str | None]
    """A `Trouble`; means nothing without a `retry_at`."""
    trouble_since: Mapped[datetime | None]
    created_at: Mapped[datetime]
    pulled_at: Mapped[datetime | None]
    """When the tool's own opt-outs had been read; the backfill waits for that."""
    slow_until: Mapped[datetime | None]
    """Until when it counts as slow, after a long push (`destinations.rules.plan`)."""
    refused_accepted_at: Mapped[datetime | None]
    absent_accepted_at: Mapped[datetime | None]
    """When a person accepted a `PermanentCondition` of it, None: an alert tells of it."""
    __table_args__ = ({"postgresql_with": VACUUM_EARLY},)


class PushRow(db.Model):  # type: ignore[misc,name-defined]
    """A push under way; one whose `expires_at` has passed was a worker's that died."""

    __tablename__ = "push"
    lease: Mapped[UUID] = mapped_column(primary_key=True)
    destination_id: Mapped[int]
    started_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    __table_args__ = (
        Index("push_destination", "destination_id"),
        {"postgresql_with": VACUUM_EARLY},
    )


class SyncStateRow(db.Model):  # type: ignore[misc,name-defined]
    """Per destination and address: what it should reflect, what it does, what is next.

    `next_at` is the queue: null means settled; while a worker holds the row it is the end of
    its lease. Rows of imports and backfills are `bulk` and wait behind what people do now.
    `due_at` belongs to the earliest opt-out not yet reflected. `turned_off` are the topics that
    we turned off there, and `all_marketing` where the tool showed the contact's own switch for
    all it sends as off. Until `lift_until` a request that turns one on may still be under way
    (a frozen worker, a slow tool). At `verify_at` it is read back, or an absent address is
    looked up again; `checks` counts how often in a row it was found missing.
    """

    __tablename__ = "sync_state"
    destination_id: Mapped[int] = mapped_column(primary_key=True)
    address_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    wanted_version: Mapped[int] = mapped_column(BigInteger)
    reflected_version: Mapped[int] = mapped_column(BigInteger, server_default="0")
    due_at: Mapped[datetime | None]
    next_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(server_default="0")
    lease: Mapped[UUID | None]
    lift_until: Mapped[datetime | None]
    turned_off: Mapped[list[str]] = mapped_column(server_default="{}")
    outcome: Mapped[str | None]
    bulk: Mapped[bool] = mapped_column(server_default=text("false"))
    verify_at: Mapped[datetime | None]
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
            "sync_state_due",
            "destination_id",
            "due_at",
            postgresql_where=text("due_at IS NOT NULL"),
        ),
        {
            "postgresql_with": {
                "fillfactor": "80",
                "autovacuum_vacuum_scale_factor": "0.01",
                "autovacuum_vacuum_threshold": "5000",
                "autovacuum_analyze_scale_factor": "0.05",
            }
        },
    )


class BackfillRow(db.Model):  # type: ignore[misc,name-defined]
    """How far a destination's first sync states have been created: a `Backfill`."""

    __tablename__ = "backfill"
    destination_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    last_address_id: Mapped[int] = mapped_column(BigInteger, server_default="0")
    until_id: Mapped[int | None] = mapped_column(BigInteger)
    rows_created: Mapped[int] = mapped_column(BigInteger, server_default="0")
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class DeferredFormRow(db.Model):  # type: ignore[misc,name-defined]
    """The forms of a mailbox whose sync states an event has still to update (I9).

    They are those that match the key (`digest`, `channel`, `kind`) and have ids above
    `last_address_id`. Events of one key and scope share a row until it is `started`;
    `received_at` is the earliest of theirs, null if all of them lift.
    """

    __tablename__ = "deferred_form"
    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    digest: Mapped[bytes]
    channel: Mapped[str]
    kind: Mapped[int] = mapped_column(SmallInteger)
    scope: Mapped[str]
    version: Mapped[int] = mapped_column(BigInteger)
    received_at: Mapped[datetime | None]
    last_address_id: Mapped[int] = mapped_column(BigInteger)
    started: Mapped[bool] = mapped_column(server_default=text("false"))
    __table_args__ = (
        Index(
            "deferred_form_not_started",
            "digest",
            "channel",
            "kind",
            "scope",
            unique=True,
            postgresql_where=text("NOT started"),
        ),
    )


class DeliveryRow(db.Model):  # type: ignore[misc,name-defined]
    """What was pushed to a destination about an address; append-only like the ledger.

    `note` is our own remark, of a few fixed ones; what the tool answered is in `delivery_ack`.
    """

    __tablename__ = "delivery"
    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    destination_id: Mapped[int]
    address_id: Mapped[int] = mapped_column(BigInteger, index=True)
    version: Mapped[int] = mapped_column(BigInteger)
    outcome: Mapped[str]
    note: Mapped[str]
    at: Mapped[datetime]
    __table_args__ = ({**APPEND_ONLY, "postgresql_with": VACUUM_OFTEN},)


class DeliveryAckRow(db.Model):  # type: ignore[misc,name-defined]
    """What the tool answered to a delivery, if anything: it may be its own id of the person.

    It is next to the delivery so that it can be erased; a trigger rejects updates.
    """

    __tablename__ = "delivery_ack"
    delivery_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    ack: Mapped[str]
    __table_args__ = ({**INSERT_OR_DELETE_ONLY, "postgresql_with": VACUUM_OFTEN},)


class ListingRow(db.Model):  # type: ignore[misc,name-defined]
    """One listing of a destination (`kind`: see `ListingKind`), and how far it was read.

    `next_at` is the queue, and while a worker reads, the end of its lease. `cursor` is the
    connector's own. `started_at` and `row_count` are of the pass under way, or of the last one.
    """

    __tablename__ = "listing"
    destination_id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    cursor: Mapped[str | None]
    next_at: Mapped[datetime | None]
    lease: Mapped[UUID | None]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    row_count: Mapped[int] = mapped_column(BigInteger, server_default="0")
    failures: Mapped[int] = mapped_column(server_default="0")
    reason: Mapped[str] = mapped_column(server_default="")


class VerificationRow(db.Model):  # type: ignore[misc,name-defined]
    """Counts of what was read from a destination since it was set up."""

    __tablename__ = "verification"
    destination_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    contacts: Mapped[int] = mapped_column(BigInteger, server_default="0")
    reported: Mapped[int] = mapped_column(BigInteger, server_default="0")
    recorded: Mapped[int] = mapped_column(BigInteger, server_default="0")
    unmapped: Mapped[int] = mapped_column(BigInteger, server_default="0")
    unreadable: Mapped[int] = mapped_column(BigInteger, server_default="0")
    newly_suppressed: Mapped[int] = mapped_column(BigInteger, server_default="0")
    checked: Mapped[int] = mapped_column(BigInteger, server_default="0")
    drift: Mapped[int] = mapped_column(BigInteger, server_default="0")
    drift_repeated_at: Mapped[datetime | None]
    links_written: Mapped[int] = mapped_column(BigInteger, server_default="0")


class DestinationSampleRow(db.Model):  # type: ignore[misc,name-defined]
    """What waited for a destination at `at`, and what was delivered in the time before it.

    That time is the one between samples: five minutes, an hour of those that are older than a
    week. `pushed` are deliveries that were reflected or about an address that the tool does not
    know; `failed` those to be retried and those refused.
    """

    __tablename__ = "destination_sample"
    destination_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime] = mapped_column(primary_key=True)
    pending: Mapped[int]
    oldest_received_at: Mapped[datetime | None]
    pushed: Mapped[int]
    failed: Mapped[int]
    __table_args__ = (Index("destination_sample_at", "at"),)


class ReflectionCountRow(db.Model):  # type: ignore[misc,name-defined]
    """How many opt-outs a destination reflected on one day (UTC), by the time that it took.

    `bucket` is that of `destinations.rules.promise`; a destination that was removed keeps
    its counts.
    """

    __tablename__ = "reflection_count"
    day: Mapped[date] = mapped_column(primary_key=True)
    destination: Mapped[str] = mapped_column(primary_key=True)
    bucket: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger)
    longest: Mapped[timedelta]
    __table_args__ = ({"postgresql_with": VACUUM_EARLY},)


class WebhookInboxRow(db.Model):  # type: ignore[misc,name-defined]
    """A verified POST to `/in/<destination>`, sealed; `next_at` is the queue.

    `body_digest` is keyed: a body that a tool sends again has the same row.
    """

    __tablename__ = "webhook_inbox"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    destination_id: Mapped[int]
    body_digest: Mapped[bytes]
    body: Mapped[bytes]
    received_at: Mapped[datetime]
    next_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(server_default="0")
    outcome: Mapped[str] = mapped_column(server_default="")
    __table_args__ = (
        Index("webhook_inbox_body_digest", "destination_id", "body_digest", unique=True),
        Index(
            "webhook_inbox_queue",
            "destination_id",
            "next_at",
            "id",
            postgresql_where=text("next_at IS NOT NULL"),
        ),
        Index("webhook_inbox_received_at", "received_at"),
        Index("webhook_inbox_pending", "received_at", postgresql_where=text("next_at IS NOT NULL")),
    )


class UsedWebhookTokenRow(db.Model):  # type: ignore[misc,name-defined]
    """A signed token that is valid for one POST and was used by it; the digest is keyed.

    It is written in the transaction that stores the POST, not to Redis, which may lose it.
    """

    __tablename__ = "used_webhook_token"
    destination_id: Mapped[int] = mapped_column(primary_key=True)
    token_digest: Mapped[bytes] = mapped_column(primary_key=True)
    webhook_id: Mapped[UUID]
    used_at: Mapped[datetime]
    __table_args__ = (Index("used_webhook_token_used_at", "used_at"),)


class UndecidedEventRow(db.Model):  # type: ignore[misc,name-defined]
    """A question that a vendor event leaves open, until somebody decides."""

    __tablename__ = "undecided_event"
    webhook_id: Mapped[UUID] = mapped_column(primary_key=True)
    question: Mapped[str] = mapped_column(primary_key=True)
    destination_id: Mapped[int]
    received_at: Mapped[datetime]
    decided_at: Mapped[datetime | None]
    decision: Mapped[str] = mapped_column(server_default="")
    __table_args__ = (
        Index("undecided_event_open", "received_at", postgresql_where=text("decided_at IS NULL")),
        Index(
            "undecided_event_decided",
            "decided_at",
            postgresql_where=text("decided_at IS NOT NULL"),
        ),
    )


class IgnoredQuestionRow(db.Model):  # type: ignore[misc,name-defined]
    """A question that is not to be asked again at one destination."""

    __tablename__ = "ignored_question"
    destination_id: Mapped[int] = mapped_column(primary_key=True)
    question: Mapped[str] = mapped_column(primary_key=True)
    reason: Mapped[str]
    ignored_at: Mapped[datetime]


class UnknownEventTypeRow(db.Model):  # type: ignore[misc,name-defined]
    """A type of vendor event that a tool reported and no integration knows."""

    __tablename__ = "unknown_event_type"
    destination_id: Mapped[int] = mapped_column(primary_key=True)
    type: Mapped[str] = mapped_column(primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger)
    last_at: Mapped[datetime]
