"""Which reports are one act, and which are several (I5)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from preference_center.core.bounces import Bounce
from preference_center.core.events import ALL_MARKETING, SHARING, ScopeFact
from preference_center.destinations.rules.reported import is_shown_since
from preference_center.integrations.base.contract import ContactSnapshot
from preference_center.integrations.base.vendor_events import VendorEvent, VendorEventKind
from tests.core.histories import NEWS, NOW, OFFERS
from tests.decisions.facts import mark, off, on, pause
from tests.destinations.rules.reports import ANNA, DESTINATION, opt_out, plan, rules_for

MINUTE = timedelta(minutes=1)
LATER = NOW - MINUTE
EARLIER = LATER - MINUTE
BO = "bo@example.com"


@pytest.mark.parametrize(
    "first, second",
    [
        (opt_out(id="a"), opt_out(id="b")),
        (opt_out(id="a", occurred_at=LATER), opt_out(id="b", occurred_at=LATER)),
        (opt_out(occurred_at=EARLIER), opt_out(occurred_at=LATER)),
        (opt_out(occurred_at=LATER), opt_out(OFFERS, occurred_at=LATER)),
        (opt_out(occurred_at=LATER), replace(opt_out(occurred_at=LATER), address=BO)),
        (opt_out(id="a"), replace(opt_out(id="a"), address=BO)),
        (opt_out(), opt_out(OFFERS)),
        (opt_out(), replace(opt_out(), address=BO)),
        (opt_out(id="a"), opt_out()),
    ],
    ids=[
        "by its id",
        "by its id, of one time",
        "by its time",
        "of two lists",
        "of two people",
        "of two people with one id",
        "undated, of two lists",
        "undated, of two people",
        "without an id",
    ],
)
def test_two_acts_are_recorded_each(first: VendorEvent, second: VendorEvent) -> None:  # I5
    changes = plan([first, second]).changes
    assert len({change.id for change in changes}) == len(changes) == 2


@pytest.mark.parametrize(
    "first, second",
    [
        (opt_out(id="a"), opt_out(id="a")),
        (opt_out(id="a", occurred_at=LATER), opt_out(id="a", occurred_at=EARLIER)),
        (opt_out(occurred_at=LATER), opt_out(occurred_at=LATER)),
        (opt_out(), opt_out()),
        (opt_out(None), opt_out("email")),
    ],
    ids=["by its id", "whatever its date", "by its time", "undated", "undated, by its scope"],
)
def test_one_act_that_is_reported_twice_is_recorded_once(
    first: VendorEvent, second: VendorEvent
) -> None:
    [change] = plan([first, second]).changes
    assert change.scope == (NEWS if first.target else ALL_MARKETING)


@pytest.mark.parametrize("event", [opt_out(id="a"), opt_out(occurred_at=LATER)])
def test_an_act_has_the_same_id_in_each_report_of_one_destination(event: VendorEvent) -> None:
    [first], [again] = plan([event]).changes, plan([event]).changes
    assert first.id == again.id
    elsewhere = rules_for(destination=replace(DESTINATION, id=2))
    assert plan([event], rules=elsewhere).changes[0].id != first.id


@pytest.mark.parametrize(
    "event",
    [
        opt_out(id="a"),
        opt_out(occurred_at=LATER),
        VendorEvent(VendorEventKind.BOUNCED, ANNA, id="a", bounce=Bounce(status="4.2.2")),
    ],
    ids=["by its id", "by its time", "a bounce"],
)
def test_an_act_that_is_recorded_with_fewer_digest_keys_keeps_its_id(event: VendorEvent) -> None:
    # I5: a second event of the same act could end an opt-in of between
    before, planned = plan([event]), plan([event], rotated=True)
    [old], [new] = (each.changes or each.bounces for each in (before, planned))
    assert old.id != new.id
    planned.keep_recorded_ids([])
    assert (planned.changes or planned.bounces) == [new]
    planned.keep_recorded_ids([old.id])
    assert (planned.changes or planned.bounces) == [replace(new, id=old.id)]


def test_without_an_id_and_a_date_each_report_has_an_id_of_its_own() -> None:
    """Else an opt-out made after an opt-in would be dropped as a repeat (I5)."""
    rules = rules_for()
    [first], [second] = (
        plan([opt_out()], rules=rules).changes,
        plan([opt_out()], rules=rules).changes,
    )
    assert first.id != second.id


def test_a_bounce_without_an_id_counts_once_a_day_and_once_in_a_list() -> None:
    """It may be counted, so reading one list repeatedly must not add up to a suppression."""
    bounced = VendorEvent(VendorEventKind.BOUNCED, ANNA, bounce=Bounce(status="4.2.2"))
    received = [replace(bounced, received_at=NOW - hours * 60 * MINUTE) for hours in (24, 1, 0)]
    yesterday, today, again = (plan([each]).bounces[0].id for each in received)
    listed, listed_again = plan([bounced, bounced]).bounces
    other = plan([replace(bounced, bounce=Bounce(status="5.1.1"))]).bounces[0].id
    assert today == again
    assert listed.id == listed_again.id
    assert len({yesterday, today, listed.id, other}) == 4


def test_contacts_and_reports_are_counted() -> None:
    stats = plan([opt_out(id="a"), opt_out(OFFERS, id="b")]).stats
    assert (stats.contacts, stats.reported) == (0, 2)
    stats = plan([], snapshot=ContactSnapshot(ANNA)).stats
    assert (stats.contacts, stats.reported) == (1, 0)


def test_evidence_of_a_report_is_cut_to_200_characters() -> None:
    [change] = plan([opt_out("email", id="i" * 201)]).changes
    assert change.evidence["id"] == "i" * 200


@pytest.mark.parametrize(
    "fact, expected",
    [
        (off(at=-10), True),
        (off(at=-9), False),
        (off(ALL_MARKETING, at=-9, exact=False), False),
        (pause(at=-9), False),
        (on(at=-9), True),
        (off(OFFERS, at=-9), True),
        (off(SHARING, at=-9), True),
    ],
)
def test_what_a_tool_shows_may_be_older_than_an_opt_out_of_the_last_ten_minutes(
    fact: ScopeFact, *, expected: bool
) -> None:  # I3
    assert is_shown_since(frozenset({NEWS}), [off(at=-60), fact], (), NOW) is expected


def test_a_tool_shows_the_opt_out_that_it_reports_itself() -> None:
    given = [off(at=0), pause(at=-60)]
    assert is_shown_since(frozenset({NEWS}), given, {mark(0).event}, NOW)
    assert not is_shown_since(frozenset({NEWS}), [*given, off(at=-1)], {mark(0).event}, NOW)
