"""The sync loop against a tool that misbehaves, on real PostgreSQL and an injected clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.deadlines import WINDOW, DeadlineStage
from preference_center.core.errors import Unavailable, UnavailableCause
from preference_center.core.events import (
    ALL_MARKETING,
    RESTRICTION,
    UNDELIVERABLE,
    Change,
    EventKind,
)
from preference_center.destinations.push import sync
from preference_center.destinations.rules.states import Destination, DestinationStatus
from preference_center.destinations.store import destinations, states
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.integrations.base.contract import (
    DeliveryError,
    EndpointGone,
    LeaseExpired,
    PushItem,
    PushOutcome,
    PushResult,
)
from preference_center.ledger import record
from tests.clock import Clock
from tests.destinations.tool import Tool

JANE = parse_address("jane@example.com", Channel.EMAIL)
TOPIC = "acme.offers"


pytestmark = pytest.mark.usefixtures("in_context")


def say(kind: EventKind, address: Address = JANE, scope: str = TOPIC, **given: object) -> None:
    now = services().now()
    record([Change(uuid4(), kind, address, scope, now, now, "test", "test", **given)])  # type: ignore[arg-type]


def work(destination: int, tool: Tool) -> int:
    until = services().now() + timedelta(seconds=5)
    return sync(destination, tool.connect, until=until, stop=lambda: False)


def look(destination: int) -> Destination:
    found = run_in_transaction(lambda c: destinations.find_by_id(c, services().keys, destination))
    assert found
    return found


def deliveries() -> list[str]:
    return [
        row[0]
        for row in run_in_transaction(
            lambda c: c.execute("SELECT outcome FROM delivery ORDER BY id").fetchall()
        )
    ]


def test_an_opt_out_reaches_the_tool_and_is_settled(destination: int, tool: Tool) -> None:  # I3
    say(EventKind.OPTED_OUT)
    assert work(destination, tool) == 1
    assert tool.off == {"jane@example.com": {TOPIC}}
    assert work(destination, tool) == 0
    assert deliveries() == ["reflected"]


def test_all_marketing_turns_off_what_the_tool_sends(destination: int, tool: Tool) -> None:  # I10
    say(EventKind.OPTED_OUT, scope=ALL_MARKETING)
    work(destination, tool)
    assert tool.pushes[0][0].off == {TOPIC}
    assert tool.pushes[0][0].all_off


def test_a_lift_turns_on_only_what_we_turned_off(
    destination: int, tool: Tool, clock: Clock
) -> None:  # I13
    tool.off["paul@example.com"] = {TOPIC}
    say(EventKind.OPTED_OUT)
    work(destination, tool)
    clock.advance(timedelta(minutes=1))
    say(EventKind.OPTED_IN)
    say(EventKind.OPTED_IN, parse_address("paul@example.com", Channel.EMAIL))
    work(destination, tool)
    assert tool.off == {"jane@example.com": set(), "paul@example.com": {TOPIC}}


@pytest.mark.parametrize("end", ["timed out", "killed"])
def test_what_was_turned_off_unheard_is_taken_back_too(
    destination: int, tool: Tool, clock: Clock, end: str
) -> None:  # I5, I13: else the tool would show an opt-out that nobody made there
    def act_unheard(batch: Sequence[PushItem]) -> None:
        tool.apply(batch)
        raise DeliveryError("no answer") if end == "timed out" else KeyboardInterrupt

    say(EventKind.OPTED_OUT)
    tool.before = act_unheard
    with suppress(KeyboardInterrupt):
        work(destination, tool)
    assert tool.off["jane@example.com"] == {TOPIC}

    tool.before = None
    clock.advance(timedelta(minutes=10))
    say(EventKind.OPTED_IN)
    work(destination, tool)
    assert tool.off["jane@example.com"] == set()


def test_a_pause_ends_in_the_tool_by_itself(destination: int, tool: Tool, clock: Clock) -> None:
    say(EventKind.PAUSED, until=clock() + timedelta(days=7))
    work(destination, tool)
    assert tool.off["jane@example.com"] == {TOPIC}
    clock.advance(timedelta(days=7))
    work(destination, tool)
    assert tool.off["jane@example.com"] == set()


class OneWayTool(Tool):
    """It can't lift."""

    capabilities = replace(Tool.capabilities, can_lift=False)


def test_a_one_way_tool_receives_an_opt_out_also_while_counted_bounces_suppress(
    destination: int, clock: Clock
) -> None:  # I3
    tool = OneWayTool()
    say(EventKind.PAUSED, scope=UNDELIVERABLE, until=clock() + timedelta(days=30))
    work(destination, tool)
    assert not tool.pushes  # I10: nothing could end it there
    clock.advance(timedelta(days=1))
    say(EventKind.OPTED_OUT)
    work(destination, tool)
    assert tool.off == {"jane@example.com": {TOPIC}}


