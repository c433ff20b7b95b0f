"""The ledger as `/dev` shows it: ids and kinds, whom it concerns only masked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from preference_center.core.addresses import mask_address, parse_address
from preference_center.core.events import EventKind
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger.store.addresses import load_readable

_NEWEST = """
SELECT e.seq, e.id, e.kind, e.scope, e.source, e.recorded_at, e.address_id,
    ARRAY(SELECT d.name FROM sync_state s JOIN destination d ON d.id = s.destination_id
        WHERE s.address_id = e.address_id AND s.reflected_version >= e.seq ORDER BY d.name),
    ARRAY(SELECT d.name FROM sync_state s JOIN destination d ON d.id = s.destination_id
        WHERE s.address_id = e.address_id AND s.reflected_version < e.seq
            AND s.wanted_version >= e.seq
        ORDER BY d.name)
FROM event e ORDER BY e.seq DESC LIMIT %s
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One event, and which destinations reflect it or wait for it."""

    seq: int
    id: UUID
    kind: EventKind
    scope: str
    source: str
    recorded_at: datetime
    who: str
    reflected_by: Sequence[str]
    waiting: Sequence[str]


def rows(count: int = 12) -> list[Row]:
    """The newest events, newest first."""
    return run_in_transaction(lambda connection: _rows(connection, count))


def _rows(connection: Connection, count: int) -> list[Row]:
    found = connection.execute(_NEWEST, (count,)).fetchall()
    addresses = load_readable(connection, services().keys, {row[6] for row in found})
    masked = {
        ref: mask_address(parse_address(text, channel))
        for ref, (channel, text) in addresses.items()
    }
    return [
        Row(seq, event_id, EventKind(kind), scope, source, at, masked.get(ref, "erased"), *tools)
        if kind != EventKind.CONSENTED  # it asks nothing of a tool
        else Row(
            seq, event_id, EventKind(kind), scope, source, at, masked.get(ref, "erased"), (), ()
        )
        for seq, event_id, kind, scope, source, at, ref, *tools in found
    ]
