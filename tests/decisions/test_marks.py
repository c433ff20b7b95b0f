"""Which of several marks counts, what ends by itself, and what one more opt-out changes.

These are the cases that mutation testing (`make mutate`) found to be missing.
"""

from __future__ import annotations

import pytest

from preference_center.core.events import (
    ALL_MARKETING,
    EVERYTHING,
    UNDELIVERABLE,
    EventKind,
    ScopeFact,
)
from preference_center.decisions.rules import (
    DecisionRule,
    decide,
    find_denial,
    is_redundant_opt_out,
    newest_opt_in,
)
from tests.core.histories import NEWS, NOW, OFFERS
from tests.decisions.facts import (
    BOUNCED,
    BOUNCING,
    CLOSED,
    INVOICE,
    MINUTE,
    NEWSLETTER,
    ON,
    REOPENED,
    RESTRICTED,
    consent,
    mark,
    off,
    on,
    pause,
)


@pytest.mark.parametrize(
    "facts, rule",
    [
        pytest.param(
            [off(at=-5), on(at=-10), on(at=-1)],
            DecisionRule.CONSENTED,
            id="the newest opt-in",
        ),
        pytest.param(
            [off(ALL_MARKETING, at=-5), on(at=-10), on(ALL_MARKETING, at=-1)],
            DecisionRule.NOT_OPTED_OUT,
            id="the newer of a topic's and a wide one",
        ),
        pytest.param(
            [off(ALL_MARKETING, at=-5), on(at=-1), on(ALL_MARKETING, at=-10)],
            DecisionRule.CONSENTED,
            id="whichever of the two it is",
        ),
        pytest.param(
            [off(at=-5), consent(-10), on(at=-1), consent(-7)],
            DecisionRule.CONSENTED,
            id="asks",
        ),
    ],
)
def test_the_newest_of_several_counts(facts: list[ScopeFact], rule: DecisionRule) -> None:  # I5
    for order in (facts, facts[::-1]):
        assert decide(NEWSLETTER, ON, order, NOW).rule is rule


@pytest.mark.parametrize("bounce", [BOUNCED, BOUNCING], ids=["for good", "for now"])
def test_mail_to_this_form_arrives_again_only_by_its_own_opt_in(bounce: ScopeFact) -> None:  # I9
    assert decide(INVOICE, None, [bounce, on(exact=False)], NOW).advisory == DecisionRule.BOUNCED
    assert decide(INVOICE, None, [bounce, on(at=-20), on()], NOW).advisory is None
    assert decide(NEWSLETTER, ON, [bounce, on(exact=False)], NOW).rule is DecisionRule.BOUNCED


@pytest.mark.parametrize(
    "facts, minutes",
    [
        pytest.param([pause()], 60, id="a pause"),
        pytest.param([BOUNCING], 60, id="counted bounces"),
        pytest.param([BOUNCING, pause(until=90)], 60, id="counted bounces and a longer pause"),
        pytest.param([BOUNCED], None, id="a hard bounce"),
        pytest.param([BOUNCED, BOUNCING], None, id="a hard bounce and counted ones"),
        pytest.param([BOUNCED, pause()], None, id="a hard bounce and a pause"),
        pytest.param(
            [off(UNDELIVERABLE, -20, EventKind.BOUNCED), on(at=-15), BOUNCING],
            60,
            id="a lifted hard bounce and counted ones",
        ),
        pytest.param(
            [
                off(UNDELIVERABLE, -20, EventKind.BOUNCED),
                on(ALL_MARKETING, at=-15),
                BOUNCING,
            ],
            60,
            id="one that was lifted with all marketing",
        ),
        pytest.param([off()], None, id="an opt-out"),
    ],
)
def test_a_denial_has_an_end_only_where_it_ends_by_itself(
    facts: list[ScopeFact], minutes: int | None
) -> None:  # I3, I10
    found = find_denial(NEWS, facts, NOW)
    assert found
    assert found.until == (None if minutes is None else NOW + minutes * MINUTE)


