"""What is pushed about an address: off, and on again."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from preference_center.catalogue import parse_catalogue
from preference_center.core.addresses import Channel
from preference_center.core.events import ALL_MARKETING, RESTRICTION, EventKind, ScopeFact
from preference_center.decisions.rules import DecisionRule
from preference_center.destinations.rules.plan import PushPlan, plan_push
from preference_center.destinations.rules.states import LanePosition, SyncClaim
from tests.catalogue.catalogues import SECOND_TOPIC, SMALL
from tests.core.histories import NEWS, NOW
from tests.decisions.facts import (
    RESTRICTED,
    RESTRICTED_NEARBY,
    UNRESTRICTED,
    UNRESTRICTED_NEARBY,
    consent,
    off,
    on,
    pause,
)

CATALOGUE = parse_catalogue(SMALL + SECOND_TOPIC.replace("opt_in", "opt_out"))
"""`acme.news` needs a consent, the second topic does not."""
OTHER = next(key for key in CATALOGUE.topics if key != NEWS)
BOTH = frozenset({NEWS, OTHER})


def plan(
    facts: Sequence[ScopeFact], turned_off: Sequence[str] = (), *, can_lift: bool = True
) -> PushPlan:
    claim = SyncClaim(1, 2, 1, None, 0, turned_off, None, LanePosition(NOW, NOW))
    return plan_push(
        claim, (Channel.EMAIL, "a@b.example"), facts, BOTH, NOW, CATALOGUE, can_lift=can_lift
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


def test_where_a_tool_can_not_lift_it_stays_off() -> None:  # I10
    assert plan([UNRESTRICTED, consent(-20)], [NEWS], can_lift=False).is_empty


def test_of_two_forms_each_ends_its_own_restriction() -> None:  # I9
    assert plan([UNRESTRICTED, RESTRICTED_NEARBY], sorted(BOTH)).item.off == BOTH
