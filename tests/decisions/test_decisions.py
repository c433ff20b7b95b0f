"""Who may be sent what: the table of rules, and that nothing ends a "no" by accident."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from preference_center.catalogue import ConsentCutoff, Topic
from preference_center.core.events import (
    ALL_MARKETING,
    EVERYTHING,
    Event,
    EventKind,
    ScopeFact,
    fold,
)
from preference_center.decisions.rules import (
    UNPARSEABLE_ADDRESS,
    Decision,
    Denial,
    active_pause_end,
    decide,
    is_marketing_suppressed,
    next_cutoff,
    topic_status,
)
from preference_center.decisions.rules import DecisionRule as Rule
from tests.core.histories import EVENTS, NEWS, NOW, OFFERS
from tests.decisions.facts import (
    BOUNCED,
    BOUNCED_ONCE,
    BOUNCING,
    CLOSED,
    CLOSED_NEARBY,
    ERASED,
    INVOICE,
    LAST_INVOICE,
    MINUTE,
    NEWSLETTER,
    OFF,
    ON,
    REOPENED,
    RESTRICTED,
    RESTRICTED_NEARBY,
    UNRESTRICTED,
    UNRESTRICTED_NEARBY,
    consent,
    mark,
    off,
    on,
    pause,
)


@pytest.mark.parametrize(
    "facts,rule",
    [
        pytest.param([], Rule.NOT_OPTED_OUT, id="no-facts"),
        pytest.param([off()], Rule.OPTED_OUT_OF_TOPIC, id="the-topic"),
        pytest.param([off(OFFERS)], Rule.NOT_OPTED_OUT, id="another-topic"),
        pytest.param([off(ALL_MARKETING)], Rule.OPTED_OUT_OF_ALL_MARKETING, id="all-marketing"),
        pytest.param([off(kind=EventKind.COMPLAINED)], Rule.COMPLAINED, id="a-complaint"),
        pytest.param([CLOSED], Rule.CLOSED, id="deactivated"),
        pytest.param([ERASED], Rule.CLOSED, id="erased"),
        pytest.param([BOUNCED], Rule.BOUNCED, id="bounced"),
        pytest.param([CLOSED, off(), BOUNCED], Rule.CLOSED, id="the-widest-opt-out-is-named"),
        # I5: what lifts, and what does not
        pytest.param([off(), on()], Rule.CONSENTED, id="own-newer-opt-in"),
        pytest.param([off(), on(at=-10)], Rule.OPTED_OUT_OF_TOPIC, id="an-opt-out-wins-a-tie"),
        pytest.param([off(), on(at=-11)], Rule.OPTED_OUT_OF_TOPIC, id="an-older-opt-in"),
        pytest.param([off(), consent()], Rule.OPTED_OUT_OF_TOPIC, id="an-import-never-lifts"),
        pytest.param([off(ALL_MARKETING), on()], Rule.CONSENTED, id="a-topic-overrides-wider"),
        pytest.param(
            [off(ALL_MARKETING), on(OFFERS)],
            Rule.OPTED_OUT_OF_ALL_MARKETING,
            id="a-opt-in-to-one-topic-is-none-to-another",
        ),
        pytest.param(
            [off(), on(ALL_MARKETING)], Rule.OPTED_OUT_OF_TOPIC, id="a-wide-opt-in-leaves-the-topic"
        ),
        pytest.param(
            [off(ALL_MARKETING), on(ALL_MARKETING)], Rule.NOT_OPTED_OUT, id="wide-opt-in-lifts-wide"
        ),
        pytest.param([CLOSED, on(), on(ALL_MARKETING)], Rule.CLOSED, id="closed-stays-closed"),
        pytest.param([CLOSED, REOPENED], Rule.NOT_OPTED_OUT, id="reopened"),
        pytest.param(  # I6
            [CLOSED, off(ALL_MARKETING), REOPENED],
            Rule.OPTED_OUT_OF_ALL_MARKETING,
            id="reopening-leaves-marketing-off",
        ),
        pytest.param([BOUNCED, on()], Rule.CONSENTED, id="they-read-mail-again"),
        pytest.param([BOUNCING], Rule.BOUNCED, id="bounced-for-now"),
        pytest.param([BOUNCED_ONCE], Rule.NOT_OPTED_OUT, id="the-time-is-over"),
        pytest.param([BOUNCING, pause()], Rule.BOUNCED, id="a-bounce-before-a-pause"),
        pytest.param([BOUNCING, on()], Rule.CONSENTED, id="nor-do-they-bounce-any-more"),
        pytest.param([BOUNCING, consent()], Rule.BOUNCED, id="an-import-proves-nothing-of-it"),
        pytest.param([BOUNCED, consent()], Rule.BOUNCED, id="an-import-is-no-proof-of-reading"),
        # pauses
        pytest.param([pause()], Rule.PAUSED, id="paused"),
        pytest.param([pause(ALL_MARKETING)], Rule.PAUSED, id="paused-all"),
        pytest.param([pause(until=0)], Rule.NOT_OPTED_OUT, id="a-pause-ends-by-itself"),
        pytest.param([pause(), on()], Rule.CONSENTED, id="a-pause-ended-by-hand"),
        pytest.param([pause(), on(at=-10)], Rule.PAUSED, id="a-pause-wins-a-tie"),
        pytest.param([pause(), off()], Rule.OPTED_OUT_OF_TOPIC, id="an-opt-out-outlasts-a-pause"),
        # I9: wide to suppress, narrow to lift
        pytest.param([off(exact=False)], Rule.OPTED_OUT_OF_TOPIC, id="another-form-opted-out"),
        pytest.param([off(exact=False), on()], Rule.CONSENTED, id="own-opt-in-outranks-older-wide"),
        pytest.param(
            [off(exact=False, at=-1), on()], Rule.OPTED_OUT_OF_TOPIC, id="newer-wide-opt-out"
        ),
        pytest.param(
            [off(), on(exact=False)], Rule.OPTED_OUT_OF_TOPIC, id="another-form-can-not-lift"
        ),
        pytest.param([pause(exact=False)], Rule.PAUSED, id="another-form-paused"),
        pytest.param(
            [CLOSED_NEARBY], Rule.OPTED_OUT_OF_ALL_MARKETING, id="another-form-was-closed"
        ),
        pytest.param(
            [CLOSED_NEARBY, on()], Rule.CONSENTED, id="own-opt-in-outranks-the-closing-of-another"
        ),
        pytest.param(
            [CLOSED_NEARBY, on(OFFERS)],
            Rule.OPTED_OUT_OF_ALL_MARKETING,
            id="but-for-another-topic-it-does-not",
        ),
        pytest.param(
            [CLOSED, on(EVERYTHING, exact=False)], Rule.CLOSED, id="reopening-is-of-the-exact-form"
        ),
        pytest.param(
            [pause(at=-10), pause(at=-5, until=-1, exact=False)],
            Rule.PAUSED,
            id="a-pause-of-another-form-ends-nothing",
        ),
        # a restriction
        pytest.param([RESTRICTED], Rule.RESTRICTED, id="restricted"),
        pytest.param([RESTRICTED, off(), BOUNCED], Rule.RESTRICTED, id="it-is-named-first"),
        pytest.param([RESTRICTED, CLOSED], Rule.CLOSED, id="but-after-a-closed-account"),
        pytest.param(
            [RESTRICTED, on(), on(ALL_MARKETING), REOPENED], Rule.RESTRICTED, id="no-opt-in-ends-it"
        ),
        pytest.param([UNRESTRICTED], Rule.NOT_OPTED_OUT, id="the-person-ended-it"),
        pytest.param([UNRESTRICTED, off()], Rule.OPTED_OUT_OF_TOPIC, id="and-opt-outs-stay"),
        pytest.param([RESTRICTED_NEARBY, on()], Rule.RESTRICTED, id="another-form-is-restricted"),
        pytest.param(
            [RESTRICTED_NEARBY, UNRESTRICTED], Rule.RESTRICTED, id="each-form-ends-its-own"
        ),
        pytest.param(
            [UNRESTRICTED_NEARBY], Rule.NOT_OPTED_OUT, id="that-form-has-ended-it-for-all"
        ),
        pytest.param(
            [off(ALL_MARKETING, kind=EventKind.MOVED)], Rule.OPTED_OUT_OF_ALL_MARKETING, id="moved"
        ),
        pytest.param(
            [off(ALL_MARKETING, kind=EventKind.MOVED), on()], Rule.CONSENTED, id="moved-and-back"
        ),
    ],
)  # fmt: skip
def test_marketing_of_a_topic_that_is_on_by_default(facts: list[ScopeFact], rule: Rule) -> None:
    decision = decide(NEWSLETTER, ON, facts, NOW)
    assert (decision.rule, decide(NEWSLETTER, ON, facts[::-1], NOW)) == (rule, decision)
    assert decision.allow is (rule in {Rule.CONSENTED, Rule.NOT_OPTED_OUT})


@pytest.mark.parametrize(
    "facts,allow",
    [
        pytest.param([], False, id="no-facts"),  # I11
        pytest.param([consent()], True, id="asked-for"),
        pytest.param([on()], True, id="their-own-opt-in"),
        pytest.param([consent(exact=False)], False, id="consent-is-of-the-exact-form"),  # I9
        pytest.param([off(OFFERS)], False, id="nothing-on-this-topic"),
        pytest.param([on(OFFERS)], False, id="consent-to-one-topic-is-none-to-another"),
        pytest.param([on(ALL_MARKETING)], False, id="consent-is-per-topic"),
        pytest.param(
            [consent(-20), off(ALL_MARKETING), on(ALL_MARKETING)], False,
            id="a-wide-opt-in-does-not-bring-back-what-an-opt-out-took",
        ),
        pytest.param([consent(-20), CLOSED, REOPENED], False, id="nor-does-a-reopening"),  # I6
        pytest.param([consent(-20), off(exact=False), on(at=-15)], False, id="wide-opt-out"),
        pytest.param([consent(-20), BOUNCED, on(ALL_MARKETING)], True, id="a-bounce-takes-none"),
        pytest.param([consent(-20), UNRESTRICTED], True, id="nor-does-a-restriction"),
        pytest.param([consent(-20), RESTRICTED], False, id="while-it-lasts-it-denies"),
    ],
)  # fmt: skip
def test_marketing_of_a_topic_that_must_be_asked_for(
    facts: list[ScopeFact], *, allow: bool
) -> None:
    assert decide(NEWSLETTER, OFF, facts, NOW).allow is allow


EVERY_MARKETING_OPT_OUT = [
    off(), off(ALL_MARKETING), off(kind=EventKind.COMPLAINED), BOUNCED, BOUNCING, pause(),
    pause(ALL_MARKETING), RESTRICTED, off(ALL_MARKETING, kind=EventKind.MOVED),
]  # fmt: skip


@pytest.mark.parametrize("fact", EVERY_MARKETING_OPT_OUT)
def test_no_marketing_no_stops_service_mail(fact: ScopeFact) -> None:  # I4, F1
    assert decide(INVOICE, None, [fact], NOW).allow


def test_a_bounce_comes_back_as_an_advisory() -> None:  # I4
    assert decide(INVOICE, None, [BOUNCED], NOW).advisory == Rule.BOUNCED
    assert decide(INVOICE, None, [BOUNCED, on()], NOW).advisory is None
    assert decide(INVOICE, None, [BOUNCING], NOW).advisory == Rule.BOUNCED
    assert decide(INVOICE, None, [BOUNCED_ONCE], NOW).advisory is None
    assert decide(INVOICE, None, [off()], NOW).advisory is None


@pytest.mark.parametrize("closing", [CLOSED, ERASED])
def test_a_closed_account_gets_service_mail_only_where_a_ground_allows(closing: ScopeFact) -> None:
    assert decide(INVOICE, None, [closing], NOW).rule is Rule.CLOSED  # I4
    closed = decide(INVOICE, None, [closing], NOW)
    assert decide(LAST_INVOICE, None, [closing], NOW) == Decision(
        True, Rule.AFTER_CLOSING, closed.scope, closed.event, closed.since
    )
    assert decide(LAST_INVOICE, None, [closing, BOUNCED], NOW).advisory == Rule.BOUNCED
    assert decide(INVOICE, None, [closing, REOPENED], NOW).allow  # I6
    assert not decide(INVOICE, None, [closing, on(ALL_MARKETING)], NOW).allow


def test_the_closing_of_another_form_stops_no_service_mail() -> None:  # I4: it may be another's
    assert decide(INVOICE, None, [CLOSED_NEARBY], NOW) == decide(INVOICE, None, [], NOW)
    assert decide(INVOICE, None, [CLOSED_NEARBY, BOUNCED], NOW).advisory == Rule.BOUNCED
    assert decide(INVOICE, None, [CLOSED_NEARBY, CLOSED], NOW).rule is Rule.CLOSED
    assert decide(INVOICE, None, [CLOSED_NEARBY, CLOSED, REOPENED], NOW).allow


def test_the_switch_of_all_marketing_goes_by_exactly_this_form() -> None:  # I9
    assert is_marketing_suppressed([CLOSED_NEARBY])
    assert not is_marketing_suppressed([CLOSED_NEARBY, on(ALL_MARKETING)])


def test_unknown_means_no() -> None:  # I11, F3
    assert not UNPARSEABLE_ADDRESS.allow
    assert not decide(NEWSLETTER, None, [], NOW).allow
    assert not decide(NEWSLETTER, replace(ON, retired=True), [on()], NOW).allow


def test_the_deciding_event_is_named() -> None:
    assert decide(NEWSLETTER, ON, [off(at=-20), off(at=-10)], NOW) == Denial(
        allow=False,
        rule=Rule.OPTED_OUT_OF_TOPIC,
        scope=NEWS,
        event=mark(-10).event,
        since=mark(-10).at,
    )
    assert decide(NEWSLETTER, OFF, [consent()], NOW).event == mark(-5).event


def test_pages_show_what_decisions_say() -> None:
    both = [pause(until=30), pause(ALL_MARKETING, until=90)]
    assert active_pause_end(NEWS, both, NOW) == NOW + 90 * MINUTE
    assert topic_status(ON, both, NOW).paused_until == NOW + 90 * MINUTE
    forms = [pause(until=60), pause(at=-5, until=30, exact=False)]
    assert active_pause_end(NEWS, forms, NOW) == NOW + 60 * MINUTE
    assert topic_status(ON, [*both, off()], NOW).suppressed
    assert topic_status(ON, [*both, off()], NOW).paused_until is None
    assert not topic_status(ON, [], NOW).suppressed
    assert not topic_status(OFF, [], NOW).subscribed
    assert topic_status(OFF, [consent()], NOW).subscribed


@pytest.mark.parametrize(
    "facts,suppressed",
    [
        ([off(ALL_MARKETING)], True),
        ([CLOSED], True),
        ([off()], False),
        ([off(ALL_MARKETING), on(ALL_MARKETING)], False),
        ([off(ALL_MARKETING), on()], True),
        ([RESTRICTED_NEARBY, on(ALL_MARKETING)], True),
        ([UNRESTRICTED], False),
    ],
)  # fmt: skip
def test_the_switch_of_all_marketing(facts: list[ScopeFact], *, suppressed: bool) -> None:
    assert is_marketing_suppressed(facts) is suppressed


# --- histories: candidate 0 of PERSON; the other addresses are forms of its mailbox


def facts_of(events: Sequence[Event]) -> list[ScopeFact]:
    states = fold(events, frozenset())
    return [ScopeFact(scope, address == 0, state) for (address, scope), state in states.items()]


@given(EVENTS, EVENTS, st.sampled_from([ON, OFF]))
def test_nothing_but_an_own_opt_in_or_a_pause_of_their_own_ends_an_opt_out(
    before: list[Event], more: list[Event], topic: Topic
) -> None:  # I5, F4, F5
    more = [replace(e, id=UUID(int=e.id.int + 1000)) for e in more]
    added = [e for e in more if not (e.address_id == 0 and e.kind.lifts)]
    # The end of a restriction is that of its form, for every form of the mailbox.
    added = [e for e in added if e.kind is not EventKind.UNRESTRICTED]
    # A newer pause replaces an older one of the same address: that is the person's own act.
    added = [e for e in added if e.kind is not EventKind.PAUSED or not _paused(before, e)]
    status = decide(NEWSLETTER, topic, facts_of(before), NOW)
    assume(not status.allow and status.rule is not Rule.NO_CONSENT)
    after = decide(NEWSLETTER, topic, facts_of([*before, *added]), NOW)
    assert not after.allow
    assert after.rule is not Rule.NO_CONSENT


def _paused(events: Sequence[Event], pause: Event) -> bool:
    return any(
        e.kind is EventKind.PAUSED and (e.address_id, e.scope) == (pause.address_id, pause.scope)
        for e in events
    )


@given(EVENTS, EVENTS)
def test_an_older_opt_in_ends_nothing(before: list[Event], more: list[Event]) -> None:  # I5
    status = decide(NEWSLETTER, ON, facts_of(before), NOW)
    assume(not status.allow and status.since)
    late = [
        replace(e, id=UUID(int=e.id.int + 1000), counts_at=min(e.counts_at, status.since or NOW))
        for e in more
        if e.kind.lifts
    ]
    assert not decide(NEWSLETTER, ON, facts_of([*before, *late]), NOW).allow


@given(EVENTS)
def test_no_history_of_marketing_stops_service_mail(events: list[Event]) -> None:  # I4
    marketing = [e for e in events if e.scope != EVERYTHING]
    assert decide(INVOICE, None, facts_of(marketing), NOW).allow


@given(EVENTS, st.sampled_from([ON, OFF]))
def test_pages_and_senders_never_disagree(events: list[Event], topic: Topic) -> None:
    facts = facts_of(events)
    status = topic_status(topic, facts, NOW)
    assert status.subscribed is decide(NEWSLETTER, topic, facts, NOW).allow
    assert not (status.suppressed and status.paused_until)
    if status.paused_until:
        after = decide(NEWSLETTER, ON, facts, status.paused_until)
        assert after.allow
        assert not decide(NEWSLETTER, ON, facts, status.paused_until - MINUTE / 60).allow


def cutoff(at: int, asked: int | None = None) -> ConsentCutoff:
    """One in `at` minutes; agreed to from `asked` minutes on."""
    asked = at if asked is None else asked
    begin, asked_at = NOW + at * MINUTE, NOW + asked * MINUTE
    return ConsentCutoff(begin, asked_at, begin.date(), asked_at.date())


ASKS_AGAIN = replace(OFF, consent_cutoffs=(cutoff(-30), cutoff(-4), cutoff(1)))
"""A topic whose consents from before four minutes ago count no more."""


def test_a_consent_from_before_the_policy_changed_denies_and_says_why() -> None:  # I11
    asked = decide(NEWSLETTER, ASKS_AGAIN, [consent(at=-5)], NOW)
    assert (asked.allow, asked.rule, asked.advisory) == (False, Rule.NO_CONSENT, "policy_changed")
    status = topic_status(ASKS_AGAIN, [consent(at=-5)], NOW)
    assert not status.subscribed
    assert status.denial is None  # nothing was turned off


@pytest.mark.parametrize("at", [-4, -3])
def test_a_consent_since_the_policy_changed_counts(at: int) -> None:
    assert decide(NEWSLETTER, ASKS_AGAIN, [consent(at=at)], NOW).rule is Rule.CONSENTED


def test_who_never_consented_is_not_told_of_the_policy() -> None:
    assert decide(NEWSLETTER, ASKS_AGAIN, [], NOW).advisory is None
    assert decide(NEWSLETTER, ASKS_AGAIN, [off(OFFERS)], NOW).advisory is None


def test_a_changed_policy_lifts_and_denies_nothing_else() -> None:  # I4, I5
    assert decide(NEWSLETTER, ASKS_AGAIN, [off(), consent()], NOW).rule is Rule.OPTED_OUT_OF_TOPIC
    assert decide(INVOICE, None, [consent()], NOW).allow
    by_default = replace(ASKS_AGAIN, default=ON.default)
    assert decide(NEWSLETTER, by_default, [consent()], NOW).rule is Rule.NOT_OPTED_OUT


ASKS_EARLY = replace(OFF, consent_cutoffs=(cutoff(5, asked=-5),))
"""A topic that a policy in five minutes ends, and that people could keep five minutes ago."""


@pytest.mark.parametrize("at, ends", [(-6, True), (-5, False), (-1, False)])
def test_a_consent_from_since_the_coming_policy_is_asked_with_counts_on(
    at: int, *, ends: bool
) -> None:
    [coming] = ASKS_EARLY.consent_cutoffs
    assert next_cutoff(ASKS_EARLY, [consent(at=at)], NOW) == (coming if ends else None)
    assert decide(NEWSLETTER, ASKS_EARLY, [consent(at=at)], NOW).allow
    assert decide(NEWSLETTER, ASKS_EARLY, [consent(at=at)], coming.at).allow is not ends


def test_nothing_ends_where_nothing_is_sent_by_consent() -> None:
    assert next_cutoff(ASKS_EARLY, [], NOW) is None
    assert next_cutoff(ASKS_EARLY, [consent(at=-6), off(at=-2)], NOW) is None
    assert next_cutoff(replace(ASKS_EARLY, default=ON.default), [consent(at=-6)], NOW) is None
    assert next_cutoff(ASKS_AGAIN, [consent(at=-5)], NOW) is None  # it has ended
