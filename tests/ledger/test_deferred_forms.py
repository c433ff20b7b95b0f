"""A mailbox with a thousand forms: what one transaction updates, and what the scheduler (I9)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from flask import Flask

from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.deadlines import AT_RISK, WINDOW
from preference_center.core.errors import Unavailable
from preference_center.core.events import EventKind
from preference_center.destinations.rules.promise import BacklogKind
from preference_center.destinations.store import webhooks
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger import forms, record
from preference_center.ledger.forms import raise_deferred_states
from preference_center.ledger.sql import MAX_IMMEDIATE_FORMS
from tests.clock import START, Clock
from tests.core.histories import NEWS, OFFERS
from tests.ledger.changes import add_destination, change, retraction, together, waiting
from workers.scheduler import tick

FORMS, DESTINATIONS = 1_000, 10
HOUR = timedelta(hours=1)
MANY = [parse_address(f"jo+{n}@gmail.com", Channel.EMAIL) for n in range(FORMS)]
FEW = MANY[: MAX_IMMEDIATE_FORMS + 50]
"""Enough forms that some are left for later."""
LAST = FEW[-1]


@pytest.fixture(autouse=True)
def _context(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


def _sign_up(forms: list[Address]) -> None:
    """The first hundred have the lower ids."""
    record([], known_addresses=forms[:MAX_IMMEDIATE_FORMS])
    record([], known_addresses=forms[MAX_IMMEDIATE_FORMS:])


def _add_destinations(count: int) -> None:
    for n in range(count):
        add_destination(f"news{n}", NEWS)


def _count(query: str) -> int:
    row = run_in_transaction(lambda c: c.execute(query).fetchone())
    assert row
    return int(row[0])


def _raised() -> int:
    return _count("SELECT count(*) FROM sync_state")


def _deferred() -> int:
    return _count("SELECT count(*) FROM deferred_form")


def _dues(forms: list[Address]) -> set[datetime | None]:
    return {due for form in forms for due in waiting(form).values()}


def test_a_click_updates_a_hundred_forms_and_the_scheduler_the_rest(clock: Clock) -> None:  # I9
    _sign_up(MANY)
    _add_destinations(DESTINATIONS)
    record([change(1, address=MANY[-1])])
    assert _raised() <= (MAX_IMMEDIATE_FORMS + 1) * DESTINATIONS
    assert len(waiting(MANY[-1])) == DESTINATIONS  # the form itself never waits for the rest
    clock.advance(HOUR)
    while _deferred():
        tick()
    assert _raised() == FORMS * DESTINATIONS
    due = run_in_transaction(
        lambda c: c.execute("SELECT DISTINCT due_at FROM sync_state").fetchall()
    )
    assert due == [(START + WINDOW,)]  # I3: of the opt-out, not of when it was raised


def test_every_form_may_opt_out_in_one_batch() -> None:  # I9
    _sign_up(MANY)
    _add_destinations(DESTINATIONS)
    record([change(n, address=form, own_act=True) for n, form in enumerate(MANY, 1)])
    assert _raised() == FORMS * DESTINATIONS
    assert _deferred() == 1


def test_forms_that_opt_out_one_by_one_share_what_is_deferred() -> None:  # I9
    _sign_up(FEW)
    _add_destinations(1)
    for n, form in enumerate(FEW[-9:], 1):
        record([change(n, address=form, at=START - n * HOUR)])
    assert _deferred() == 1
    raise_deferred_states()
    assert _dues(FEW[MAX_IMMEDIATE_FORMS:-9]) == {START - 9 * HOUR + WINDOW}  # I3: the earliest


def test_a_stream_of_opt_outs_does_not_delay_the_last_forms() -> None:  # I3, I9
    _sign_up(FEW)
    _add_destinations(1)
    record([change(1, address=FEW[0])])
    for n in range(2, 7):
        assert raise_deferred_states(steps=1, size=10)
        record([change(n, address=FEW[0])])
    assert waiting(LAST)


def test_nothing_is_lost_if_a_scheduler_dies_half_way(  # I1, I9
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _sign_up(FEW)
    _add_destinations(2)
    record([change(1, address=FEW[0])])
    real, steps = forms._step, iter(range(9))

    def step(connection: Connection, deferred: int, size: int) -> bool:
        done = real(connection, deferred, size)
        if next(steps) == 1:
            raise KeyboardInterrupt
        return done

    with monkeypatch.context() as patched:
        patched.setattr(forms, "_step", step)
        with pytest.raises(KeyboardInterrupt):
            raise_deferred_states(size=20)
    assert _raised() == (MAX_IMMEDIATE_FORMS + 20) * 2  # the second step was rolled back
    assert not raise_deferred_states()
    assert _raised() == len(FEW) * 2


def test_several_schedulers_update_every_form() -> None:  # I9
    _sign_up(MANY)
    _add_destinations(2)
    record([change(1, address=MANY[0])])

    def go_on() -> None:
        while _deferred():
            raise_deferred_states(size=40)

    together(go_on, go_on, lambda: record([change(2, address=MANY[1])]))
    while _deferred():
        raise_deferred_states()
    assert _raised() == FORMS * 2


def test_a_locked_row_does_not_stop_the_others(  # I2
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    others = [parse_address(f"al+{n}@gmail.com", Channel.EMAIL) for n in range(len(FEW))]
    _sign_up(FEW)
    _sign_up(others)
    _add_destinations(1)
    record([change(1, address=FEW[0])])
    record([change(2, address=others[0])])
    real = forms._step
    first = _count("SELECT min(id) FROM deferred_form")

    def step(connection: Connection, deferred: int, size: int) -> bool:
        if deferred == first:
            raise Unavailable("locked")
        return real(connection, deferred, size)

    with monkeypatch.context() as patched:
        patched.setattr(forms, "_step", step)
        assert raise_deferred_states()
    assert (bool(waiting(others[-1])), bool(waiting(LAST))) == (True, False)
    assert not raise_deferred_states()
    assert waiting(LAST)


def test_an_own_opt_in_meanwhile_keeps_the_deadline_of_the_opt_out(clock: Clock) -> None:  # I3, I5
    _sign_up(FEW)
    _add_destinations(1)
    record([change(1, address=FEW[0])])
    clock.advance(HOUR)
    record([change(2, EventKind.OPTED_IN, address=LAST, at=clock.now)])
    assert waiting(LAST) == {"news0": None}
    while raise_deferred_states():
        pass
    # What is pushed is the state of that moment; that it is looked at has the earlier deadline.
    assert waiting(LAST) == {"news0": START + WINDOW}


def test_a_retraction_reaches_every_form() -> None:  # I5, I9
    _sign_up(FEW)
    _add_destinations(1)
    record([change(1, address=FEW[0])])
    raise_deferred_states()
    run_in_transaction(lambda c: c.execute("UPDATE sync_state SET due_at = NULL, next_at = NULL"))
    record([retraction(9, 1)])
    assert (_deferred(), waiting(LAST)) == (1, {})
    raise_deferred_states()
    assert waiting(LAST)


def test_a_form_added_before_the_rest_is_updated_is_updated(clock: Clock) -> None:  # I9
    _sign_up(FEW)
    _add_destinations(1)
    record([change(1, address=FEW[0])])
    clock.advance(HOUR)
    record([change(2, EventKind.CONSENTED, OFFERS, address=MANY[-1], at=clock.now)])
    record([], known_addresses=[MANY[-2]])
    assert waiting(MANY[-1])
    assert waiting(MANY[-2])


def test_a_form_learned_later_meets_the_opt_out_of_the_last_of_many() -> None:  # I9
    """Also if the two newest opt-outs at its key are of other scopes."""
    _sign_up(FEW)
    add_destination("news", NEWS)
    add_destination("offers", OFFERS)
    record([change(1, address=LAST, at=START - HOUR)])
    record([change(n, scope=OFFERS, address=form) for n, form in enumerate(FEW[:60], 2)])
    new = MANY[-2:]
    record([change(99, EventKind.CONSENTED, address=new[0])])
    record([], known_addresses=[new[1]])
    assert [set(waiting(form)) for form in new] == [{"news", "offers"}] * 2


def test_forms_that_the_scheduler_does_not_update_are_late(clock: Clock) -> None:  # I3
    _sign_up(FEW)
    _add_destinations(1)
    record([change(1, EventKind.OPTED_IN, OFFERS, address=FEW[0]), change(2, address=FEW[0])])
    clock.advance(AT_RISK)
    (late,) = run_in_transaction(lambda c: webhooks.list_overdue_backlog(c, clock()))
    assert (late.kind, late.count, late.due_at) == (BacklogKind.DEFERRED_FORMS, 1, START + WINDOW)
    raise_deferred_states()
    assert run_in_transaction(lambda c: webhooks.list_overdue_backlog(c, clock())) == []


@pytest.mark.parametrize("domain", ["gmail.com", "example.org"], ids=["mailbox", "base"])
def test_only_forms_that_match_are_updated_later(domain: str) -> None:  # I9
    """A tag meets its base, and no other tag, unless its provider ignores tags."""
    forms = [
        parse_address(f"jo+{n}@{domain}", Channel.EMAIL) for n in range(MAX_IMMEDIATE_FORMS + 20)
    ]
    _sign_up([*forms, parse_address(f"jo@{domain}", Channel.EMAIL)])
    _add_destinations(1)
    record([change(1, address=forms[0])])
    raise_deferred_states()
    assert _raised() == (len(forms) + 1 if domain == "gmail.com" else 2)


def test_nothing_is_deferred_for_an_ordinary_mailbox() -> None:
    _sign_up(FEW[:MAX_IMMEDIATE_FORMS])
    _add_destinations(1)
    record([change(1, address=FEW[0])])
    assert (_deferred(), _raised()) == (0, MAX_IMMEDIATE_FORMS)
    assert not raise_deferred_states()
