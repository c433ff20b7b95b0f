"""The people behind addresses."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Index, Integer, LargeBinary, Text, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from preference_center.infra.context import db
from preference_center.infra.models import TimestampTz


class ContactRow(db.Model):  # type: ignore[misc,name-defined]
    """A person. One that was merged into another is kept, so that its id is still found."""

    __tablename__ = "contact"
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    account: Mapped[str] = mapped_column(Text)
    """`open`, `deactivated` or `erased`: `contacts.rules.contacts.AccountState`."""
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
