"""A tool's own opt-outs come home, before anything is filled up there."""

from __future__ import annotations

from datetime import timedelta

import pytest

from preference_center.core.events import EventKind
from preference_center.destinations.rules.states import DestinationStatus
from preference_center.destinations.scan import MAX_PULL_WAIT, verify
from preference_center.destinations.store.backfills import backfill
from preference_center.destinations.store.listings import ListingKind
from preference_center.infra.context import services
from preference_center.integrations.base.contract import (
    ContactPage,
    DeliveryError,
    PushResult,
    RequestRejected,
)
from preference_center.integrations.base.vendor_events import VendorEvent
from tests.clock import Clock
from tests.destinations.steps import (
    ANNA,
    BO,
    OTHER,
    TOPIC,
    begin,
    events,
    outcomes,
    progress,
    read,
    refuse,
    say,
    stats,
    work,
)
from tests.destinations.two_way_tool import TwoWayTool, add_destination

pytestmark = pytest.mark.usefixtures("in_context")


@pytest.fixture
def tool() -> TwoWayTool:
    return TwoWayTool()


@pytest.fixture
def destination() -> int:
    return add_destination("mailer", TOPIC, OTHER)


def test_an_opt_out_made_in_the_tool_becomes_an_event(
    destination: int, tool: TwoWayTool
) -> None:  # I13
    tool.opt_out(ANNA, TOPIC)
    read(destination, tool, ListingKind.PULL)
    assert events() == [("opted_out", TOPIC, "destination", "mailer", False)]


def test_what_the_tool_reported_itself_is_not_pushed_to_it(
    destination: int, tool: TwoWayTool
) -> None:
    tool.opt_out(ANNA, TOPIC)
    read(destination, tool, ListingKind.PULL)
    work(destination, tool)
    assert tool.pushes == []
    assert outcomes(ANNA) == [PushResult.REFLECTED]


def test_what_the_tool_has_forgotten_since_is_pushed_again_with_it(
    destination: int, tool: TwoWayTool, clock: Clock
) -> None:  # I3
    tool.add(ANNA)
    say(EventKind.OPTED_OUT, ANNA)
    work(destination, tool)
    clock.advance(timedelta(hours=1))
    tool.off[ANNA] = set()
    tool.reported.clear()
    tool.opt_out(ANNA, OTHER)
    read(destination, tool, ListingKind.PULL)
    work(destination, tool)
    assert tool.off == {ANNA: {TOPIC, OTHER}}


def test_it_reaches_the_other_tools(destination: int, tool: TwoWayTool) -> None:
    other, crm = add_destination("crm", TOPIC), TwoWayTool()
    crm.add(ANNA)
    tool.opt_out(ANNA, TOPIC)
    read(destination, tool, ListingKind.PULL)
    read(other, crm, ListingKind.PULL)
    work(other, crm)
    assert crm.off[ANNA] == {TOPIC}


def test_the_back_fill_waits_for_it_and_live_opt_outs_do_not(tool: TwoWayTool) -> None:  # I3
    say(EventKind.OPTED_OUT, BO)
    destination = add_destination("mailer", TOPIC)
    backfill(destination)
    tool.add(ANNA, BO)
    say(EventKind.OPTED_OUT, ANNA)
    work(destination, tool)
    assert tool.off == {ANNA: {TOPIC}}
    read(destination, tool, ListingKind.PULL)
    work(destination, tool)
    assert tool.off == {ANNA: {TOPIC}, BO: {TOPIC}}


