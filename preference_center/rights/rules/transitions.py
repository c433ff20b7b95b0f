"""How a request goes from state to state. That it was extended is a mark, not a state."""

from __future__ import annotations

from collections.abc import Mapping

from preference_center.core.errors import ForbiddenTransition
from preference_center.rights.rules.model import RequestState

_ENDINGS = frozenset(
    {RequestState.REFUSED, RequestState.WITHDRAWN, RequestState.LAPSED},
)
TRANSITIONS: Mapping[RequestState, frozenset[RequestState]] = {
    RequestState.RECEIVED: _ENDINGS | {RequestState.IDENTIFYING, RequestState.OPEN},
    RequestState.IDENTIFYING: _ENDINGS | {RequestState.OPEN},
    RequestState.OPEN: frozenset(
        {RequestState.DONE, RequestState.REFUSED, RequestState.WITHDRAWN},
    ),
    RequestState.DONE: frozenset(),
    RequestState.REFUSED: frozenset(),
    RequestState.WITHDRAWN: frozenset(),
    RequestState.LAPSED: frozenset(),
}
"""The states that may follow each. Only a request whose identity is proven can be done."""


def require_transition(before: RequestState, after: RequestState) -> None:
    """Raises ForbiddenTransition unless `after` may follow `before`."""
    if after in TRANSITIONS[before]:
        return
    if before.closed:
        raise ForbiddenTransition(f"the request is closed ({before}): nothing of it can change")
    if after is RequestState.DONE:
        raise ForbiddenTransition(f"the request is {before}: confirm who the person is first")
    raise ForbiddenTransition(f"a request that is {before} can't become {after}")