def test_a_failing_tool_opens_the_circuit_and_burns_no_row(
    destination: int, tool: Tool, clock: Clock
) -> None:  # I3
    tool.before = fail
    say(EventKind.OPTED_OUT)
    say(EventKind.OPTED_OUT, parse_address("paul@example.com", Channel.EMAIL))
    work(destination, tool)
    assert work(destination, tool) == 0
    assert len(tool.pushes) == 1
    assert look(destination).failures == 1
    assert look(destination).reason == "500 from POST /groups"
    tool.before = None
    clock.advance(timedelta(seconds=10))
    work(destination, tool)
    assert set(tool.off) == {"jane@example.com", "paul@example.com"}
    assert look(destination).failures == 0


def fail(_: Sequence[PushItem]) -> Mapping[int, PushOutcome]:
    raise DeliveryError("500 from POST /groups")


@pytest.mark.parametrize(
    "error, reason",
    [
        (
            DeliveryError("shop: HTTP 401, credentials refused"),
            "shop: HTTP 401, credentials refused",
        ),
        (
            ValueError(f"{JANE.exact} is odd"),
            "the connector failed on the tool's response (ValueError)",
        ),
        (
            Unavailable("the database is too busy", UnavailableCause.LOCK_TIMEOUT),
            "the database is too busy",
        ),
    ],
)
def test_the_log_names_the_tool_that_failed_and_why_and_no_address(
    destination: int, tool: Tool, error: Exception, reason: str
) -> None:  # I12
    def refuse(_: Sequence[PushItem]) -> Mapping[int, PushOutcome]:
        raise error

    tool.before = refuse
    say(EventKind.OPTED_OUT)
    with capture_logs() as logs:
        work(destination, tool)
    (line,) = [line for line in logs if line["event"] == "push_failed"]
    assert (line["destination"], line["destination_id"]) == (look(destination).name, destination)
    assert line["reason"] == reason
    assert "jane" not in str(logs)


def test_gone_pauses_the_destination_and_its_rows_keep_their_clock(
    destination: int, tool: Tool, clock: Clock
) -> None:  # I3
    def gone(_: Sequence[PushItem]) -> Mapping[int, PushOutcome]:
        raise EndpointGone("410 from the receiver")

    tool.before = gone
    say(EventKind.OPTED_OUT)
    work(destination, tool)
    assert look(destination).status is DestinationStatus.PAUSED
    clock.advance(timedelta(hours=37))
    assert [late.stage for late in run_in_transaction(lambda c: states.list_late(c, clock()))] == [
        DeadlineStage.AT_RISK
    ]


def test_gone_of_old_settings_does_not_pause_what_was_changed_meanwhile(
    destination: int, tool: Tool
) -> None:  # I3
    name = look(destination).name

    def gone(_: Sequence[PushItem]) -> Mapping[int, PushOutcome]:
        settings = {"url": "https://new.example"}
        run_in_transaction(lambda c: destinations.set_settings(c, services().keys, name, settings))
        raise EndpointGone("410 from the receiver")

    tool.before = gone
    say(EventKind.OPTED_OUT)
    work(destination, tool)
    assert look(destination).status is DestinationStatus.ACTIVE


def test_gone_leaves_a_status_that_staff_set_meanwhile(destination: int, tool: Tool) -> None:
    def gone(_: Sequence[PushItem]) -> Mapping[int, PushOutcome]:
        run_in_transaction(
            lambda c: destinations.set_status(c, destination, DestinationStatus.OBSERVE, "by hand")
        )
        raise EndpointGone("410 from the receiver")

    tool.before = gone
    say(EventKind.OPTED_OUT)
    work(destination, tool)
    found = look(destination)
    assert (found.status, found.reason) == (DestinationStatus.OBSERVE, "by hand")


def test_one_poisoned_row_does_not_hold_the_others(
    destination: int, tool: Tool, clock: Clock
) -> None:  # I3
    def choke(batch: Sequence[PushItem]) -> None:
        if any(item.address.startswith("poison") for item in batch):
            raise DeliveryError("500")

    tool.before = choke
    people = [parse_address(f"p{n}@example.com", Channel.EMAIL) for n in range(20)]
    for person in [parse_address("poison@example.com", Channel.EMAIL), *people]:
        say(EventKind.OPTED_OUT, person)
    for _ in range(60):
        work(destination, tool)
        clock.advance(timedelta(minutes=1))
    assert len(tool.off) == 20


