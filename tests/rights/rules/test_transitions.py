"""The states of a request."""

from __future__ import annotations

from itertools import product

import pytest

from preference_center.core.errors import ForbiddenTransition
from preference_center.rights.rules.lifecycle import require_transition
from preference_center.rights.rules.requests import RequestState

S = RequestState
ALLOWED = {
    (S.RECEIVED, S.IDENTIFYING),
    (S.RECEIVED, S.OPEN),
    (S.RECEIVED, S.REFUSED),
    (S.RECEIVED, S.WITHDRAWN),
    (S.RECEIVED, S.LAPSED),
    (S.IDENTIFYING, S.OPEN),
    (S.IDENTIFYING, S.REFUSED),
    (S.IDENTIFYING, S.WITHDRAWN),
    (S.IDENTIFYING, S.LAPSED),
    (S.OPEN, S.DONE),
    (S.OPEN, S.REFUSED),
    (S.OPEN, S.WITHDRAWN),
}


@pytest.mark.parametrize("before, after", [*product(S, S)])
def test_only_the_listed_transitions_are_allowed(before: S, after: S) -> None:
    if (before, after) in ALLOWED:
        require_transition(before, after)
    else:
        with pytest.raises(ForbiddenTransition):
            require_transition(before, after)


def test_only_these_states_are_ends() -> None:
    ends = {S.DONE, S.REFUSED, S.WITHDRAWN, S.LAPSED}
    assert ends == {state for state in S if state.closed}


def test_the_message_says_what_to_do_first() -> None:
    with pytest.raises(ForbiddenTransition, match="confirm who the person is"):
        require_transition(S.IDENTIFYING, S.DONE)
