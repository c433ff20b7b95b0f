"""What a tool shows may be older than our last push: then it is read, and neither believed
nor ignored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import uuid4

import pytest

from preference_center.core.events import ALL_MARKETING, EventKind, Retraction
from preference_center.destinations.ingest import ingest
from preference_center.destinations.rules.classify import PROPAGATION_DELAY
from preference_center.destinations.rules.states import READ_BACK_DELAY, DestinationStatus
from preference_center.destinations.store import destinations
from preference_center.destinations.store.listings import ListingKind
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.integrations.base.contract import PushItem, PushOutcome
from preference_center.integrations.base.vendor_events import VendorEvent, VendorEventKind
from preference_center.ledger import record
from tests.clock import Clock
from tests.destinations.steps import ANNA, OTHER, TOPIC, events, read, say, work
from tests.destinations.two_way_tool import TwoWayTool, add_destination, look

MINUTE = timedelta(minutes=1)


pytestmark = pytest.mark.usefixtures("in_context")


@pytest.fixture
def tool() -> TwoWayTool:
    tool = TwoWayTool()
    tool.add(ANNA)
    return tool


@pytest.fixture
def destination(tool: TwoWayTool) -> int:
    number = add_destination("mailer", TOPIC, OTHER)
    read(number, tool)
    return number


def turn_on_again(destination: int, tool: TwoWayTool, clock: Clock) -> None:
    """What was pushed to the tool is lifted there by the person's own opt-in, a minute later."""
    clock.advance(MINUTE)
    say(EventKind.OPTED_IN)
    work(destination, tool)


def undo() -> None:
    """Take the last event back."""
    last = run_in_transaction(
        lambda c: c.execute("SELECT id FROM event ORDER BY seq DESC LIMIT 1").fetchall()
    )
    record([Retraction(uuid4(), (last[0][0],), services().now(), "test", "test")])


def kinds() -> list[str]:
    return [event[0] for event in events()]


def hear(destination: int, tool: TwoWayTool, target: str | None = TOPIC, **given: object) -> None:
    ingest(look(destination), tool, [VendorEvent(VendorEventKind.OPTED_OUT, ANNA, target, **given)])  # type: ignore[arg-type]


def ask(destination: int, tool: TwoWayTool, clock: Clock) -> None:
    """Let the time pass after which the tool is asked, and ask."""
    clock.advance(PROPAGATION_DELAY + MINUTE)
    read(destination, tool, ListingKind.READ)


@pytest.mark.parametrize("scope, target", [(TOPIC, TOPIC), (ALL_MARKETING, None)])
@pytest.mark.parametrize("dated", [True, False])
def test_our_own_push_is_no_event_after_it_was_undone(
    destination: int,
    tool: TwoWayTool,
    clock: Clock,
    scope: str,
    target: str | None,
    *,
    dated: bool,
) -> None:  # I5
    say(EventKind.OPTED_OUT, scope=scope)
    work(destination, tool)
    pushed_at = clock()
    clock.advance(MINUTE)
    undo()
    work(destination, tool)
    assert tool.off[ANNA] <= {OTHER}  # which needs a consent that is missing
    clock.advance(timedelta(hours=5) if dated else MINUTE)
    hear(destination, tool, target, occurred_at=pushed_at if dated else None)
    ask(destination, tool, clock)
    assert kinds() == ["opted_out", "retracted"]
    assert tool.reads


def test_a_dated_one_adds_nothing_after_an_opt_in_of_the_same_minute(
    destination: int, tool: TwoWayTool, clock: Clock
) -> None:  # I5: else it would count for a quarter of an hour longer than the opt-in
    say(EventKind.OPTED_OUT)
    work(destination, tool)
    pushed_at = clock()
    turn_on_again(destination, tool, clock)
    clock.advance(timedelta(hours=1))
    hear(destination, tool, occurred_at=pushed_at)
    ask(destination, tool, clock)
    assert kinds() == ["opted_out", "opted_in"]


@pytest.mark.parametrize("dated", [True, False])
@pytest.mark.parametrize("lifted", [True, False])
def test_an_opt_out_made_there_just_after_a_lift_is_recorded(
    destination: int, tool: TwoWayTool, clock: Clock, *, dated: bool, lifted: bool
) -> None:  # I13
    say(EventKind.OPTED_OUT)
    work(destination, tool)
    clock.advance(MINUTE)
    if lifted:
        say(EventKind.OPTED_IN)
    else:
        undo()
    work(destination, tool)
    clock.advance(MINUTE)
    tool.off[ANNA].add(TOPIC)
    hear(destination, tool, occurred_at=clock() if dated else None)  # and never again
    clock.advance(READ_BACK_DELAY)
    read(destination, tool, ListingKind.READ)  # too soon to be trusted
    ask(destination, tool, clock)
    ask(destination, tool, clock)
    assert kinds()[2:] == ["opted_out"]


