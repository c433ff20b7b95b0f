"""The database's lines of history, which watermarks belong to."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Identity, Integer, Text
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import UserDefinedType

from preference_center.extensions import db
from preference_center.storage.tables.moments import Moment


class TransactionId(UserDefinedType[int]):
    """PostgreSQL's `xid8`: a 64-bit transaction id, which never wraps around."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """The name of the type."""
        return "xid8"


class EpochRow(db.Model):  # type: ignore[misc,name-defined]
    """One line of history; the newest is in force.

    `system` and `timeline` tell whether the database is still on it. Transaction ids of
    events up to the seq `floor` are older than it and mean nothing in it.
    """

    __tablename__ = "epoch"
    id: Mapped[int] = mapped_column(Integer, Identity(always=True), primary_key=True)
    name: Mapped[str] = mapped_column(Text, unique=True)
    system: Mapped[int] = mapped_column(BigInteger)
    timeline: Mapped[str] = mapped_column(Text)
    floor: Mapped[int] = mapped_column(BigInteger)
    started_at: Mapped[datetime] = mapped_column(Moment)
