"""What a contact that a tool shows needs, and which reports may be of the past (I5, I13)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from preference_center.core.bounces import ComplaintStops, DeliverabilityPolicy
from preference_center.core.events import ALL_MARKETING, SHARING, EventKind, ScopeFact
from preference_center.destinations.rules.classify import (
    AddressContext,
    EventAction,
    classify_event,
    is_all_off,
    is_outdated,
    is_unwanted_resubscribe,
    latest_all_off,
    may_predate_push,
    topics_by_target,
    topics_off_in_tool,
    unmapped_target,
)
from preference_center.destinations.rules.follow_ups import FollowUp, follow_up_for
from preference_center.destinations.rules.questions import open_questions
from preference_center.destinations.rules.states import AddressSyncState
from preference_center.integrations.base.contract import ContactSnapshot
from preference_center.integrations.base.vendor_events import (
    WHOLE_LIST,
    VendorEvent,
    VendorEventKind,
)
from tests.core.histories import NEWS, NOW, OFFERS
from tests.decisions.facts import off, on
from tests.destinations.rules.reports import ANNA, DESTINATION, opt_out, plan

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
BOTH = frozenset({NEWS, OFFERS})
OFF = frozenset({NEWS})
PUSHED = AddressSyncState(
    1, readable=True, erased=False, has_row=True, wanted_version=1, turned_off=OFF,
    push_pending=False, last_outcome="reflected", last_delivery_at=NOW - DAY,
    last_push_at=NOW - DAY,
)  # fmt: skip
"""The tool confirmed yesterday that NEWS is off."""
SEEN = ContactSnapshot(ANNA)
SHOWN_OFF = ContactSnapshot(ANNA, off=OFF)
SHOWN_ON = ContactSnapshot(ANNA, off=frozenset())
TARGETS = {"11": NEWS, "12": OFFERS}


def here(
    state: AddressSyncState | None = PUSHED,
    *,
    wanted: frozenset[str] = OFF,
    facts: Sequence[ScopeFact] = (),
) -> AddressContext:
    return AddressContext(facts, BOTH, wanted, state)


# --- what a contact needs


@pytest.mark.parametrize(
    "state, expected",
    [
        (None, FollowUp.PUSH_FIRST_TIME),
        (replace(PUSHED, has_row=False), FollowUp.PUSH_FIRST_TIME),
        (replace(PUSHED, push_pending=True), FollowUp.NONE),
        (replace(PUSHED, erased=True, readable=False), FollowUp.PUSH_NOW),
        (replace(PUSHED, erased=True, readable=False, has_row=False), FollowUp.PUSH_NOW),
        (replace(PUSHED, erased=True), FollowUp.REPAIR_DRIFT),
        (replace(PUSHED, readable=False), FollowUp.REPAIR_DRIFT),
        (replace(PUSHED, last_outcome="absent"), FollowUp.REPUSH),
        (replace(PUSHED, last_outcome=None), FollowUp.REPUSH),
        (replace(PUSHED, last_delivery_at=NOW - 10 * MINUTE), FollowUp.REPAIR_DRIFT),
        (replace(PUSHED, last_delivery_at=NOW - 9.9 * MINUTE), FollowUp.NONE),
        (replace(PUSHED, last_delivery_at=None), FollowUp.REPAIR_DRIFT),
    ],
)
def test_what_a_contact_needs_that_is_shown_on(
    state: AddressSyncState | None, expected: FollowUp
) -> None:  # I13
    assert follow_up_for(SHOWN_ON, here(state), NOW, can_read=True) is expected
    nothing_wanted = here(state, wanted=frozenset())
    assert follow_up_for(SHOWN_ON, nothing_wanted, NOW, can_read=True) is FollowUp.NONE


@pytest.mark.parametrize(
    "snapshot, can_read, since, expected",
    [
        (SHOWN_OFF, True, DAY, FollowUp.NONE),
        (replace(SHOWN_OFF, off=BOTH), True, DAY, FollowUp.NONE),
        (replace(SHOWN_OFF, off=frozenset({OFFERS})), True, DAY, FollowUp.REPAIR_DRIFT),
        (SEEN, True, DAY, FollowUp.READ_BACK_NOW),
        (SEEN, False, DAY, FollowUp.REPUSH),
        (SEEN, False, DAY - MINUTE, FollowUp.NONE),
        (SEEN, False, None, FollowUp.REPUSH),
    ],
)
def test_one_that_the_tool_had_confirmed_is_compared_or_read_or_pushed_once_a_day(
    snapshot: ContactSnapshot, since: timedelta | None, expected: FollowUp, *, can_read: bool
) -> None:
    state = replace(PUSHED, last_delivery_at=None if since is None else NOW - since)
    assert follow_up_for(snapshot, here(state), NOW, can_read=can_read) is expected


def test_who_is_to_be_suppressed_there_first_or_again_is_counted() -> None:
    never, not_confirmed = here(None), here(replace(PUSHED, last_outcome="absent"))
    assert plan([], snapshot=SHOWN_ON, context=never).stats.newly_suppressed == 1
    assert plan([], snapshot=SHOWN_ON, context=not_confirmed).stats.newly_suppressed == 1


# --- what may be of the past


@pytest.mark.parametrize(
    "event, pushed_at, expected",
    [
        (None, None, False),
        (None, NOW - 9.9 * MINUTE, True),
        (None, NOW - 10 * MINUTE, False),
        (opt_out(), NOW - 9.9 * MINUTE, True),
        (opt_out(), NOW - 10 * MINUTE, False),
        (opt_out(received_at=NOW - 5 * MINUTE), NOW - 14.9 * MINUTE, True),
        (opt_out(received_at=NOW - 5 * MINUTE), NOW - 15 * MINUTE, False),
        (opt_out(occurred_at=NOW - 5 * MINUTE), NOW - 14.9 * MINUTE, True),
        (opt_out(occurred_at=NOW - 5 * MINUTE), NOW - 15 * MINUTE, False),
        (opt_out(occurred_at=NOW - DAY), NOW - MINUTE, True),
    ],
)
def test_for_ten_minutes_a_tool_may_show_its_state_before_a_push(
    event: VendorEvent | None, pushed_at: datetime | None, *, expected: bool
) -> None:
    assert may_predate_push(event, replace(PUSHED, last_push_at=pushed_at), NOW) is expected
    assert may_predate_push(event, None, NOW) is False


def test_a_report_of_more_than_ten_minutes_ago_is_no_evidence_for_now() -> None:
    assert is_outdated(opt_out(occurred_at=NOW - 10.1 * MINUTE), NOW)
    assert not is_outdated(opt_out(occurred_at=NOW - 10 * MINUTE), NOW)
    assert not is_outdated(opt_out(), NOW)


def test_a_webhook_is_evidence_for_now_only_by_a_plausible_date() -> None:  # I5
    assert not is_outdated(opt_out(occurred_at=NOW - MINUTE, received_at=NOW), NOW)
    assert is_outdated(opt_out(received_at=NOW), NOW)
    assert is_outdated(opt_out(occurred_at=NOW + timedelta(hours=5.75), received_at=NOW), NOW)
    assert is_outdated(opt_out(occurred_at=NOW + MINUTE), NOW)


# --- on again


def resubscribed(target: str | None, at: datetime | None = None) -> VendorEvent:
    return VendorEvent(VendorEventKind.RESUBSCRIBED, ANNA, target, occurred_at=at)


@pytest.mark.parametrize(
    "event, delivered_at, expected",
    [
        (resubscribed("11"), NOW - DAY, True),
        (resubscribed("12"), NOW - DAY, False),
        (resubscribed("of nobody"), NOW - DAY, False),
        (resubscribed(None), NOW - DAY, True),
        (resubscribed("11", NOW - MINUTE), NOW - DAY, True),
        (resubscribed("11", NOW - MINUTE), NOW - MINUTE, False),
        (resubscribed("11", NOW - MINUTE), NOW, False),
        (resubscribed("11", NOW - MINUTE), None, True),
        (opt_out("11"), NOW - DAY, False),
    ],
)
def test_what_must_be_off_and_was_turned_on_since_the_last_push(
    event: VendorEvent, delivered_at: datetime | None, *, expected: bool
) -> None:  # I5
    context = here(replace(PUSHED, last_delivery_at=delivered_at))
    assert is_unwanted_resubscribe(event, context, TARGETS, NOW) is expected
    nothing = here(wanted=frozenset())
    assert is_unwanted_resubscribe(event, nothing, TARGETS, NOW) is False


def test_an_address_that_is_not_stored_was_never_pushed() -> None:
    event = resubscribed("11", NOW - MINUTE)
    assert is_unwanted_resubscribe(event, here(None), TARGETS, NOW) is True


# --- the switch for all


@pytest.mark.parametrize(
    "state, expected",
    [
        (None, False),
        (PUSHED, False),
        (replace(PUSHED, turned_off=frozenset({ALL_MARKETING})), True),
        (replace(PUSHED, turned_off=frozenset({ALL_MARKETING}), last_outcome="absent"), False),
        (replace(PUSHED, turned_off=frozenset({ALL_MARKETING}), last_outcome=None), True),
    ],
)
def test_the_switch_was_off_when_the_tool_last_showed_it(
    state: AddressSyncState | None, *, expected: bool
) -> None:
    assert is_all_off(state) is expected


def switched(value: bool | None, at: datetime | None = None) -> VendorEvent:  # noqa: FBT001
    return opt_out(None, occurred_at=at, unsubscribed_from_all=value)


LONG_AGO = NOW - DAY


@pytest.mark.parametrize(
    "events, shown, full, expected",
    [
        ([], None, False, None),
        ([switched(None)], None, False, None),
        ([switched(True)], None, False, True),
        ([switched(True), switched(False)], None, False, False),
        ([switched(False), switched(True)], None, False, True),
        ([switched(True), switched(None)], None, False, True),
        ([switched(True, LONG_AGO)], None, False, None),
        ([switched(True, LONG_AGO)], None, True, True),
        ([switched(False, LONG_AGO)], None, False, False),
        ([switched(True)], False, False, False),
        ([], True, False, True),
    ],
)
def test_the_newest_report_of_the_switch_counts(
    events: list[VendorEvent], *, shown: bool | None, full: bool, expected: bool | None
) -> None:
    snapshot = ContactSnapshot(ANNA, all_off=shown)
    found = latest_all_off(events, snapshot, NOW, is_full_list=full)
    assert found is expected
    if shown is None:
        assert latest_all_off(events, None, NOW, is_full_list=full) is expected


ALL_OFF = replace(PUSHED, turned_off=frozenset({ALL_MARKETING}))


@pytest.mark.parametrize(
    "state, at, action",
    [
        (None, None, EventAction.RECORD),
        (PUSHED, None, EventAction.RECORD),
        (ALL_OFF, None, EventAction.ECHO),
        (ALL_OFF, NOW - DAY, EventAction.ECHO),
        (ALL_OFF, NOW, EventAction.RECORD),
    ],
)
def test_a_switch_that_stays_off_is_one_act(
    state: AddressSyncState | None, at: datetime | None, action: EventAction
) -> None:  # I13
    found = classify_event(
        switched(True, at), here(state), TARGETS, DeliverabilityPolicy(), NOW, can_read=True
    )
    assert found.action is action


# --- what may be our own push


@pytest.mark.parametrize(
    "event, context, can_read, action",
    [
        (opt_out("12"), here(replace(PUSHED, last_push_at=NOW)), True, EventAction.READ_BACK),
        (opt_out("12"), here(replace(PUSHED, last_push_at=NOW)), False, EventAction.RECORD),
        (opt_out("12"), here(), True, EventAction.RECORD),
        (opt_out("11"), here(wanted=frozenset()), True, EventAction.ECHO),
        (opt_out("12"), here(wanted=BOTH), True, EventAction.ECHO),
        (opt_out("12"), here(replace(PUSHED, has_row=False), wanted=BOTH), True,
         EventAction.RECORD),
        (opt_out("12"), here(None, wanted=BOTH), True, EventAction.RECORD),
        (opt_out(None), here(replace(PUSHED, turned_off=BOTH)), True, EventAction.ECHO),
        (opt_out(None), here(replace(PUSHED, last_push_at=NOW)), True, EventAction.RECORD),
        (opt_out(None), here(replace(PUSHED, last_push_at=NOW, turned_off=frozenset())), True,
         EventAction.READ_BACK),
        (opt_out(None), here(replace(ALL_OFF, last_push_at=NOW)), True, EventAction.READ_BACK),
        (opt_out(None), here(replace(PUSHED, last_push_at=NOW),
         facts=[off(ALL_MARKETING), on(at=-1)]), True, EventAction.READ_BACK),
        (opt_out(None), here(replace(PUSHED, last_push_at=NOW),
         facts=[off(ALL_MARKETING, exact=False), on(at=-1)]), True, EventAction.RECORD),
        (opt_out(None), here(None), True, EventAction.RECORD),
        (opt_out("12", by_person=True), here(wanted=BOTH), True, EventAction.RECORD),
        (opt_out("12", by_person=True), here(facts=[off(OFFERS)]), True,
         EventAction.ALREADY_KNOWN),
        (opt_out("12", by_person=True, id="a"), here(facts=[off(OFFERS)]), True,
         EventAction.RECORD),
        (opt_out("12", by_person=True, occurred_at=NOW), here(facts=[off(OFFERS)]), True,
         EventAction.RECORD),
        (opt_out("12", id="a"), here(facts=[off(OFFERS)]), True, EventAction.ALREADY_KNOWN),
        (opt_out("12"), here(facts=[off(OFFERS, exact=False)]), True, EventAction.RECORD),
    ],
)  # fmt: skip
def test_only_what_is_neither_known_nor_pushed_by_us_is_recorded(
    event: VendorEvent, context: AddressContext, action: EventAction, *, can_read: bool
) -> None:  # I13
    found = classify_event(event, context, TARGETS, DeliverabilityPolicy(), NOW, can_read=can_read)
    assert found.action is action


def test_nobody_reads_a_tool_back_that_is_not_said_to_be_readable() -> None:
    context = here(replace(PUSHED, last_push_at=NOW))
    found = classify_event(opt_out("12"), context, TARGETS, DeliverabilityPolicy(), NOW)
    assert found.action is EventAction.RECORD


@pytest.mark.parametrize("kind", ["resubscribed", "contact_changed", "unknown_type"])
def test_what_turns_nothing_off_has_its_contact_looked_at(kind: str) -> None:
    event = VendorEvent(VendorEventKind(kind), ANNA, "of nobody")
    found = classify_event(event, here(), TARGETS, DeliverabilityPolicy(), NOW)
    assert found.action is EventAction.CHECK_CONTACT


@pytest.mark.parametrize(
    "target, scope",
    [("12", OFFERS), ("of nobody", ALL_MARKETING), (None, ALL_MARKETING), ("9", ALL_MARKETING)],
)
def test_a_complaint_stops_its_topic_where_the_policy_says_so(
    target: str | None, scope: str
) -> None:
    event = VendorEvent(VendorEventKind.COMPLAINED, ANNA, target, NOW)
    by_topic = DeliverabilityPolicy(complaints_stop=ComplaintStops.TOPIC)
    targets = {**TARGETS, "9": SHARING}
    found = classify_event(event, here(), targets, by_topic, NOW)
    assert (found.action, found.kind, found.scope) == ("record", EventKind.COMPLAINED, scope)
    found = classify_event(event, here(), targets, DeliverabilityPolicy(), NOW)
    assert found.scope == ALL_MARKETING


# --- targets and questions


def test_a_target_is_that_of_the_mapping_and_else_our_own_name() -> None:
    assert topics_by_target(DESTINATION) == {"11": NEWS, OFFERS: OFFERS}


def test_the_topics_that_are_off_in_a_tool_are_those_of_its_opt_outs() -> None:
    def found(*events: VendorEvent) -> frozenset[str]:
        return topics_off_in_tool(events, here(), {**TARGETS, "13": "of another channel"})

    assert found() == frozenset()
    assert found(opt_out("11")) == {NEWS}
    assert found(opt_out("11"), opt_out("12")) == BOTH
    assert found(opt_out("13"), opt_out("of nobody")) == frozenset()
    assert found(opt_out(None)) == found(opt_out(WHOLE_LIST)) == BOTH
    assert found(resubscribed("11")) == frozenset()


def test_a_target_is_unmapped_if_it_is_that_of_an_opt_out_and_of_no_topic() -> None:
    assert unmapped_target(opt_out("of nobody"), TARGETS) == "of nobody"
    assert unmapped_target(opt_out("11"), TARGETS) is None
    assert unmapped_target(opt_out(None), TARGETS) is None
    assert unmapped_target(resubscribed("of nobody"), TARGETS) is None


def test_what_a_webhook_leaves_open_is_asked_once() -> None:  # I3
    events = [
        opt_out("11"),
        opt_out("of nobody"),
        opt_out("of nobody"),
        resubscribed("of others"),
        replace(opt_out("11"), address="no address"),
        replace(opt_out("11"), address=""),
    ]
    assert open_questions(events, ["tomorrow"], TARGETS, "IT") == {
        "type tomorrow",
        "target of nobody",
        "address",
    }
    assert open_questions(events[:1], [], TARGETS, "IT") == frozenset()


@pytest.mark.parametrize("kind", VendorEventKind)
def test_only_an_opt_out_or_a_complaint_needs_an_address_to_be_understood(
    kind: VendorEventKind,
) -> None:
    found = open_questions([VendorEvent(kind, "no address", "11")], [], TARGETS, "IT")
    assert bool(found) == (kind in {"opted_out", "complained"})


def test_a_question_has_two_hundred_characters_at_most() -> None:
    long = "x" * 300
    found = open_questions([opt_out(long)], [long], TARGETS, "IT")
    assert sorted(found) == [f"target {'x' * 193}", f"type {'x' * 195}"]
