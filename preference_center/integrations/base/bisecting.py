"""Which items of a refused batch are at fault: it is halved until they are alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus

from preference_center.domain.sync.contract import PushItem, PushOutcome, PushResult
from preference_center.integrations.base.http import RequestRejected

CONTENT_ERROR_STATUSES = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
    }
)
"""Statuses that may be about one item. Others, such as 404, are about the request as a whole."""
MAX_REQUESTS = 60
"""Requests for one batch; what has not been sent by then is left for later."""

PushBatch = Callable[[Sequence[PushItem]], Mapping[int, PushOutcome]]


def push_bisecting(batch: Sequence[PushItem], push: PushBatch) -> Mapping[int, PushOutcome]:
    """`push(batch)`, halved where it is rejected for its content, until single items are left.

    An item that is rejected alone is REFUSED, provided that the tool takes any other: one that
    takes nothing is at fault itself, and then the first Rejected is raised, after
    log2(len(batch)) + 3 requests at the most. A ref left out counts as LATER.
    """
    outcomes: dict[int, PushOutcome] = {}
    waiting, first, rejected, taken = [list(batch)], None, 0, False
    for _ in range(MAX_REQUESTS):
        if not waiting:
            break
        part = waiting.pop()
        try:
            outcomes |= push(part)
            taken = True
        except RequestRejected as error:
            if error.status not in CONTENT_ERROR_STATUSES:
                raise
            first, rejected = first or error, rejected + 1
            middle = len(part) // 2
            if middle:
                waiting += [part[middle:], part[:middle]]
            else:
                outcomes[part[0].ref] = PushOutcome(PushResult.REFUSED, str(error.status))
            if not taken and (not waiting or rejected > len(batch).bit_length() + 1):
                raise first from None
    return outcomes
