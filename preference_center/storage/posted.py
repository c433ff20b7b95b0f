"""Webhooks of tools as they arrived, sealed: first kept, then processed, then forgotten."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from preference_center.keys import Keys
from preference_center.storage.database import Connection

KEPT = timedelta(days=7)
"""How long a body is kept after it came, to be replayed; or until it is processed."""
GIVEN_UP = timedelta(days=30)
"""How long one that can't be processed is kept."""


@dataclass(frozen=True, slots=True)
class Posted:
    """One verified body, held until its lease ends."""

    id: UUID
    body: bytes
    received_at: datetime
    attempts: int


def keep(
    connection: Connection, keys: Keys, number: UUID, destination: int, body: bytes, now: datetime
) -> bool:
    """Store a body to be processed; False if the tool had sent the same one before."""
    mark = keys.digest_sha256(hashlib.sha256(body).digest())
    row = connection.execute(
        """INSERT INTO posted_news (id, destination_id, mark, body, received_at, next_at)
        VALUES (%s, %s, %s, %s, %s, %s)
        ON CONFLICT (destination_id, mark) DO NOTHING RETURNING id""",
        (number, destination, mark, _sealed(keys, body, number), now, now),
    ).fetchone()
    return row is not None


def due(connection: Connection, now: datetime) -> list[int]:
    """Destinations with bodies to be processed now, in whatever state they are (I13)."""
    rows = connection.execute(
        "SELECT DISTINCT destination_id FROM posted_news WHERE next_at <= %s", (now,)
    )
    return [row[0] for row in rows]


def claim(
    connection: Connection,
    keys: Keys,
    destination: int,
    *,
    now: datetime,
    until: datetime,
    limit: int,
) -> list[Posted]:
    """Take up to `limit` bodies, the oldest first, until `until`."""
    rows = connection.execute(
        """WITH due AS (
            SELECT id FROM posted_news WHERE destination_id = %s AND next_at <= %s
            ORDER BY next_at, id LIMIT %s FOR UPDATE SKIP LOCKED
        )
        UPDATE posted_news p SET next_at = %s, attempts = attempts + 1 FROM due
        WHERE p.id = due.id RETURNING p.id, p.body, p.received_at, p.attempts""",
        (destination, now, limit, until),
    )
    found = [
        Posted(number, _opened(keys, body, number), at, attempts)
        for number, body, at, attempts in rows
    ]
    return sorted(found, key=lambda posted: (posted.received_at, posted.id))


def done(connection: Connection, number: UUID, outcome: str) -> None:
    """It was processed, or can't be; it stays for a while, to be replayed."""
    connection.execute(
        "UPDATE posted_news SET next_at = NULL, outcome = %s WHERE id = %s",
        (outcome[:200], number),
    )


def later(connection: Connection, number: UUID, at: datetime, reason: str) -> None:
    """It could not be processed: try again at `at`."""
    connection.execute(
        "UPDATE posted_news SET next_at = %s, outcome = %s WHERE id = %s",
        (at, reason[:200], number),
    )


def replay(connection: Connection, destination: int, since: datetime, now: datetime) -> int:
    """Have all that came since then, and is still kept, processed again; how many."""
    return connection.execute(
        """UPDATE posted_news SET next_at = %s, attempts = 0
        WHERE destination_id = %s AND received_at >= %s AND next_at IS NULL""",
        (now, destination, since),
    ).rowcount


def forget(connection: Connection, now: datetime) -> None:
    """Delete what is older than it is kept."""
    connection.execute(
        """DELETE FROM posted_news
        WHERE received_at < %s AND (next_at IS NULL OR received_at < %s)""",
        (now - KEPT, now - GIVEN_UP),
    )


def _sealed(keys: Keys, body: bytes, number: UUID) -> bytes:
    return keys.seal(base64.b64encode(body).decode(), context=number.bytes)


def _opened(keys: Keys, body: bytes, number: UUID) -> bytes:
    return base64.b64decode(keys.open(body, context=number.bytes))
