"""What is pushed about an address: off, and on again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import pytest

from preference_center.catalogue import parse_catalogue
from preference_center.core.addresses import Channel
from preference_center.core.events import (
    ALL_MARKETING,
    RESTRICTION,
    SHARING,
    EventKind,
    ScopeFact,
)
from preference_center.decisions.rules import DecisionRule
from preference_center.destinations.rules.plan import (
    PushPlan,
    channels_by_topic,
    drop_overtaken_lifts,
    hold_lifts,
    plan_push,
    topics_by_channel,
    wanted_frequencies,
)
from preference_center.destinations.rules.states import LanePosition, ReportedOptOuts, SyncClaim
from preference_center.integrations.base.vendor_events import ALL_SMS
from tests.catalogue.catalogues import SECOND_TOPIC, SMALL
from tests.core.histories import NEWS, NOW
from tests.decisions.facts import (
    DAILY,
    MINUTE,
    RESTRICTED,
    RESTRICTED_NEARBY,
    TITLES,
    UNRESTRICTED,
    UNRESTRICTED_NEARBY,
    WEEKLY,
    chose,
    consent,
    off,
    on,
    pause,
)
from tests.destinations.rules.reports import DESTINATION

CATALOGUE = parse_catalogue(SMALL + SECOND_TOPIC.replace("opt_in", "opt_out"))
"""`acme.news` needs a consent, the second topic does not."""
OTHER = next(key for key in CATALOGUE.topics if key != NEWS)
BOTH = frozenset({NEWS, OTHER})


def plan(
    facts: Sequence[ScopeFact],
    turned_off: Sequence[str] = (),
    *,
    topics: frozenset[str] = BOTH,
    can_lift: bool = True,
) -> PushPlan:
    claim = SyncClaim(1, 2, 1, None, 0, turned_off, None, LanePosition(NOW, NOW))
    return plan_push(
        claim, (Channel.EMAIL, "a@b.example"), facts, topics, NOW, CATALOGUE, can_lift=can_lift
    )


@pytest.mark.parametrize("fact", [RESTRICTED, RESTRICTED_NEARBY])
def test_a_restriction_turns_off_all_that_the_tool_sends(fact: ScopeFact) -> None:  # I9, I10
    pushed = plan([fact, on(), on(ALL_MARKETING)]).item
    assert (pushed.off, pushed.all_off, pushed.lift) == (BOTH, True, frozenset())
    reason = pushed.reasons[NEWS]
    assert (reason.rule, reason.scope, reason.until) == (DecisionRule.RESTRICTED, RESTRICTION, None)


@pytest.mark.parametrize("fact", [UNRESTRICTED, UNRESTRICTED_NEARBY])
def test_its_end_turns_on_what_we_had_turned_off(fact: ScopeFact) -> None:  # I13
    pushed = plan([fact, consent(-20)], [NEWS]).item
    assert not pushed.off
    assert not pushed.all_off
    assert pushed.lift == {NEWS}
    assert plan([fact, consent(-20)]).is_empty


def test_its_end_turns_on_nothing_that_an_opt_out_forbids() -> None:  # I5
    pushed = plan([UNRESTRICTED, consent(-20), off(OTHER)], sorted(BOTH)).item
    assert pushed.off == {OTHER}
    assert pushed.lift == {NEWS}
    moved = off(ALL_MARKETING, kind=EventKind.MOVED)
    assert plan([UNRESTRICTED, consent(-20), moved], sorted(BOTH)).item.lift == frozenset()


@pytest.mark.parametrize("fact", [UNRESTRICTED, UNRESTRICTED_NEARBY])
def test_its_end_turns_on_nothing_without_the_consent_that_it_needs(
    fact: ScopeFact,
) -> None:  # I9, I11
    assert plan([fact], sorted(BOTH)).item.lift == {OTHER}
    assert plan([fact, consent(exact=False)], [NEWS]).item.lift == frozenset()
    assert plan([fact, consent(-20)], sorted(BOTH)).item.lift == BOTH


@pytest.mark.parametrize("ended", [pause(ALL_MARKETING, until=-1), on(ALL_MARKETING)])
def test_no_opt_outs_end_turns_on_what_needs_a_consent_that_is_missing(
    ended: ScopeFact,
) -> None:  # I11: it had turned off also what had never been on
    assert plan([ended], sorted(BOTH)).item.lift == {OTHER}
    assert plan([ended, consent(-20)], sorted(BOTH)).item.lift == BOTH


def test_sharing_is_turned_on_by_an_opt_in_and_not_by_the_end_of_a_restriction() -> None:  # I13
    turned_off, topics = [NEWS, SHARING], frozenset({NEWS, SHARING})
    opted_in = plan([on(SHARING), consent(-20)], turned_off, topics=topics)
    assert opted_in.item.lift == {NEWS, SHARING}
    ended = plan([UNRESTRICTED, on(SHARING), consent(-20)], turned_off, topics=topics)
    assert ended.item.lift == {NEWS}


def test_where_a_tool_can_not_lift_it_stays_off() -> None:  # I10
    assert plan([UNRESTRICTED, consent(-20)], [NEWS], can_lift=False).is_empty


def test_of_two_forms_each_ends_its_own_restriction() -> None:  # I9
    assert plan([UNRESTRICTED, RESTRICTED_NEARBY], sorted(BOTH)).item.off == BOTH


# --- opt-ins that the tool's own report overtook


@pytest.mark.parametrize(
    "reported, lift",
    [
        (ReportedOptOuts(), True),
        (ReportedOptOuts({NEWS: 5}), False),
        (ReportedOptOuts({NEWS: 5}, {NEWS: 4}), False),
        (ReportedOptOuts({NEWS: 5}, {NEWS: 5}), True),
        (ReportedOptOuts({NEWS: 5}, {NEWS: 6}), True),
        (ReportedOptOuts({NEWS: 5}, {OTHER: 6}), False),
        (ReportedOptOuts({NEWS: 5}, {ALL_MARKETING: 6}), False),
        (ReportedOptOuts({ALL_MARKETING: 5}, {ALL_MARKETING: 4}), False),
        (ReportedOptOuts({ALL_MARKETING: 5}, {ALL_MARKETING: 6}), True),
        (ReportedOptOuts({ALL_MARKETING: 5}, {NEWS: 6}), True),
        (ReportedOptOuts({ALL_MARKETING: 5}, {NEWS: 6, ALL_MARKETING: 4}), True),
        (ReportedOptOuts({ALL_MARKETING: 5}), False),
        (ReportedOptOuts({NEWS: 1, ALL_MARKETING: 5}, {NEWS: 2}), False),
        (ReportedOptOuts({OTHER: 5}), True),
        (ReportedOptOuts({NEWS: 1}), False),
        (ReportedOptOuts({ALL_MARKETING: 1}), False),
    ],
)
def test_no_lift_is_pushed_that_was_recorded_before_what_the_tool_reported(
    reported: ReportedOptOuts, *, lift: bool
) -> None:  # I5
    planned = plan([on(), off(OTHER)], [NEWS])
    assert planned.item.lift == {NEWS}
    left = drop_overtaken_lifts(planned, reported)
    assert left.item.lift == ({NEWS} if lift else frozenset())
    assert left.item.off == {OTHER}


@pytest.mark.parametrize(
    "end, again",
    [
        (None, NOW + 5 * MINUTE),
        (NOW + 3 * MINUTE, NOW + 3 * MINUTE),
        (NOW + 9 * MINUTE, NOW + 5 * MINUTE),
    ],
)
def test_a_lift_that_is_held_is_planned_again_in_minutes(
    end: datetime | None, again: datetime
) -> None:  # I5
    planned = replace(plan([on(), off(OTHER)], [NEWS]), next_change_at=end)
    held = hold_lifts(planned, NOW)
    assert held.item == replace(planned.item, lift=frozenset())
    assert held.next_change_at == again


# --- when, and how often


def since(facts: Sequence[ScopeFact], *topics: str) -> datetime | None:
    claim = SyncClaim(1, 2, 1, None, 0, (), None, LanePosition(NOW, NOW))
    address = (Channel.EMAIL, "a@b.example")
    planned = plan_push(claim, address, facts, frozenset(topics), NOW, CATALOGUE, can_lift=True)
    return planned.item.since


def test_a_push_says_when_the_newest_opt_out_was_received() -> None:
    assert since([], NEWS) is None
    assert since([on()], NEWS) is None
    assert since([off(at=-9), off(OTHER, at=-3), on()], NEWS) == NOW - 3 * MINUTE


def test_an_opt_out_of_sharing_is_a_matter_of_those_that_share_only() -> None:
    facts = [off(at=-9), off(SHARING, at=-3)]
    assert since(facts, NEWS) == NOW - 9 * MINUTE
    assert since(facts, NEWS, SHARING) == NOW - 3 * MINUTE
    assert since(facts[1:], NEWS) is None


CHOOSING = replace(
    CATALOGUE,
    topics={
        key: replace(topic, frequencies=TITLES, default_frequency=WEEKLY)
        for key, topic in CATALOGUE.topics.items()
    },
)


def test_how_often_a_topic_is_wanted_is_pushed_where_somebody_chose() -> None:
    assert wanted_frequencies(BOTH, [chose(DAILY)], CHOOSING) == {NEWS: DAILY}
    assert wanted_frequencies(frozenset({OTHER}), [chose(DAILY)], CHOOSING) == {}
    assert wanted_frequencies(BOTH, [], CHOOSING) == {}
    assert wanted_frequencies(frozenset({"gone"}), [], CHOOSING, ["gone"]) == {}


def test_after_a_choice_was_taken_back_the_default_is_pushed() -> None:
    assert wanted_frequencies(BOTH, [], CHOOSING, [OTHER]) == {OTHER: WEEKLY}
    assert wanted_frequencies(BOTH, [chose(DAILY)], CHOOSING, [NEWS]) == {NEWS: DAILY}


def test_only_what_the_tool_can_hold_is_pushed_and_it_alone_is_something_to_push() -> None:
    claim = SyncClaim(1, 2, 1, None, 0, (), None, LanePosition(NOW, NOW))
    for held in (frozenset[str](), frozenset({NEWS}), frozenset({OTHER}), BOTH):
        planned = plan_push(
            claim, (Channel.EMAIL, "a@b.example"), [chose(DAILY)], frozenset({NEWS}), NOW,
            CHOOSING, held, can_lift=True,
        )  # fmt: skip
        assert planned.item.frequencies == ({NEWS: DAILY} if NEWS in held else {})
        assert planned.is_empty == (NEWS not in held)
        assert (planned.item.ref, planned.item.version) == (1, 2)


@pytest.mark.parametrize("ends", [(60, 30), (30, 60)])
def test_where_a_tool_can_lift_a_pause_is_pushed_until_the_first_end(
    ends: tuple[int, int],
) -> None:  # I10
    facts = [pause(NEWS, until=ends[0]), pause(OTHER, until=ends[1]), off(NEWS)]
    assert plan(facts).next_change_at == NOW + ends[1] * MINUTE
    assert plan(facts[:2]).next_change_at == NOW + 30 * MINUTE
    assert plan(facts[:2]).item.off == BOTH
    assert plan(facts[:2], can_lift=False).is_empty
    assert plan(facts, can_lift=False).item.off == {NEWS}


# --- channels


def test_a_topic_that_the_catalogue_has_no_more_is_of_the_channel_of_its_target() -> None:
    retired = replace(CATALOGUE.topics[NEWS], channel=Channel.PHONE, retired=True)
    catalogue = replace(CATALOGUE, topics={NEWS: retired})
    mapping = {NEWS: ALL_SMS, "gone": ALL_SMS, "past": "11"}
    assert channels_by_topic(mapping, catalogue) == {
        NEWS: Channel.PHONE,
        "gone": Channel.SMS,
        "past": Channel.EMAIL,
    }


def test_a_tool_has_the_topics_of_its_channels_that_it_sends() -> None:  # I10
    texted = replace(CATALOGUE.topics[OTHER], channel=Channel.SMS)
    catalogue = replace(CATALOGUE, topics={NEWS: CATALOGUE.topics[NEWS], OTHER: texted})
    destination = replace(
        DESTINATION,
        channels=frozenset({Channel.EMAIL, Channel.SMS}),
        sends=frozenset({NEWS, SHARING, "gone"}),
    )
    assert topics_by_channel(destination, catalogue) == {
        Channel.EMAIL: {NEWS, SHARING},
        Channel.SMS: {SHARING},
    }
    assert topics_by_channel(replace(destination, sends=BOTH), catalogue) == {
        Channel.EMAIL: {NEWS},
        Channel.SMS: {OTHER},
    }
