"""The oracle of the simulation follows the rules."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from simulation.oracle import OptOut, Oracle
from simulation.people import (
    ALL,
    BOUNCED,
    CLUB,
    EVERYTHING,
    NEWS,
    OFFERS,
    RESTRICTION,
    SHARING,
    START,
    Form,
    forms_of,
)

ALIAS, OTHER_ALIAS, *_ = forms_of(0)
BASE, TAG, OTHER_TAG, *_ = forms_of(1)
LATE = START + timedelta(days=30)


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def opt_out(hours: float, scope: str = NEWS, form: Form = ALIAS, **given: Any) -> OptOut:
    return OptOut(form, scope, at(hours), at(hours), at(hours), **given)


@pytest.mark.parametrize(
    "scope, opt_in, topic, off",
    [
        (NEWS, None, NEWS, True),
        (NEWS, None, OFFERS, False),
        (ALL, None, OFFERS, True),
        (ALL, (1, OFFERS), OFFERS, True),  # older
        (ALL, (2, OFFERS), OFFERS, True),  # a tie: the opt-out wins
        (ALL, (3, OFFERS), OFFERS, False),
        (ALL, (3, OFFERS), NEWS, True),
        (NEWS, (3, ALL), NEWS, True),  # a wider opt-in never lifts a topic's own opt-out
        (EVERYTHING, (3, ALL), NEWS, True),
        (EVERYTHING, (3, EVERYTHING), NEWS, False),
    ],
)
def test_only_a_newer_opt_in_of_that_reach_lifts(
    scope: str, opt_in: tuple[float, str] | None, topic: str, *, off: bool
) -> None:  # I5
    oracle = Oracle()
    oracle.add_opt_out(opt_out(2, scope))
    if opt_in:
        oracle.add_opt_in(ALIAS, opt_in[1], at(opt_in[0]))
    assert oracle.must_be_off(ALIAS, topic, LATE) is off


def test_an_opt_out_counts_for_the_mailbox_and_an_opt_in_for_its_form() -> None:  # I9
    oracle = Oracle()
    oracle.add_opt_out(opt_out(1))
    oracle.add_opt_in(OTHER_ALIAS, NEWS, at(2))
    assert oracle.must_be_off(ALIAS, NEWS, LATE)
    assert not oracle.must_be_off(OTHER_ALIAS, NEWS, LATE)


@pytest.mark.parametrize("other, off", [(BASE, True), (OTHER_TAG, False)])
def test_a_tag_meets_its_base_and_no_other_tag(other: Form, *, off: bool) -> None:  # I9
    oracle = Oracle()
    oracle.add_opt_out(opt_out(1, form=TAG))
    assert oracle.must_be_off(other, NEWS, LATE) is off


def test_what_a_list_says_lifts_nothing_and_may_ask_for_a_topic() -> None:  # I5
    oracle = Oracle()
    assert oracle.may_send(ALIAS, CLUB, LATE) is False
    oracle.listed.add((ALIAS, CLUB))
    assert oracle.may_send(ALIAS, CLUB, LATE) is None
    oracle.add_opt_out(opt_out(1, CLUB))
    assert oracle.may_send(ALIAS, CLUB, LATE) is False


def test_what_nobody_can_know_is_left_open() -> None:
    oracle = Oracle()
    oracle.add_opt_out(opt_out(1, sure=False))
    assert oracle.must_be_off(ALIAS, NEWS, LATE) is None
    assert oracle.may_send(ALIAS, NEWS, LATE) is None


def test_an_older_opt_in_does_not_come_back_with_a_wider_one() -> None:
    oracle = Oracle()
    oracle.add_opt_in(ALIAS, CLUB, at(1))
    assert oracle.may_send(ALIAS, CLUB, LATE)
    oracle.add_opt_out(opt_out(2, ALL))
    oracle.add_opt_in(ALIAS, ALL, at(3))
    assert oracle.may_send(ALIAS, CLUB, LATE) is False
    assert oracle.may_send(ALIAS, NEWS, LATE)


def test_an_own_no_outranks_what_was_recorded_before_whatever_the_hosts_clocks_say() -> None:  # I5
    oracle = Oracle()
    oracle.add_opt_in(ALIAS, NEWS, at(2), known=at(1))
    oracle.add_opt_out(opt_out(1.5, own=True, known=at(1.5)))
    assert oracle.must_be_off(ALIAS, NEWS, LATE)


def test_only_the_older_of_two_opt_outs_is_lifted_by_an_opt_in_dated_between_them() -> None:  # I5
    oracle = Oracle()
    for hours in (1, 3):
        oracle.add_opt_out(opt_out(hours, own=True, known=at(hours)))
    oracle.add_opt_in(ALIAS, NEWS, at(2), known=at(4))
    assert oracle.must_be_off(ALIAS, NEWS, LATE)
    assert oracle.since(ALIAS, NEWS, LATE) == at(3)


def test_no_opt_in_ends_a_restriction_and_what_was_asked_for_counts_after_it() -> None:
    oracle = Oracle()
    oracle.add_opt_in(ALIAS, CLUB, at(1))
    restriction = oracle.add_opt_out(opt_out(2, RESTRICTION))
    oracle.add_opt_in(ALIAS, ALL, at(3))
    assert oracle.may_send(ALIAS, CLUB, LATE) is False
    assert oracle.may_send(OTHER_ALIAS, NEWS, LATE) is False
    restriction.gone = True
    assert oracle.may_send(ALIAS, CLUB, LATE)


@pytest.mark.parametrize(
    "scope, opt_in, off",
    [
        (SHARING, None, True),
        (SHARING, SHARING, False),
        (SHARING, ALL, True),
        (SHARING, NEWS, True),
        (ALL, None, True),
        (ALL, SHARING, False),
        (ALL, ALL, False),
        (EVERYTHING, SHARING, True),
        (RESTRICTION, SHARING, True),
        (BOUNCED, None, False),
        (NEWS, None, False),
    ],
)
def test_sharing_ends_with_all_marketing_and_begins_by_itself(  # I5
    scope: str, opt_in: str | None, *, off: bool
) -> None:
    oracle = Oracle()
    oracle.add_opt_out(opt_out(1, scope))
    if opt_in:
        oracle.add_opt_in(ALIAS, opt_in, at(2))
    assert oracle.must_be_off(ALIAS, SHARING, LATE) is off


def test_sharing_says_nothing_of_messages_and_a_pause_nothing_of_sharing() -> None:  # I4
    oracle = Oracle()
    oracle.add_opt_out(opt_out(1, SHARING))
    assert oracle.must_be_off(ALIAS, NEWS, LATE) is False
    paused = Oracle()
    paused.add_opt_out(opt_out(1, ALL, until=LATE + timedelta(days=1)))
    assert paused.must_be_off(ALIAS, NEWS, LATE)
    assert paused.must_be_off(ALIAS, SHARING, LATE) is False


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("opt_in, is_off", [(1.5, True), (2.5, False)])
def test_of_two_pauses_the_one_of_the_later_date_counts_whichever_is_recorded_first(
    order: tuple[int, int], opt_in: float, *, is_off: bool
) -> None:  # I5
    oracle = Oracle()
    pauses = [opt_out(1, ALL, until=LATE), opt_out(2, ALL, until=at(48))]
    for number in order:
        oracle.add_opt_out(pauses[number])
    assert oracle.pause_end(ALIAS, NEWS, at(24)) == at(48)
    assert oracle.must_be_off(ALIAS, NEWS, at(48)) is False
    oracle.add_opt_in(ALIAS, NEWS, at(opt_in))
    assert oracle.must_be_off(ALIAS, NEWS, at(24)) is is_off


def test_the_older_of_two_pauses_counts_again_once_the_newer_one_is_undone() -> None:  # I5
    oracle = Oracle()
    oracle.add_opt_out(opt_out(1, ALL, until=LATE))
    newer = oracle.add_opt_out(opt_out(2, ALL, until=at(3)))
    newer.gone = None
    assert oracle.must_be_off(ALIAS, NEWS, at(48)) is None
    newer.gone = True
    assert oracle.must_be_off(ALIAS, NEWS, at(48))
