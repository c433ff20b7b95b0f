"""When the sync loop goes on, when it stops, and what a failed push leaves behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import uuid4

import pytest

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.deadlines import PROBE_INTERVAL
from preference_center.core.events import Change, EventKind
from preference_center.destinations.push import sync
from preference_center.destinations.rules.states import Destination, DestinationStatus
from preference_center.destinations.store import destinations, states
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.integrations.base.contract import (
    DeliveryError,
    PushItem,
    PushOutcome,
    RateLimited,
    UnsupportedByDestination,
)
from preference_center.integrations.base.push_results import deferred, reflected
from preference_center.ledger import record
from tests.clock import Clock
from tests.destinations.tool import Hook, Tool

TOPIC = "acme.offers"
FULL = Tool.capabilities.batch_size - Tool.capabilities.batch_size // 10
"""As many rows as a claim has at least where more may be due: one lane's part may be missing."""

pytestmark = pytest.mark.usefixtures("in_context")


def opt_out(count: int, first: int = 0, *, bulk: bool = False) -> None:
    now = services().now()
    people = [parse_address(f"person-{first + n}@example.com", Channel.EMAIL) for n in range(count)]
    record(
        [
            Change(uuid4(), EventKind.OPTED_OUT, who, TOPIC, now, now, "test", "test")
            for who in people
        ],
        bulk=bulk,
    )


def opt_in(count: int) -> None:
    now = services().now()
    people = [parse_address(f"person-{n}@example.com", Channel.EMAIL) for n in range(count)]
    record(
        [
            Change(uuid4(), EventKind.OPTED_IN, who, TOPIC, now, now, "test", "test")
            for who in people
        ]
    )


def work(destination: int, tool: Tool) -> int:
    until = services().now() + timedelta(seconds=5)
    return sync(destination, tool.connect, until=until, stop=lambda: False)


def look(destination: int) -> Destination:
    found = run_in_transaction(lambda c: destinations.find_by_id(c, services().keys, destination))
    assert found
    return found


def rows() -> list[tuple[int, datetime, bool]]:
    """Of each row: attempts, when it is tried next, and whether a worker holds it."""
    return run_in_transaction(
        lambda c: c.execute(
            "SELECT attempts, next_at, lease IS NOT NULL FROM sync_state ORDER BY address_id"
        ).fetchall()
    )


def deliveries() -> list[str]:
    return [
        row[0]
        for row in run_in_transaction(
            lambda c: c.execute("SELECT outcome FROM delivery ORDER BY id").fetchall()
        )
    ]


@pytest.mark.parametrize(
    "claimed, settled",
    [pytest.param(FULL, FULL + 1, id="full"), pytest.param(FULL - 1, FULL - 1, id="one less")],
)
def test_a_claim_is_followed_where_it_was_full_but_for_the_other_lanes_tenth(
    destination: int, tool: Tool, claimed: int, settled: int
) -> None:
    def click_meanwhile(_: Sequence[PushItem]) -> None:
        tool.before = None
        opt_out(1, first=1000)

    opt_out(claimed)
    tool.before = click_meanwhile
    assert work(destination, tool) == settled


def test_a_claim_takes_no_more_than_the_tool_takes_at_once(destination: int, tool: Tool) -> None:
    opt_out(Tool.capabilities.batch_size + 1)
    work(destination, tool)
    assert [len(push) for push in tool.pushes] == [Tool.capabilities.batch_size, 1]


def test_a_tool_that_takes_one_at_a_time_is_told_of_lists_while_people_opt_out(
    destination: int,
) -> None:  # I3: the tenth of one row was none
    class OneAtATime(Tool):
        capabilities = replace(Tool.capabilities, batch_size=1)

    tool = OneAtATime()
    opt_out(1, bulk=True)
    opt_out(200, first=1)
    work(destination, tool)
    order = [item.address for push in tool.pushes for item in push]
    assert order.index("person-0@example.com") < 200


