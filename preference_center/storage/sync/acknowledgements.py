"""What tools answered to deliveries, which may be their own id of the person: its erasure (I8)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from preference_center.storage.db.database import Connection

ERASE_ACKS = """
DELETE FROM delivery_ack
WHERE delivery_id = ANY(ARRAY(SELECT id FROM delivery WHERE address_id = ANY(%(addresses)s)))
"""

_EXPIRE = """
WITH old AS (
    SELECT id, address_id, at FROM delivery WHERE id > %(after)s ORDER BY id LIMIT %(limit)s
), erased AS (
    DELETE FROM delivery_ack a USING old
    WHERE a.delivery_id = old.id AND old.at < %(before)s
        AND old.address_id <> ALL(%(kept)s::bigint[])
)
SELECT max(id) FROM old HAVING max(at) < %(before)s
"""


def erase_acks(connection: Connection, address_ids: Collection[int]) -> int:
    """Erase the acknowledgements of all deliveries of these addresses; returns how many.

    A push that was claimed before may still add one: erase again once nothing is outstanding.
    """
    return connection.execute(ERASE_ACKS, {"addresses": list(address_ids)}).rowcount


def expire_acks(
    connection: Connection,
    before: datetime,
    *,
    after: int = 0,
    limit: int = 1_000,
    kept: Collection[int] = (),
) -> int | None:
    """Erase the acknowledgements from before `before`, of the next `limit` deliveries.

    Returns the id to continue after; None when later deliveries are not that old. The addresses
    `kept` are skipped.
    """
    given = {"before": before, "after": after, "limit": limit, "kept": list(kept)}
    row = connection.execute(_EXPIRE, given).fetchone()
    return row[0] if row else None