def test_a_back_fill_does_not_wait_for_ever(
    tool: TwoWayTool, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:  # I3
    say(EventKind.OPTED_OUT, BO)
    destination = add_destination("mailer", TOPIC)
    backfill(destination)
    tool.add(BO)
    refuse(tool, monkeypatch, "pull", DeliveryError("no right to list"))
    read(destination, tool, ListingKind.PULL)
    clock.advance(MAX_PULL_WAIT + timedelta(hours=1))
    read(destination, tool, ListingKind.PULL)
    work(destination, tool)
    assert tool.off == {BO: {TOPIC}}


def test_it_goes_on_where_it_was_stopped(destination: int, tool: TwoWayTool) -> None:
    for number in range(8):
        tool.opt_out(f"p{number}@example.com", TOPIC)
    begin(destination)
    answers = iter([False, True])
    until = services().now() + timedelta(seconds=5)
    verify(destination, ListingKind.PULL, tool.connect, until=until, stop=lambda: next(answers))
    assert len(events()) == 3
    read(destination, tool, ListingKind.PULL)
    assert len(events()) == 8


def test_a_page_whose_worker_lost_its_lease_leaves_nothing(
    destination: int, tool: TwoWayTool, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool.opt_out(ANNA, TOPIC)
    pull = TwoWayTool.pull

    def slow(self: TwoWayTool, cursor: str | None) -> ContactPage[VendorEvent]:
        page = pull(self, cursor)
        monkeypatch.setattr(TwoWayTool, "pull", pull)
        clock.advance(timedelta(minutes=2))
        read(destination, tool, ListingKind.PULL)  # another worker
        return page

    monkeypatch.setattr(TwoWayTool, "pull", slow)
    read(destination, tool, ListingKind.PULL)
    assert len(events()) == 1
    assert stats(destination).reported == 1


def test_our_own_push_is_no_event(destination: int, tool: TwoWayTool) -> None:
    tool.add(ANNA)
    say(EventKind.OPTED_OUT, ANNA)
    work(destination, tool)
    read(destination, tool, ListingKind.PULL)
    assert len(events()) == 1
    assert work(destination, tool) == 0


def test_our_own_push_is_no_event_after_the_person_has_lifted_it(
    destination: int, tool: TwoWayTool, clock: Clock
) -> None:  # I5
    tool.add(ANNA)
    say(EventKind.OPTED_OUT, ANNA)
    work(destination, tool)
    clock.advance(timedelta(minutes=1))
    say(EventKind.OPTED_IN, ANNA)
    work(destination, tool)
    clock.advance(timedelta(minutes=1))
    read(destination, tool, ListingKind.PULL)
    assert [event[0] for event in events()] == ["opted_out", "opted_in"]


def test_a_second_no_in_the_tool_counts_after_a_lift(
    destination: int, tool: TwoWayTool, clock: Clock
) -> None:  # I13
    tool.opt_out(ANNA, TOPIC)
    read(destination, tool, ListingKind.PULL)
    clock.advance(timedelta(hours=1))
    say(EventKind.OPTED_IN, ANNA)
    work(destination, tool)
    assert tool.off[ANNA] == set()
    clock.advance(timedelta(hours=1))
    tool.opt_out(ANNA, TOPIC)
    read(destination, tool, ListingKind.PULL)
    assert [event[0] for event in events()] == ["opted_out", "opted_in", "opted_out"]


@pytest.mark.parametrize("status", [DestinationStatus.OBSERVE, DestinationStatus.PAUSED])
def test_nothing_is_read_before_it_is_resumed(tool: TwoWayTool, status: DestinationStatus) -> None:
    destination = add_destination("mailer", TOPIC, status=status)
    tool.opt_out(ANNA, TOPIC)
    read(destination, tool)
    assert events() == []


def test_a_listing_that_is_refused_stops_no_push(
    destination: int, tool: TwoWayTool, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool.add(ANNA)
    refusal = DeliveryError("no right to list", permanent=True)
    refuse(tool, monkeypatch, "scan", refusal)
    read(destination, tool, ListingKind.SCAN)
    say(EventKind.OPTED_OUT, ANNA)
    assert work(destination, tool) == 1
    (scan,) = [p for p in progress(destination) if p.kind is ListingKind.SCAN]
    assert scan.reason == "no right to list"


def test_a_cursor_that_is_not_taken_any_more_is_given_up(
    destination: int, tool: TwoWayTool, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool.opt_out(ANNA, TOPIC)
    read(destination, tool, ListingKind.PULL)
    cursors = []

    def pull(_: TwoWayTool, cursor: str | None) -> ContactPage[VendorEvent]:
        cursors.append(cursor)
        if cursor is not None:
            raise RequestRejected("that cursor is too old", 400)
        return ContactPage((), "1", done=True)

    monkeypatch.setattr(TwoWayTool, "pull", pull)
    for _ in range(4):
        clock.advance(timedelta(hours=1))
        read(destination, tool, ListingKind.PULL)
    assert cursors == ["1", "1", "1", None]


def test_a_page_that_a_frozen_worker_holds_for_long_is_read_again(
    destination: int, clock: Clock
) -> None:  # I5, I13: what we turned on there since would pass for the person's opt-out
    class Freezing(TwoWayTool):
        def pull(self, cursor: str | None) -> ContactPage[VendorEvent]:
            page = super().pull(cursor)
            if page.rows:
                self.reported.clear()  # it was turned on since
                clock.advance(timedelta(minutes=20))
            return page

    frozen, tool = Freezing(), TwoWayTool()
    for each in (frozen, tool):
        each.add(ANNA)
        each.reported.append((ANNA, TOPIC))
    read(destination, frozen, ListingKind.PULL)
    assert events() == []
    read(destination, tool, ListingKind.PULL)
    assert [event[0] for event in events()] == ["opted_out"]
