"""What a submitted preference form changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from preference_center.contacts.rules.preferences import Preferences, PreferenceState, ScopeStatus
from preference_center.core.events import ALL_MARKETING
from preference_center.decisions.rules import DecisionRule
from preference_center.recipients.rules import (
    RESUME_CHOICE,
    SubmittedPreferences,
    diff_scopes,
    kept_pauses,
)

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
END = NOW + timedelta(days=30)
ON = ScopeStatus(PreferenceState.ON)
OFF = ScopeStatus(PreferenceState.OFF, rule=DecisionRule.OPTED_OUT_OF_TOPIC, since=NOW)
PAUSED = ScopeStatus(PreferenceState.PAUSED, paused_until=END, own_pause_until=END)
COVERED = ScopeStatus(PreferenceState.PAUSED, paused_until=END)
TOPICS = ("news", "offers", "events")


def preferences(all_marketing: ScopeStatus = ON, **topics: ScopeStatus) -> Preferences:
    return Preferences(all_marketing, topics, closed=False, restricted=False)


def rendered(current: Preferences) -> dict[str, bool]:
    return {scope: current.is_on(scope) for scope in (ALL_MARKETING, *current.topics)}


def test_one_topic_and_nothing_else_turns_off_the_others_and_turns_on_nothing() -> None:
    current = preferences(news=ON, offers=ON, events=OFF)
    changes = diff_scopes(rendered(current), SubmittedPreferences(["offers"]), current, NOW)
    assert (changes.opt_outs, changes.opt_ins) == (["news"], [])  # what stays on needs no proof


def test_all_marketing_is_never_turned_on_or_off_by_the_form() -> None:
    for wide in (ON, OFF):
        current = preferences(wide, news=ON)
        for ticks in ((), ("news",), ("news", ALL_MARKETING)):
            found = diff_scopes(rendered(current), SubmittedPreferences(ticks), current, NOW)
            assert ALL_MARKETING not in (*found.opt_outs, *found.opt_ins)


def test_the_end_of_a_pause_of_everything_ends_what_was_kept_of_it() -> None:
    another = ScopeStatus(
        PreferenceState.PAUSED, paused_until=END, own_pause_until=END - timedelta(days=1)
    )
    current = preferences(PAUSED, news=PAUSED, offers=COVERED, events=another)
    pressed = SubmittedPreferences(TOPICS, {ALL_MARKETING: RESUME_CHOICE})
    changes = diff_scopes(rendered(current), pressed, current, NOW)
    assert changes.resumes == [ALL_MARKETING, "news"]


def test_a_running_pause_is_kept_for_what_is_turned_on() -> None:
    under = ScopeStatus(PreferenceState.OFF, paused_until=END)
    current = preferences(COVERED, news=under, offers=OFF)
    assert kept_pauses(["news", "offers", "unknown"], [], current) == {"news": END}


def test_the_end_of_a_pause_of_everything_keeps_a_topics_own() -> None:
    shorter = END - timedelta(days=1)
    own = ScopeStatus(PreferenceState.OFF, paused_until=END, own_pause_until=shorter)
    kept = ScopeStatus(PreferenceState.OFF, paused_until=END, own_pause_until=END)
    under = ScopeStatus(PreferenceState.OFF, paused_until=END)
    current = preferences(PAUSED, news=own, offers=kept, events=under)
    assert kept_pauses(TOPICS, [ALL_MARKETING], current) == {"news": shorter}


STATUSES = st.sampled_from([ON, OFF, PAUSED, COVERED])
CHOICES = st.dictionaries(
    st.sampled_from([ALL_MARKETING, *TOPICS, "unknown"]),
    st.sampled_from(["", "7", "30", "90", "8", RESUME_CHOICE]),
)


@given(
    st.fixed_dictionaries(dict.fromkeys(TOPICS, STATUSES)),
    STATUSES,
    st.sets(st.sampled_from([*TOPICS, "unknown", ALL_MARKETING])),
    CHOICES,
)
def test_only_what_was_touched_changes(
    topics: dict[str, ScopeStatus], wide: ScopeStatus, ticks: set[str], pauses: dict[str, str]
) -> None:  # I5, RULES C4
    current = preferences(wide, **topics)
    was = rendered(current)
    changes = diff_scopes(was, SubmittedPreferences(ticks, pauses), current, NOW)
    assert {*changes.opt_outs} == {key for key in TOPICS if was[key] and key not in ticks}
    assert {*changes.opt_ins} == {key for key in TOPICS if not was[key] and key in ticks}
    assert not {*changes.pauses, *changes.resumes} & {*changes.opt_outs, *changes.opt_ins}
    assert {*changes.pauses, *changes.resumes} <= {scope for scope, is_on in was.items() if is_on}
    assert all(pauses[scope] in {"7", "30", "90"} for scope in changes.pauses)
