"""The model against each sentence of I5 and I9."""

from __future__ import annotations

import itertools

import pytest

from tests.reference.decisions import MessageType, Topic, decide
from tests.reference.events import (
    ALL_MARKETING,
    Form,
    Kind,
    form_of,
    opt_in_counts_at,
    opt_out_counts_at,
    share_mailbox,
)
from tests.reference.examples import (
    DOTS,
    JANE,
    LETTER,
    NEWS,
    OFFERS,
    PLAIN,
    SHOP,
    allows,
    at,
    event,
    import_consent,
    opt_in,
    opt_out,
    rules,
)
from tests.reference.model import Model
from tests.reference.wanted import Destination, Wanted, wanted

# I5, a sentence each


def test_the_persons_own_newer_act_ends_a_suppression() -> None:
    assert not allows(opt_out(1, scope="offers"))
    assert allows(opt_out(1, scope="offers"), opt_in(2))


def test_an_older_own_act_does_not() -> None:
    assert not allows(opt_out(2, scope="offers"), opt_in(1))


def test_a_pause_ends_by_itself() -> None:
    pause = event(Kind.PAUSED, 1, until=60)
    assert rules(pause, now=59) == {"paused"}
    assert allows(pause, now=60)


def test_the_end_of_a_pause_lifts_no_opt_out() -> None:
    pause = event(Kind.PAUSED, 2, until=60)
    assert rules(opt_out(1), pause, now=61) == {"opted_out_of_all_marketing"}


def test_a_retraction_takes_back_the_events_that_it_names_and_no_other() -> None:
    first, second = opt_out(1), opt_out(2)
    taken = event(Kind.RETRACTED, 3, retracts=frozenset({second.id}))
    answer = decide(Model([first, second, taken]), JANE, MessageType(OFFERS), at(600))
    assert answer.reasons == {("opted_out_of_all_marketing", first.id)}


def test_what_a_list_or_a_tool_calls_subscribed_lifts_nothing() -> None:
    assert not allows(opt_out(1, scope="letter"), import_consent(2, "letter"), topic=LETTER)


def test_of_each_form_and_scope_three_times_count_in_any_order() -> None:
    history = [
        opt_out(1, scope="offers"),
        opt_in(2),
        opt_out(3),
        opt_in(5),
        opt_out(4, scope="offers"),
        event(Kind.PAUSED, 6, scope="offers", until=90),
    ]
    results = {
        (frozenset(rules(*order, now=80)), frozenset(rules(*order, now=91)))
        for order in itertools.permutations(history)
    }
    assert results == {(frozenset({"paused"}), frozenset({"consented"}))}


def test_an_opt_out_wins_a_tie() -> None:
    assert not allows(opt_in(1), opt_out(1, scope="offers"))
    assert not allows(opt_out(1), opt_in(1))


def test_a_topics_opt_in_overrides_older_wider_opt_outs_for_that_topic() -> None:
    history = opt_out(1), opt_in(2)
    assert allows(*history)
    assert not allows(*history, topic=Topic("parties"))


def test_a_wider_opt_in_never_lifts_a_topics_opt_out() -> None:
    assert not allows(opt_out(1, scope="offers"), opt_in(2, scope=ALL_MARKETING))


def test_an_opt_out_counts_a_quarter_of_an_hour_after_its_date_at_most() -> None:
    assert opt_out_counts_at(at(0), at(10)) == at(10)
    assert opt_out_counts_at(at(0), at(100)) == at(15)
    assert opt_out_counts_at(None, at(100)) == at(100)
    assert opt_out_counts_at(at(200), at(100)) == at(100)


def test_a_forms_opt_in_counts_from_when_the_form_was_rendered() -> None:
    assert opt_in_counts_at(at(9), at(10), rendered_at=at(1)) == at(1)
    assert opt_in_counts_at(at(9), at(10)) == at(9)


def test_a_lift_does_not_lie_in_the_future() -> None:
    assert opt_in_counts_at(at(900), at(10)) == at(10)


def test_no_lift_is_pushed_for_an_opt_in_that_an_opt_out_recorded_later_overtakes() -> None:
    tool = Destination("tool", (OFFERS,))
    history = [opt_out(1), opt_in(3), opt_out(4)]
    assert wanted(Model(history[:2]), tool, JANE, OFFERS, at(9)) is Wanted.MAY_BE_ON
    assert wanted(Model(history), tool, JANE, OFFERS, at(9)) is Wanted.OFF


# I9, a sentence each


@pytest.mark.parametrize(
    "stored, asked",
    [
        (JANE, NEWS),
        (NEWS, JANE),
        (DOTS, PLAIN),
        (form_of("jane+a@gmail.com"), form_of("jane+b@gmail.com")),
    ],
)
def test_a_suppression_covers_every_form_of_its_mailbox(stored: Form, asked: Form) -> None:
    assert share_mailbox(stored, asked)
    assert not allows(opt_out(1, form=stored), form=asked)


@pytest.mark.parametrize(
    "stored, asked",
    [
        (NEWS, SHOP),
        (form_of("j.ane@example.com"), JANE),
        (JANE, form_of("john@example.com")),
    ],
)
def test_two_tags_and_two_mailboxes_are_two_people(stored: Form, asked: Form) -> None:
    assert not share_mailbox(stored, asked)
    assert allows(opt_out(1, form=stored), form=asked)


def test_a_form_that_is_learned_later_has_to_be_off_in_tools_too() -> None:
    known = event(Kind.CONTACT_KNOWN, 9, form=NEWS)
    model = Model([opt_out(1), known])
    assert wanted(model, Destination("tool", (OFFERS,)), NEWS, OFFERS, at(9)) is Wanted.OFF


def test_an_own_newer_opt_in_outranks_older_wide_matches_for_its_exact_form_only() -> None:
    history = opt_out(1), opt_in(2, form=NEWS)
    assert allows(*history, form=NEWS)
    assert not allows(*history, form=JANE)


def test_an_opt_in_of_one_form_is_no_consent_of_another() -> None:
    assert rules(opt_in(1, scope="letter"), form=NEWS, topic=LETTER) == {"no_consent"}


def test_a_newer_opt_out_of_another_form_stops_what_was_opted_in() -> None:
    assert not allows(opt_out(1), opt_in(2, form=NEWS), opt_out(3), form=NEWS)


def test_an_address_known_by_its_hash_is_exact_until_it_is_revealed() -> None:
    hashed = event(Kind.OPTED_OUT, 1, form=NEWS, hashed=True)
    assert not allows(hashed, form=NEWS)
    assert allows(hashed, form=JANE)
    revealed = event(Kind.CONTACT_KNOWN, 2, form=NEWS)
    assert not allows(hashed, revealed, form=JANE)
    assert allows(hashed, revealed, form=SHOP)


def test_the_hash_of_a_bare_form_covers_the_mailbox() -> None:
    assert not allows(event(Kind.OPTED_OUT, 1, form=JANE, hashed=True), form=NEWS)
