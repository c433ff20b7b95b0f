"""What is read in tools: how far, what came of it, and their webhooks as they arrived."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Index, Integer, LargeBinary, Text, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from preference_center.extensions import db
from preference_center.storage.tables.moments import Moment


class ListingRow(db.Model):  # type: ignore[misc,name-defined]
    """One listing of a destination (`part`: see `verifying.Part`), and how far it was read.

    `next_at` is the queue, and while a worker reads, the end of its lease. `cursor` is the
    connector's own. `begun_at` and `rows` are of the pass under way, or of the last one.
    """

    __tablename__ = "listing"
    destination_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    part: Mapped[str] = mapped_column(Text, primary_key=True)
    cursor: Mapped[str | None] = mapped_column(Text)
    next_at: Mapped[datetime | None] = mapped_column(Moment)
    lease: Mapped[UUID | None] = mapped_column(Uuid)
    begun_at: Mapped[datetime | None] = mapped_column(Moment)
    finished_at: Mapped[datetime | None] = mapped_column(Moment)
    rows: Mapped[int] = mapped_column(BigInteger, server_default="0")
    failures: Mapped[int] = mapped_column(Integer, server_default="0")
    reason: Mapped[str] = mapped_column(Text, server_default="")


class VerificationRow(db.Model):  # type: ignore[misc,name-defined]
    """What reading a destination has come to since it was set up; see `verifying.Tally`."""

    __tablename__ = "verification"
    destination_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    contacts: Mapped[int] = mapped_column(BigInteger, server_default="0")
    reported: Mapped[int] = mapped_column(BigInteger, server_default="0")
    recorded: Mapped[int] = mapped_column(BigInteger, server_default="0")
    unmapped: Mapped[int] = mapped_column(BigInteger, server_default="0")
    unreadable: Mapped[int] = mapped_column(BigInteger, server_default="0")
    newly_suppressed: Mapped[int] = mapped_column(BigInteger, server_default="0")
    checked: Mapped[int] = mapped_column(BigInteger, server_default="0")
    drift: Mapped[int] = mapped_column(BigInteger, server_default="0")
    links_written: Mapped[int] = mapped_column(BigInteger, server_default="0")


class PostedNewsRow(db.Model):  # type: ignore[misc,name-defined]
    """A verified POST to `/in/<destination>`, sealed; `next_at` is the queue.

    `mark` is a keyed digest of the body: what a tool sends again is the same row.
    """

    __tablename__ = "posted_news"
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    destination_id: Mapped[int] = mapped_column(Integer)
    mark: Mapped[bytes] = mapped_column(LargeBinary)
    body: Mapped[bytes] = mapped_column(LargeBinary)
    received_at: Mapped[datetime] = mapped_column(Moment)
    next_at: Mapped[datetime | None] = mapped_column(Moment)
    attempts: Mapped[int] = mapped_column(Integer, server_default="0")
    outcome: Mapped[str] = mapped_column(Text, server_default="")
    __table_args__ = (
        Index("posted_news_mark", "destination_id", "mark", unique=True),
        Index(
            "posted_news_queue",
            "destination_id",
            "next_at",
            "id",
            postgresql_where=text("next_at IS NOT NULL"),
        ),
        Index("posted_news_age", "received_at"),
        Index("posted_news_pending", "received_at", postgresql_where=text("next_at IS NOT NULL")),
    )


class UndecidedEventRow(db.Model):  # type: ignore[misc,name-defined]
    """A question that a vendor event leaves open, until a person decides."""

    __tablename__ = "undecided_event"
    post_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    question: Mapped[str] = mapped_column(Text, primary_key=True)
    destination_id: Mapped[int] = mapped_column(Integer)
    received_at: Mapped[datetime] = mapped_column(Moment)
    decided_at: Mapped[datetime | None] = mapped_column(Moment)
    decision: Mapped[str] = mapped_column(Text, server_default="")
    __table_args__ = (
        Index("undecided_event_open", "received_at", postgresql_where=text("decided_at IS NULL")),
        Index(
            "undecided_event_decided",
            "decided_at",
            postgresql_where=text("decided_at IS NOT NULL"),
        ),
    )


class IgnoredEventRow(db.Model):  # type: ignore[misc,name-defined]
    """A question that a person has decided for good, at one destination."""

    __tablename__ = "ignored_event"
    destination_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    question: Mapped[str] = mapped_column(Text, primary_key=True)
    reason: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(Moment)


class UsedTokenRow(db.Model):  # type: ignore[misc,name-defined]
    """A proof that is good for one POST and was used up by it; `mark` is a keyed digest.

    In the database, and in the transaction that stores the POST: Redis may forget.
    """

    __tablename__ = "used_token"
    destination_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    mark: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    post_id: Mapped[UUID] = mapped_column(Uuid)
    at: Mapped[datetime] = mapped_column(Moment)
    __table_args__ = (Index("used_token_age", "at"),)


class UnknownNewsRow(db.Model):  # type: ignore[misc,name-defined]
    """A type of news that a destination's tool told of and no module here knows."""

    __tablename__ = "unknown_news"
    destination_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    type: Mapped[str] = mapped_column(Text, primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger)
    last_at: Mapped[datetime] = mapped_column(Moment)
