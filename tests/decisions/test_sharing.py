"""Sale and sharing is a scope of its own: what it denies, and that it decides about no message."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preference_center.catalogue import Topic
from preference_center.core.events import (
    ALL_MARKETING,
    RESTRICTION,
    SHARING,
    UNDELIVERABLE,
    Event,
    EventKind,
    ScopeFact,
    fold,
    is_valid_scope,
)
from preference_center.decisions.rules import (
    DecisionRule,
    decide,
    find_sharing_denial,
    is_marketing_suppressed,
    is_redundant_opt_out,
    newest_opt_in,
    topic_status,
)
from preference_center.destinations.rules.delivery import active_suppressions
from tests.core.histories import EVENTS, NEWS, NOW
from tests.decisions.facts import (
    BOUNCED,
    CLOSED,
    CLOSED_NEARBY,
    INVOICE,
    LAST_INVOICE,
    NEWSLETTER,
    OFF,
    ON,
    REOPENED,
    RESTRICTED,
    UNRESTRICTED,
    off,
    on,
    pause,
)

ADDRESS = 0
"""Of the histories: the address that is asked about; the others are forms of its mailbox."""


def facts_of(events: list[Event]) -> list[ScopeFact]:
    states = fold(events, frozenset())
    return [ScopeFact(scope, number == ADDRESS, state) for (number, scope), state in states.items()]


@given(EVENTS, st.sampled_from([ON, OFF]))
def test_it_changes_no_decision_about_any_message_type(
    events: list[Event], topic: Topic
) -> None:  # I4
    facts = facts_of(events)
    without = [fact for fact in facts if fact.scope != SHARING]
    for message_type in (NEWSLETTER, INVOICE, LAST_INVOICE):
        assert decide(message_type, topic, facts, NOW) == decide(message_type, topic, without, NOW)
    assert topic_status(topic, facts, NOW) == topic_status(topic, without, NOW)
    assert is_marketing_suppressed(facts) == is_marketing_suppressed(without)
    for scope in (UNDELIVERABLE, NEWS):
        assert newest_opt_in(scope, facts) == newest_opt_in(scope, without)
        assert is_redundant_opt_out(scope, facts) == is_redundant_opt_out(scope, without)


def test_one_more_opt_out_of_all_marketing_ends_what_was_agreed_to_since() -> None:  # I5
    facts = [off(scope=ALL_MARKETING, at=-5), on(SHARING, -1)]
    assert find_sharing_denial(facts, NOW) is None
    assert not is_redundant_opt_out(ALL_MARKETING, facts)
    assert newest_opt_in(ALL_MARKETING, facts) == facts[1].state.lift
    assert is_redundant_opt_out(ALL_MARKETING, [facts[0], on(SHARING, -9)])


@given(EVENTS)
def test_nothing_but_a_newer_consent_to_it_ends_an_opt_out_of_it(events: list[Event]) -> None:  # I5
    mine = [each for each in events if each.scope == SHARING]
    outs = [each.counts_at for each in mine if each.kind is EventKind.OPTED_OUT]
    ins = [
        each.counts_at
        for each in mine
        if each.kind is EventKind.OPTED_IN and each.address_id == ADDRESS
    ]
    never = datetime.min.replace(tzinfo=NOW.tzinfo)
    if outs and max(outs) >= max(ins, default=never):
        assert find_sharing_denial(facts_of(events), NOW) is not None


@pytest.mark.parametrize(
    "facts, rule",
    [
        pytest.param([], None, id="nothing known: no rule of ours forbids it"),
        pytest.param([off(SHARING)], "opted_out_of_sharing", id="opted out"),
        pytest.param([off(SHARING, exact=False)], "opted_out_of_sharing", id="by another form: I9"),
        pytest.param([off(SHARING), on(SHARING)], None, id="a newer consent to it counts"),
        pytest.param([on(SHARING), off(SHARING, at=-1)], "opted_out_of_sharing", id="an older no"),
        pytest.param([off(SHARING), on(SHARING, at=-10)], "opted_out_of_sharing", id="tie: I5"),
        pytest.param(
            [off(SHARING), on(SHARING, exact=False)],
            "opted_out_of_sharing",
            id="the consent of another form does not: I9",
        ),
        pytest.param([off(SHARING), on(ALL_MARKETING)], "opted_out_of_sharing", id="nor marketing"),
        pytest.param([off(SHARING), on(NEWS)], "opted_out_of_sharing", id="nor a topic"),
        pytest.param([off(ALL_MARKETING)], "opted_out_of_all_marketing", id="GDPR art. 21(2)"),
        pytest.param([off(ALL_MARKETING), on(ALL_MARKETING)], None, id="marketing is on again"),
        pytest.param([off(ALL_MARKETING), on(SHARING)], None, id="consent to it after that"),
        pytest.param([off(NEWS)], None, id="of one topic: says nothing of it"),
        pytest.param([CLOSED], "closed", id="closed"),
        pytest.param([CLOSED, REOPENED], None, id="reopened"),
        pytest.param([CLOSED_NEARBY], "opted_out_of_all_marketing", id="closed, another form"),
        pytest.param([RESTRICTED], "restricted", id="limited, art. 18"),
        pytest.param([UNRESTRICTED], None, id="the limit ended"),
        pytest.param([BOUNCED], None, id="a bounce is nobody's wish"),
        pytest.param([pause(ALL_MARKETING)], None, id="a pause is about messages"),
        pytest.param([pause(ALL_MARKETING), off(SHARING)], "opted_out_of_sharing", id="and both"),
        pytest.param([BOUNCED, off(SHARING)], "opted_out_of_sharing", id="and with a bounce"),
    ],
)
def test_what_forbids_it(facts: list[ScopeFact], rule: str | None) -> None:
    denial = find_sharing_denial(facts, NOW)
    assert (denial and denial.rule) == (DecisionRule(rule) if rule else None)


def test_an_opt_in_to_it_is_no_consent_to_a_topic() -> None:  # I11
    opted_in = Event(
        id=UUID(int=1), seq=1, kind=EventKind.OPTED_IN, address_id=ADDRESS, scope=SHARING,
        occurred_at=NOW, received_at=NOW, recorded_at=NOW, counts_at=NOW, source="test",
        actor="test", evidence={},
    )  # fmt: skip
    ((_, state),) = fold([opted_in], frozenset()).items()
    assert state.lift is not None
    assert state.consent is None


def test_only_a_person_opts_out_of_it_or_in() -> None:
    kinds = {kind for kind in EventKind if is_valid_scope(kind, SHARING)}
    assert kinds == {EventKind.OPTED_OUT, EventKind.OPTED_IN}


def test_it_is_listed_with_what_is_off() -> None:
    found = active_suppressions([off(SHARING), off(RESTRICTION, kind=EventKind.RESTRICTED)], NOW)
    assert {each.scope for each in found} == {SHARING, RESTRICTION}
