"""Keys and links that are in senders' hands."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Identity, Integer, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from preference_center.extensions import db
from preference_center.storage.tables.moments import Moment


class LinkKeyRow(db.Model):  # type: ignore[misc,name-defined]
    """A sender's link key, without its secret: that is derived from `ring_key` and the id.

    Never deleted: its links say no for ever.
    """

    __tablename__ = "link_key"
    id: Mapped[int] = mapped_column(Integer, Identity(always=True), primary_key=True)
    name: Mapped[str] = mapped_column(Text, unique=True)
    ring_key: Mapped[str] = mapped_column(Text)
    topics: Mapped[list[str]] = mapped_column(ARRAY(Text))
    created_at: Mapped[datetime] = mapped_column(Moment)
    revoked_at: Mapped[datetime | None] = mapped_column(Moment)


class StandingLinksRow(db.Model):  # type: ignore[misc,name-defined]
    """From when on the standing links of a destination count; older ones only say no."""

    __tablename__ = "standing_links"
    destination_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    since: Mapped[datetime] = mapped_column(Moment)
