"""What an unsubscribe link shows to somebody who opens it again, and what may be undone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from preference_center.cookies.rules import SOURCE
from preference_center.core.deadlines import UNDO_PERIOD
from preference_center.core.events import (
    ALL_MARKETING,
    EVERYTHING,
    SHARING,
    UNDELIVERABLE,
    Event,
    EventKind,
    ScopeFact,
    ScopeState,
    fold,
)
from preference_center.recipients.rules import LinkOptOut, find_opt_out

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
PAGE = "unsubscribe_page"


def event(
    number: int,
    minutes: float,
    scope: str = "news",
    *,
    kind: EventKind = EventKind.OPTED_OUT,
    source: str = PAGE,
    until: datetime | None = None,
) -> Event:
    at = NOW - timedelta(minutes=minutes)
    return Event(
        UUID(int=number), number, kind, 1, scope, at, at, at, at, source, "recipient", {},
        own_act=True, until=until,
    )  # fmt: skip


def found(
    *events: Event, scope: str = "news", retracted: Sequence[int] = (), exact: bool = True
) -> LinkOptOut | None:
    """What the fold of these events says of a link to `scope`; those of the page are its own."""
    taken_back = frozenset(UUID(int=number) for number in retracted)
    states: dict[tuple[int, str], ScopeState] = fold(events, taken_back)
    facts = [ScopeFact(each, exact, state) for (_, each), state in states.items()]
    return find_opt_out(scope, facts, events, taken_back, lambda each: each.source == PAGE, NOW)


def undoable(*events: Event, scope: str = "news", retracted: Sequence[int] = ()) -> list[int]:
    opt_out = found(*events, scope=scope, retracted=retracted)
    assert opt_out
    return [each.int for each in opt_out.undoable.events] if opt_out.undoable else []


def test_nobody_is_out_who_has_turned_nothing_off() -> None:
    assert found() is None
    assert found(event(1, 5, "other")) is None
    assert found(event(1, 5), retracted=[1]) is None
    assert found(event(1, 5), event(2, 4, kind=EventKind.OPTED_IN)) is None
    assert found(event(1, 5), exact=False) is None  # I9


def test_the_widest_opt_out_is_named_and_since_when() -> None:
    narrow, wide = event(1, 90), event(2, 60, ALL_MARKETING)
    assert found(narrow) == LinkOptOut(covers_all=False, since=narrow.received_at)
    assert found(narrow, wide) == LinkOptOut(covers_all=True, since=wide.received_at)
    assert found(narrow, scope=ALL_MARKETING) is None  # a topic is not all marketing


def test_what_was_turned_on_again_since_is_not_off() -> None:  # I5
    wide = event(1, 60, ALL_MARKETING)
    again = event(2, 40, kind=EventKind.OPTED_IN)
    assert found(wide, again) is None
    assert found(wide, again, scope=ALL_MARKETING) is None
    assert found(wide, again, scope="other")


def test_a_closed_account_is_out_and_has_nothing_to_undo() -> None:
    closed = event(1, 10, EVERYTHING, kind=EventKind.DEACTIVATED, source="api")
    assert found(closed) == LinkOptOut(covers_all=True, since=closed.received_at)
    assert undoable(closed, event(2, 5, ALL_MARKETING)) == []


def test_who_only_paused_or_bounced_may_still_opt_out() -> None:
    assert found(event(1, 5, kind=EventKind.PAUSED, until=NOW + timedelta(days=1))) is None
    assert found(event(1, 5, UNDELIVERABLE, kind=EventKind.BOUNCED)) is None


@pytest.mark.parametrize("source", ["import", "move"])
def test_an_opt_out_that_others_may_undo_does_not_replace_the_persons_own(source: str) -> None:
    # I5
    others = event(1, 5, ALL_MARKETING, source=source)
    assert found(others) is None
    assert found(others, event(2, 9)) == LinkOptOut(
        covers_all=False, since=NOW - timedelta(minutes=9)
    )  # nothing to undo: they would stay off
    both = found(event(2, 90, ALL_MARKETING), others)
    assert both == LinkOptOut(covers_all=True, since=NOW - timedelta(minutes=90))


def test_the_page_undoes_its_own_presses_and_nobody_elses() -> None:
    assert undoable(event(1, 5)) == [1]
    assert undoable(event(1, 5), event(2, 4)) == [1, 2]  # Back, and pressed again
    assert undoable(event(1, 5, source="one_click")) == []
    assert undoable(event(1, 5, source="one_click"), event(2, 4)) == []  # would stay off
    assert undoable(event(1, 5), event(2, 4), retracted=[1]) == [2]


def test_what_was_pressed_last_is_undone_before_what_it_covers() -> None:
    assert undoable(event(1, 5), event(2, 4, ALL_MARKETING)) == [2]
    assert undoable(event(1, 5), event(2, 4, ALL_MARKETING), retracted=[2]) == [1]


def test_what_the_browsers_signal_added_to_a_press_is_not_undone_with_it() -> None:
    assert undoable(event(1, 5), event(2, 5, SHARING, source=SOURCE)) == [1]


def test_undo_is_owed_for_its_period() -> None:
    minutes = UNDO_PERIOD / timedelta(minutes=1)
    opt_out = found(event(1, minutes))
    assert opt_out
    assert opt_out.undoable
    assert opt_out.undoable.pressed_at == NOW - UNDO_PERIOD
    assert undoable(event(1, minutes + 0.1)) == []
