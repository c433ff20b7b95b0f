"""Passes that were used: a mailed link opens the page once."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from preference_center.storage.db.database import Connection

REUSE_GRACE = timedelta(minutes=2)
"""A button pressed twice, or a page reloaded at once, is one use."""

_CONSUME = """
INSERT INTO consumed_one_time_token AS s (id, consumed_at, expires_at)
VALUES (%(id)s, %(now)s, %(expires_at)s)
ON CONFLICT (id) DO UPDATE SET consumed_at = s.consumed_at
RETURNING consumed_at
"""


def consume_token(
    connection: Connection, token_id: UUID, *, now: datetime, expires_at: datetime
) -> bool:
    """Use up a pass; whether this use counts: it is the first, or within GRACE of it.

    Two at once are one after the other. A pass is remembered until `ends`, when it opens
    nothing any more; what is older goes on the way.
    """
    connection.execute("DELETE FROM consumed_one_time_token WHERE expires_at < %s", (now,))
    given = {"id": token_id, "now": now, "expires_at": expires_at}
    row = connection.execute(_CONSUME, given).fetchone()
    assert row
    first: datetime = row[0]
    return now - first <= REUSE_GRACE