@pytest.mark.parametrize("running", [BOUNCING, pause()], ids=["counted bounces", "a pause"])
@pytest.mark.parametrize(
    "opt_out",
    [
        pytest.param(off(), id="of the topic"),
        pytest.param(off(ALL_MARKETING), id="of all marketing"),
        pytest.param(off(ALL_MARKETING, kind=EventKind.COMPLAINED), id="a complaint"),
        pytest.param(RESTRICTED, id="a restriction"),
        pytest.param(CLOSED, id="a closed account"),
    ],
)
def test_no_running_pause_gives_an_opt_out_an_end(
    opt_out: ScopeFact, running: ScopeFact
) -> None:  # I3, I5
    found = find_denial(NEWS, [running, opt_out], NOW)
    assert found
    assert found.event == mark(-10).event
    assert found.until is None


@pytest.mark.parametrize(
    "facts, changes",
    [
        pytest.param([], True, id="no facts"),
        pytest.param([off(ALL_MARKETING)], False, id="it stands"),
        pytest.param([off(ALL_MARKETING), on(at=-11)], False, id="an older opt-in"),
        pytest.param([off(ALL_MARKETING), on()], True, id="a topic was opted in to since"),
        pytest.param([off(ALL_MARKETING), on(ALL_MARKETING)], True, id="all of it was"),
        pytest.param([off(ALL_MARKETING), on(exact=False)], False, id="for another form"),
        pytest.param([off(ALL_MARKETING, exact=False)], True, id="another form opted out"),
        pytest.param([off(ALL_MARKETING), REOPENED], False, id="the account was reopened"),
        pytest.param([off()], True, id="a topic is off"),
    ],
)
def test_one_more_opt_out_of_all_marketing_changes_something(
    facts: list[ScopeFact], *, changes: bool
) -> None:  # I5
    assert is_redundant_opt_out(ALL_MARKETING, facts) is (not changes)


@pytest.mark.parametrize(
    "facts, changes",
    [
        pytest.param([BOUNCED], False, id="it stands"),
        pytest.param([BOUNCED, on()], True, id="a topic was opted in to since"),
        pytest.param([BOUNCED, on(ALL_MARKETING)], True, id="all marketing was"),
        pytest.param([off(ALL_MARKETING)], True, id="nothing bounced"),
    ],
)
def test_one_more_bounce_changes_something(facts: list[ScopeFact], *, changes: bool) -> None:  # I5
    assert is_redundant_opt_out(UNDELIVERABLE, facts) is (not changes)


@pytest.mark.parametrize(
    "scope, minute",
    [
        pytest.param(NEWS, -4, id="a topic"),
        pytest.param(OFFERS, -7, id="another topic"),
        pytest.param(ALL_MARKETING, -4, id="all marketing"),
        pytest.param(UNDELIVERABLE, -4, id="a bounce"),
        pytest.param("acme.other", -9, id="a topic without facts"),
    ],
)
def test_the_newest_own_opt_in_that_an_opt_out_would_end(scope: str, minute: int) -> None:  # I5
    facts = [
        on(NEWS, -4), on(NEWS, -8), on(OFFERS, -7), on(ALL_MARKETING, -9),
        on(NEWS, -1, exact=False), on(EVERYTHING, -2),
    ]  # fmt: skip
    assert newest_opt_in(scope, facts) == mark(minute)


def test_the_newest_opt_in_until_then() -> None:  # I5
    facts = [on(NEWS, -4), on(OFFERS, -7)]
    assert newest_opt_in(ALL_MARKETING, facts, until=mark(-4).at) == mark(-4)
    assert newest_opt_in(ALL_MARKETING, facts, until=mark(-5).at) == mark(-7)
    assert newest_opt_in(ALL_MARKETING, facts, until=mark(-8).at) is None


def test_the_newest_opt_in_of_any_form_of_the_mailbox() -> None:  # I9
    facts = [
        on(NEWS, -4),
        on(NEWS, -1, exact=False),
        on(EVERYTHING, -2, exact=False),
    ]
    assert newest_opt_in(NEWS, facts, any_form=True) == mark(-1)