def test_the_tool_is_asked_though_nothing_was_to_be_pushed_since(
    destination: int, tool: TwoWayTool, clock: Clock
) -> None:  # I13
    say(EventKind.OPTED_OUT)
    work(destination, tool)
    turn_on_again(destination, tool, clock)
    tool.off[ANNA].add(TOPIC)
    hear(destination, tool)
    say(EventKind.OPTED_IN)
    pushed = len(tool.pushes)
    work(destination, tool)
    assert len(tool.pushes) == pushed
    ask(destination, tool, clock)
    assert kinds()[3:] == ["opted_out"]


def test_a_report_has_the_tool_asked_before_a_later_check(
    destination: int, tool: TwoWayTool, clock: Clock
) -> None:  # I13
    say(EventKind.OPTED_OUT)
    work(destination, tool)
    turn_on_again(destination, tool, clock)
    later = clock() + timedelta(days=32)
    run_in_transaction(lambda c: c.execute("UPDATE sync_state SET verify_at = %s", (later,)))
    tool.off[ANNA].add(TOPIC)
    hear(destination, tool)
    ask(destination, tool, clock)
    assert kinds()[2:] == ["opted_out"]


def test_what_was_set_there_later_is_recorded_at_once(
    destination: int, tool: TwoWayTool, clock: Clock
) -> None:  # I13
    say(EventKind.OPTED_OUT)
    work(destination, tool)
    undo()
    work(destination, tool)
    hear(destination, tool, occurred_at=clock.advance(PROPAGATION_DELAY))
    assert kinds()[2:] == ["opted_out"]


def test_where_nothing_can_be_asked_it_is_believed(
    destination: int, tool: TwoWayTool, clock: Clock
) -> None:  # I13
    say(EventKind.OPTED_OUT)
    work(destination, tool)
    undo()
    work(destination, tool)
    run_in_transaction(lambda c: destinations.set_status(c, destination, DestinationStatus.PAUSED))
    hear(destination, tool)
    assert kinds()[2:] == ["opted_out"]


def test_a_new_opt_out_is_pushed_though_the_tool_still_shows_the_old_one(
    destination: int, tool: TwoWayTool, clock: Clock
) -> None:  # I3
    say(EventKind.OPTED_OUT)
    work(destination, tool)
    turn_on_again(destination, tool, clock)
    clock.advance(MINUTE)
    say(EventKind.OPTED_OUT)
    hear(destination, tool)
    work(destination, tool)
    assert tool.off[ANNA] == {TOPIC}


@pytest.mark.parametrize(
    "hours, posted",
    [
        pytest.param(-9, False, id="listed with its date"),
        pytest.param(-9, True, id="posted late"),
        pytest.param(5.75, True, id="posted with a date in the future"),
        pytest.param(None, True, id="posted without a date"),
    ],
)
def test_what_it_reports_late_is_pushed_to_it_for_it_may_have_turned_it_on_since(
    destination: int, tool: TwoWayTool, hours: float | None, *, posted: bool
) -> None:  # I3, I5
    now = services().now()
    opted_out_at = None if hours is None else now + timedelta(hours=hours)
    received_at = now if posted else None
    hear(
        destination,
        tool,
        id="late",
        occurred_at=opted_out_at,
        received_at=received_at,
        by_person=True,
    )
    work(destination, tool)
    assert tool.off == {ANNA: {TOPIC}}


def test_a_whole_list_of_what_is_off_is_no_history(destination: int, tool: TwoWayTool) -> None:
    opted_out_at = services().now() - timedelta(days=900)
    old = VendorEvent(
        VendorEventKind.OPTED_OUT, ANNA, TOPIC, id="old", occurred_at=opted_out_at, by_person=True
    )
    ingest(look(destination), tool, [old], is_full_list=True)
    work(destination, tool)
    assert tool.pushes == []


def test_what_was_set_there_is_undone_there_though_more_was_to_be_pushed(
    destination: int, tool: TwoWayTool, clock: Clock
) -> None:  # I5
    say(EventKind.OPTED_OUT, scope=OTHER)
    tool.off[ANNA] = {TOPIC}
    hear(destination, tool, id="own", occurred_at=services().now(), by_person=True)
    clock.advance(MINUTE)
    say(EventKind.OPTED_IN)
    work(destination, tool)
    assert tool.off == {ANNA: {OTHER}}


def test_what_was_set_there_while_a_worker_pushed_more_is_undone_too(
    destination: int, tool: TwoWayTool, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:  # I5
    say(EventKind.OPTED_OUT, scope=OTHER)
    real = tool.push

    def push(batch: Sequence[PushItem]) -> Mapping[int, PushOutcome]:
        monkeypatch.setattr(tool, "push", real)
        outcomes = real(batch)
        tool.off[ANNA] |= {TOPIC}
        hear(destination, tool, id="own", occurred_at=services().now(), by_person=True)
        clock.advance(timedelta(seconds=1))
        say(EventKind.OPTED_IN)
        return outcomes

    monkeypatch.setattr(tool, "push", push)
    work(destination, tool)
    clock.advance(MINUTE)
    work(destination, tool)
    assert tool.off == {ANNA: {OTHER}}
