"""A slow tool delays no other: its work waits in a queue that some workers never take from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from uuid import uuid4

import psycopg
import pytest
from flask import Flask
from redis import Redis

from dev.processes import wait_until
from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.events import Change, EventKind
from preference_center.destinations.claim import ClaimRequest, claim_batch
from preference_center.destinations.push import sync
from preference_center.destinations.rules.plan import (
    MAX_PUSH_BLOCKING,
    SLOW_PUSH_DURATION,
    SLOW_STATUS_DURATION,
)
from preference_center.destinations.rules.states import LANE_BEGINNING, Destination
from preference_center.destinations.store import destinations
from preference_center.infra.context import services
from preference_center.infra.db.transactions import (
    Connection,
    override_limits,
    run_in_transaction,
)
from preference_center.infra.job_queue import JOB_QUEUES, SYNC, SYNC_FRESH, rq_queue
from preference_center.integrations.base.contract import PushItem
from preference_center.ledger import record
from tests.clock import Clock
from tests.destinations.tool import Tool
from tests.ledger.changes import blocked_pids, patient
from workers import scheduler

TOPIC = "acme.offers"

pytestmark = pytest.mark.usefixtures("in_context")
Jobs = Callable[[], list[str]]


@pytest.fixture
def jobs(redis_url: str) -> Jobs:
    """The syncs that wait in Redis."""

    def waiting() -> list[str]:
        with Redis.from_url(redis_url) as redis:
            found = [
                job for name in (SYNC_FRESH, SYNC) for job in rq_queue(redis, JOB_QUEUES[name]).jobs
            ]
        return [str(job.func_name) for job in found]

    return waiting


def person(number: int) -> Address:
    return parse_address(f"person-{number}@example.com", Channel.EMAIL)


def opt_out(*numbers: int, bulk: bool = False) -> None:
    now = services().now()
    record(
        [
            Change(uuid4(), EventKind.OPTED_OUT, person(n), TOPIC, now, now, "test", "test")
            for n in numbers
        ],
        bulk=bulk,
    )


def work(destination: int, tool: Tool, *, fresh: bool = False) -> int:
    until = services().now() + timedelta(minutes=5)
    return sync(destination, tool.connect, until=until, stop=lambda: False, fresh=fresh)


def look(destination: int) -> Destination:
    found = run_in_transaction(lambda c: destinations.find_by_id(c, services().keys, destination))
    assert found
    return found


def takes(clock: Clock, time: timedelta) -> Callable[[Sequence[PushItem]], None]:
    return lambda _: void(clock.advance(time))


def void(_: object) -> None:
    return None


class TestSlow:
    def test_a_push_that_takes_long_makes_the_tool_slow_for_a_while(
        self, destination: int, tool: Tool, clock: Clock
    ) -> None:
        tool.before = takes(clock, SLOW_PUSH_DURATION)
        opt_out(1)
        work(destination, tool)
        assert not look(destination).is_slow(clock())
        tool.before = takes(clock, SLOW_PUSH_DURATION + timedelta(seconds=1))
        opt_out(2)
        work(destination, tool)
        assert look(destination).is_slow(clock() + SLOW_STATUS_DURATION - timedelta(seconds=1))
        assert not look(destination).is_slow(clock() + SLOW_STATUS_DURATION)

    def test_a_fresh_job_leaves_a_slow_tool_to_the_other_workers(
        self, destination: int, tool: Tool, clock: Clock, jobs: Jobs
    ) -> None:  # I3
        tool.before = takes(clock, timedelta(seconds=18))
        opt_out(1)
        work(destination, tool)
        opt_out(2)
        pushed = len(tool.pushes)
        clear(jobs)
        assert work(destination, tool, fresh=True) == 0
        assert len(tool.pushes) == pushed
        assert jobs() == [SYNC]
        assert work(destination, tool) == 1

    @pytest.mark.parametrize(
        "waited, count",
        [
            pytest.param(timedelta(seconds=1), 1, id="not overdue yet"),
            pytest.param(SLOW_PUSH_DURATION, 0, id="overdue"),
            pytest.param(MAX_PUSH_BLOCKING, 1, id="longer than an exchange takes"),
        ],
    )
    def test_while_an_answer_is_overdue_nobody_else_asks(
        self, destination: int, tool: Tool, clock: Clock, waited: timedelta, count: int
    ) -> None:  # I3
        other = Tool()

        def wait(_: Sequence[PushItem]) -> None:
            tool.before = None
            clock.advance(waited)
            opt_out(2)
            assert work(destination, other) == count

        tool.before = wait
        opt_out(1)
        work(destination, tool)
        work(destination, tool)
        assert {*tool.off, *other.off} == {"person-1@example.com", "person-2@example.com"}

    def test_of_two_fresh_claims_at_once_one_starts_a_push(
        self, app: Flask, destination: int, tool: Tool, admin_url: str, clock: Clock
    ) -> None:  # I3
        def work_meanwhile() -> int:
            with app.app_context(), override_limits(patient()):
                return work(destination, tool, fresh=True)

        def claim(connection: Connection) -> Future[int]:
            now, capabilities = clock(), tool.capabilities
            until = now + timedelta(seconds=90)
            request = ClaimRequest(
                look(destination), capabilities, uuid4(), now, until, LANE_BEGINNING, fresh=True
            )
            assert len(claim_batch(connection, request).claims) == 1
            opt_out(2)
            other = pool.submit(work_meanwhile)
            assert wait_until(lambda: other.done() or bool(blocked_pids(observer)), 30)
            return other

        opt_out(1)
        with ThreadPoolExecutor(1) as pool, psycopg.connect(admin_url, autocommit=True) as observer:
            other = run_in_transaction(claim)
            assert other.result(30) == 0
        assert tool.pushes == []

    def test_what_a_worker_that_died_had_under_way_is_forgotten(
        self, destination: int, clock: Clock
    ) -> None:
        ends_at = clock() + timedelta(seconds=90)
        run_in_transaction(
            lambda c: destinations.insert_push(c, destination, uuid4(), clock(), ends_at)
        )
        clock.advance(timedelta(seconds=89))
        scheduler.purge_expired(clock())
        assert len(under_way()) == 1
        clock.advance(timedelta(seconds=1))
        scheduler.purge_expired(clock())
        assert under_way() == []

    def test_a_push_that_ended_holds_nobody_off(self, destination: int, tool: Tool) -> None:
        opt_out(1)
        work(destination, tool)
        assert under_way() == []


def under_way() -> list[tuple[object, ...]]:
    return run_in_transaction(lambda c: c.execute("SELECT lease FROM push").fetchall())


def clear(jobs: Jobs) -> None:
    with Redis.from_url(services().settings.redis_url) as redis:
        for name in (SYNC_FRESH, SYNC):
            rq_queue(redis, JOB_QUEUES[name]).empty()  # type: ignore[no-untyped-call]  # RQ
    assert jobs() == []


class TestFresh:
    def test_it_leaves_lists_alone(self, destination: int, tool: Tool) -> None:
        opt_out(1, 2, bulk=True)
        opt_out(3)
        assert work(destination, tool, fresh=True) == 1
        assert set(tool.off) == {"person-3@example.com"}
        assert work(destination, tool) == 2

    def test_it_asks_only_once_at_a_time_and_goes_on_with_what_came_meanwhile(
        self, destination: int, tool: Tool
    ) -> None:  # I3
        other = Tool()

        def click_meanwhile(_: Sequence[PushItem]) -> None:
            tool.before = None
            opt_out(2)
            assert work(destination, other, fresh=True) == 0

        tool.before = click_meanwhile
        opt_out(1)
        assert work(destination, tool, fresh=True) == 2
        assert set(tool.off) == {"person-1@example.com", "person-2@example.com"}


@pytest.mark.usefixtures("destination")
class TestScheduler:
    def test_what_people_did_is_a_fresh_job(self, jobs: Jobs) -> None:
        opt_out(1)
        clear(jobs)
        scheduler.tick()
        assert jobs() == [SYNC_FRESH]

    def test_lists_are_not(self, jobs: Jobs) -> None:
        opt_out(1, bulk=True)
        clear(jobs)
        scheduler.tick()
        assert jobs() == [SYNC]

    def test_more_than_a_fresh_job_does_soon_is_shared(
        self, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(scheduler, "ROWS_PER_SLOT", 2)
        opt_out(*range(5))
        clear(jobs)
        scheduler.tick()
        assert jobs() == [SYNC_FRESH, SYNC, SYNC]

    def test_a_slow_tool_gets_one_job_however_much_is_due(
        self,
        destination: int,
        tool: Tool,
        clock: Clock,
        jobs: Jobs,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # I3
        monkeypatch.setattr(scheduler, "ROWS_PER_SLOT", 2)
        tool.before = takes(clock, timedelta(seconds=18))
        opt_out(1)
        work(destination, tool)
        opt_out(*range(2, 20))
        clear(jobs)
        scheduler.tick()
        assert jobs() == [SYNC]
