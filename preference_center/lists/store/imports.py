"""Imports of lists, and their progress."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Boolean, Index, Integer, LargeBinary, Text, Uuid, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from preference_center.infra.context import db
from preference_center.infra.models import TimestampTz


class ImportRow(db.Model):  # type: ignore[misc,name-defined]
    """One import. Its progress is updated in the transaction that records its rows.

    `position` counts the rows done, `bytes_done` is the offset of the next one. `lease` is the
    process at work; if another one claims the import, the first one's next step fails.
    `planned_stats` are of the dry run of an uploaded file, `stats` of applying it.
    `depends_on` are the imports whose events made rows of this one "already present".
    """

    __tablename__ = "list_import"
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    state: Mapped[str] = mapped_column(Text)
    plan: Mapped[str] = mapped_column(Text, server_default="")
    actor: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text, server_default="")
    instructions: Mapped[dict[str, Any]] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(TimestampTz)
    started_at: Mapped[datetime | None] = mapped_column(TimestampTz)
    finished_at: Mapped[datetime | None] = mapped_column(TimestampTz)
    file_stored: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    digest: Mapped[bytes | None] = mapped_column(LargeBinary)
    size_bytes: Mapped[int] = mapped_column(BigInteger, server_default="0")
    position: Mapped[int] = mapped_column(BigInteger, server_default="0")
    bytes_done: Mapped[int] = mapped_column(BigInteger, server_default="0")
    line_number: Mapped[int] = mapped_column(BigInteger, server_default="0")
    planned_stats: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
    stats: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
    rejected_rows: Mapped[list[Any]] = mapped_column(JSONB, server_default="[]")
    problem: Mapped[str] = mapped_column(Text, server_default="")
    depends_on: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid), server_default="{}")
    last_undone_event: Mapped[UUID | None] = mapped_column(Uuid)
    undone_count: Mapped[int] = mapped_column(BigInteger, server_default="0")
    lease: Mapped[UUID | None] = mapped_column(Uuid)
    lease_until: Mapped[datetime | None] = mapped_column(TimestampTz)
    __table_args__ = (Index("list_import_state", "state"), Index("list_import_plan", "plan"))


class ImportPartRow(db.Model):  # type: ignore[misc,name-defined]
    """A part of an uploaded file, compressed and sealed; deleted when the import is done."""

    __tablename__ = "list_import_part"
    import_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    size_bytes: Mapped[int] = mapped_column(Integer)
    content: Mapped[bytes] = mapped_column(LargeBinary)