def refuse(batch: Sequence[PushItem]) -> Mapping[int, PushOutcome]:
    return {item.ref: PushOutcome(PushResult.REFUSED, "invalid") for item in batch}


def test_a_refused_address_is_retried_daily_and_reported_late(
    destination: int, tool: Tool, clock: Clock
) -> None:  # I3
    tool.before = refuse
    say(EventKind.OPTED_OUT)
    for _ in range(10 * 24):
        work(destination, tool)
        clock.advance(timedelta(hours=1))
    assert len(tool.pushes) == 10
    assert (
        run_in_transaction(lambda c: states.list_late(c, clock()))[0].stage is DeadlineStage.OVERDUE
    )
    tool.before = None
    work(destination, tool)
    assert tool.off == {"jane@example.com": {TOPIC}}


def test_a_refusal_is_noted_when_the_outcome_changes(
    destination: int, tool: Tool, clock: Clock
) -> None:
    say(EventKind.OPTED_OUT)
    for answer in (refuse, refuse, put_off, refuse, refuse):
        tool.before = answer
        work(destination, tool)
        clock.advance(timedelta(days=1))
    assert len(tool.pushes) == 5
    assert deliveries() == ["refused", "later", "refused"]
    say(EventKind.COMPLAINED, scope=ALL_MARKETING)
    work(destination, tool)
    assert deliveries() == ["refused", "later", "refused", "refused"]


def put_off(batch: Sequence[PushItem]) -> Mapping[int, PushOutcome]:
    return {item.ref: PushOutcome(PushResult.RETRY_LATER, "503") for item in batch}


def test_refused_addresses_keep_no_click_waiting(
    destination: int, tool: Tool, clock: Clock
) -> None:  # I3
    tool.before = refuse
    for number in range(5):
        say(EventKind.OPTED_OUT, parse_address(f"refused-{number}@example.com", Channel.EMAIL))
    work(destination, tool)
    clock.advance(timedelta(days=1))
    say(EventKind.OPTED_OUT)
    until = clock() + timedelta(seconds=90)
    rows = run_in_transaction(
        lambda c: states.claim_rows(c, destination, uuid4(), now=clock(), until=until, limit=1)
    )
    assert [row.attempts for row in rows] == [0]


def test_a_later_opt_out_of_a_refused_address_is_pushed_at_once(
    destination: int, tool: Tool, clock: Clock
) -> None:  # I3
    tool.before = refuse
    say(EventKind.OPTED_OUT)
    work(destination, tool)
    tool.before = None
    clock.advance(timedelta(hours=1))
    assert work(destination, tool) == 0
    say(EventKind.OPTED_OUT)
    assert work(destination, tool) == 1
    assert tool.off == {"jane@example.com": {TOPIC}}


def test_a_click_while_its_address_is_refused_is_pushed_at_once(
    destination: int, tool: Tool, clock: Clock
) -> None:  # I3
    def click_meanwhile(batch: Sequence[PushItem]) -> Mapping[int, PushOutcome]:
        say(EventKind.COMPLAINED, scope=ALL_MARKETING)
        return refuse(batch)

    tool.before = click_meanwhile
    say(EventKind.OPTED_OUT)
    work(destination, tool)
    tool.before = None
    assert work(destination, tool) == 1
    assert tool.off == {"jane@example.com": {TOPIC}}


def test_a_dead_workers_rows_come_back_when_its_lease_ends(
    destination: int, tool: Tool, clock: Clock
) -> None:
    def die(_: Sequence[PushItem]) -> None:
        raise KeyboardInterrupt

    tool.before = die
    say(EventKind.OPTED_OUT)
    with pytest.raises(KeyboardInterrupt):
        work(destination, tool)
    tool.before = None
    assert work(destination, tool) == 0
    clock.advance(timedelta(seconds=91))
    assert work(destination, tool) == 1
    assert tool.off["jane@example.com"] == {TOPIC}


def test_a_frozen_worker_that_lifts_late_is_overruled(
    destination: int, tool: Tool, clock: Clock
) -> None:
    """It thaws after a newer opt-out was delivered; the tool must end on "off"."""
    say(EventKind.OPTED_OUT)
    work(destination, tool)
    clock.advance(timedelta(minutes=1))
    say(EventKind.OPTED_IN)
    other = Tool(off=tool.off)

    def freeze(batch: Sequence[PushItem]) -> None:
        clock.advance(timedelta(minutes=10))
        say(EventKind.OPTED_OUT)
        work(destination, other)
        tool.before = None

    tool.before = freeze
    until = clock() + timedelta(seconds=5)
    sync(destination, tool.connect, until=until, stop=lambda: False)
    assert tool.off["jane@example.com"] == set()  # the stale lift did its harm
    work(destination, other)
    assert tool.off["jane@example.com"] == {TOPIC}


