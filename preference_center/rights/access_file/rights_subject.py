"""What is stored of the people that a request is about: of exactly their addresses (I9)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from preference_center.core.keys import Keys
from preference_center.infra.db.transactions import Connection

_FETCH_SIZE = 500


_SELECT_CONTACTS = """
SELECT c.id, c.account, c.restricted_at, c.locale, c.created_at, c.changed_at,
    array_agg(linked.address_id ORDER BY linked.address_id)
FROM contact c JOIN contact_address linked ON linked.contact_id = c.id
WHERE linked.address_id = ANY(%(ids)b) GROUP BY c.id ORDER BY c.created_at, c.id
"""
_SELECT_DELIVERIES = """
SELECT d.address_id, destination.name, d.at, d.outcome, answered.ack
FROM delivery d LEFT JOIN destination ON destination.id = d.destination_id
LEFT JOIN delivery_ack answered ON answered.delivery_id = d.id
WHERE d.address_id = ANY(%(ids)b) ORDER BY d.id
"""
_SELECT_TOOLS = """
SELECT d.name, d.sends, array_agg(a.id ORDER BY a.id)
FROM address a
CROSS JOIN destination d
JOIN sync_state s ON s.destination_id = d.id AND s.address_id = a.id
WHERE a.id = ANY(%(ids)b) GROUP BY d.id ORDER BY d.name
"""
_SELECT_BOUNCES = "SELECT digest, at, code FROM counted_bounce WHERE digest = ANY(%s) ORDER BY at"
_SELECT_ERASURES = """
SELECT id, address_id, extent, begun_at, finished_at FROM erasure
WHERE address_id = ANY(%s) ORDER BY begun_at
"""
_SELECT_ERASURE_TASKS = """
SELECT erasure_id, destination, suppressed_at, erased_at, confirmed_at, by_hand_since
FROM erasure_task WHERE erasure_id = ANY(%s) ORDER BY destination
"""
_SELECT_MOVES = """
SELECT from_address_id, to_address_id, moved_at, undone_at FROM address_move
WHERE from_address_id = ANY(%(ids)s) OR to_address_id = ANY(%(ids)s) ORDER BY moved_at
"""
_SELECT_HOLDS = """
SELECT address_id, ground, placed_at, ends_at, ended_at FROM hold
WHERE address_id = ANY(%s) ORDER BY placed_at
"""


@dataclass(frozen=True, slots=True)
class SubjectContact:
    """A contact that has some of these addresses."""

    id: UUID
    account: str
    restricted_at: datetime | None
    locale: str | None
    created_at: datetime
    changed_at: datetime
    address_ids: Sequence[int]


@dataclass(frozen=True, slots=True)
class ToolDelivery:
    """What was reported to one tool, and its answer; `tool` is None once it was removed."""

    address_id: int
    tool: str | None
    at: datetime
    outcome: str
    ack: str | None


@dataclass(frozen=True, slots=True)
class SubjectRows:
    """Everything else, as it is stored."""

    tools: Sequence[tuple[str, Sequence[str], Sequence[int]]]
    """Destination, the topics it sends, and the addresses that have a state there."""
    bounces: Sequence[tuple[bytes, datetime, str]]
    erasures: Sequence[tuple[UUID, int, str, datetime, datetime | None]]
    erasure_tasks: Mapping[UUID, Sequence[Sequence[Any]]]
    moves: Sequence[tuple[int, int, datetime, datetime | None]]
    holds: Sequence[tuple[int, str, datetime, datetime | None, datetime | None]]


def list_contacts(connection: Connection, ids: Sequence[int]) -> list[SubjectContact]:
    """The contacts of these addresses, with those of the addresses that they have."""
    rows = connection.execute(_SELECT_CONTACTS, {"ids": list(ids)}, binary=True)
    return [SubjectContact(*row) for row in rows]


def list_external_ids(connection: Connection, keys: Keys, contact_id: UUID) -> list[str]:
    """The company's own ids of this contact, as far as they can be read."""
    rows = connection.execute(
        """SELECT digest, ciphertext FROM contact_external_id
        WHERE contact_id = %s AND ciphertext IS NOT NULL ORDER BY linked_at, digest""",
        (contact_id,),
    )
    return [keys.open(ciphertext, context=digest) for digest, ciphertext in rows]


def iter_deliveries(connection: Connection, ids: Sequence[int]) -> Iterator[ToolDelivery]:
    """Everything that was pushed to tools about these addresses, the oldest first."""
    with closing(connection.cursor("deliveries", binary=True)) as cursor:
        cursor.execute(_SELECT_DELIVERIES, {"ids": list(ids)})
        while rows := cursor.fetchmany(_FETCH_SIZE):
            yield from (ToolDelivery(*row) for row in rows)


def load_rows(connection: Connection, ids: Sequence[int], digests: Sequence[bytes]) -> SubjectRows:
    """The other rows of these addresses."""
    given = list(ids)
    erasures = connection.execute(_SELECT_ERASURES, (given,)).fetchall()
    tasks: dict[UUID, list[Sequence[Any]]] = {}
    for erasure_id, *task in connection.execute(
        _SELECT_ERASURE_TASKS, ([row[0] for row in erasures],)
    ):
        tasks.setdefault(erasure_id, []).append(task)
    return SubjectRows(
        tools=connection.execute(_SELECT_TOOLS, {"ids": given}, binary=True).fetchall(),
        bounces=connection.execute(_SELECT_BOUNCES, (list(digests),)).fetchall(),
        erasures=erasures,
        erasure_tasks=tasks,
        moves=connection.execute(_SELECT_MOVES, {"ids": given}).fetchall(),
        holds=connection.execute(_SELECT_HOLDS, (given,)).fetchall(),
    )
