"""What an account page changes: what counts from when, and what is no news."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from preference_center.catalogue import parse_catalogue
from preference_center.contacts.rules.preferences import (
    MAX_PAUSE,
    PreferenceChoice,
    Preferences,
    PreferenceState,
    PreferenceSubmission,
    build_preference_change,
    compute_preferences,
    shown_facts,
)
from preference_center.core.addresses import Channel, parse_address
from preference_center.core.deadlines import PAUSE_DAYS
from preference_center.core.errors import InvalidInput
from preference_center.core.events import (
    ALL_MARKETING,
    EVERYTHING,
    RESTRICTION,
    UNDELIVERABLE,
    Change,
    EventKind,
    ScopeFact,
    ScopeState,
    Timestamped,
)
from preference_center.decisions.rules import DecisionRule
from preference_center.ledger.rules import ConsentEvidence, RequestOrigin
from tests.catalogue.catalogues import SECOND_TOPIC, SMALL

CATALOGUE = parse_catalogue(SMALL + SECOND_TOPIC)
ADDRESS = parse_address("ada@example.com", Channel.EMAIL)
NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
ACTED, RENDERED = NOW - timedelta(minutes=1), NOW - timedelta(minutes=5)
ID = UUID(int=1)
OUT = ScopeState(opt_out=Timestamped(NOW - timedelta(days=1), ID), reason=EventKind.OPTED_OUT)
ON, OFF = PreferenceChoice(PreferenceState.ON), PreferenceChoice(PreferenceState.OFF)


def preferences_of(*facts: ScopeFact) -> Preferences:
    return compute_preferences(CATALOGUE, ADDRESS, facts, NOW)


def made(
    scope: str, choice: PreferenceChoice, *facts: ScopeFact, rendered_at: datetime = RENDERED
) -> Change | None:
    proof = ConsentEvidence("account page", "Email settings", "en", ACTED)
    answer = PreferenceSubmission(ADDRESS, {scope: choice}, rendered_at, proof)
    origin = RequestOrigin("senders", "key:shop", NOW)
    return build_preference_change(ID, answer, scope, origin, CATALOGUE, preferences_of(*facts))


def test_an_opt_in_counts_from_the_page_and_an_opt_out_from_the_act() -> None:  # I5
    opted_in, opted_out = made("acme.news", ON), made("acme.news", OFF)
    assert opted_in
    assert opted_out
    assert (opted_in.kind, opted_in.occurred_at) == (EventKind.OPTED_IN, RENDERED)
    assert (opted_out.kind, opted_out.occurred_at, opted_out.received_at) == (
        EventKind.OPTED_OUT,
        ACTED,
        ACTED,
    )
    assert opted_out.own_act


def test_an_opt_in_never_counts_after_the_act() -> None:
    opted_in = made("acme.news", ON, rendered_at=NOW)
    assert opted_in
    assert opted_in.occurred_at == ACTED


def test_what_is_active_already_is_no_change_but_an_opt_out_always_is() -> None:
    assert made(ALL_MARKETING, ON) is None
    assert made(ALL_MARKETING, ON, ScopeFact(ALL_MARKETING, True, OUT))
    assert made(ALL_MARKETING, ON, ScopeFact(ALL_MARKETING, False, OUT))  # I9: of another form
    assert made(ALL_MARKETING, OFF, ScopeFact(ALL_MARKETING, True, OUT))


@pytest.mark.parametrize(
    "until", [NOW, NOW - timedelta(days=1), NOW + MAX_PAUSE + timedelta(seconds=1)]
)
def test_a_pause_ends_in_time(until: datetime) -> None:
    with pytest.raises(InvalidInput, match="366 days"):
        made(ALL_MARKETING, PreferenceChoice(PreferenceState.PAUSED, until))
    assert made(ALL_MARKETING, PreferenceChoice(PreferenceState.PAUSED, NOW + MAX_PAUSE))


def test_a_closed_account_can_only_say_no() -> None:  # I4
    closed = ScopeFact(
        EVERYTHING, True, ScopeState(opt_out=Timestamped(NOW, ID), reason=EventKind.DEACTIVATED)
    )
    assert preferences_of(closed).closed
    for choice in (ON, PreferenceChoice(PreferenceState.PAUSED, NOW + timedelta(days=7))):
        with pytest.raises(InvalidInput, match="closed"):
            made("acme.news", choice, closed)
    assert made("acme.news", OFF, closed)


def test_that_another_form_is_closed_is_not_shown() -> None:  # I9: narrow to reveal
    other = ScopeFact(
        EVERYTHING, False, ScopeState(opt_out=Timestamped(NOW, ID), reason=EventKind.DEACTIVATED)
    )
    assert not preferences_of(other).closed


def test_what_lacks_consent_is_off_and_not_paused() -> None:
    pause = ScopeState(pause=Timestamped(NOW, ID), pause_until=NOW + timedelta(days=7))
    preferences = preferences_of(ScopeFact("acme.news", True, pause))
    topic = preferences.topics["acme.news"]
    assert (topic.state, topic.rule) == (PreferenceState.OFF, DecisionRule.NO_CONSENT)
    assert topic.until is None
    assert not preferences.is_on("acme.news")
    again = PreferenceChoice(PreferenceState.PAUSED, NOW + timedelta(days=7))
    assert made("acme.news", again, ScopeFact("acme.news", True, pause)) is None  # I7


def test_a_wide_pause_keeps_a_topic_on_and_is_not_its_own() -> None:
    end = NOW + timedelta(days=7)
    wide = ScopeState(pause=Timestamped(NOW, ID), pause_until=end)
    consent = ScopeState(consent=Timestamped(NOW - timedelta(days=1), ID))
    preferences = preferences_of(
        ScopeFact(ALL_MARKETING, True, wide), ScopeFact("acme.news", True, consent)
    )
    topic = preferences.topics["acme.news"]
    assert (topic.state, topic.until, topic.own_pause_until) == (PreferenceState.PAUSED, end, None)
    assert preferences.all_marketing.own_pause_until == end
    assert preferences.is_on("acme.news")
    assert preferences.is_on(ALL_MARKETING)


def test_a_bounce_is_no_opt_out_of_all_marketing() -> None:
    bounced = ScopeState(opt_out=Timestamped(NOW, ID), reason=EventKind.BOUNCED)
    preferences = preferences_of(ScopeFact(UNDELIVERABLE, True, bounced))
    assert preferences.all_marketing.rule is DecisionRule.BOUNCED
    assert preferences.is_on(ALL_MARKETING)
    assert not preferences.is_on("acme.news")


def test_the_page_offers_no_pause_that_the_api_refuses() -> None:
    assert timedelta(days=max(PAUSE_DAYS)) <= MAX_PAUSE


PAUSED = PreferenceChoice(PreferenceState.PAUSED, NOW + timedelta(days=7))
RESTRICTED = ScopeState(opt_out=Timestamped(NOW, UUID(int=7)), reason=EventKind.RESTRICTED)


@pytest.mark.parametrize("exact", [True, False])
def test_who_limits_the_use_of_their_data_can_only_say_no(*, exact: bool) -> None:
    restricted = ScopeFact(RESTRICTION, exact, RESTRICTED)
    shown = preferences_of(*shown_facts([restricted]))
    assert shown.restricted
    assert not shown.closed
    assert shown.all_marketing.rule is DecisionRule.RESTRICTED
    for choice in (ON, PAUSED):
        with pytest.raises(InvalidInput, match="limits the use"):
            made("acme.news", choice, restricted)
    assert made("acme.news", OFF, restricted)


def test_of_other_forms_only_a_restriction_is_shown() -> None:  # I9: narrow to reveal
    own = ScopeFact("acme.news", True, OUT)
    other, restricted = replace(own, exact=False), ScopeFact(RESTRICTION, False, RESTRICTED)
    assert shown_facts([own, other, restricted]) == [own, restricted]
