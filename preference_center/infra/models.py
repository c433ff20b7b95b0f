"""These classes describe the tables of links, keys, the audit and outgoing mail.

Several subjects share the column types. `writes` states which statements write in a table: every
statement, unless a trigger of the table rejects it (I8).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from enum import IntEnum
from types import NoneType
from typing import Any, get_args, get_type_hints
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    Identity,
    Index,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import TypeEngine, UserDefinedType

from preference_center.infra.context import TIMESTAMP_TZ, db

TimestampTz = TIMESTAMP_TZ
"""For columns that name their type."""


_TYPES: Mapping[type[Any], type[TypeEngine[Any]] | TypeEngine[Any]] = {
    UUID: Uuid,
    datetime: TimestampTz,
    str: Text,
    bytes: LargeBinary,
    IntEnum: SmallInteger,
}


def describe_table(
    name: str, kind: type[Any], *given: Column[Any] | Index, key: str = "id"
) -> Table:
    """The table that has a column for each field of a dataclass.

    `given` are its indexes, and the columns that the types of the fields don't describe.
    """
    columns = {each.name: each for each in given if isinstance(each, Column)}
    for field, hint in get_type_hints(kind).items():
        if field not in columns:
            allowed = [each for each in get_args(hint) or (hint,) if each is not NoneType]
            base = next(base for base in _TYPES if issubclass(allowed[0], base))
            columns[field] = Column(
                field, _TYPES[base], primary_key=field == key, nullable=hint not in allowed
            )
    ordered = [columns[field.name] for field in fields(kind)]
    return Table(name, db.metadata, *ordered, *(each for each in given if isinstance(each, Index)))


class TransactionId(UserDefinedType[int]):
    """PostgreSQL's `xid8`: a 64-bit transaction id, which never wraps around."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """The name of the type."""
        return "xid8"


class LinkKeyRow(db.Model):  # type: ignore[misc,name-defined]
    """A sender's link key, without its secret: that is derived from `ring_key` and the id.

    Never deleted: its links opt out for ever.
    """

    __tablename__ = "link_key"
    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    ring_key: Mapped[str]
    topics: Mapped[list[str]]
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class PermanentLinksRow(db.Model):  # type: ignore[misc,name-defined]
    """From when on the permanent links of a destination count; older ones only opt out."""

    __tablename__ = "permanent_links"
    destination_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    since: Mapped[datetime]


class AuditRow(db.Model):  # type: ignore[misc,name-defined]
    """Who did or tried what, outside the ledger; nothing personal."""

    __tablename__ = "audit"
    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    at: Mapped[datetime]
    actor: Mapped[str]
    action: Mapped[str]
    detail: Mapped[dict[str, Any]] = mapped_column(JSONB)
    __table_args__ = (
        Index("audit_at", "at", "id"),
        Index("audit_actor", "actor", "at", "id"),
        Index("audit_action", "action", "at", "id"),
    )


class KeyFingerprintRow(db.Model):  # type: ignore[misc,name-defined]
    """Fingerprint of a key that stored data depends on."""

    __tablename__ = "key_fingerprint"
    key: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[str]


class KeyRotationRow(db.Model):  # type: ignore[misc,name-defined]
    """A rotation of keys under way or done: `column` was brought to the newest key up to `last`."""

    __tablename__ = "key_rotation"
    column: Mapped[str] = mapped_column(primary_key=True)
    key_id: Mapped[str] = mapped_column(primary_key=True)
    last: Mapped[str] = mapped_column(server_default="")
    rows_done: Mapped[int] = mapped_column(BigInteger, server_default="0")
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class OutgoingMailRow(db.Model):  # type: ignore[misc,name-defined]
    """An email that is to be sent, or was.

    `next_at` is the queue: null means done; while a worker holds the row it is the end of its
    lease. `ciphertext` holds everything personal, `recipient_digest` is the exact one of the
    address; both are null once done.
    """

    __tablename__ = "outgoing_mail"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    ciphertext: Mapped[bytes | None]
    recipient_digest: Mapped[bytes | None]
    language: Mapped[str]
    brand: Mapped[str | None]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    next_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(server_default="0")
    lease: Mapped[UUID | None]
    outcome: Mapped[str | None]
    __table_args__ = (
        Index("outgoing_mail_queue", "next_at", postgresql_where=text("next_at IS NOT NULL")),
        Index(
            "outgoing_mail_recipient",
            "recipient_digest",
            postgresql_where=text("recipient_digest IS NOT NULL"),
        ),
        Index("outgoing_mail_done", "created_at", postgresql_where=text("next_at IS NULL")),
    )


_KEY = "writes"


APPEND_ONLY = {"info": {_KEY: ("INSERT",)}}


INSERT_OR_DELETE_ONLY = {"info": {_KEY: ("INSERT", "DELETE")}}
"""For `__table_args__`. Rows of the second may be erased, and nothing put in their place (I6)."""


RESEAL_OR_DELETE_ONLY = {"info": {_KEY: ("INSERT", "DELETE", "UPDATE (sealed)")}}
"""The same, but for its column `sealed`, which a rotation of keys seals again."""


VACUUM_OFTEN = {
    "autovacuum_vacuum_insert_scale_factor": "0.02",
    "autovacuum_analyze_scale_factor": "0.02",
}
"""The `postgresql_with` of large tables that only grow. By default a vacuum waits until a fifth of
the rows are new, and the planner's counts until a tenth are: at 100 million rows, too many."""


def writes(table: Table) -> Sequence[str]:
    """The statements that write in it."""
    statements: Sequence[str] = table.info.get(_KEY, ("INSERT", "UPDATE", "DELETE"))
    return statements
