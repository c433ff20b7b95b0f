"""Whether addresses are also found by their MD5."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, SmallInteger, text
from sqlalchemy.orm import Mapped, mapped_column

from preference_center.extensions import db
from preference_center.storage.tables.moments import Moment


class Md5MatchingRow(db.Model):  # type: ignore[misc,name-defined]
    """One row, from the first MD5 import on: every address has `md5_keys` in `address_key`.

    Those known before get them in the order of their ids; `reached` is the last that has,
    and `finished_at` is set when all have.
    """

    __tablename__ = "md5_matching"
    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, server_default=text("1"))
    begun_at: Mapped[datetime] = mapped_column(Moment)
    reached: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    finished_at: Mapped[datetime | None] = mapped_column(Moment)
    __table_args__ = (CheckConstraint("id = 1", name="md5_matching_one_row"),)
