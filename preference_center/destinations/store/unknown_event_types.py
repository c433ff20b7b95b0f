"""Types of vendor events that tools reported and no integration knows, with their counts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from preference_center.infra.db.transactions import Connection

MAX_TYPES = 50
"""How many types are stored per destination; further ones are counted together."""
OTHER_TYPES = "(others)"


@dataclass(frozen=True, slots=True)
class UnknownEventType:
    """One type, how often it was received, and when last (UTC)."""

    type: str
    count: int
    last_at: datetime


def count_unknown_types(
    connection: Connection, destination: int, types: Counter[str], now: datetime
) -> None:
    """Add to the counts of these types."""
    for name, number in sorted(types.items()):
        connection.execute(
            """INSERT INTO unknown_event_type AS u (destination_id, type, count, last_at)
            SELECT %(destination)s, CASE WHEN EXISTS (SELECT FROM unknown_event_type
                    WHERE destination_id = %(destination)s AND type = %(type)s)
                OR (SELECT count(*) FROM unknown_event_type WHERE destination_id = %(destination)s)
                    < %(max_types)s THEN %(type)s ELSE %(others)s END, %(number)s, %(now)s
            ON CONFLICT (destination_id, type) DO UPDATE
            SET count = u.count + EXCLUDED.count, last_at = EXCLUDED.last_at""",
            {
                "destination": destination,
                "type": name,
                "number": number,
                "now": now,
                "max_types": MAX_TYPES,
                "others": OTHER_TYPES,
            },
        )


def list_unknown_types(connection: Connection, destination: int) -> list[UnknownEventType]:
    """All types that were counted, the most frequent first."""
    rows = connection.execute(
        """SELECT type, count, last_at FROM unknown_event_type WHERE destination_id = %s
        ORDER BY count DESC, type""",
        (destination,),
    )
    return [UnknownEventType(*row) for row in rows]
