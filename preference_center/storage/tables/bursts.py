"""Bursts of opt-outs: flags with their facts, beside a ledger that they change nothing in."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Index, Integer, LargeBinary, SmallInteger, Text, Uuid
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from preference_center.extensions import db
from preference_center.storage.tables.moments import Moment


class BurstRow(db.Model):  # type: ignore[misc,name-defined]
    """One burst, as it was found. `known` are the addresses of its domain that we knew then."""

    __tablename__ = "burst"
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    domain_digest: Mapped[bytes] = mapped_column(LargeBinary)
    found_at: Mapped[datetime] = mapped_column(Moment)
    first_at: Mapped[datetime] = mapped_column(Moment)
    last_at: Mapped[datetime] = mapped_column(Moment)
    issued_first: Mapped[datetime] = mapped_column(Moment)
    issued_last: Mapped[datetime] = mapped_column(Moment)
    events: Mapped[int] = mapped_column(Integer)
    addresses: Mapped[int] = mapped_column(Integer)
    known: Mapped[int] = mapped_column(Integer)
    messages: Mapped[list[str]] = mapped_column(ARRAY(Text))
    __table_args__ = (Index("burst_found", "found_at"),)


class BurstEventRow(db.Model):  # type: ignore[misc,name-defined]
    """Which burst an event is part of."""

    __tablename__ = "burst_event"
    event_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    burst_id: Mapped[UUID] = mapped_column(Uuid)
    __table_args__ = (Index("burst_event_burst", "burst_id"),)


class BurstWatchRow(db.Model):  # type: ignore[misc,name-defined]
    """One row: up to when bursts were looked for, and which addresses have their domain."""

    __tablename__ = "burst_watch"
    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    looked_at: Mapped[datetime] = mapped_column(Moment)
    filled_to: Mapped[int] = mapped_column(BigInteger, server_default="0")
