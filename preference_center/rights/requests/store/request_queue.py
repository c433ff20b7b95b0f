"""Which data-subject requests wait for time or for the service: the database is the queue."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from preference_center.catalogue.rules.privacy import Law
from preference_center.infra.db.transactions import Connection
from preference_center.rights.requests.store.requests import SELECT_REQUESTS, fetch_requests
from preference_center.rights.rights_holds import IN_FORCE
from preference_center.rights.rules.model import RequestKind, RequestState
from preference_center.rights.rules.request import RightsRequest


@dataclass(frozen=True, slots=True)
class OpenRequest:
    """What the queue of open requests is sorted and filtered by. Times are UTC."""

    id: UUID
    kind: RequestKind
    law: Law | None
    brand: str | None
    received_at: datetime
    deadline: datetime
    stopped_at: datetime | None


def list_open(
    connection: Connection, kinds: Collection[RequestKind], limit: int
) -> list[OpenRequest]:
    """Open requests of these kinds: the earliest deadline first, and stopped clocks last."""
    rows = connection.execute(
        """SELECT id, kind, law, brand, received_at, COALESCE(extended_to, due_at), stopped_at
        FROM rights_request WHERE closed_at IS NULL AND kind = ANY(%s)
        ORDER BY stopped_at IS NOT NULL, COALESCE(extended_to, due_at), id LIMIT %s""",
        ([str(kind) for kind in kinds], limit),
    )
    named, laws = {str(each): each for each in kinds}, {str(each): each for each in Law}
    return [OpenRequest(row[0], named[row[1]], laws.get(row[2]), *row[3:]) for row in rows]


class ClosedKey(NamedTuple):
    """The place of a request in the list of closed ones. `closed_at` is UTC."""

    closed_at: datetime
    id: UUID


def list_closed(
    connection: Connection,
    kinds: Collection[RequestKind],
    states: Collection[RequestState],
    before: ClosedKey | None,
    limit: int,
) -> list[RightsRequest]:
    """Closed requests of these kinds and in these states, those that were closed last first.

    Only those after `before` in this order; None begins with the newest.
    """
    return fetch_requests(
        connection,
        f"""{SELECT_REQUESTS} WHERE closed_at IS NOT NULL
            AND kind = ANY(%(kinds)s) AND state = ANY(%(states)s)
            AND (%(id)s::uuid IS NULL OR (closed_at, id) < (%(closed_at)s, %(id)s::uuid))
        ORDER BY closed_at DESC, id DESC LIMIT %(limit)s""",
        {
            "kinds": [str(kind) for kind in kinds],
            "states": [str(state) for state in states],
            "closed_at": before and before.closed_at,
            "id": before and before.id,
            "limit": limit,
        },
    )


def load_requests(connection: Connection, ids: Sequence[UUID]) -> list[RightsRequest]:
    """The requests with these ids, in the order of them."""
    query = f"{SELECT_REQUESTS} WHERE id = ANY(%(ids)s)"
    found = {each.id: each for each in fetch_requests(connection, query, {"ids": list(ids)})}
    return [found[each] for each in ids if each in found]


def load_stages(connection: Connection) -> list[tuple[datetime, datetime]]:
    """When each open request whose clock runs was received, and its deadline; 10,000 at most."""
    return connection.execute(
        """SELECT received_at, COALESCE(extended_to, due_at) FROM rights_request
        WHERE closed_at IS NULL AND stopped_at IS NULL
        ORDER BY due_at LIMIT 10000"""
    ).fetchall()


def list_woken(connection: Connection, now: datetime, limit: int) -> list[UUID]:
    """The requests whose `next_at` has come, the earliest first."""
    rows = connection.execute(
        "SELECT id FROM rights_request WHERE next_at <= %s ORDER BY next_at LIMIT %s", (now, limit)
    )
    return [row[0] for row in rows]


def list_acting(
    connection: Connection, kinds: Collection[RequestKind], now: datetime, limit: int
) -> list[RightsRequest]:
    """Open requests of these kinds that wait for nobody, the earliest first.

    An account is erased only when the company has agreed, and nothing of an address under hold.
    """
    return fetch_requests(
        connection,
        f"""{SELECT_REQUESTS} WHERE closed_at IS NULL AND state = 'open' AND kind = ANY(%(kinds)s)
            AND extent IS DISTINCT FROM 'account'
            AND (kind <> 'erase' OR NOT EXISTS (SELECT FROM hold
                WHERE address_id = ANY(rights_request.address_ids) AND {IN_FORCE}))
        ORDER BY id LIMIT %(limit)s""",
        {"kinds": [str(kind) for kind in kinds], "now": now, "limit": limit},
    )


def list_asked_by_agents(
    connection: Connection,
    *,
    recorded_from: datetime,
    recorded_until: datetime,
    without_step: str,
    limit: int,
) -> list[UUID]:
    """Requests of agents of that time that nobody has confirmed, and that lack this step."""
    rows = connection.execute(
        """SELECT id FROM rights_request r
        WHERE closed_at IS NULL AND via = 'agent' AND state IN ('received', 'identifying')
            AND recorded_at BETWEEN %(first)s AND %(last)s
            AND NOT EXISTS (SELECT FROM rights_step s
                WHERE s.request_id = r.id AND s.action = %(step)s)
        ORDER BY recorded_at LIMIT %(limit)s""",
        {"first": recorded_from, "last": recorded_until, "step": without_step, "limit": limit},
    )
    return [row[0] for row in rows]


def forget_requests(connection: Connection, now: datetime, limit: int) -> list[UUID]:
    """Wipe whom requests were about whose time of keeping is over; returns their ids."""
    rows = connection.execute(
        """UPDATE rights_request SET sealed = NULL, subject_digests = '{}', address_ids = '{}',
            contact_id = NULL, forget_at = NULL, version = version + 1
        WHERE id IN (SELECT id FROM rights_request WHERE forget_at <= %(now)s
            ORDER BY forget_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
        RETURNING id""",
        {"now": now, "limit": limit},
    )
    return [row[0] for row in rows]
