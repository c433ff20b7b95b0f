"""The stored rows of an address's state, in the oracle's form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from preference_center.core.addresses import Address
from preference_center.infra.db.transactions import run_in_transaction
from tests.ledger.changes import id_of
from tests.ledger.oracle import Row, Slot

_ROWS = """
SELECT COALESCE(s.scope, c.topic), s.out_at, s.out_event, s.reason, s.lift_at, s.lift_event,
    s.pause_at, s.pause_event, s.pause_until, c.at, c.event,
    s.frequency_at, s.frequency_event, s.frequency
FROM (SELECT * FROM suppression WHERE address_id = %(id)s) s
FULL JOIN (SELECT * FROM consent WHERE address_id = %(id)s) c ON c.topic = s.scope
"""


def rows_of(who: Address) -> dict[str, Row]:
    """What is stored for exactly this address, per scope."""
    rows = run_in_transaction(
        lambda connection: connection.execute(_ROWS, {"id": id_of(who)}).fetchall()
    )
    return {
        row[0]: Row(
            _slot(row[1:3]),
            row[3],
            _slot(row[4:6]),
            _slot(row[6:8]),
            row[8],
            _slot(row[9:11]),
            _slot(row[11:13]),
            row[13],
        )
        for row in rows
    }


def _slot(pair: Sequence[Any]) -> Slot:
    return (pair[0], pair[1]) if pair[0] is not None else None