@pytest.mark.parametrize("written_down_after", [timedelta(0), timedelta(hours=3)])
def test_an_opt_out_that_a_frozen_worker_undoes_keeps_its_deadline(
    destination: int, tool: Tool, clock: Clock, written_down_after: timedelta
) -> None:  # I3
    say(EventKind.OPTED_OUT)
    work(destination, tool)
    clock.advance(timedelta(days=1))
    say(EventKind.OPTED_IN)
    received_at = []

    def freeze(batch: Sequence[PushItem]) -> None:
        tool.before = None
        clock.advance(timedelta(minutes=10))
        received_at.append(clock() - written_down_after)
        change = Change(
            uuid4(), EventKind.OPTED_OUT, JANE, TOPIC, clock(), received_at[0], "phone", "test"
        )
        record([change])
        work(destination, Tool(off=tool.off))
        clock.advance(timedelta(hours=5))

    tool.before = freeze
    sync(destination, tool.connect, until=clock() + timedelta(seconds=5), stop=lambda: False)
    assert tool.off["jane@example.com"] == set()
    [(due_at,)] = run_in_transaction(
        lambda c: c.execute("SELECT due_at FROM sync_state").fetchall()
    )
    assert due_at <= received_at[0] + WINDOW


@pytest.mark.parametrize("error", [DeliveryError("no answer"), LeaseExpired("over")])
@pytest.mark.parametrize("others", [0, 1])
def test_a_frozen_worker_whose_late_off_nobody_answers_is_overruled_too(
    destination: int, tool: Tool, clock: Clock, error: Exception, others: int
) -> None:  # I5
    """It acts after a newer opt-in was delivered; the tool must end on "on"."""
    say(EventKind.OPTED_OUT)
    for number in range(others):
        say(EventKind.OPTED_OUT, parse_address(f"p{number}@example.com", Channel.EMAIL))
    other = Tool(off=tool.off)

    def freeze(batch: Sequence[PushItem]) -> None:
        clock.advance(timedelta(minutes=10))
        say(EventKind.OPTED_IN)
        work(destination, other)
        tool.apply(batch)
        raise error

    tool.before = freeze
    work(destination, tool)
    assert tool.off["jane@example.com"] == {TOPIC}  # the stale request did its harm
    clock.advance(timedelta(hours=1))
    work(destination, other)
    assert tool.off["jane@example.com"] == set()


def test_overtaken_events_are_superseded(destination: int, tool: Tool) -> None:
    say(EventKind.OPTED_OUT)
    say(EventKind.COMPLAINED, scope=ALL_MARKETING)
    work(destination, tool)
    assert sorted(deliveries()) == ["reflected", "superseded"]


def test_a_restriction_turns_off_and_its_end_turns_on_again(
    destination: int, tool: Tool, clock: Clock
) -> None:  # I9: for every known form
    tagged = parse_address("jane+shop@example.com", Channel.EMAIL)
    for each in (JANE, tagged):
        say(EventKind.CONSENTED, each)
    say(EventKind.RESTRICTED, scope=RESTRICTION)
    clock.advance(timedelta(minutes=1))
    say(EventKind.OPTED_IN)  # no opt-in ends it
    work(destination, tool)
    assert tool.off == {JANE.exact: {TOPIC}, tagged.exact: {TOPIC}}
    clock.advance(timedelta(minutes=1))
    say(EventKind.UNRESTRICTED, scope=RESTRICTION)
    work(destination, tool)
    assert tool.off == {JANE.exact: set(), tagged.exact: set()}


@pytest.mark.parametrize("others", [1, 5])
def test_the_end_of_another_forms_restriction_turns_on_nothing_without_consent(
    destination: int, tool: Tool, clock: Clock, others: int
) -> None:  # I9, I11
    forms = [parse_address(f"jane+{n}@example.com", Channel.EMAIL) for n in range(others)]
    run_in_transaction(lambda c: c.execute("UPDATE destination SET sends = '{acme.news}'"))
    say(EventKind.OPTED_OUT, scope=TOPIC)  # so that the address is known
    for form in forms:
        say(EventKind.RESTRICTED, form, RESTRICTION)
    work(destination, tool)
    assert tool.off[JANE.exact] == {"acme.news"}
    clock.advance(timedelta(minutes=1))
    for form in forms:
        say(EventKind.UNRESTRICTED, form, RESTRICTION)
    work(destination, tool)
    assert tool.off[JANE.exact] == {"acme.news"}
    say(EventKind.CONSENTED, scope="acme.news")
    work(destination, tool)
    assert tool.off[JANE.exact] == set()
