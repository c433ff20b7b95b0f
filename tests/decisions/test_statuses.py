"""What is off for a topic, by whose act, and whether a needed consent is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from preference_center.catalogue import ConsentCutoff
from preference_center.core.events import (
    ALL_MARKETING,
    EVERYTHING,
    SHARING,
    EventKind,
    ScopeFact,
)
from preference_center.decisions.rules import (
    CONSENT_OUTDATED,
    NO_CONSENT,
    DecisionRule,
    TopicStatus,
    find_denial,
    find_scope_denial,
    has_consent,
    is_opted_out,
    missing_consent,
    outdated_since,
    topic_status,
    withdrawal_of,
)
from tests.core.histories import NEWS, NOW, OFFERS
from tests.decisions.facts import (
    BOUNCED,
    BOUNCING,
    CLOSED,
    CLOSED_NEARBY,
    MINUTE,
    OFF,
    ON,
    RESTRICTED,
    consent,
    mark,
    off,
    on,
    pause,
)


def test_a_bounce_denies_marketing_and_not_sharing() -> None:
    for scope in (NEWS, ALL_MARKETING):
        denial = find_scope_denial(scope, [BOUNCED], NOW)
        assert denial
        assert denial.rule is DecisionRule.BOUNCED
    assert find_scope_denial(SHARING, [BOUNCED], NOW) is None
    shared = find_scope_denial(SHARING, [off(SHARING)], NOW)
    assert shared
    assert shared.scope == SHARING


@pytest.mark.parametrize(
    "facts, expected",
    [
        ([], False),
        ([on()], False),
        ([off()], True),
        ([off(), on()], False),
        ([off(ALL_MARKETING)], True),
        ([off(OFFERS)], False),
        ([off(kind=EventKind.COMPLAINED)], True),
        ([CLOSED], True),
        ([CLOSED_NEARBY], True),
        ([pause()], False),
        ([pause(), off()], True),
        ([BOUNCED], False),
        ([BOUNCING], False),
        ([BOUNCED, off()], True),
        ([RESTRICTED], False),
        ([RESTRICTED, off()], True),
    ],
)
def test_only_what_the_person_alone_can_end_is_an_opt_out(
    facts: Sequence[ScopeFact], *, expected: bool
) -> None:
    assert is_opted_out(NEWS, facts, NOW) is expected


CHANGED_AT = NOW - 4 * MINUTE
CHANGED = replace(
    OFF,
    consent_cutoffs=(ConsentCutoff(CHANGED_AT, CHANGED_AT, CHANGED_AT.date(), CHANGED_AT.date()),),
)
"""It needs a consent, and its privacy policy asked again four minutes ago."""


def test_a_topic_that_needs_no_consent_misses_none() -> None:
    assert missing_consent(ON, [], NOW) is None
    assert has_consent(ON, [], NOW)


def test_a_needed_consent_is_missing_until_it_is_given_and_after_a_withdrawal() -> None:  # I11
    assert missing_consent(OFF, [], NOW) is NO_CONSENT
    assert missing_consent(OFF, [consent()], NOW) is None
    assert missing_consent(OFF, [consent(exact=False)], NOW) is NO_CONSENT
    assert missing_consent(OFF, [consent(-5), off(at=-4)], NOW) is NO_CONSENT
    assert not has_consent(OFF, [consent(-5), off(at=-4)], NOW)
    assert has_consent(OFF, [consent(-5)], NOW)


def test_a_consent_from_before_the_policy_asked_again_counts_no_more() -> None:  # I11
    assert missing_consent(CHANGED, [consent(-5)], NOW) is CONSENT_OUTDATED
    assert missing_consent(CHANGED, [consent(-4)], NOW) is None
    assert outdated_since(mark(-5), CHANGED, NOW) == NOW - 4 * MINUTE
    assert outdated_since(mark(-4), CHANGED, NOW) is None
    assert outdated_since(mark(-5), OFF, NOW) is None
    assert outdated_since(mark(-5), CHANGED, NOW - 5 * MINUTE) is None  # it had not asked yet


@pytest.mark.parametrize("scope", [NEWS, ALL_MARKETING, EVERYTHING])
def test_an_opt_out_of_any_scope_withdraws_an_older_consent(scope: str) -> None:  # I5
    assert withdrawal_of(NEWS, mark(-5), [off(scope, at=-4)]) == mark(-4)
    assert withdrawal_of(NEWS, mark(-5), [off(scope, at=-5)]) == mark(-5)  # it wins a tie
    assert withdrawal_of(NEWS, mark(-5), [off(scope, at=-6)]) is None
    assert withdrawal_of(NEWS, mark(-5), [off(scope, at=-4, exact=False)]) == mark(-4)  # I9


def test_nothing_else_withdraws_a_consent() -> None:
    assert withdrawal_of(NEWS, mark(-5), [on(), pause(at=-4)]) is None
    assert withdrawal_of(NEWS, mark(-5), [off(OFFERS, at=-4), off(SHARING, at=-4)]) is None


END = NOW + 60 * MINUTE


@pytest.mark.parametrize(
    "facts, expected",
    [
        ([consent()], TopicStatus(True, False, True, None, None)),
        ([], TopicStatus(False, False, False, None, None)),
        ([pause(), consent()], TopicStatus(False, False, True, END, None)),
        ([off()], TopicStatus(False, True, False, None, None)),
        ([BOUNCING, consent()], TopicStatus(False, True, True, None, None)),
        ([pause()], TopicStatus(False, False, False, END, None)),
    ],
    ids=["on", "no consent", "paused", "opted out", "bounced", "paused without consent"],
)  # fmt: skip
def test_the_status_of_a_topic_that_needs_a_consent(
    facts: Sequence[ScopeFact], expected: TopicStatus
) -> None:
    denial = find_denial(NEWS, facts, NOW)
    assert topic_status(OFF, facts, NOW) == replace(expected, denial=denial)
