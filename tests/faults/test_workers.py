"""Workers are killed, frozen and asked to stop in mid-push."""

from __future__ import annotations

import signal
from datetime import timedelta

import pytest
from redis import Redis

from dev.engines import Engines
from dev.processes import wait_until
from preference_center.destinations.connect import LEASE_DURATION
from tests.faults.service import PATIENCE, TOPIC, Service
from tests.faults.tool import Items, SlowReceiver

JANE = "jane@example.com"


def lifts(items: Items) -> bool:
    return any(item["lift"] for item in items)


def test_another_worker_takes_over_from_one_that_was_killed(
    service: Service, own_engines: Engines, tool: SlowReceiver
) -> None:  # I3
    tool.holds = lambda _: True
    service.start("web")
    service.start("scheduler")
    worker = service.start("worker")
    service.click(service.token(JANE))
    assert tool.holding.wait(PATIENCE)
    worker.signal(signal.SIGKILL)

    service.start("worker")
    with Redis.from_url(own_engines.redis.url) as redis:
        assert wait_until(lambda: redis.scard("rq:workers") == 2, PATIENCE)
    jobs = "SELECT count(*) FROM sync_state WHERE lease IS NOT NULL AND next_at > now()"
    assert service.rows(jobs) == [(1,)]
    assert len(tool.seen) == 1
    tool.holds = lambda _: False
    service.shift(LEASE_DURATION)

    assert wait_until(lambda: service.pending() == 0, PATIENCE)
    assert tool.off == {JANE: {TOPIC}}
    tool.let_go()  # the dead worker's request acts last
    assert wait_until(lambda: len(tool.payloads) == 2, PATIENCE)
    assert tool.off == {JANE: {TOPIC}}
    assert service.rows("SELECT outcome FROM delivery") == [("reflected",)]


def test_a_frozen_worker_with_a_lift_in_hand_does_not_have_the_last_word(
    service: Service, tool: SlowReceiver
) -> None:  # I5
    for name in ("web", "scheduler"):
        service.start(name)
    frozen = service.start("worker")
    service.click(service.token(JANE))
    assert wait_until(lambda: service.pending() == 0, PATIENCE)

    tool.holds = lifts
    service.opt_in(JANE)
    assert tool.holding.wait(PATIENCE)
    frozen.signal(signal.SIGSTOP)
    service.click(service.token(JANE))
    service.shift(LEASE_DURATION)
    service.start("worker")
    assert wait_until(lambda: len(tool.payloads) == 2, PATIENCE)
    assert tool.off == {JANE: {TOPIC}}

    tool.let_go()
    assert wait_until(lambda: tool.off == {JANE: set()}, PATIENCE)  # the old lift acts
    frozen.signal(signal.SIGCONT)
    assert wait_until(lambda: tool.off == {JANE: {TOPIC}}, PATIENCE)
    assert service.pending() == 1  # until no older request can be alive
    service.shift(timedelta(minutes=5))
    assert wait_until(lambda: service.pending() == 0, PATIENCE)
    assert tool.off == {JANE: {TOPIC}}


def test_a_frozen_worker_that_never_thaws_is_outlived(
    service: Service, tool: SlowReceiver
) -> None:  # I5
    for name in ("web", "scheduler"):
        service.start(name)
    frozen = service.start("worker")
    service.click(service.token(JANE))
    assert wait_until(lambda: service.pending() == 0, PATIENCE)

    tool.holds = lifts
    service.opt_in(JANE)
    assert tool.holding.wait(PATIENCE)
    frozen.signal(signal.SIGSTOP)
    service.click(service.token(JANE))
    service.shift(LEASE_DURATION)
    service.start("worker")
    assert wait_until(lambda: len(tool.payloads) == 2, PATIENCE)
    tool.let_go()
    assert wait_until(lambda: tool.off == {JANE: set()}, PATIENCE)
    service.shift(timedelta(minutes=5))
    assert wait_until(lambda: service.pending() == 0, PATIENCE)
    assert tool.off == {JANE: {TOPIC}}


@pytest.mark.parametrize("redis", ["there", "away"])
def test_a_worker_asked_to_stop_finishes_the_batch_in_hand(
    service: Service, own_engines: Engines, tool: SlowReceiver, redis: str
) -> None:
    people = {f"person-{number}@example.com" for number in range(3)}
    service.start("web")
    for person in people:
        service.click(service.token(person))
    service.start("scheduler")  # the web process's own message may have been late, and dropped
    tool.holds = lambda _: True
    worker = service.start("worker")
    assert tool.holding.wait(PATIENCE)
    if redis == "away":
        own_engines.redis.stop()
    for _ in range(2):  # Ctrl-C sends one, its supervisor another
        worker.signal(signal.SIGTERM)
    assert not wait_until(lambda: not worker.alive, 1)
    tool.let_go()

    assert worker.popen.wait(PATIENCE) == 0
    assert tool.off == {person: {TOPIC} for person in people}
    assert service.pending() == 0
    assert service.rows("SELECT count(*) FROM sync_state WHERE lease IS NOT NULL") == [(0,)]


@pytest.mark.parametrize("redis", ["there", "away"])
@pytest.mark.parametrize("name", ["worker", "scheduler"])
def test_an_idle_process_stops_when_asked(
    service: Service, own_engines: Engines, tool: SlowReceiver, name: str, redis: str
) -> None:
    for other in ("worker", "scheduler", "web"):
        service.start(other)
    process = service.processes[["worker", "scheduler"].index(name)]
    service.click(service.token(JANE))
    assert wait_until(lambda: JANE in tool.off, PATIENCE)
    assert wait_until(lambda: service.pending() == 0, PATIENCE)
    if redis == "away":
        own_engines.redis.stop()
    process.signal(signal.SIGTERM)
    assert process.popen.wait(PATIENCE) == 0
    assert "Traceback" not in process.log.read_text()


def test_asked_to_stop_before_it_works_a_worker_stops(service: Service) -> None:
    service.engines.database.stop()
    worker = service.start("worker")
    assert wait_until(lambda: "database_unavailable" in worker.log.read_text(), PATIENCE)
    worker.signal(signal.SIGTERM)
    assert worker.popen.wait(PATIENCE) == 0
    service.engines.database.start()
