"""One-time tokens that were used: a mailed link opens the page once."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from preference_center.infra.db.transactions import Connection

REUSE_GRACE = timedelta(minutes=2)
"""A button pressed twice, or a page reloaded immediately, is one use."""

_CONSUME = """
INSERT INTO consumed_one_time_token AS s (id, consumed_at, expires_at)
VALUES (%(id)s, %(now)s, %(expires_at)s)
ON CONFLICT (id) DO UPDATE SET consumed_at = s.consumed_at
RETURNING consumed_at
"""


def consume_token(
    connection: Connection, token_id: UUID, *, now: datetime, expires_at: datetime
) -> bool:
    """Consume a token. True if this use is valid: the first one, or within REUSE_GRACE of it.

    Concurrent uses are serialized. A token is stored until `expires_at`; expired ones are
    deleted on the way.
    """
    connection.execute("DELETE FROM consumed_one_time_token WHERE expires_at < %s", (now,))
    given = {"id": token_id, "now": now, "expires_at": expires_at}
    row = connection.execute(_CONSUME, given).fetchone()
    assert row
    first: datetime = row[0]
    return now - first <= REUSE_GRACE
