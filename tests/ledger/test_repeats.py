"""What a batch may hold twice, and what a door that forgot to look at the clock may not do."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from flask import Flask

from preference_center.domain.addresses import Channel, parse
from preference_center.domain.decisions import standing_no
from preference_center.domain.events import Kind
from preference_center.ledger import record
from preference_center.storage.database import run
from preference_center.storage.facts import facts_for
from tests.clock import START, Clock
from tests.domain.histories import OFFERS
from tests.ledger.changes import JANE, add_destination, change, waiting
from tests.ledger.states import rows_of

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
TAGGED, OTHER_TAG = (parse(f"jane+{tag}@example.org", Channel.EMAIL) for tag in ("a", "b"))


@pytest.fixture(autouse=True)
def _context(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


def test_of_one_own_act_repeated_in_a_batch_the_newest_is_kept() -> None:  # I5, I7
    first = change(1, at=START - 3 * HOUR, once=True)
    between = change(2, Kind.OPTED_IN, at=START - 2 * HOUR)
    last = change(3, at=START - HOUR, once=True)
    assert record([first, between, last]).events == (last.id, between.id)
    assert rows_of(JANE)[last.scope].no == (last.received_at, last.id)


def test_a_lift_may_not_lie_in_the_future(clock: Clock) -> None:  # I5
    record([change(1, Kind.OPTED_IN, at=START + 100 * HOUR)])
    clock.advance(HOUR)
    record([change(2, at=clock.now)])
    row = rows_of(JANE)[change(1).scope]
    assert (row.yes, row.no) == ((START, change(1).id), (clock.now, change(2).id))


def test_a_deadline_is_not_put_off_by_a_clock_ahead() -> None:  # I3
    add_destination("news", change(1).scope)
    record([change(1, at=START + 100 * HOUR)])
    assert waiting(JANE) == {"news": START + timedelta(hours=72)}


def test_an_act_on_one_topic_is_no_news_about_another() -> None:
    add_destination("news", change(1).scope)
    add_destination("offers", OFFERS)
    record([change(1)])
    run(lambda c: c.execute("UPDATE sync_state SET due_at = NULL, next_at = NULL"))
    record([change(2, Kind.OPTED_IN, OFFERS)])
    assert waiting(JANE) == {"offers": None}


def test_an_own_act_repeated_later_is_a_new_act_that_no_older_form_can_lift(
    clock: Clock,
) -> None:  # I5
    record([change(1, once=True)])
    form_opened = clock.advance(HOUR)
    again = change(2, at=clock.advance(HOUR), once=True)
    assert record([again]).events == (again.id,)
    record([change(3, Kind.OPTED_IN, at=form_opened)])
    row = rows_of(JANE)[again.scope]
    assert (row.no, row.yes) == ((again.received_at, again.id), (form_opened, change(3).id))


def test_an_own_act_passed_on_again_with_an_earlier_receipt_is_not_dropped(
    clock: Clock,
) -> None:  # I3: its deadline is the earlier one
    add_destination("news", change(1).scope)
    record([change(1, at=clock.advance(5 * HOUR), once=True)])
    record([change(2, at=START, once=True)])
    assert waiting(JANE) == {"news": START + timedelta(hours=72)}


def test_a_repeat_is_news_where_another_form_was_turned_on_in_between(
    clock: Clock,
) -> None:  # I7, I9
    add_destination("news", change(1).scope)
    record([change(1, once=True)])
    yes = change(2, Kind.OPTED_IN, at=clock.advance(MINUTE), address=TAGGED)
    record([yes])
    run(lambda c: c.execute("UPDATE sync_state SET due_at = NULL, next_at = NULL"))
    again = change(3, at=clock.advance(MINUTE), once=True)
    assert record([again]).events == (again.id,)
    (facts,) = facts_for([TAGGED])
    assert standing_no(again.scope, facts, clock()) is not None
    assert waiting(TAGGED) == {"news": clock() + timedelta(hours=72)}
    assert record([change(4, at=clock.advance(MINUTE), once=True)]).events == ()


def test_a_repeat_adds_nothing_where_what_was_turned_on_is_no_form_of_it(
    clock: Clock,
) -> None:  # I7, I9: never from one tag to another
    record([change(1, address=TAGGED, once=True)])
    record([change(2, Kind.OPTED_IN, at=clock.advance(MINUTE), address=OTHER_TAG)])
    again = change(3, address=TAGGED, at=clock.advance(MINUTE), once=True)
    assert record([again]).events == ()


def test_a_plain_repeat_adds_nothing_though_other_forms_are_known(
    clock: Clock,
) -> None:  # I7
    record([change(1, Kind.OPTED_IN, at=clock(), address=TAGGED)])
    record([change(2, at=clock.advance(MINUTE), once=True)])
    record([change(3, address=TAGGED, at=clock.advance(MINUTE), once=True)])
    assert record([change(4, at=clock.advance(MINUTE), once=True)]).events == ()
