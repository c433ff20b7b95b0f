"""Erasures that are asked for again while nothing new is known of the person."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from preference_center.domain.events import EventKind
from preference_center.storage.db.database import Connection

_LOCK = "SELECT FROM address WHERE id = ANY(%s) ORDER BY digest, channel FOR NO KEY UPDATE"
_REPEAT = f"""
WITH repeated AS (
    SELECT DISTINCT ON (e.address_id, e.scope) e.id, e.address_id, e.scope
    FROM (SELECT * FROM event WHERE address_id = ANY(%(addresses)s) OFFSET 0) AS e
    WHERE e.kind = '{EventKind.ERASED}' AND e.scope = ANY(%(scopes)s)
    ORDER BY e.address_id, e.scope, e.counts_at DESC, e.seq DESC
), extended AS (
    INSERT INTO event_repeat AS r (event_id, last_at) SELECT id, %(at)s FROM repeated
    ON CONFLICT (event_id) DO UPDATE SET last_at = GREATEST(r.last_at, EXCLUDED.last_at)
), erased AS (
    UPDATE address SET last_erased_at = GREATEST(last_erased_at, %(at)s)
    WHERE id = ANY(%(addresses)s)
)
UPDATE suppression s
SET out_at = %(at)s, out_event = repeated.id, reason = '{EventKind.ERASED}', own = false
FROM repeated
WHERE s.address_id = repeated.address_id AND s.scope = repeated.scope AND s.out_at < %(at)s
"""  # noqa: S608 - constants
"""`OFFSET 0` has only the events of the addresses read, as in `ledger.sql`."""


def repeat_erasures(
    connection: Connection, address_ids: Collection[int], scopes: Collection[str], at: datetime
) -> None:
    """Have the erasures of these addresses count from `at` (UTC), if that is later.

    What was said before `at` and reaches us only later changes nothing then, as if the erasure
    had been recorded again (I5, I6).
    """
    if not address_ids:
        return
    connection.execute(_LOCK, (list(address_ids),))
    given = {"addresses": list(address_ids), "scopes": list(scopes), "at": at}
    connection.execute(_REPEAT.encode(), given)
