"""Store which address was corrected to which, and move the requests of merged contacts.

Of two open requests for the same the earlier date counts.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from preference_center.core.addresses import Address
from preference_center.core.keys import Keys
from preference_center.infra.db.rows import columns_of, fetch_rows, insert_row
from preference_center.infra.db.transactions import Connection
from preference_center.rights.rules.requests import StepAction

_UNLINK = """
WITH linked AS (
    SELECT COALESCE(merged_into, id) AS id FROM contact WHERE id = %(contact)s
), unlinked AS (
    DELETE FROM contact_address c USING linked
    WHERE c.address_id = %(address)s AND c.contact_id = linked.id
    RETURNING c.contact_id
)
UPDATE contact SET version = version + 1, changed_at = %(now)s
FROM unlinked WHERE contact.id = unlinked.contact_id
"""


@dataclass(frozen=True, slots=True)
class Move:
    """One correction of an address. It can be undone until `undo_until` (UTC).

    `contact_id` is the contact that it linked the new address to, if it did; `event_ids` are all
    that it recorded.
    """

    id: UUID
    request_id: UUID | None
    from_address_id: int
    to_address_id: int
    contact_id: UUID | None
    event_ids: list[UUID]
    moved_at: datetime
    undo_until: datetime
    undone_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AddressRow:
    """The row of one address, whether it is erased, and up to when its choices were (UTC)."""

    id: int
    erased: bool
    last_erased_at: datetime | None


def find_addresses(
    connection: Connection, keys: Keys, addresses: Collection[Address]
) -> dict[Address, AddressRow]:
    """The rows of exactly these addresses (I9); of those that the ledger knows."""
    given = {(keys.exact_digest(each), str(each.channel)): each for each in addresses}
    rows = connection.execute(
        """SELECT a.digest, a.channel, a.id, a.erased_at IS NOT NULL, a.last_erased_at
        FROM unnest(%(digests)s::bytea[], %(channels)s::text[]) AS given (digest, channel)
        JOIN address a ON a.digest = given.digest AND a.channel = given.channel""",
        {"digests": [digest for digest, _ in given], "channels": [channel for _, channel in given]},
    )
    return {given[digest, channel]: AddressRow(*rest) for digest, channel, *rest in rows}


_SELECT = f"SELECT {columns_of(Move)} FROM address_move"  # noqa: S608 - constants


def find_move(connection: Connection, from_id: int, to_id: int, now: datetime) -> Move | None:
    """The newest move from the one address to the other that can be undone at `now` (UTC)."""
    query = """WHERE from_address_id = %(from)s AND to_address_id = %(to)s AND undone_at IS NULL
        AND undo_until >= %(now)s ORDER BY moved_at DESC LIMIT 1"""
    return _find(connection, query, {"from": from_id, "to": to_id, "now": now})


def find_by_request(connection: Connection, request_id: UUID) -> Move | None:
    """The move that fulfilled a request."""
    query = "WHERE request_id = %(id)s ORDER BY moved_at LIMIT 1"
    return _find(connection, query, {"id": request_id})


def load_move(connection: Connection, move_id: UUID, *, lock: bool = False) -> Move | None:
    """The move of this id."""
    query = f"WHERE id = %(id)s{' FOR UPDATE' if lock else ''}"
    return _find(connection, query, {"id": move_id})


def _find(connection: Connection, condition: str, given: Mapping[str, Any]) -> Move | None:
    return next(iter(fetch_rows(connection, Move, f"{_SELECT} {condition}", given)), None)


def save_move(connection: Connection, move: Move) -> None:
    """Store a move, or what a repeat of it has added: events, and the link of a contact."""
    replaced = "(id) DO UPDATE SET event_ids = EXCLUDED.event_ids, contact_id = EXCLUDED.contact_id"
    insert_row(connection, "address_move", asdict(move), replaced)


def undo(connection: Connection, move: Move, now: datetime) -> None:
    """Mark the move as undone, and unlink the new address where the move had linked it."""
    connection.execute("UPDATE address_move SET undone_at = %s WHERE id = %s", (now, move.id))
    if move.contact_id is not None:
        connection.execute(
            _UNLINK, {"contact": move.contact_id, "address": move.to_address_id, "now": now}
        )


_MOVE = """
UPDATE rights_request r SET contact_id = given.survivor, version = r.version + 1
FROM unnest(%(ids)s::uuid[], %(survivors)s::uuid[]) AS given (id, survivor)
WHERE r.contact_id = given.id
"""


# A clock that stands still has no date yet. The company is reminded of the others at once.
_TAKE_EARLIEST = """
WITH earliest AS (
    SELECT contact_id, kind, extent, min(COALESCE(extended_to, due_at)) AS at FROM rights_request
    WHERE contact_id = ANY(%(survivors)s) AND closed_at IS NULL AND stopped_at IS NULL
    GROUP BY contact_id, kind, extent HAVING count(*) > 1
), moved AS (
    UPDATE rights_request r SET due_at = LEAST(r.due_at, earliest.at),
        extended_to = CASE WHEN r.extended_to IS NOT NULL
            THEN LEAST(r.extended_to, earliest.at) END,
        next_at = LEAST(r.next_at, %(now)s), version = r.version + 1
    FROM earliest
    WHERE r.contact_id = earliest.contact_id AND r.kind = earliest.kind
        AND r.extent IS NOT DISTINCT FROM earliest.extent
        AND r.closed_at IS NULL AND r.stopped_at IS NULL
        AND COALESCE(r.extended_to, r.due_at) > earliest.at
    RETURNING r.id
)
INSERT INTO rights_step (request_id, at, actor, action, detail)
SELECT id, %(now)s, 'service', %(action)s, '{}' FROM moved
"""


def merge_requests(
    connection: Connection, ids: Sequence[UUID], survivors: Sequence[UUID], now: datetime
) -> None:
    """Give each survivor the requests of the contact that was merged into it."""
    given = {"ids": list(ids), "survivors": list(survivors), "now": now}
    if connection.execute(_MOVE, given).rowcount:
        connection.execute(_TAKE_EARLIEST, given | {"action": StepAction.MERGED})
