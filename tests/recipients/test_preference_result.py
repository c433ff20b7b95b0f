"""What a page says of a Save, reloaded whenever: only what is true then."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from preference_center.contacts.rules.preferences import Preferences, PreferenceState, ScopeStatus
from preference_center.decisions.rules import DecisionRule
from preference_center.recipients.rules import SaveResult, show_result

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
END = NOW + timedelta(days=30)
MINUTE = timedelta(minutes=1)
ON = ScopeStatus(PreferenceState.ON)
PAUSED = ScopeStatus(PreferenceState.PAUSED, paused_until=END)


def off(since: datetime | None) -> ScopeStatus:
    return ScopeStatus(PreferenceState.OFF, rule=DecisionRule.OPTED_OUT_OF_TOPIC, since=since)


def preferences(**topics: ScopeStatus) -> Preferences:
    return Preferences(ON, topics, closed=False, restricted=False)


def test_what_holds_is_said() -> None:
    saved = SaveResult(
        NOW, turned_off=["a"], paused={"b": END}, turned_on=["c", "d"], resumed=["e"]
    )
    current = preferences(a=off(NOW), b=PAUSED, c=ON, d=PAUSED, e=ON)
    shown = show_result(saved, current)
    for name in ("turned_off", "paused", "turned_on", "resumed"):
        assert getattr(shown.saved, name) == getattr(saved, name)
    assert shown.still_paused == {"d": END}
    assert [*shown.turned_off_since, *shown.left_off] == []
    assert not shown.is_outdated


def test_what_was_changed_since_is_not_said_any_more() -> None:
    saved = SaveResult(NOW, turned_off=["a"], paused={"b": END}, undone=["c"])
    shown = show_result(saved, preferences(a=ON, b=ON, c=off(NOW)))
    assert not shown.saved.has_changed
    assert shown.is_outdated


@pytest.mark.parametrize(
    "status, since, left",
    [
        (off(NOW + MINUTE), ["a"], []),
        (off(NOW - MINUTE), [], ["a"]),  # an older one: the form does not explain it
        (off(None), [], ["a"]),  # a consent that is missing has no date
    ],
)
def test_that_something_was_turned_off_since_is_said_only_if_it_was(
    status: ScopeStatus, since: list[str], left: list[str]
) -> None:
    shown = show_result(SaveResult(NOW, turned_on=["a"]), preferences(a=status))
    assert (shown.turned_off_since, shown.left_off) == (since, left)
    assert not shown.is_outdated


def test_a_topic_that_is_not_sent_any_more_is_left_off_without_a_reason() -> None:
    shown = show_result(SaveResult(NOW, turned_on=["gone"]), preferences())
    assert (shown.turned_off_since, shown.left_off) == ([], ["gone"])


def test_what_was_confirmed_meanwhile_is_not_asked_for() -> None:
    saved = SaveResult(NOW, to_confirm=["a", "b", "c"])
    shown = show_result(saved, preferences(a=ON, b=off(NOW), c=PAUSED))
    assert shown.saved.to_confirm == ["b", "c"]  # a pause may be what is to be ended
