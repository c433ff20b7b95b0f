"""Passes that were used: a mailed link opens the page once."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from preference_center.storage.db.database import Connection

GRACE = timedelta(minutes=2)
"""A button pressed twice, or a page reloaded at once, is one use."""

_SPEND = """
INSERT INTO spent_pass AS s (id, spent_at, forget_at) VALUES (%(id)s, %(now)s, %(ends)s)
ON CONFLICT (id) DO UPDATE SET spent_at = s.spent_at
RETURNING spent_at
"""


def spend(connection: Connection, pass_id: UUID, *, now: datetime, ends: datetime) -> bool:
    """Use up a pass; whether this use counts: it is the first, or within GRACE of it.

    Two at once are one after the other. A pass is remembered until `ends`, when it opens
    nothing any more; what is older goes on the way.
    """
    connection.execute("DELETE FROM spent_pass WHERE forget_at < %s", (now,))
    row = connection.execute(_SPEND, {"id": pass_id, "now": now, "ends": ends}).fetchone()
    assert row
    first: datetime = row[0]
    return now - first <= GRACE
