"""Define the tables of requests, erasures, moved addresses and holds.

A table whose rows are read as one frozen dataclass has the columns of its fields.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
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
from preference_center.infra.models import APPEND_ONLY, TimestampTz, describe_table
from preference_center.rights.holds import Hold
from preference_center.rights.requests.moves import Move
from preference_center.rights.retention import RetentionRun
from preference_center.rights.rules.lifecycle import RightsRequest

_NOT_CLOSED = text("closed_at IS NULL")


class RightsWebhookRow(db.Model):  # type: ignore[misc,name-defined]
    """A signed message to the company about a request, until it is delivered; nothing personal.

    `next_at` is the queue, and while a worker holds the row, the end of its lease.
    """

    __tablename__ = "rights_webhook"
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    request_id: Mapped[UUID] = mapped_column(Uuid)
    kind: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(TimestampTz)
    next_at: Mapped[datetime | None] = mapped_column(TimestampTz)
    attempts: Mapped[int] = mapped_column(Integer, server_default="0")
    outcome: Mapped[str] = mapped_column(Text, server_default="")
    __table_args__ = (
        Index("rights_webhook_queue", "next_at", postgresql_where=text("next_at IS NOT NULL")),
        Index("rights_webhook_done", "created_at", postgresql_where=text("next_at IS NULL")),
    )


class RightsStepRow(db.Model):  # type: ignore[misc,name-defined]
    """One step of a request: its only history; append-only, and nothing personal."""

    __tablename__ = "rights_step"
    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    request_id: Mapped[UUID] = mapped_column(Uuid)
    at: Mapped[datetime] = mapped_column(TimestampTz)
    actor: Mapped[str] = mapped_column(Text)
    action: Mapped[str] = mapped_column(Text)
    detail: Mapped[dict[str, Any]] = mapped_column(JSONB)
    __table_args__ = (
        Index("rights_step_request", "request_id", "id"),
        Index(
            "rights_step_proposal",
            "request_id",
            "id",
            postgresql_where=text("action IN ('decision_proposed', 'decision_declined')"),
        ),
        APPEND_ONLY,
    )


class RightsProofRow(db.Model):  # type: ignore[misc,name-defined]
    """A file that proves an agent's authority, sealed."""

    __tablename__ = "rights_proof"
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    request_id: Mapped[UUID] = mapped_column(Uuid, index=True)
    kind: Mapped[str] = mapped_column(Text)
    """`rights.rules.identity.ProofKind`."""
    content: Mapped[bytes] = mapped_column(LargeBinary)
    declared_type: Mapped[str] = mapped_column(Text)
    sniffed_type: Mapped[str] = mapped_column(Text)
    size_bytes: Mapped[int] = mapped_column(Integer)
    sha256: Mapped[bytes] = mapped_column(LargeBinary)
    received_at: Mapped[datetime] = mapped_column(TimestampTz)
    forget_at: Mapped[datetime] = mapped_column(TimestampTz, index=True)


class RightsFileRow(db.Model):  # type: ignore[misc,name-defined]
    """The file that answers a request for access, in sealed parts."""

    __tablename__ = "rights_file"
    request_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    content: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(TimestampTz)
    expires_at: Mapped[datetime] = mapped_column(TimestampTz, index=True)


class ErasureRow(db.Model):  # type: ignore[misc,name-defined]
    """An erasure of one address. It hides at once: the address is readable here only (I6).

    `ciphertext` is the address, sealed as in its own row, for what is still to be pushed to
    tools and erased there; null once all is done, and at `give_up_at` at the latest. An address
    that a tool shows again after that gets another erasure. Of one address, one at most has it.

    `address_id` is null where a contact without any address was erased. `contact_id` is the
    contact of an erased account. `entry` numbers the entries of the erasure journal; it has this
    one since `journaled_at`. An erasure of what a tool showed again needs none. One that repeats
    another, with nothing left to erase, has an entry and no tasks.
    """

    __tablename__ = "erasure"
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    address_id: Mapped[int | None] = mapped_column(BigInteger)
    contact_id: Mapped[UUID | None] = mapped_column(Uuid)
    extent: Mapped[str] = mapped_column(Text)
    request_id: Mapped[UUID | None] = mapped_column(Uuid)
    ciphertext: Mapped[bytes | None] = mapped_column(LargeBinary)
    begun_at: Mapped[datetime] = mapped_column(TimestampTz)
    give_up_at: Mapped[datetime] = mapped_column(TimestampTz)
    finished_at: Mapped[datetime | None] = mapped_column(TimestampTz)
    entry: Mapped[int | None] = mapped_column(BigInteger)
    journaled_at: Mapped[datetime | None] = mapped_column(TimestampTz)
    __table_args__ = (
        Index("erasure_address", "address_id"),
        Index("erasure_entry", "entry", unique=True),
        Index(
            "erasure_not_journaled",
            "entry",
            postgresql_where=text("entry IS NOT NULL AND journaled_at IS NULL"),
        ),
        Index("erasure_not_finished", "begun_at", postgresql_where=text("finished_at IS NULL")),
        Index("erasure_request", "request_id", postgresql_where=text("request_id IS NOT NULL")),
        Index("erasure_open", "give_up_at", postgresql_where=text("ciphertext IS NOT NULL")),
    )


