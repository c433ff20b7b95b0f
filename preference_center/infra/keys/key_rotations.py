"""How far rotations of keys have come: one row per column and key that it is brought to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from preference_center.infra.db.database import Connection

_START = """
INSERT INTO key_rotation AS r ("column", key_id, started_at) VALUES (%(column)s, %(key)s, %(now)s)
ON CONFLICT ("column", key_id) DO UPDATE SET finished_at = NULL,
    last = CASE WHEN r.finished_at IS NULL THEN r.last ELSE '' END
RETURNING last, rows_done
"""


@dataclass(frozen=True, slots=True)
class Rotation:
    """The rotation of one column to one key; `last` is where it continues."""

    column: str
    key_id: str
    rows_done: int
    started_at: datetime
    finished_at: datetime | None


def start_rotation(
    connection: Connection, column: str, key_id: str, now: datetime
) -> tuple[str, int]:
    """Begin, or continue, the rotation of a column: where, and how many rows were changed so far.

    A finished one begins again, for rows that a process with older keys has written since.
    """
    row = connection.execute(_START, {"column": column, "key": key_id, "now": now}).fetchone()
    assert row  # an upsert without a condition
    return row[0], row[1]


def record_progress(
    connection: Connection, column: str, key_id: str, last: str, changed: int
) -> None:
    """Store where the next chunk begins, in the transaction of this one."""
    connection.execute(
        """UPDATE key_rotation SET last = %s, rows_done = rows_done + %s
        WHERE "column" = %s AND key_id = %s""",
        (last, changed, column, key_id),
    )


def finish_rotation(connection: Connection, column: str, key_id: str, now: datetime) -> None:
    """Record that no row of the column has an older key."""
    connection.execute(
        """UPDATE key_rotation SET finished_at = %s WHERE "column" = %s AND key_id = %s""",
        (now, column, key_id),
    )


def list_rotations(connection: Connection) -> list[Rotation]:
    """All rotations, the oldest first."""
    rows = connection.execute(
        """SELECT "column", key_id, rows_done, started_at, finished_at FROM key_rotation
        ORDER BY started_at, "column" """
    )
    return [Rotation(*row) for row in rows]
