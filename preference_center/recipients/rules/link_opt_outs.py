"""What somebody has already turned off who opens an unsubscribe link, and what they may undo."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from preference_center.core.deadlines import UNDO_PERIOD
from preference_center.core.events import (
    ALL_MARKETING,
    EVERYTHING,
    Event,
    EventKind,
    ScopeFact,
    fold,
)
from preference_center.core.events import IMPORT_SOURCE as IMPORT
from preference_center.core.events import MOVE_SOURCE as MOVE
from preference_center.destinations.rules.delivery import ActiveSuppression, active_suppressions

_WIDE = frozenset({ALL_MARKETING, EVERYTHING})
_UNDONE_BY_OTHERS = frozenset({IMPORT, MOVE})
"""Sources whose events end when an import, or the correction of an address, is undone."""


@dataclass(frozen=True, slots=True)
class UndoableOptOut:
    """The events that an undo retracts, and when the first of them was received (UTC)."""

    events: tuple[UUID, ...]
    pressed_at: datetime


@dataclass(frozen=True, slots=True)
class LinkOptOut:
    """The active opt-out that covers a link's scope. `since` is when we received it (UTC)."""

    covers_all: bool
    """Whether it covers all marketing, and not only the link's topic."""
    since: datetime
    undoable: UndoableOptOut | None = None


def find_opt_out(
    scope: str,
    facts: Sequence[ScopeFact],
    events: Sequence[Event],
    retracted: frozenset[UUID],
    is_press: Callable[[Event], bool],
    now: datetime,
) -> LinkOptOut | None:
    """The widest active opt-out of exactly this address that covers `scope` (I9); None if none.

    `facts` and `events` are those of the exact address. `is_press` says which events were made
    with the same link on the unsubscribe page: they can be undone for UNDO_PERIOD.

    A pause and a bounce are none: the person may still opt out. Nor is an opt-out by an import or
    by the correction of an address, which ends if that is undone: somebody who reads that they are
    out already does not opt out themselves (I5).
    """
    covering = _covering_suppressions(scope, facts, now)
    for suppression in covering:
        since = _received_at(suppression, events, retracted)
        if since is None:
            continue
        stays_off = any(each.scope in _WIDE - {suppression.scope} for each in covering)
        undoable = _find_undoable(suppression.scope, events, retracted, is_press, now)
        return LinkOptOut(suppression.scope in _WIDE, since, None if stays_off else undoable)
    return None


def _covering_suppressions(
    scope: str, facts: Sequence[ScopeFact], now: datetime
) -> list[ActiveSuppression]:
    found = [
        each
        for each in active_suppressions(facts, now)
        if each.kind.suppresses and _covers(each, scope)
    ]
    return sorted(found, key=lambda each: (each.scope not in _WIDE, each.since))


def _received_at(
    suppression: ActiveSuppression, events: Sequence[Event], retracted: frozenset[UUID]
) -> datetime | None:
    """When the opt-out was received; None if it is active by what others may undo alone.

    An opt-out by mail, whose address was unknown then, has no event.
    """
    by_id = {each.id: each for each in events}
    event = by_id.get(suppression.event_id)
    if event is None or event.source not in _UNDONE_BY_OTHERS:
        return event.received_at if event else suppression.since
    others = fold([each for each in events if each.source not in _UNDONE_BY_OTHERS], retracted)
    state = others.get((event.address_id, suppression.scope))
    if state is None or state.opt_out is None or not state.is_suppressed:
        return None
    return by_id[state.opt_out.event].received_at


def _covers(suppression: ActiveSuppression, scope: str) -> bool:
    if suppression.scope not in _WIDE:
        return suppression.scope == scope
    if scope == ALL_MARKETING:  # not if a topic was turned on again since
        return not suppression.exempt_topics
    return scope not in suppression.exempt_topics


def _find_undoable(
    scope: str,
    events: Sequence[Event],
    retracted: frozenset[UUID],
    is_press: Callable[[Event], bool],
    now: datetime,
) -> UndoableOptOut | None:
    """The recent presses that turned `scope` off; None if it would be off without them too."""
    recent = [
        each
        for each in events
        if each.kind is EventKind.OPTED_OUT
        and each.id not in retracted
        and now - each.received_at <= UNDO_PERIOD
        and is_press(each)
    ]
    pressed = [each for each in recent if each.scope == scope]
    if not pressed:
        return None
    ids = tuple(each.id for each in pressed)
    without = fold(events, retracted.union(ids))
    if any(state.is_suppressed for (_, each), state in without.items() if each == scope):
        return None
    return UndoableOptOut(ids, min(each.received_at for each in pressed))
