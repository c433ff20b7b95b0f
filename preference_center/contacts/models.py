"""Define the tables of the people behind addresses, and of who is informed of which policy."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Identity, Index, Integer, LargeBinary, Text, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from preference_center.infra.context import db
from preference_center.infra.models import TimestampTz


class ContactRow(db.Model):  # type: ignore[misc,name-defined]
    """A person. One that was merged into another is kept, so that its id is still found."""

    __tablename__ = "contact"
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    account: Mapped[str] = mapped_column(Text)
    """`open`, `deactivated` or `erased`: `contacts.rules.contact.AccountState`."""
    locale: Mapped[str | None] = mapped_column(Text)
    version: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(TimestampTz)
    changed_at: Mapped[datetime] = mapped_column(TimestampTz)
    merged_into: Mapped[UUID | None] = mapped_column(Uuid)
    restricted_at: Mapped[datetime | None] = mapped_column(TimestampTz)
    __table_args__ = (
        Index(
            "contact_merged_into", "merged_into", postgresql_where=text("merged_into IS NOT NULL")
        ),
    )


class ContactAddressRow(db.Model):  # type: ignore[misc,name-defined]
    """The contact that an address belongs to: one at most."""

    __tablename__ = "contact_address"
    address_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    contact_id: Mapped[UUID] = mapped_column(Uuid, index=True)
    linked_at: Mapped[datetime] = mapped_column(TimestampTz)


class ContactExternalIdRow(db.Model):  # type: ignore[misc,name-defined]
    """A sender's id of a contact: as personal as an address, and sealed like one.

    `ciphertext` is null once it was erased.
    """

    __tablename__ = "contact_external_id"
    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    contact_id: Mapped[UUID] = mapped_column(Uuid, index=True)
    ciphertext: Mapped[bytes | None] = mapped_column(LargeBinary)
    linked_at: Mapped[datetime] = mapped_column(TimestampTz)


class PolicyAnnouncementRow(db.Model):  # type: ignore[misc,name-defined]
    """One version that is announced, and how far its recipients are selected."""

    __tablename__ = "policy_announcement"
    version: Mapped[str] = mapped_column(Text, primary_key=True)
    begun_at: Mapped[datetime] = mapped_column(TimestampTz)
    last_address_id: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    """The last address that was looked at: where a run that was stopped goes on."""
    selected_at: Mapped[datetime | None] = mapped_column(TimestampTz)
    """When all were looked at, last."""


class PolicyNoticeRow(db.Model):  # type: ignore[misc,name-defined]
    """One person to inform of a version: a contact, or an address of no contact; each once."""

    __tablename__ = "policy_notice"
    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    """In the order in which they were committed: the cursor of readers."""
    version: Mapped[str] = mapped_column(Text)
    address_id: Mapped[int] = mapped_column(BigInteger)
    contact_id: Mapped[UUID | None] = mapped_column(Uuid)
    reach: Mapped[str] = mapped_column(Text)
    """`contacts.notices.rules.Reach`, when they were selected."""
    selected_at: Mapped[datetime] = mapped_column(TimestampTz)
    noticed_at: Mapped[datetime | None] = mapped_column(TimestampTz)
    """When their row was handed to the sender of the notice."""
    via: Mapped[str | None] = mapped_column(Text)
    """`contacts.notices.rules.NoticeChannel`."""
    __table_args__ = (
        Index("policy_notice_address", "address_id", "version", unique=True),
        Index(
            "policy_notice_contact",
            "contact_id",
            "version",
            unique=True,
            postgresql_where=text("contact_id IS NOT NULL"),
        ),
        Index("policy_notice_version", "version", "seq"),
    )


class PolicyWebhookRow(db.Model):  # type: ignore[misc,name-defined]
    """A batch of notices for the company's webhook, until it is delivered; nothing personal.

    `next_at` is the queue, and while a worker holds the row, the end of its lease.
    """

    __tablename__ = "policy_webhook"
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    version: Mapped[str] = mapped_column(Text)
    first_seq: Mapped[int] = mapped_column(BigInteger)
    last_seq: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(TimestampTz)
    next_at: Mapped[datetime | None] = mapped_column(TimestampTz)
    attempts: Mapped[int] = mapped_column(Integer, server_default="0")
    outcome: Mapped[str] = mapped_column(Text, server_default="")
    __table_args__ = (
        Index("policy_webhook_queue", "next_at", postgresql_where=text("next_at IS NOT NULL")),
    )
