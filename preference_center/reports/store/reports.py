"""Bursts, the unsubscribe survey and daily counts; nothing in the ledger depends on them."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import (
    BigInteger,
    Date,
    SmallInteger,
    Text,
)
from sqlalchemy.orm import Mapped, mapped_column

from preference_center.infra.context import db
from preference_center.infra.models import TimestampTz


class DailyCountRow(db.Model):  # type: ignore[misc,name-defined]
    """Events recorded on one day (UTC); nothing about whom. `daily_count_progress` has how far."""

    __tablename__ = "daily_count"
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    kind: Mapped[str] = mapped_column(Text, primary_key=True)
    scope: Mapped[str] = mapped_column(Text, primary_key=True)
    source: Mapped[str] = mapped_column(Text, primary_key=True)
    """The event's; of what a tool reported, `destination:` and its name."""
    count: Mapped[int] = mapped_column(BigInteger)


class DailyCountProgressRow(db.Model):  # type: ignore[misc,name-defined]
    """One row: the events up to `seq` are counted, of the days from `first_day` on.

    All that was recorded until `counted_until` is. Events up to `rebuilt_seq` count only if they
    are of `rebuilt_since` or later: older ones are counted already, or not wanted.
    """

    __tablename__ = "daily_count_progress"
    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, server_default="1")
    seq: Mapped[int] = mapped_column(BigInteger, server_default="0")
    counted_until: Mapped[datetime | None] = mapped_column(TimestampTz)
    first_day: Mapped[date | None] = mapped_column(Date)
    rebuilt_since: Mapped[date | None] = mapped_column(Date)
    rebuilt_seq: Mapped[int] = mapped_column(BigInteger, server_default="0")
