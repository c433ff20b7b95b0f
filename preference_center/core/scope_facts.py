"""What is known of an address: the state of each scope of each stored form of its mailbox (I9)."""

from __future__ import annotations

from dataclasses import dataclass

from preference_center.core.events import ScopeState


@dataclass(frozen=True, slots=True)
class ScopeFact:
    """The state of one scope of one stored form; `exact` if it is the candidate itself."""

    scope: str
    exact: bool
    state: ScopeState