@pytest.mark.parametrize("fresh", [pytest.param(False, id="all"), pytest.param(True, id="fresh")])
def test_a_job_ends_only_once_what_came_due_behind_its_claims_is_pushed(
    destination: int, tool: Tool, clock: Clock, *, fresh: bool
) -> None:  # I3
    def come_due_behind(_: Sequence[PushItem]) -> None:
        tool.before = None
        run_in_transaction(
            lambda c: c.execute("UPDATE sync_state SET next_at = %s WHERE next_at IS NULL", (day,))
        )

    day = clock() - timedelta(days=1)
    opt_out(1)
    assert work(destination, tool) == 1
    opt_out(2 * Tool.capabilities.batch_size, first=1)
    clock.advance(timedelta(minutes=1))
    tool.before = come_due_behind
    until = clock() + timedelta(seconds=5)
    settled = sync(destination, tool.connect, until=until, stop=lambda: False, fresh=fresh)
    behind = [item.address for item in tool.pushes[0]]
    found = [[item.address for item in push].count(*behind) for push in tool.pushes]
    assert (settled, found) == (2 * Tool.capabilities.batch_size + 1, [1, 0, 0, 1])
    assert run_in_transaction(lambda c: states.count_due_by_destination(c, clock())) == {}


@pytest.mark.parametrize("failures, pushed", [(3, [12, 8]), (12, [1, 3, 6, 10])])
def test_each_failure_halves_the_next_claim_and_each_success_doubles_it(
    destination: int, tool: Tool, failures: int, pushed: list[int]
) -> None:  # I3
    run_in_transaction(lambda c: c.execute("UPDATE destination SET failures = %s", (failures,)))
    opt_out(20)
    work(destination, tool)
    assert [len(push) for push in tool.pushes] == pushed


def test_a_batch_that_fails_is_halved_to_one_row_however_many_the_tool_takes(
    destination: int, clock: Clock
) -> None:  # I3: one row that is refused must not hold up another
    class FileDrop(Tool):
        capabilities = replace(Tool.capabilities, batch_size=10_000)

    def refuse_one(batch: Sequence[PushItem]) -> None:
        if "person-0@example.com" in {item.address for item in batch}:
            raise DeliveryError("400")

    tool = FileDrop(before=refuse_one)
    opt_out(2)
    for _ in range(20):
        work(destination, tool)
        clock.advance(PROBE_INTERVAL)
    assert tool.off == {"person-1@example.com": {TOPIC}}


def test_lifts_that_go_a_few_at_a_time_are_through_in_one_turn(
    destination: int, tool: Tool, clock: Clock
) -> None:  # I3, I5: an undo of thousands waited an hour between two pushes
    def take_ten(batch: Sequence[PushItem]) -> dict[int, PushOutcome]:
        taken = batch[:10]
        tool.apply(taken)
        lifted.extend(item.address for item in taken)
        rest = dict.fromkeys((item.ref for item in batch[10:]), deferred())
        return rest | {item.ref: reflected() for item in taken}

    lifted: list[str] = []
    opt_out(120)
    work(destination, tool)
    clock.advance(timedelta(minutes=1))
    opt_in(120)
    tool.before = take_ten
    assert work(destination, tool) == 120
    clock.advance(timedelta(minutes=10))
    assert work(destination, tool) == 0
    assert len(lifted) == len(set(lifted)) == 120  # none again once its lift can't be under way
    assert not any(tool.off.values())
    assert {(attempts, held) for attempts, _, held in rows()} == {(0, False)}
    assert run_in_transaction(lambda c: states.count_due_by_destination(c, clock())) == {}
    assert len(deliveries()) == 240


def test_a_push_that_does_nothing_but_defer_ends_the_turn(destination: int, tool: Tool) -> None:
    tool.before = lambda batch: dict.fromkeys((item.ref for item in batch), deferred())
    opt_out(5)
    assert work(destination, tool) == 0
    assert len(tool.pushes) == 1
    assert {(attempts, held) for attempts, _, held in rows()} == {(0, False)}


