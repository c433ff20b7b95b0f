"""Pushes under way: to which destinations, and since when."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from preference_center.infra.db.transactions import Connection


def list_push_starts(connection: Connection, destination: int, now: datetime) -> list[datetime]:
    """When each push to a destination started whose lease has not ended."""
    query = "SELECT started_at FROM push WHERE destination_id = %s AND expires_at > %s"
    rows = connection.execute(query, (destination, now))
    return [row[0] for row in rows]


def insert_push(
    connection: Connection, destination: int, lease: UUID, now: datetime, expires_at: datetime
) -> None:
    """Record a push, which ends with its lease at the latest."""
    connection.execute(
        "INSERT INTO push (lease, destination_id, started_at, expires_at) VALUES (%s, %s, %s, %s)",
        (lease, destination, now, expires_at),
    )


def finish_push(connection: Connection, lease: UUID, slow_until: datetime | None) -> None:
    """Delete a finished push; its tool counts as slow until `slow_until`, None: unchanged."""
    connection.execute(
        """WITH ended AS (DELETE FROM push WHERE lease = %s RETURNING destination_id)
        UPDATE destination d SET slow_until = %s FROM ended
        WHERE d.id = ended.destination_id AND %s::timestamptz IS NOT NULL""",
        (lease, slow_until, slow_until),
    )


def purge_pushes(connection: Connection, now: datetime) -> int:
    """Delete the pushes of workers that died; returns how many."""
    return connection.execute("DELETE FROM push WHERE expires_at <= %s", (now,)).rowcount