class ErasureTaskRow(db.Model):  # type: ignore[misc,name-defined]
    """An erasure at one destination: suppress, confirm, erase, read back.

    `next_at` is the queue, and while a worker holds the row, the end of its lease. A task with
    `by_hand_since` waits for a person, who finds in `reason` why and what to do: the tool
    can't erase, or the destination was removed. `destination` is its name, for tasks that outlive
    it. `job` is the tool's own id of a deletion that it does later, until that is done.
    """

    __tablename__ = "erasure_task"
    erasure_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    destination_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    destination: Mapped[str] = mapped_column(Text)
    suppressed_at: Mapped[datetime | None] = mapped_column(TimestampTz)
    erased_at: Mapped[datetime | None] = mapped_column(TimestampTz)
    confirmed_at: Mapped[datetime | None] = mapped_column(TimestampTz)
    """When the tool was read and no longer knew the address."""
    outcome: Mapped[str] = mapped_column(Text, server_default="")
    """`destinations.rules.erase_task.TaskOutcome`; empty while the task is open."""
    reason: Mapped[str] = mapped_column(Text, server_default="")
    ack: Mapped[str] = mapped_column(Text, server_default="")
    """How the tool acknowledged the deletion."""
    job: Mapped[str] = mapped_column(Text, server_default="")
    by_hand_since: Mapped[datetime | None] = mapped_column(TimestampTz)
    done_by: Mapped[str | None] = mapped_column(Text)
    next_at: Mapped[datetime | None] = mapped_column(TimestampTz)
    lease: Mapped[UUID | None] = mapped_column(Uuid)
    attempts: Mapped[int] = mapped_column(Integer, server_default="0")
    __table_args__ = (
        Index(
            "erasure_task_queue",
            "destination_id",
            "next_at",
            postgresql_where=text("next_at IS NOT NULL"),
        ),
        Index(
            "erasure_task_by_hand",
            "by_hand_since",
            postgresql_where=text("by_hand_since IS NOT NULL AND outcome = ''"),
        ),
    )


class ErasureJournalRow(db.Model):  # type: ignore[misc,name-defined]
    """One row: how far this database has the erasure journal, which is kept elsewhere.

    `last_file` and `head` are the file that was written or replayed last, and its hash. After a
    restore there are more files than that: `/v1/` is refused until they are replayed. Without
    `head` it does not know the journal. `last_entry` is the last number of an `erasure.entry`.
    """

    __tablename__ = "erasure_journal"
    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, server_default=text("1"))
    last_entry: Mapped[int] = mapped_column(BigInteger, server_default="0")
    replayed_at: Mapped[datetime | None] = mapped_column(TimestampTz)
    last_file: Mapped[int | None] = mapped_column(BigInteger)
    head: Mapped[bytes | None] = mapped_column(LargeBinary)


RIGHTS_REQUEST = describe_table(
    "rights_request",
    RightsRequest,
    # What the act needs, as it was when the request was received, and how often a check failed.
    Column("required_level", SmallInteger, nullable=False),
    Column("failures", SmallInteger, nullable=False, server_default="0"),
    Column("extension_reason", Text, nullable=False, server_default=""),
    Column("outcome", Text, nullable=False, server_default=""),
    # Of the addresses and external ids that it is about, known here or not, the exact digests.
    Column("address_ids", ARRAY(BigInteger), nullable=False, server_default="{}"),
    Column("subject_digests", ARRAY(LargeBinary), nullable=False, server_default="{}"),
    Column("version", Integer, nullable=False, server_default="1"),
    Index("rights_request_open", "due_at", postgresql_where=_NOT_CLOSED),
    Index(
        "rights_request_closed", "closed_at", "id", postgresql_where=text("closed_at IS NOT NULL")
    ),
    Index("rights_request_received", "received_at"),
    Index("rights_request_contact", "contact_id", postgresql_where=text("contact_id IS NOT NULL")),
    Index("rights_request_subject", "subject_digests", postgresql_using="gin"),
    Index("rights_request_queue", "next_at", postgresql_where=text("next_at IS NOT NULL")),
    Index("rights_request_forget", "forget_at", postgresql_where=text("forget_at IS NOT NULL")),
)
"""One data-subject request, its clock and its outcome. Its reference is the receipt code of `id`.

While the clock is stopped `stopped_at` is set, and `due_at` is moved on when it starts again.
`sealed` is the free text, the subject as it was typed, the agent and the reporter: JSON, sealed,
wiped when the request is forgotten, as are the digests. `next_at` is the queue of what the request
waits for: reminders, an end by time.
"""

ADDRESS_MOVE = describe_table(
    "address_move",
    Move,
    Column("from_address_id", BigInteger, nullable=False, index=True),
    Column("to_address_id", BigInteger, nullable=False, index=True),
    Column("event_ids", ARRAY(Uuid), nullable=False),
    Index("address_move_request", "request_id", postgresql_where=text("request_id IS NOT NULL")),
)
"""An address that was corrected to another; until `undo_until` the old one may object.

`contact_id` is the contact that the move linked the new address to; null if it was linked
already, so that an undo leaves that link alone. An undo retracts exactly `event_ids`.
"""

HOLD = describe_table(
    "hold",
    Hold,
    Column("address_id", BigInteger, nullable=False, index=True),
    Index("hold_placed", "placed_at", "id"),
)
"""A legal hold: while it lasts, neither erasure nor retention touches its subject."""

RETENTION_RUN = describe_table(
    "retention_run",
    RetentionRun,
    Column("kind", Text, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("removed", BigInteger, nullable=False),
)
"""The last run of the retention of one kind of data; items up to `position` were looked at."""
