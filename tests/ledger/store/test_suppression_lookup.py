"""The facts of one candidate do not grow with the forms of its mailbox (I9)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from flask import Flask

from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.events import EVERYTHING, RESTRICTION, EventKind, ScopeFact
from preference_center.decisions.rules import DecisionRule, find_denial
from preference_center.destinations.rules.delivery import is_suppressed_by_other_form
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger import record
from preference_center.ledger.store.lookup import load_facts, load_facts_by_id
from tests.clock import START
from tests.core.histories import NEWS
from tests.ledger.changes import change, id_of

FORMS = 60
MOST = 5
"""Facts of one scope: the address's own two, the two newest opt-outs and the longest pause."""


@pytest.fixture(autouse=True)
def _context(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


def _form(n: int, domain: str = "gmail.com") -> Address:
    return parse_address(f"jo+{n}@{domain}", Channel.EMAIL)


def _by_id(who: Address) -> tuple[ScopeFact, ...]:
    found = id_of(who)
    assert found
    return run_in_transaction(lambda c: load_facts_by_id(c, [found]))[found]


@pytest.mark.parametrize("domain", ["gmail.com", "example.org"])
def test_a_look_up_finds_no_more_facts_for_more_forms(domain: str) -> None:
    forms = [_form(n, domain) for n in range(FORMS)]
    base = parse_address(f"jo@{domain}", Channel.EMAIL)
    acts = [change(n, address=form) for n, form in enumerate(forms)]
    acts += [
        change(
            FORMS + n,
            EventKind.PAUSED,
            address=form,
            at=START - timedelta(minutes=n),
            until=START + timedelta(days=7, hours=-n),
        )
        for n, form in enumerate(forms)
    ]
    record([*acts, change(2 * FORMS, EventKind.CONSENTED, address=base)])
    for facts in (*load_facts([base, *forms]), *map(_by_id, (base, *forms))):
        assert len(facts) <= MOST


def test_the_newest_opt_out_of_the_mailbox_is_found_from_every_form() -> None:
    forms = [_form(n) for n in range(FORMS)]
    record(
        [
            change(n, address=form, at=START - timedelta(minutes=n * 37 % FORMS))
            for n, form in enumerate(forms)
        ]
    )
    for who in (*forms, parse_address("jo@gmail.com", Channel.EMAIL), _form(FORMS)):
        (facts,) = load_facts([who])
        opted_out = find_denial(NEWS, facts, START)
        assert opted_out is not None
        assert opted_out.event == change(0).id


def test_a_shorter_pause_counts_where_the_longer_one_was_outranked() -> None:
    """Of two forms: the longer pause is older than this form's own opt-in, the other is not."""
    soon, late = START + timedelta(days=1), START + timedelta(days=90)
    at = [START - timedelta(minutes=minutes) for minutes in (30, 20, 10)]
    record(
        [
            change(1, EventKind.PAUSED, address=_form(1), at=at[0], until=late),
            change(2, EventKind.OPTED_IN, address=_form(2), at=at[1]),
            change(3, EventKind.PAUSED, address=_form(3), at=at[2], until=soon),
        ]
    )
    for facts in (load_facts([_form(2)])[0], _by_id(_form(2))):
        opted_out = find_denial(NEWS, facts, START)
        assert opted_out is not None
        assert opted_out.event == change(3).id


def test_an_address_is_not_another_form_of_itself() -> None:  # I4, I9
    """It is found by its own digest and by that of its mailbox: one account, closed and open."""
    who, hour = _form(1), timedelta(hours=1)
    record(
        [
            change(1, EventKind.DEACTIVATED, EVERYTHING, address=who, at=START - hour),
            change(2, EventKind.REOPENED, EVERYTHING, address=who),
        ]
    )
    (facts,) = load_facts([who])
    assert find_denial(NEWS, facts, START) is None
    assert not is_suppressed_by_other_form(facts, START)
    assert facts == _by_id(who)


def test_a_restriction_is_found_among_many_that_have_ended() -> None:  # I9
    forms = [_form(n) for n in range(FORMS)]
    acts = [
        change(
            n,
            EventKind.RESTRICTED,
            address=form,
            scope=RESTRICTION,
            at=START - timedelta(minutes=FORMS - n),
        )
        for n, form in enumerate(forms)
    ]
    ends = [
        change(FORMS + n, EventKind.UNRESTRICTED, address=form, scope=RESTRICTION)
        for n, form in enumerate(forms)
        if n > 0
    ]
    record([*acts, *ends])
    for who in (*forms, _form(FORMS)):
        for facts in (load_facts([who])[0], _by_id(who) if who in forms else load_facts([who])[0]):
            denial = find_denial(NEWS, facts, START)
            assert denial is not None
            assert (denial.rule, denial.event) == (DecisionRule.RESTRICTED, acts[0].id)
