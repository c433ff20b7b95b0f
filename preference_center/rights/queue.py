"""The queue of open requests, worst first, as staff work on it."""

from __future__ import annotations

from dataclasses import dataclass

from preference_center.context import services
from preference_center.domain.rights.clock import RequestStage, request_stage
from preference_center.storage.catalogues import current_catalogue_or_empty
from preference_center.storage.db.database import run_autocommit
from preference_center.storage.rights import request_queue
from preference_center.storage.rights.request_queue import OpenRequest

MAX_OPEN = 10_000
"""Requests that are sorted and counted; what is beyond them has the latest deadlines."""


@dataclass(frozen=True, slots=True)
class QueueEntry:
    """An open request, and how late it is; `stage` is None while its clock is stopped."""

    request: OpenRequest
    stage: RequestStage | None


def load_queue() -> list[QueueEntry]:
    """The open requests, the earliest deadline first, stopped clocks last. Raises Unavailable."""
    now, target = services().now(), current_catalogue_or_empty().rights.target
    found = run_autocommit(lambda connection: request_queue.list_open(connection, MAX_OPEN))
    return [
        QueueEntry(
            each,
            None
            if each.stopped_at
            else request_stage(each.received_at, each.deadline, now, target=target),
        )
        for each in found
    ]
