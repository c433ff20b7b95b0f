"""What was pushed to each destination about one address, for the person and for support.

It uses primary keys only: a sync state's address has no index, and destinations are few.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from preference_center.core.addresses import Channel
from preference_center.destinations.rules.delivery_status import ConnectionStatus as Line
from preference_center.destinations.rules.delivery_status import (
    Delivery,
    DestinationSummary,
    SyncSummary,
)
from preference_center.destinations.rules.destination import DestinationStatus
from preference_center.infra.db.transactions import Connection
from preference_center.ledger.store.addresses import is_pushable

_SELECT_DESTINATIONS = f"""
SELECT d.id, d.name, d.status, d.retry_at IS NOT NULL, d.sends, {is_pushable("a")},
    s.wanted_version IS NOT NULL, s.due_at, s.next_at, s.outcome
FROM address a
JOIN destination d ON a.channel = ANY(d.channels)
LEFT JOIN sync_state s ON s.destination_id = d.id AND s.address_id = a.id
WHERE a.id = %s ORDER BY d.name
"""  # noqa: S608 - a constant

_SELECT_DELIVERIES = """
SELECT destination_id, outcome, at, COALESCE(ack, note) FROM (
    SELECT DISTINCT ON (destination_id, outcome) * FROM delivery WHERE address_id = %s
    ORDER BY destination_id, outcome, id DESC
) AS newest LEFT JOIN delivery_ack ON delivery_id = id ORDER BY id DESC
"""

_CONNECTION_STATES = {
    DestinationStatus.ACTIVE: Line.OPEN,
    DestinationStatus.PAUSED: Line.PAUSED,
    DestinationStatus.OBSERVE: Line.OBSERVED,
}


@dataclass(frozen=True, slots=True)
class AddressProgress:
    """One destination, and what is known of one address there.

    `deliveries` are the newest of each outcome, the newest of all first.
    """

    tool: DestinationSummary
    sync_row: SyncSummary | None
    deliveries: Sequence[Delivery]


def find_address_id(connection: Connection, digest: bytes, channel: Channel) -> int | None:
    """The id of the address with exactly this digest, if it is known (I9)."""
    row = connection.execute(
        "SELECT id FROM address WHERE digest = %s AND channel = %s", (digest, channel)
    ).fetchone()
    return row[0] if row else None


def list_address_progress(
    connection: Connection, address: int, topics: Collection[str]
) -> list[AddressProgress]:
    """Every destination of the address's channel by name; `topics` are those of the channel."""
    deliveries: dict[int, list[Delivery]] = {}
    for number, *delivery in connection.execute(_SELECT_DELIVERIES, (address,)):
        deliveries.setdefault(number, []).append(Delivery(*delivery))
    rows = connection.execute(_SELECT_DESTINATIONS, (address,))
    return [_to_address_progress(row, frozenset(topics), deliveries) for row in rows]


def connection_status(status: str, *, is_broken: bool) -> Line:
    """Whether a destination of this status can be pushed to; broken while its circuit is open."""
    found = _CONNECTION_STATES[DestinationStatus(status)]
    return Line.UNREACHABLE if is_broken and found is Line.OPEN else found


def _to_address_progress(
    row: tuple[Any, ...], topics: frozenset[str], deliveries: Mapping[int, Sequence[Delivery]]
) -> AddressProgress:
    number, name, status, broken, sends, readable, known, *state = row
    line = connection_status(status, is_broken=broken)
    tool = DestinationSummary(name, topics & frozenset(sends), line, readable)
    return AddressProgress(tool, SyncSummary(*state) if known else None, deliveries.get(number, ()))
