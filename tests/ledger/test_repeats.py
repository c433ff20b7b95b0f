"""Repeats within a batch and over time, and entry points that pass a wrong time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from flask import Flask

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.events import ALL_MARKETING, EVERYTHING, SHARING, EventKind
from preference_center.decisions.rules import find_denial, find_sharing_denial
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger import record
from preference_center.ledger.store.lookup import load_facts
from tests.clock import START, Clock
from tests.core.histories import OFFERS
from tests.ledger.changes import JANE, add_destination, change, retraction, waiting
from tests.ledger.states import rows_of

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
TAGGED, OTHER_TAG = (parse_address(f"jane+{tag}@example.org", Channel.EMAIL) for tag in ("a", "b"))


@pytest.fixture(autouse=True)
def _context(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


def test_of_one_own_act_repeated_in_a_batch_the_newest_is_kept() -> None:  # I5, I7
    first = change(1, at=START - 3 * SECOND, own_act=True)
    between = change(2, EventKind.OPTED_IN, at=START - 2 * SECOND)
    last = change(3, at=START - SECOND, own_act=True)
    assert record([first, between, last]).events == (between.id, last.id)
    assert rows_of(JANE)[last.scope].opt_out == (last.received_at, last.id)


def test_own_acts_of_a_batch_that_lie_apart_are_all_kept() -> None:  # I5
    acts = [change(n, at=START - (9 - 3 * n) * SECOND, own_act=True) for n in (0, 1, 2)]
    acts.append(change(3, at=acts[2].received_at, own_act=True, source="other"))
    assert record(acts).events == (acts[0].id, acts[2].id, acts[3].id)


@pytest.mark.parametrize("batched", [True, False])
def test_acts_with_two_links_are_two_whatever_their_distance(*, batched: bool) -> None:  # I5
    one, other, again = (
        change(n, own_act=True, evidence={"message_id": message_id, "method": method})
        for n, message_id, method in ((1, "m-1", "page"), (2, "m-2", "page"), (3, "m-2", "click"))
    )
    recorded = [record(part).events for part in ([[one, other]] if batched else [[one], [other]])]
    assert sum(recorded, ()) == (one.id, other.id)
    assert record([again]).repeats == {again.id: other.id}
    record([retraction(4, 1)])
    assert rows_of(JANE)[one.scope].opt_out == (START, other.id)


def test_a_lift_may_not_lie_in_the_future(clock: Clock) -> None:  # I5
    record([change(1, EventKind.OPTED_IN, at=START + 100 * HOUR)])
    clock.advance(HOUR)
    record([change(2, at=clock.now)])
    row = rows_of(JANE)[change(1).scope]
    assert (row.lift, row.opt_out) == ((START, change(1).id), (clock.now, change(2).id))


def test_a_deadline_is_not_put_off_by_a_clock_ahead() -> None:  # I3
    add_destination("news", change(1).scope)
    record([change(1, at=START + 100 * HOUR)])
    assert waiting(JANE) == {"news": START + timedelta(hours=72)}


def test_an_act_on_one_topic_does_not_affect_another() -> None:
    add_destination("news", change(1).scope)
    add_destination("offers", OFFERS)
    record([change(1)])
    run_in_transaction(lambda c: c.execute("UPDATE sync_state SET due_at = NULL, next_at = NULL"))
    record([change(2, EventKind.OPTED_IN, OFFERS)])
    assert waiting(JANE) == {"offers": None}


def test_an_own_act_repeated_later_is_a_new_act_that_no_older_form_can_lift(
    clock: Clock,
) -> None:  # I5
    record([change(1, own_act=True)])
    form_opened = clock.advance(HOUR)
    again = change(2, at=clock.advance(HOUR), own_act=True)
    assert record([again]).events == (again.id,)
    record([change(3, EventKind.OPTED_IN, at=form_opened)])
    row = rows_of(JANE)[again.scope]
    assert (row.opt_out, row.lift) == ((again.received_at, again.id), (form_opened, change(3).id))


def test_an_own_act_reported_again_with_an_earlier_receipt_is_not_dropped(
    clock: Clock,
) -> None:  # I3: its deadline is the earlier one
    add_destination("news", change(1).scope)
    record([change(1, at=clock.advance(5 * HOUR), own_act=True)])
    record([change(2, at=START, own_act=True)])
    assert waiting(JANE) == {"news": START + timedelta(hours=72)}


def test_a_repeat_is_an_event_if_another_form_was_opted_in_between(
    clock: Clock,
) -> None:  # I7, I9
    add_destination("news", change(1).scope)
    record([change(1, own_act=True)])
    opted_in = change(2, EventKind.OPTED_IN, at=clock.advance(MINUTE), address=TAGGED)
    record([opted_in])
    run_in_transaction(lambda c: c.execute("UPDATE sync_state SET due_at = NULL, next_at = NULL"))
    again = change(3, at=clock.advance(MINUTE), own_act=True)
    assert record([again]).events == (again.id,)
    (facts,) = load_facts([TAGGED])
    assert find_denial(again.scope, facts, clock()) is not None
    assert waiting(TAGGED) == {"news": clock() + timedelta(hours=72)}
    assert record([change(4, at=clock.advance(SECOND), own_act=True)]).events == ()


def test_a_repeat_is_an_event_if_sharing_was_agreed_to_between(clock: Clock) -> None:  # I5
    record([change(1, scope=ALL_MARKETING, own_act=True)])
    record([change(2, EventKind.OPTED_IN, SHARING, at=clock.advance(SECOND))])
    again = change(3, scope=ALL_MARKETING, at=clock.advance(SECOND), own_act=True)
    assert record([again]).events == (again.id,)
    (facts,) = load_facts([JANE])
    assert find_sharing_denial(facts, clock()) is not None


def test_a_repeat_adds_nothing_if_only_another_mailbox_was_opted_in(
    clock: Clock,
) -> None:  # I7, I9: never from one tag to another
    record([change(1, address=TAGGED, own_act=True)])
    record([change(2, EventKind.OPTED_IN, at=clock.advance(SECOND), address=OTHER_TAG)])
    again = change(3, address=TAGGED, at=clock.advance(SECOND), own_act=True)
    assert record([again]).events == ()


def test_a_plain_repeat_adds_nothing_though_other_forms_are_known(
    clock: Clock,
) -> None:  # I7
    record([change(1, EventKind.OPTED_IN, at=clock(), address=TAGGED)])
    record([change(2, at=clock.advance(MINUTE), own_act=True)])
    record([change(3, address=TAGGED, at=clock.advance(SECOND), own_act=True)])
    assert record([change(4, at=clock.advance(SECOND), own_act=True)]).events == ()


def test_record_returns_the_event_that_a_repeat_repeats(
    clock: Clock,
) -> None:  # I7: a double click can be undone
    record([change(1, own_act=True)])
    again = change(2, at=clock.advance(SECOND), own_act=True)
    assert record([again]).repeats == {again.id: change(1).id}


def test_endless_presses_of_a_link_make_one_event_in_seconds(clock: Clock) -> None:  # I7
    """By two entry points in turn, each of which counts for itself."""
    made = [
        len(record([change(n, at=clock.advance(SECOND), own_act=True, source="ab"[n % 2])]).events)
        for n in range(24)
    ]
    assert sum(made) == 2 * 4


def test_an_act_of_another_entry_point_is_an_event_of_its_own(clock: Clock) -> None:  # I5
    """A scanner's one-click and the person's own press: either may be retracted."""
    record([change(1, own_act=True, source="page")])
    assert record([change(2, at=clock(), own_act=True, source="one_click")]).events == (
        change(2).id,
    )
    record([retraction(9, 1)])
    assert rows_of(JANE)[change(2).scope].opt_out == (clock(), change(2).id)


@pytest.mark.parametrize("lift_comes", ["last", "between"])
@pytest.mark.parametrize("apart", [10 * MINUTE, 2 * SECOND], ids=["10min", "2s"])
def test_a_lift_dated_between_two_acknowledged_acts_lifts_neither(
    clock: Clock, lift_comes: str, apart: timedelta
) -> None:  # I5
    first, lift_at = change(1, own_act=True), START + apart / 2
    second = change(2, at=clock.advance(apart), own_act=True)
    lift = change(3, EventKind.OPTED_IN, at=lift_at)
    for each in (first, second, lift) if lift_comes == "last" else (first, lift, second):
        record([each])
    (facts,) = load_facts([JANE])
    opted_out = find_denial(first.scope, facts, clock())
    assert opted_out is not None
    assert opted_out.since == second.received_at


def test_an_extended_event_is_kept_when_another_is_retracted(
    clock: Clock,
) -> None:  # I5
    record([change(1, own_act=True)])
    record([change(2, at=clock.advance(2 * SECOND), own_act=True)])
    record([change(3, EventKind.COMPLAINED, at=clock.advance(MINUTE))])
    record([retraction(9, 3)])
    record([change(4, EventKind.OPTED_IN, at=START + SECOND)])
    assert rows_of(JANE)[change(1).scope].opt_out == (START + 2 * SECOND, change(1).id)


def test_an_opt_out_outlasts_an_opt_in_of_a_clock_ahead(clock: Clock) -> None:  # I5
    """The host that recorded the yes is five seconds ahead of the one that hears the no."""
    ahead = clock.advance(5 * SECOND)
    record([change(1, EventKind.OPTED_IN, at=ahead)])
    record([change(2, EventKind.OPTED_IN, OFFERS, at=ahead, address=TAGGED)])
    received = clock.advance(-2 * SECOND)
    record([change(3, at=received, own_act=True)])
    assert rows_of(JANE)[change(3).scope].opt_out == (ahead, change(3).id)
    record(
        [change(4, scope=ALL_MARKETING, at=received, own_act=True)]
    )  # wider than both, all forms
    (facts,) = load_facts([TAGGED])
    assert find_denial(OFFERS, facts, received) is not None


def test_an_opt_out_dated_earlier_does_not_outlast_a_newer_opt_in(clock: Clock) -> None:  # I5
    """Support records a phone call that was before the person's own opt-in."""
    record([change(1, EventKind.OPTED_IN, at=clock.advance(HOUR))])
    record([change(2, at=START, own_act=True)])
    assert rows_of(JANE)[change(2).scope].opt_out == (START, change(2).id)


def test_an_opt_out_of_all_marketing_stays_for_a_reopened_account(
    clock: Clock,
) -> None:  # I5: a reopening lifts no marketing
    record([change(1, EventKind.REOPENED, EVERYTHING, at=clock.advance(SECOND))])
    received = clock.advance(-SECOND)
    record([change(2, scope=ALL_MARKETING, at=received, own_act=True)])
    assert rows_of(JANE)[ALL_MARKETING].opt_out == (received, change(2).id)
