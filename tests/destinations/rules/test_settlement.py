"""How a claimed row is settled, by what the tool answered (I3, I5)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from preference_center.core.addresses import Channel
from preference_center.destinations.rules.plan import PushPlan, build_settlement, verify_delay
from preference_center.destinations.rules.states import (
    NOT_PUSHED,
    LanePosition,
    Settlement,
    SyncClaim,
)
from preference_center.integrations.base.contract import (
    ListingMode,
    PushItem,
    PushOutcome,
    PushResult,
)
from tests.core.histories import NEWS, NOW, OFFERS
from tests.destinations.tool import Tool

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
CLAIM = SyncClaim(7, 5, 3, NOW + 3 * DAY, 1, (), None, LanePosition(NOW, NOW))
OFF = frozenset({NEWS})
LIFTED = frozenset({OFFERS})
PLAN = PushPlan(
    PushItem(ref=7, address="a@b.example", channel=Channel.EMAIL, off=OFF, lift=LIFTED), None
)


def settle(
    result: PushResult | None,
    claim: SyncClaim = CLAIM,
    plan: PushPlan | None = PLAN,
    *,
    retry_after: timedelta | None = None,
    jitter: float = 0.0,
) -> Settlement:
    outcome = None if result is None else PushOutcome(result, "ack", retry_after)
    return build_settlement(claim, plan, outcome, NOW, jitter)


def test_what_the_tool_reflects_is_done() -> None:
    assert settle(PushResult.REFLECTED) == Settlement(
        address_id=7,
        version=5,
        previous_version=3,
        outcome="reflected",
        ack="ack",
        is_done=True,
        is_final=True,
        next_at=None,
        turned_off=OFF,
        turned_on=LIFTED,
    )


@pytest.mark.parametrize(
    "pause_ends, retry_after, expected",
    [(None, None, None), (HOUR, None, HOUR), (None, HOUR, HOUR),
     (HOUR, MINUTE, MINUTE), (MINUTE, HOUR, MINUTE)],
)  # fmt: skip
def test_it_is_pushed_again_when_a_pause_ends_or_a_part_of_it_failed(
    pause_ends: timedelta | None, retry_after: timedelta | None, expected: timedelta | None
) -> None:
    plan = replace(PLAN, next_change_at=None if pause_ends is None else NOW + pause_ends)
    settled = settle(PushResult.REFLECTED, plan=plan, retry_after=retry_after)
    assert settled.is_done
    assert settled.next_at == (None if expected is None else NOW + expected)


def test_where_an_address_is_absent_nothing_was_turned_off() -> None:
    settled = settle(PushResult.ABSENT)
    assert (settled.is_done, settled.outcome) == (True, "absent")
    assert (settled.turned_off, settled.turned_on) == (frozenset(), OFF | LIFTED)


def test_what_was_turned_off_there_before_may_outlive_the_contact() -> None:  # I5
    settled = settle(PushResult.ABSENT, replace(CLAIM, turned_off=[NEWS]))
    assert (settled.turned_off, settled.turned_on) == (OFF, LIFTED)


@pytest.mark.parametrize(
    "result, wait",
    [
        (PushResult.REFUSED, 24 * HOUR),
        (PushResult.RETRY_LATER, timedelta(seconds=20)),
        (None, timedelta(seconds=20)),
    ],
)
def test_what_the_tool_did_not_do_is_tried_again(
    result: PushResult | None, wait: timedelta
) -> None:  # I3
    settled = settle(result)
    assert (settled.is_done, settled.next_at) == (False, NOW + wait)
    assert settled.turned_off == OFF  # it may have acted on part of it
    assert settled.turned_on == frozenset()
    assert settled.outcome == (result or PushResult.RETRY_LATER)


def test_a_retry_keeps_the_wait_that_the_tool_asks_for_and_is_spread() -> None:  # I3
    assert settle(PushResult.RETRY_LATER, retry_after=HOUR).next_at == NOW + HOUR
    assert settle(PushResult.RETRY_LATER, jitter=1.0).next_at == NOW + timedelta(seconds=15)
    assert settle(PushResult.REFUSED, jitter=1.0).next_at == NOW + 23 * HOUR


NOTHING = replace(PLAN.item, off=frozenset(), lift=frozenset())


@pytest.mark.parametrize("plan", [None, PushPlan(NOTHING, None), PushPlan(NOTHING, NOW + HOUR)])
def test_where_there_is_nothing_to_push_the_row_is_done(plan: PushPlan | None) -> None:
    settled = settle(None, plan=plan)
    assert (settled.is_done, settled.outcome, settled.ack) == (True, NOT_PUSHED, "")
    assert settled.next_at == (plan and plan.next_change_at)


@pytest.mark.parametrize(
    "item", [replace(NOTHING, lift=LIFTED), replace(NOTHING, frequencies={NEWS: "weekly"})]
)
def test_a_lift_or_a_choice_of_frequency_is_pushed_without_an_opt_out(item: PushItem) -> None:
    assert settle(PushResult.REFLECTED, plan=PushPlan(item, None)).outcome == "reflected"


@pytest.mark.parametrize(
    "lift_until, expected",
    [(None, True), (NOW - MINUTE, True), (NOW, True), (NOW + MINUTE, False)],
)
def test_while_an_older_lift_may_still_act_nothing_is_final(
    lift_until: datetime | None, *, expected: bool
) -> None:  # I5
    assert settle(PushResult.REFLECTED, replace(CLAIM, lift_until=lift_until)).is_final is expected


READING = replace(Tool.capabilities, can_read=True, scans=None)


def test_what_is_reflected_is_read_back_where_a_tool_can_be_read() -> None:
    reflected = settle(PushResult.REFLECTED)
    assert verify_delay(reflected, READING) == 5 * MINUTE
    assert verify_delay(reflected, replace(READING, can_read=False)) is None
    assert verify_delay(settle(PushResult.RETRY_LATER), READING) is None


@pytest.mark.parametrize(
    "scans, delay", [(None, DAY), (ListingMode.FULL, DAY), (ListingMode.CHANGES, 30 * DAY)]
)
def test_who_is_absent_is_looked_for_again_most_often_where_no_scan_reports_them(
    scans: ListingMode | None, delay: timedelta
) -> None:  # I13
    assert verify_delay(settle(PushResult.ABSENT), replace(READING, scans=scans)) == delay
