"""This module stores alerts that hold, and the outbox of notices about them.

The queue is the database. Several schedulers may look at once: an alert begins for one of them.
Nothing stored is personal.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Mapped, mapped_column

from preference_center.infra.context import db
from preference_center.infra.db.transactions import Connection
from preference_center.monitoring.rules.notices import Alert, AlertKind, Notice

_KNOWN_KINDS = [kind.value for kind in AlertKind]
"""Another version of the service may have stored others."""


@dataclass(frozen=True, slots=True)
class ClaimedNotice:
    """A notice that this process holds until its lease ends."""

    id: UUID
    channel: str
    notice: Notice
    attempts: int


def begin_alerts(connection: Connection, alerts: Collection[Alert], now: datetime) -> list[Alert]:
    """Store that these hold now; returns those that did not before."""
    rows = connection.execute(
        """INSERT INTO alert AS a (kind, subject, began_at, seen_at)
        SELECT kind, subject, %(now)s, %(now)s
        FROM unnest(%(kinds)s::text[], %(subjects)s::text[]) AS given (kind, subject)
        ORDER BY kind, subject
        ON CONFLICT (kind, subject) DO UPDATE SET seen_at = GREATEST(a.seen_at, EXCLUDED.seen_at)
        RETURNING kind, subject, xmax = 0""",
        {
            "now": now,
            "kinds": [alert.kind for alert in alerts],
            "subjects": [alert.subject for alert in alerts],
        },
    )
    return [Alert(AlertKind(kind), subject) for kind, subject, is_new in rows if is_new]


def end_alerts(connection: Connection, seen_before: datetime) -> list[Alert]:
    """End those that have not held since then, and return them."""
    rows = connection.execute(
        "DELETE FROM alert WHERE seen_at < %s RETURNING kind, subject", (seen_before,)
    )
    return [Alert(AlertKind(kind), subject) for kind, subject in rows if kind in _KNOWN_KINDS]


def list_alerts(connection: Connection) -> list[tuple[Alert, datetime]]:
    """Those that have begun and not ended, with when they began, the newest first."""
    rows = connection.execute(
        "SELECT kind, subject, began_at FROM alert WHERE kind = ANY(%s) ORDER BY began_at DESC",
        (_KNOWN_KINDS,),
    )
    return [(Alert(AlertKind(kind), subject), began_at) for kind, subject, began_at in rows]


def insert_notice(connection: Connection, notice_id: UUID, channel: str, notice: Notice) -> None:
    """Queue a notice to one channel."""
    connection.execute(
        """INSERT INTO alert_notice (id, channel, kind, subject, has_ended, at, next_at)
        VALUES (%s, %s, %s, %s, %s, %s, %s)""",
        (
            notice_id,
            channel,
            notice.alert.kind,
            notice.alert.subject,
            notice.has_ended,
            notice.at,
            notice.at,
        ),
    )


def claim_notice(connection: Connection, now: datetime, until: datetime) -> ClaimedNotice | None:
    """Claim the notice that has been due for longest; the lease ends at `until`."""
    row = connection.execute(
        """WITH due AS (SELECT id FROM alert_notice
            WHERE next_at <= %(now)s AND kind = ANY(%(known)s)
            ORDER BY next_at, id LIMIT 1 FOR UPDATE SKIP LOCKED)
        UPDATE alert_notice n SET next_at = %(until)s, attempts = attempts + 1
        FROM due WHERE n.id = due.id
        RETURNING n.id, n.channel, n.kind, n.subject, n.has_ended, n.at, n.attempts""",
        {"now": now, "until": until, "known": _KNOWN_KINDS},
    ).fetchone()
    if row is None:
        return None
    number, channel, kind, subject, has_ended, at, attempts = row
    notice = Notice(Alert(AlertKind(kind), subject), has_ended=has_ended, at=at)
    return ClaimedNotice(number, channel, notice, attempts)


def settle_notice(connection: Connection, notice_id: UUID, next_at: datetime | None) -> None:
    """Delete a notice that is done, or try it again at `next_at`."""
    if next_at is None:
        connection.execute("DELETE FROM alert_notice WHERE id = %s", (notice_id,))
    else:
        connection.execute(
            "UPDATE alert_notice SET next_at = %s WHERE id = %s", (next_at, notice_id)
        )


class AlertRow(db.Model):  # type: ignore[misc,name-defined]
    """An alert that has begun and not ended; `seen_at` is when its condition last held."""

    __tablename__ = "alert"
    kind: Mapped[str] = mapped_column(primary_key=True)
    subject: Mapped[str] = mapped_column(primary_key=True)
    began_at: Mapped[datetime]
    seen_at: Mapped[datetime]


class AlertNoticeRow(db.Model):  # type: ignore[misc,name-defined]
    """A notice to one channel; deleted once it was sent. `next_at` is the queue."""

    __tablename__ = "alert_notice"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    channel: Mapped[str]
    kind: Mapped[str]
    subject: Mapped[str]
    has_ended: Mapped[bool]
    at: Mapped[datetime]
    next_at: Mapped[datetime] = mapped_column(index=True)
    attempts: Mapped[int] = mapped_column(server_default="0")
