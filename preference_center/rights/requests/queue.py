"""List the open requests, the worst first, as staff work on them, and the closed ones."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from preference_center.catalogue.rules.privacy import Law
from preference_center.catalogue.store import current_catalogue_or_empty
from preference_center.core.deadlines import RequestStage
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_autocommit
from preference_center.rights.requests.steps import find_proposals
from preference_center.rights.requests.store import SELECT_REQUESTS, fetch_requests
from preference_center.rights.rules.deadlines import request_stage
from preference_center.rights.rules.decisions import Proposal
from preference_center.rights.rules.lifecycle import RightsRequest
from preference_center.rights.rules.requests import RequestKind, RequestState


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


MAX_STAGES = 10_000


def load_stages(connection: Connection) -> list[tuple[datetime, datetime]]:
    """When each open request whose clock runs was received, and its deadline; MAX_STAGES at most.

    What is beyond them has the latest deadlines.
    """
    return connection.execute(
        """SELECT received_at, COALESCE(extended_to, due_at) FROM rights_request
        WHERE closed_at IS NULL AND stopped_at IS NULL
        ORDER BY due_at LIMIT %s""",
        (MAX_STAGES,),
    ).fetchall()


MAX_OPEN = 5_000
"""Requests that are sorted and counted; what is beyond them has the latest deadlines."""


@dataclass(frozen=True, slots=True)
class QueueEntry:
    """An open request, and how late it is; `stage` is None while its clock is stopped."""

    request: OpenRequest
    stage: RequestStage | None
    proposal: Proposal | None
    """What waits for a second person, if anything does."""


def load_queue(kinds: Collection[RequestKind]) -> list[QueueEntry]:
    """The open requests of these kinds, the earliest deadline first and stopped clocks last.

    Raises Unavailable.
    """
    now, target = services().now(), current_catalogue_or_empty().rights.target

    def load(connection: Connection) -> tuple[list[OpenRequest], dict[UUID, Proposal]]:
        found = list_open(connection, kinds, MAX_OPEN)
        return found, find_proposals(connection)

    found, proposals = run_autocommit(load)
    return [
        QueueEntry(
            each,
            None
            if each.stopped_at
            else request_stage(each.received_at, each.deadline, now, target=target),
            proposals.get(each.id),
        )
        for each in found
    ]
