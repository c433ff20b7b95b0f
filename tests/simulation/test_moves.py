"""The oracle knows what the correction of an address changes, and what it leaves."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from simulation.accounts import Accounts
from simulation.acts import Options
from simulation.history import draw
from simulation.moves import Move
from simulation.oracle import Cause, OptOut, Oracle
from simulation.people import (
    ALL,
    BOUNCED,
    CLUB,
    EVERYTHING,
    NEWS,
    OFFERS,
    RESTRICTION,
    START,
    Form,
    forms_of,
)

OLD, ALIAS, *_, NEW = forms_of(0)
LATE = START + timedelta(days=3)


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def off(hours: float, scope: str = NEWS, form: Form = OLD, **given: Any) -> OptOut:
    return OptOut(form, scope, at(hours), at(hours), at(hours), **given)


def moved(*opt_outs: OptOut) -> tuple[Oracle, Move]:
    """An oracle where these opt-outs were made before the address was corrected after 9 hours."""
    oracle = Oracle()
    for opt_out in opt_outs:
        oracle.add_opt_out(opt_out)
    move = Move(oracle, OLD, NEW, at(9))
    move.record()
    return oracle, move


@pytest.mark.parametrize("form", [OLD, ALIAS])
def test_what_covered_the_old_address_covers_the_new_one(form: Form) -> None:  # I9
    oracle, _ = moved(off(1, form=form))
    assert oracle.must_be_off(NEW, NEWS, LATE)
    assert not oracle.must_be_off(NEW, OFFERS, LATE)
    assert oracle.since(NEW, NEWS, LATE) == at(9)  # nobody could mail it before


def test_the_old_mailbox_gets_no_marketing_any_more() -> None:
    oracle, _ = moved()
    assert oracle.must_be_off(OLD, OFFERS, LATE)
    assert oracle.must_be_off(ALIAS, OFFERS, LATE)
    assert not oracle.must_be_off(NEW, OFFERS, LATE)


@pytest.mark.parametrize("hours, is_off", [(0.5, True), (2, False)])
def test_copies_keep_their_own_times(hours: float, *, is_off: bool) -> None:  # I5
    oracle, _ = moved(off(1))
    oracle.add_opt_in(NEW, NEWS, at(hours))
    assert oracle.must_be_off(NEW, NEWS, LATE) is is_off


def test_what_was_asked_for_at_the_old_address_is_asked_for_at_the_new_one() -> None:
    oracle = Oracle()
    oracle.add_opt_in(OLD, CLUB, at(1))
    Move(oracle, OLD, NEW, at(9)).record()
    assert oracle.may_send(NEW, CLUB, LATE)


@pytest.mark.parametrize(
    "opt_out, is_closed",
    [
        (off(1, EVERYTHING), True),
        (off(1, EVERYTHING, ALIAS), False),  # another account
        (off(1, EVERYTHING, cause=Cause.ERASURE), False),  # the new one was never erased
    ],
)
def test_a_closed_account_is_closed_at_the_new_address(
    opt_out: OptOut, *, is_closed: bool
) -> None:  # I4
    oracle, _ = moved(opt_out)
    assert oracle.closed(NEW, LATE) is is_closed


@pytest.mark.parametrize(
    "opt_out",
    [off(1, BOUNCED), off(1, RESTRICTION, ALIAS), off(1, gone=True), off(1, ALL, cause=Cause.MOVE)],
)
def test_what_is_not_the_persons_own_stays_with_the_old_address(opt_out: OptOut) -> None:
    oracle, _ = moved(opt_out)
    assert oracle.must_be_off(NEW, NEWS, LATE) is False


def test_of_what_may_not_be_recorded_yet_nobody_knows_whether_it_was_copied() -> None:
    oracle, _ = moved(off(1, sure=False))
    assert oracle.must_be_off(NEW, NEWS, LATE) is None


def test_a_repeat_copies_what_was_said_since_and_an_undo_takes_all_of_it_back() -> None:  # I5
    oracle, move = moved(off(1))
    oracle.add_opt_out(off(10, OFFERS))
    oracle.add_opt_in(OLD, CLUB, at(11))
    move.repeat(at(12))
    assert oracle.must_be_off(NEW, OFFERS, LATE)
    assert oracle.may_send(NEW, CLUB, LATE)
    oracle.add_opt_out(off(13, OFFERS, NEW))
    move.undo()
    assert not oracle.must_be_off(NEW, NEWS, LATE)
    assert oracle.must_be_off(NEW, OFFERS, LATE)  # what they said at the new one themselves
    assert not oracle.may_send(NEW, CLUB, LATE)
    assert oracle.must_be_off(OLD, NEWS, LATE)
    assert oracle.may_send(OLD, CLUB, LATE)


def test_a_contact_has_the_new_address_too_until_that_is_undone() -> None:
    accounts = Accounts()
    assert accounts.link(OLD, NEW) is None  # there is none
    accounts.open(OLD)
    contact = accounts.link(OLD, NEW)
    assert accounts.of(NEW) == accounts.of(OLD) == sorted([OLD, NEW], key=lambda each: each.text)
    accounts.leave(NEW, contact)
    assert not accounts.has(NEW)
    accounts.open(NEW)
    assert not accounts.may_link(OLD, NEW)
    accounts.leave(NEW, contact)  # it has another one by now
    assert accounts.of(NEW) == [NEW]
    assert accounts.has(NEW)


def test_histories_correct_addresses_repeat_it_undo_it_and_act_at_the_new_one() -> None:
    drawn = [(seed, act) for seed in range(20) for act in draw(str(seed), Options())]
    made = {(seed, act.who, act.number): act.many[0] for seed, act in drawn if act.what == "move"}
    undone = {(seed, act.who, act.number) for seed, act in drawn if act.what == "undo_move"}
    assert made.keys() & undone
    assert len(made) < sum(act.what == "move" for _, act in drawn)
    acted = {(act.who, act.form) for _, act in drawn if act.what == "opt_in"}
    assert acted & set(made.values())


def test_what_a_list_says_of_the_old_address_holds_for_the_new_one() -> None:  # I9
    oracle = Oracle(listed={(OLD, CLUB), (ALIAS, OFFERS)})
    Move(oracle, OLD, NEW, at(9)).record()
    assert oracle.has_consent(NEW, CLUB, LATE) is None  # it may be recorded by now
    assert (NEW, OFFERS) not in oracle.listed
