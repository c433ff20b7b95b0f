"""What every destination was told about one address, for the person and for support.

By primary keys only: there is no index on a sync state's address, and destinations are few.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from preference_center.domain.addresses import Channel
from preference_center.domain.delivery_status import Connection as Line
from preference_center.domain.delivery_status import Row, Told, Tool
from preference_center.domain.sync.destination import Status
from preference_center.storage.db.database import Connection

_DESTINATIONS = """
SELECT d.id, d.name, d.status, d.retry_at IS NOT NULL, d.sends, a.ciphertext IS NOT NULL,
    s.wanted IS NOT NULL, s.due_at, s.next_at, s.outcome
FROM address a
JOIN destination d ON a.channel = ANY(d.channels)
LEFT JOIN sync_state s ON s.destination_id = d.id AND s.address_id = a.id
WHERE a.id = %s ORDER BY d.name
"""

_DELIVERIES = """
SELECT destination_id, outcome, at, ack FROM (
    SELECT DISTINCT ON (destination_id, outcome) * FROM delivery WHERE address_id = %s
    ORDER BY destination_id, outcome, id DESC
) AS newest ORDER BY id DESC
"""

_LINES = {
    Status.ACTIVE: Line.OPEN,
    Status.PAUSED: Line.PAUSED,
    Status.OBSERVE: Line.OBSERVED,
}


@dataclass(frozen=True, slots=True)
class Standing:
    """One destination, and all that is known of one address there.

    `told` is the newest delivery of each outcome, the newest of all first.
    """

    tool: Tool
    row: Row | None
    told: Sequence[Told]


def address_id(connection: Connection, digest: bytes, channel: Channel) -> int | None:
    """The id of the address with exactly this digest, if it is known (I9)."""
    row = connection.execute(
        "SELECT id FROM address WHERE digest = %s AND channel = %s", (digest, channel)
    ).fetchone()
    return row[0] if row else None


def channel_of(connection: Connection, address: int) -> Channel:
    """The channel of an address that the ledger knows."""
    row = connection.execute("SELECT channel FROM address WHERE id = %s", (address,)).fetchone()
    assert row
    return Channel(row[0])


def standings(connection: Connection, address: int, topics: Collection[str]) -> list[Standing]:
    """Every destination of the address's channel by name; `topics` are those of the channel."""
    told: dict[int, list[Told]] = {}
    for number, *delivery in connection.execute(_DELIVERIES, (address,)):
        told.setdefault(number, []).append(Told(*delivery))
    rows = connection.execute(_DESTINATIONS, (address,))
    return [_standing(row, frozenset(topics), told) for row in rows]


def _standing(
    row: tuple[Any, ...], topics: frozenset[str], told: Mapping[int, Sequence[Told]]
) -> Standing:
    number, name, status, broken, sends, readable, known, *state = row
    line = _LINES[Status(status)]
    if broken and line is Line.OPEN:
        line = Line.UNREACHABLE
    tool = Tool(name, topics & frozenset(sends), line, readable)
    return Standing(tool, Row(*state) if known else None, told.get(number, ()))
