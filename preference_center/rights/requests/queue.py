"""The queue of open requests, worst first, as staff work on it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from preference_center.catalogue.store import current_catalogue_or_empty
from preference_center.core.deadlines import RequestStage
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_autocommit
from preference_center.rights.requests.proposals import find_proposals
from preference_center.rights.requests.store import request_queue
from preference_center.rights.requests.store.request_queue import OpenRequest
from preference_center.rights.rules.clock import request_stage
from preference_center.rights.rules.decisions import Proposal
from preference_center.rights.rules.model import RequestKind

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
        found = request_queue.list_open(connection, kinds, MAX_OPEN)
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
