"""Which addresses are restricted: neither retention nor anything else touches their data."""

from __future__ import annotations

from collections.abc import Collection

from preference_center.domain.events import RESTRICTION
from preference_center.storage.db.database import Connection


def find_restricted(connection: Connection, address_ids: Collection[int]) -> frozenset[int]:
    """Those of these addresses that are restricted themselves, not by another form (I9)."""
    rows = connection.execute(
        "SELECT address_id FROM suppression WHERE address_id = ANY(%(ids)b)"
        " AND scope = %(scope)s AND active",
        {"ids": list(address_ids), "scope": RESTRICTION},
        binary=True,
    )
    return frozenset(row[0] for row in rows)