def test_no_batch_begins_once_it_is_asked_to_stop(destination: int, tool: Tool) -> None:
    opt_out(Tool.capabilities.batch_size + 1)
    until = services().now() + timedelta(seconds=5)
    assert sync(destination, tool.connect, until=until, stop=lambda: True) == 0
    assert sync(destination, tool.connect, until=until, stop=lambda: bool(tool.pushes)) == 100
    assert [len(push) for push in tool.pushes] == [100]


def test_no_batch_begins_when_the_time_is_up(destination: int, tool: Tool, clock: Clock) -> None:
    opt_out(Tool.capabilities.batch_size + 1)
    until = clock()
    assert sync(destination, tool.connect, until=until, stop=lambda: False) == 0
    until += timedelta(microseconds=1)

    def take_long(_: Sequence[PushItem]) -> None:
        clock.advance(timedelta(microseconds=1))

    tool.before = take_long
    assert sync(destination, tool.connect, until=until, stop=lambda: False) == 100


@pytest.mark.parametrize(
    "error, reason",
    [
        pytest.param(DeliveryError("401", permanent=True), "401", id="bad credentials"),
        pytest.param(UnsupportedByDestination("no lifts"), "no lifts", id="unsupported"),
    ],
)
def test_a_permanent_error_is_probed_every_five_minutes_and_burns_no_row(
    destination: int, tool: Tool, clock: Clock, error: Exception, reason: str
) -> None:  # I3
    tool.before = failing(error)
    opt_out(2)
    for probe in (1, 2):
        assert work(destination, tool) == 0
        found = look(destination)
        assert (found.status, found.failures, found.reason) == (
            DestinationStatus.ACTIVE,
            probe,
            reason,
        )
        assert found.retry_at == clock() + PROBE_INTERVAL
        assert rows() == [(0, clock(), False)] * 2
        clock.advance(PROBE_INTERVAL - timedelta(microseconds=1))
        assert work(destination, tool) == 0
        assert len(tool.pushes) == probe
        clock.advance(timedelta(microseconds=1))
    assert deliveries() == []


@pytest.mark.parametrize(
    "asked, wait",
    [
        pytest.param(timedelta(seconds=40), timedelta(seconds=40), id="the tool's limit"),
        pytest.param(timedelta(hours=1), PROBE_INTERVAL, id="five minutes at most"),
        pytest.param(None, timedelta(0), id="not stated"),
    ],
)
def test_at_a_rate_limit_rows_are_released_until_there_is_capacity(
    destination: int, tool: Tool, clock: Clock, asked: timedelta | None, wait: timedelta
) -> None:  # I3
    tool.before = failing(RateLimited("kept to its rate limit", retry_after=asked))
    opt_out(2)
    assert work(destination, tool) == 0
    free_at = clock() + wait
    assert rows() == [(0, free_at, False)] * 2
    found = look(destination)
    assert (found.failures, found.retry_at, found.reason) == (0, free_at, "kept to its rate limit")
    assert deliveries() == []
    tool.before = None
    clock.advance(wait)
    assert work(destination, tool) == 2
    assert (look(destination).retry_at, look(destination).reason) == (None, "")


def test_a_batch_of_one_that_failed_is_put_off_and_noted(
    destination: int, tool: Tool, clock: Clock
) -> None:  # I3: so that the next probe is of another row
    tool.before = failing(DeliveryError("500"))
    opt_out(1)
    assert work(destination, tool) == 0
    ((attempts, next_at, held),) = rows()
    assert (attempts, held) == (1, False)
    assert clock() < next_at <= clock() + timedelta(seconds=10)
    assert look(destination).failures == 1
    assert deliveries() == ["later"]


def failing(error: Exception) -> Hook:
    def fail(_: Sequence[PushItem]) -> None:
        raise error

    return fail
