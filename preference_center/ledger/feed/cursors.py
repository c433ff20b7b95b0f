"""How far each publisher has passed on the feed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from preference_center.infra.db.transactions import Connection
from preference_center.ledger.feed_watermarks import select_horizon
from preference_center.ledger.watermarks import Watermark, parse_watermark


@dataclass(frozen=True, slots=True)
class FeedCursor:
    """The publisher `name` has passed on everything up to `watermark`, as of `updated_at`."""

    name: str
    watermark: Watermark
    updated_at: datetime


def list_cursors(connection: Connection) -> list[FeedCursor]:
    """All of them, by name."""
    rows = connection.execute("SELECT name, watermark, updated_at FROM feed_cursor ORDER BY name")
    return [FeedCursor(name, parse_watermark(text), at) for name, text, at in rows]


def load_cursor(connection: Connection, name: str) -> Watermark | None:
    """How far this publisher is; None if it has to begin with a snapshot."""
    row = connection.execute(
        "SELECT watermark FROM feed_cursor WHERE name = %s", (name,)
    ).fetchone()
    return parse_watermark(row[0]) if row else None


def move_cursor(
    connection: Connection, name: str, old: Watermark | None, new: Watermark, now: datetime
) -> bool:
    """Move it from `old`, or create it; False if it is not there, because another process did."""
    if old is None:
        statement = """INSERT INTO feed_cursor (name, watermark, updated_at)
            VALUES (%(name)s, %(new)s, %(now)s) ON CONFLICT DO NOTHING RETURNING name"""
    else:
        statement = """UPDATE feed_cursor SET watermark = %(new)s, updated_at = %(now)s
            WHERE name = %(name)s AND watermark = %(old)s RETURNING name"""
    given = {"name": name, "old": str(old), "new": str(new), "now": now}
    return connection.execute(statement.encode(), given).fetchone() is not None


def delete_cursor(connection: Connection, name: str) -> bool:
    """Let this publisher begin with a snapshot; False if it has none."""
    found = connection.execute("DELETE FROM feed_cursor WHERE name = %s RETURNING name", (name,))
    return found.fetchone() is not None


def load_oldest_unpublished(connection: Connection) -> Mapping[str, datetime | None]:
    """By publisher, when the oldest event was recorded that it has not passed on; None for none.

    One that has to begin with a snapshot has passed on nothing since its last step.
    """
    horizon = select_horizon(connection)
    found: dict[str, datetime | None] = {}
    for cursor in list_cursors(connection):
        if horizon is None or cursor.watermark.epoch != horizon.timeline.epoch:
            found[cursor.name] = cursor.updated_at
            continue
        row = connection.execute(
            """SELECT recorded_at FROM event
            WHERE (xid, seq) > (%(xid)s::xid8, %(seq)s) AND seq > %(floor)s
            ORDER BY xid, seq LIMIT 1""",
            {
                "xid": str(cursor.watermark.xid),
                "seq": cursor.watermark.seq,
                "floor": horizon.timeline.floor,
            },
        ).fetchone()
        found[cursor.name] = row[0] if row else None
    return found
