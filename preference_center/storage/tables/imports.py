"""Lists from elsewhere, and how far each has come."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Boolean, Index, Integer, LargeBinary, Text, Uuid, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from preference_center.extensions import db
from preference_center.storage.tables.moments import Moment


class ImportRow(db.Model):  # type: ignore[misc,name-defined]
    """One import. It moves in the transaction that records its rows, or not at all.

    `position` counts the rows done, `octets_done` where the next one begins. `lease` is
    the process at work; whoever takes it over makes the other one's next step fail.
    `planned` is what the dry run of an uploaded file found, `tally` what applying counts.
    `leans_on` are the imports whose events made rows of this one "already there".
    """

    __tablename__ = "list_import"
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    state: Mapped[str] = mapped_column(Text)
    plan: Mapped[str] = mapped_column(Text, server_default="")
    actor: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text, server_default="")
    instructions: Mapped[dict[str, Any]] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(Moment)
    begun_at: Mapped[datetime | None] = mapped_column(Moment)
    finished_at: Mapped[datetime | None] = mapped_column(Moment)
    spooled: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    digest: Mapped[bytes | None] = mapped_column(LargeBinary)
    octets: Mapped[int] = mapped_column(BigInteger, server_default="0")
    position: Mapped[int] = mapped_column(BigInteger, server_default="0")
    octets_done: Mapped[int] = mapped_column(BigInteger, server_default="0")
    line: Mapped[int] = mapped_column(BigInteger, server_default="0")
    planned: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
    tally: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
    refusals: Mapped[list[Any]] = mapped_column(JSONB, server_default="[]")
    problem: Mapped[str] = mapped_column(Text, server_default="")
    leans_on: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid), server_default="{}")
    undone_to: Mapped[UUID | None] = mapped_column(Uuid)
    undone: Mapped[int] = mapped_column(BigInteger, server_default="0")
    lease: Mapped[UUID | None] = mapped_column(Uuid)
    lease_until: Mapped[datetime | None] = mapped_column(Moment)
    __table_args__ = (Index("list_import_state", "state"), Index("list_import_plan", "plan"))


class ImportPartRow(db.Model):  # type: ignore[misc,name-defined]
    """A piece of an uploaded file, compressed and sealed; deleted with the import's work."""

    __tablename__ = "list_import_part"
    import_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    octets: Mapped[int] = mapped_column(Integer)
    content: Mapped[bytes] = mapped_column(LargeBinary)
