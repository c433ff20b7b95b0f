"""What a tool confirmed is read again: drift is repaired, and absent contacts are checked again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from preference_center.core.events import EventKind
from preference_center.destinations.rules.states import DRIFT_LASTS, READ_BACK_DELAY
from preference_center.destinations.scan import next_night
from preference_center.destinations.store import destinations, verification
from preference_center.destinations.store.listings import ListingKind
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.integrations.base.contract import (
    PushItem,
    PushOutcome,
    PushResult,
    RateLimited,
)
from preference_center.integrations.base.vendor_events import VendorEvent, VendorEventKind
from preference_center.ledger.store.lookup import load_facts
from preference_center.monitoring.measure import measure_database
from tests.clock import Clock
from tests.destinations.steps import (
    ANNA,
    OTHER,
    TOPIC,
    events,
    outcomes,
    person,
    progress,
    read,
    refuse,
    say,
    state,
    stats,
    work,
)
from tests.destinations.two_way_tool import TwoWayTool, add_destination, look

pytestmark = pytest.mark.usefixtures("in_context")


@pytest.fixture
def tool() -> TwoWayTool:
    return TwoWayTool()


@pytest.fixture
def destination() -> int:
    return add_destination("mailer", TOPIC, OTHER, pulls=False)


def test_a_missing_opt_out_is_flagged_repaired_and_counted(
    destination: int, tool: TwoWayTool, clock: Clock
) -> None:  # I13
    tool.add(ANNA)
    tool.forgets.add(ANNA)
    say(EventKind.OPTED_OUT, ANNA)
    work(destination, tool)
    tool.forgets.clear()
    clock.advance(READ_BACK_DELAY)
    read(destination, tool, ListingKind.READ)
    assert stats(destination).drift == 1
    assert state(ANNA, "outcome") == "drift"
    work(destination, tool)
    assert tool.off[ANNA] == {TOPIC}
    assert outcomes(ANNA) == [PushResult.REFLECTED, "drift", PushResult.REFLECTED]


SHOP = "anna+shop@example.com"


def opt_out_by_another_form(clock: Clock) -> None:
    """SHOP is opted in, then ANNA, of the same mailbox, opts out."""
    say(EventKind.OPTED_IN, SHOP)
    clock.advance(timedelta(minutes=1))
    say(EventKind.OPTED_OUT, ANNA)


def test_a_missing_opt_out_by_another_form_is_repaired(
    destination: int, tool: TwoWayTool, clock: Clock
) -> None:  # I9, I13
    tool.add(SHOP)
    opt_out_by_another_form(clock)
    work(destination, tool)
    assert tool.off == {SHOP: {TOPIC}}
    tool.off.clear()
    clock.advance(READ_BACK_DELAY)
    read(destination, tool, ListingKind.READ)
    assert (state(SHOP, "outcome"), stats(destination).drift) == ("drift", 1)
    work(destination, tool)
    assert tool.off == {SHOP: {TOPIC}}


def test_a_contact_that_appears_is_suppressed_by_the_opt_out_of_another_form(
    destination: int, tool: TwoWayTool, clock: Clock
) -> None:  # I9, I13
    opt_out_by_another_form(clock)
    work(destination, tool)
    assert state(SHOP, "outcome") == PushResult.ABSENT
    tool.contacts[SHOP] = ""  # no scan has seen it
    clock.advance(timedelta(days=30))
    read(destination, tool, ListingKind.READ)
    work(destination, tool)
    assert tool.off == {SHOP: {TOPIC}}


def test_a_tool_that_never_keeps_it_is_looked_at_less_and_less_often(
    destination: int, tool: TwoWayTool, clock: Clock
) -> None:
    tool.add(ANNA)
    tool.forgets.add(ANNA)
    say(EventKind.OPTED_OUT, ANNA)
    for _ in range(3):
        work(destination, tool)
        clock.advance(READ_BACK_DELAY)
        read(destination, tool, ListingKind.READ)
    assert stats(destination).drift == 1
    assert repeats_drift(clock) is False
    clock.advance(READ_BACK_DELAY * 4)
    read(destination, tool, ListingKind.READ)
    assert stats(destination).drift == 2
    assert repeats_drift(clock) is True
    clock.advance(DRIFT_LASTS)
    assert repeats_drift(clock) is False


def test_drift_of_two_people_once_each_does_not_repeat(
    destination: int, tool: TwoWayTool, clock: Clock
) -> None:
    for lost, who in enumerate((ANNA, "ben@example.com"), 1):
        tool.add(who)
        tool.forgets.add(who)
        say(EventKind.OPTED_OUT, who)
        work(destination, tool)
        clock.advance(READ_BACK_DELAY)
        read(destination, tool, ListingKind.READ)
        assert stats(destination).drift == lost
        tool.forgets.clear()
        work(destination, tool)
    assert repeats_drift(clock) is False


def repeats_drift(clock: Clock) -> bool:
    (measured,) = measure_database(clock()).destinations
    return measured.repeats_drift(clock())


def test_what_is_in_order_is_left_alone(destination: int, tool: TwoWayTool, clock: Clock) -> None:
    tool.add(ANNA)
    say(EventKind.OPTED_OUT, ANNA)
    work(destination, tool)
    clock.advance(READ_BACK_DELAY)
    read(destination, tool, ListingKind.READ)
    assert (stats(destination).checked, stats(destination).drift) == (1, 0)
    assert state(ANNA, "verify_at") is None
    assert work(destination, tool) == 0


def test_settled_rows_are_sampled(destination: int, tool: TwoWayTool, clock: Clock) -> None:
    tool.add(ANNA)
    say(EventKind.OPTED_OUT, ANNA)
    work(destination, tool)
    run_in_transaction(lambda c: c.execute("UPDATE sync_state SET verify_at = NULL"))
    clock.advance(timedelta(hours=1))
    run_in_transaction(
        lambda c: verification.schedule_sample(
            c, destination, start_fraction=0.0, limit=5, now=clock()
        )
    )
    read(destination, tool, ListingKind.READ)
    assert tool.reads == [[ANNA]]


def test_an_opt_out_too_many_is_an_event_and_is_not_undone(
    destination: int, tool: TwoWayTool, clock: Clock
) -> None:  # I13
    tool.add(ANNA)
    say(EventKind.OPTED_OUT, ANNA)
    work(destination, tool)
    tool.off[ANNA].add(OTHER)
    clock.advance(timedelta(hours=1))
    read(destination, tool, ListingKind.READ)
    work(destination, tool)
    assert tool.off[ANNA] == {TOPIC, OTHER}
    assert events()[-1][:2] == ("opted_out", OTHER)


def test_who_never_joined_a_list_has_opted_out_of_nothing(
    destination: int, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:  # I5, I13: else everybody who is in one group only would have left all others
    tool = TwoWayTool()
    joined = replace(TwoWayTool.capabilities, off_means_opt_out=False)
    monkeypatch.setattr(TwoWayTool, "capabilities", joined)
    tool.add(ANNA)
    say(EventKind.OPTED_OUT, ANNA)
    work(destination, tool)
    tool.off[ANNA].add(OTHER)
    clock.advance(timedelta(hours=1))
    read(destination, tool, ListingKind.READ)
    assert tool.reads
    assert [scope for _, scope, *_ in events()] == [TOPIC]


def test_an_absent_address_is_looked_for_again(
    destination: int, tool: TwoWayTool, clock: Clock
) -> None:
    say(EventKind.OPTED_OUT, ANNA)
    work(destination, tool)
    tool.contacts[ANNA] = ""  # no scan has seen it
    clock.advance(timedelta(days=30))
    read(destination, tool, ListingKind.READ)
    work(destination, tool)
    assert tool.off[ANNA] == {TOPIC}
    assert stats(destination).drift == 0


@pytest.mark.parametrize("fails_first", [False, True])
def test_a_contact_that_appears_is_read_back_as_soon_as_any_other(
    destination: int, tool: TwoWayTool, clock: Clock, *, fails_first: bool
) -> None:  # I13
    for _ in range(3):
        say(EventKind.OPTED_OUT, ANNA)
        work(destination, tool)
        clock.advance(timedelta(hours=1))
    assert state(ANNA, "outcome") == PushResult.ABSENT
    tool.add(ANNA)
    tool.forgets.add(ANNA)
    say(EventKind.OPTED_OUT, ANNA)
    if fails_first:
        tool.before = lambda batch: {i.ref: PushOutcome(PushResult.RETRY_LATER) for i in batch}
        work(destination, tool)
        tool.before = None
        clock.advance(timedelta(hours=1))
    work(destination, tool)
    assert state(ANNA, "outcome") == PushResult.REFLECTED
    clock.advance(READ_BACK_DELAY)
    read(destination, tool, ListingKind.READ)
    assert stats(destination).drift == 1


def test_sweeps_begin_at_night_where_the_company_is() -> None:
    rome = ZoneInfo("Europe/Rome")
    noon = datetime(2026, 11, 25, 12, tzinfo=UTC)
    assert next_night(noon, rome) == datetime(2026, 11, 26, 1, tzinfo=UTC)
    summer = datetime(2026, 7, 1, 23, 30, tzinfo=UTC)
    assert next_night(summer, rome) == datetime(2026, 7, 2, 0, tzinfo=UTC)


def test_a_resubscribe_in_the_tool_lifts_nothing_and_is_taken_back(
    destination: int, tool: TwoWayTool, clock: Clock
) -> None:  # I5
    from preference_center.destinations.ingest import ingest

    tool.add(ANNA)
    say(EventKind.OPTED_OUT, ANNA)
    work(destination, tool)
    clock.advance(timedelta(hours=1))
    tool.off[ANNA].clear()
    event = VendorEvent(
        VendorEventKind.RESUBSCRIBED, ANNA, TOPIC, occurred_at=clock(), by_person=True
    )
    ingest(look(destination), tool, [event])
    work(destination, tool)
    assert tool.off[ANNA] == {TOPIC}
    assert len(load_facts([person(ANNA)])[0]) == 1


def test_a_resubscribe_in_the_tool_gives_what_waits_there_no_later_deadline(
    destination: int, tool: TwoWayTool, clock: Clock
) -> None:  # I3
    from preference_center.destinations.ingest import ingest

    tool.add(ANNA)
    say(EventKind.OPTED_OUT, ANNA)
    due = state(ANNA, "due_at")
    clock.advance(timedelta(hours=1))
    event = VendorEvent(
        VendorEventKind.RESUBSCRIBED, ANNA, TOPIC, occurred_at=clock(), by_person=True
    )
    ingest(look(destination), tool, [event])
    assert state(ANNA, "due_at") == due


class DeafTool(TwoWayTool):
    """Reports nothing by itself: only pushing shows what it knows."""

    capabilities = replace(
        TwoWayTool.capabilities,
        can_read=False,
        scans=None,
        pulls=None,
        can_write_fields=False,
        can_hold_link=False,
    )


def test_where_nothing_can_be_read_an_absent_address_is_pushed_again_ever_less_often(
    destination: int, clock: Clock
) -> None:
    tool = DeafTool()
    say(EventKind.OPTED_OUT, ANNA)
    run_in_transaction(lambda c: destinations.mark_pulled(c, destination, clock()))
    for days in (0, 1, 2, 4):
        clock.advance(timedelta(days=days))
        read(destination, tool, ListingKind.READ)
        work(destination, tool)
        assert outcomes(ANNA)[-1] == PushResult.ABSENT
    assert len(tool.pushes) == 4
    clock.advance(timedelta(days=7))
    read(destination, tool, ListingKind.READ)
    assert work(destination, tool) == 0
    tool.contacts[ANNA] = ""
    clock.advance(timedelta(days=1))
    read(destination, tool, ListingKind.READ)
    work(destination, tool)
    assert tool.off[ANNA] == {TOPIC}


def test_a_rate_limit_that_is_used_up_is_no_failure_of_the_tool(
    destination: int, tool: TwoWayTool, clock: Clock
) -> None:
    say(EventKind.OPTED_OUT, ANNA)
    tool.add(ANNA)

    def wait(_: Sequence[PushItem]) -> Mapping[int, PushOutcome]:
        raise RateLimited("kept to its rate limit", retry_after=timedelta(seconds=100))

    tool.before = wait
    due = state(ANNA, "due_at")
    assert work(destination, tool) == 0
    assert look(destination).failures == 0
    assert look(destination).retry_at == clock() + timedelta(seconds=100)
    assert (state(ANNA, "attempts"), state(ANNA, "due_at")) == (0, due)
    tool.before = None
    clock.advance(timedelta(seconds=100))
    assert work(destination, tool) == 1
    assert look(destination).retry_at is None


def test_a_listing_keeps_to_the_limit_too(
    destination: int, tool: TwoWayTool, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(tool, monkeypatch, "pull", RateLimited("later", retry_after=timedelta(seconds=50)))
    read(destination, tool, ListingKind.PULL)
    (pull,) = [p for p in progress(destination) if p.kind is ListingKind.PULL]
    assert (pull.next_at, pull.reason) == (clock() + timedelta(seconds=50), "")


def test_what_the_tool_does_not_read_at_once_is_read_after_it(
    destination: int, tool: TwoWayTool, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:  # I13
    people = [f"p{number}@example.com" for number in range(5)]
    tool.add(*people)
    for address in people:
        say(EventKind.OPTED_OUT, address)
    work(destination, tool)
    whole = tool.read
    monkeypatch.setattr(tool, "read", lambda batch: whole(batch[:2]))
    clock.advance(READ_BACK_DELAY)
    read(destination, tool, ListingKind.READ)
    assert sorted(address for batch in tool.reads for address in batch) == people
    assert [state(address, "verify_at") for address in people] == [None] * 5
