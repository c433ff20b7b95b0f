"""Erase one person's rows of one table, by its rule."""

from __future__ import annotations

from preference_center.infra.db.transactions import Connection
from preference_center.rights.erasure.tables import ERASURE_RULES


def erase_of(connection: Connection, table: str, address_id: int) -> int:
    """Erase the rows of this address there; returns how many."""
    rule = ERASURE_RULES[table].statement
    return connection.execute(rule.encode(), {"addresses": [address_id]}).rowcount
