"""How often a topic is sent: the person's choice, the mailbox's, the catalogue's default."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preference_center.catalogue import Catalogue
from preference_center.contacts.rules.preferences import ChosenFrequencies, build_frequency_change
from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.errors import InvalidInput, WrongChannel
from preference_center.core.events import (
    Change,
    Event,
    EventKind,
    ScopeFact,
    fold,
)
from preference_center.decisions.rules import (
    decide,
    effective_frequency,
    frequency_choice,
    wanted_frequency,
)
from preference_center.ledger.rules import RequestOrigin
from tests.core.histories import EVENTS, NEWS, NOW, PERSON
from tests.decisions.facts import (
    DAILY,
    MINUTE,
    MONTHLY,
    NEWSLETTER,
    OFF,
    ON,
    TITLES,
    WEEKLY,
    chose,
    consent,
    off,
    on,
    pause,
)

OFFERED = replace(ON, frequencies=TITLES, default_frequency=WEEKLY)


@pytest.mark.parametrize(
    "facts, expected",
    [
        ((), WEEKLY),
        ((chose(MONTHLY),), MONTHLY),
        ((chose(DAILY),), DAILY),
        ((chose(MONTHLY, exact=False),), MONTHLY),  # I9: match wide to reduce
        ((chose(DAILY, exact=False),), WEEKLY),  # and never to increase
        ((chose(DAILY), chose(MONTHLY, -1, exact=False)), DAILY),  # the exact form's own counts
        ((chose(MONTHLY, -20, exact=False), chose(WEEKLY, -5, exact=False)), WEEKLY),
        ((chose("fortnightly"),), WEEKLY),  # removed from the catalogue
        ((chose("fortnightly", exact=False),), WEEKLY),
        ((chose("fortnightly"), chose(MONTHLY, exact=False)), WEEKLY),
    ],
)
def test_which_choice_counts(facts: tuple[ScopeFact, ...], expected: str) -> None:
    assert effective_frequency(OFFERED, facts) == expected


def test_a_tool_is_informed_of_choices_only() -> None:
    assert wanted_frequency(OFFERED, [off()]) is None
    assert wanted_frequency(OFFERED, [chose(DAILY, exact=False)]) is None
    assert wanted_frequency(OFFERED, [chose(WEEKLY, exact=False)]) is None  # no less often
    assert wanted_frequency(OFFERED, [chose(WEEKLY)]) == WEEKLY
    assert wanted_frequency(OFFERED, [chose("fortnightly")]) == WEEKLY


def test_a_topic_without_a_choice_has_no_frequency() -> None:
    assert effective_frequency(ON, [chose(MONTHLY)]) is None
    assert decide(NEWSLETTER, ON, [chose(MONTHLY)], NOW).frequency is None


def test_a_decision_says_how_often_where_it_allows() -> None:
    assert decide(NEWSLETTER, OFFERED, [], NOW).frequency == WEEKLY
    assert decide(NEWSLETTER, OFFERED, [chose(MONTHLY)], NOW).frequency == MONTHLY
    for denied in (off(), pause()):
        assert decide(NEWSLETTER, OFFERED, [denied, chose(MONTHLY)], NOW).frequency is None


def test_a_choice_is_no_opt_in_and_no_consent() -> None:  # I5, I11
    asked = replace(OFF, frequencies=TITLES, default_frequency=WEEKLY)
    assert not decide(NEWSLETTER, asked, [chose(DAILY, 0)], NOW).allow
    assert not decide(NEWSLETTER, OFFERED, [off(at=-10), chose(DAILY, 0)], NOW).allow
    assert decide(NEWSLETTER, asked, [consent(), on(), chose(DAILY, 0)], NOW).allow


@given(EVENTS, st.randoms(use_true_random=False))
def test_the_choice_is_the_same_in_whatever_order(
    events: list[Event], random: Random
) -> None:  # I5
    shuffled = list(events)
    random.shuffle(shuffled)
    one, other = fold(events, frozenset()), fold(shuffled, frozenset())
    assert {key: state.frequency for key, state in one.items()} == {
        key: state.frequency for key, state in other.items()
    }


# --- changes

ADA = PERSON[0]
ORIGIN = RequestOrigin("page", "recipient", NOW)
CATALOGUE = Catalogue(languages=("en",), default_language="en", topics={NEWS: OFFERED})


def build(key: str, *facts: ScopeFact, who: Address = ADA) -> Change | None:
    chosen = ChosenFrequencies(
        who,
        {NEWS: key},
        NOW - 30 * MINUTE,
        NOW - MINUTE,
        {"method": "page"},
    )
    return build_frequency_change(UUID(int=1), chosen, NEWS, ORIGIN, CATALOGUE, facts)


def test_less_often_counts_from_the_act_and_more_often_from_the_page() -> None:  # I5
    lowered, raised = build(MONTHLY), build(DAILY)
    assert lowered
    assert raised
    assert (lowered.kind, lowered.frequency) == (
        EventKind.FREQUENCY_CHOSEN,
        frequency_choice(OFFERED, MONTHLY),
    )
    assert lowered.counts_at == NOW - MINUTE
    assert raised.counts_at == NOW - 30 * MINUTE


def test_what_is_in_force_is_not_chosen_again() -> None:  # I7
    assert build(WEEKLY) is None
    assert build(MONTHLY, chose(MONTHLY)) is None
    assert build(MONTHLY, chose(MONTHLY, exact=False)) is None


def test_the_exact_form_can_ask_for_more_than_another_form() -> None:  # I9
    change = build(WEEKLY, chose(MONTHLY, exact=False))
    assert change
    assert change.frequency == frequency_choice(OFFERED, WEEKLY)


def test_only_what_the_topic_offers_can_be_chosen() -> None:
    with pytest.raises(InvalidInput, match="daily, weekly, monthly"):
        build("hourly")
    with pytest.raises(InvalidInput, match="offers no choice"):
        frequency_choice(ON, WEEKLY)
    with pytest.raises(WrongChannel):
        build(MONTHLY, who=parse_address("+393331234567", Channel.SMS))


def test_an_event_has_a_frequency_if_it_is_about_one() -> None:
    given = (ADA, NEWS, NOW, NOW, "page", "recipient")
    with pytest.raises(ValueError, match="a choice of frequency"):
        Change(UUID(int=1), EventKind.FREQUENCY_CHOSEN, *given)
    with pytest.raises(ValueError, match="a choice of frequency"):
        Change(UUID(int=1), EventKind.OPTED_OUT, *given, frequency=frequency_choice(OFFERED, DAILY))
