"""Store which address was corrected to which, and move the requests of merged contacts.

Of two open requests for the same the earlier date counts.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from preference_center.core.addresses import Address
from preference_center.core.keys import Keys
from preference_center.infra.db.transactions import Connection
from preference_center.rights.rules.requests import StepAction

_COLUMNS = """id, request_id, from_address_id, to_address_id, contact_id, event_ids, moved_at,
    undo_until, undone_at"""


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
    event_ids: tuple[UUID, ...]
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
        {
            "digests": [digest for digest, _ in given],
            "channels": [channel for _, channel in given],
        },
    )
    return {given[digest, channel]: AddressRow(*rest) for digest, channel, *rest in rows}


def find_move(connection: Connection, from_id: int, to_id: int) -> Move | None:
    """The newest move from the one address to the other that was not undone."""
    row = connection.execute(
        f"""SELECT {_COLUMNS} FROM address_move
        WHERE from_address_id = %s AND to_address_id = %s AND undone_at IS NULL
        ORDER BY moved_at DESC LIMIT 1""",  # noqa: S608 - a constant
        (from_id, to_id),
    ).fetchone()
    return _to_move(row) if row else None


def find_by_request(connection: Connection, request_id: UUID) -> Move | None:
    """The move that fulfilled a request."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM address_move WHERE request_id = %s ORDER BY moved_at LIMIT 1",  # noqa: S608 - a constant
        (request_id,),
    ).fetchone()
    return _to_move(row) if row else None


def load_move(connection: Connection, move_id: UUID, *, lock: bool = False) -> Move | None:
    """The move of this id."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM address_move WHERE id = %s{' FOR UPDATE' if lock else ''}",  # noqa: S608 - a constant
        (move_id,),
    ).fetchone()
    return _to_move(row) if row else None


def save_move(connection: Connection, move: Move) -> None:
    """Store a move, or what a repeat of it has added: events, and the link of a contact."""
    connection.execute(
        f"""INSERT INTO address_move ({_COLUMNS})
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
        ON CONFLICT (id) DO UPDATE SET event_ids = EXCLUDED.event_ids,
            contact_id = EXCLUDED.contact_id""",  # noqa: S608 - a constant
        (
            move.id,
            move.request_id,
            move.from_address_id,
            move.to_address_id,
            move.contact_id,
            list(move.event_ids),
            move.moved_at,
            move.undo_until,
            move.undone_at,
        ),
    )


def undo(connection: Connection, move: Move, now: datetime) -> None:
    """Mark the move as undone, and unlink the new address where the move had linked it."""
    connection.execute("UPDATE address_move SET undone_at = %s WHERE id = %s", (now, move.id))
    if move.contact_id is not None:
        connection.execute(
            _UNLINK, {"contact": move.contact_id, "address": move.to_address_id, "now": now}
        )


def _to_move(row: Sequence[Any]) -> Move:
    move = Move(*row)
    return replace(move, event_ids=tuple(move.event_ids))


_MOVE = """
UPDATE rights_request r SET contact_id = given.survivor, version = r.version + 1
FROM unnest(%(ids)s::uuid[], %(survivors)s::uuid[]) AS given (id, survivor)
WHERE r.contact_id = given.id
"""


# A clock that stands still has no date yet.
_TAKE_EARLIEST = """
WITH earliest AS (
    SELECT contact_id, kind, extent, min(COALESCE(extended_to, due_at)) AS at FROM rights_request
    WHERE contact_id = ANY(%(survivors)s) AND closed_at IS NULL AND stopped_at IS NULL
    GROUP BY contact_id, kind, extent HAVING count(*) > 1
), moved AS (
    UPDATE rights_request r SET due_at = LEAST(r.due_at, earliest.at),
        extended_to = CASE WHEN r.extended_to IS NOT NULL
            THEN LEAST(r.extended_to, earliest.at) END,
        version = r.version + 1
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
