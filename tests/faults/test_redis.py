"""Redis may be lost at any time (I1, I3)."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from redis import Redis

from dev.engines import Engines
from dev.processes import wait_until
from dev.valkey import Valkey
from tests.faults.service import PATIENCE, Service
from tests.faults.tool import SlowReceiver


def freeze(valkey: Valkey) -> None:
    pid = valkey.state.pid
    assert pid
    os.kill(pid, signal.SIGSTOP)


def thaw(valkey: Valkey) -> None:
    pid = valkey.state.pid
    assert pid
    os.kill(pid, signal.SIGCONT)


WAYS: dict[str, tuple[Callable[[Valkey], None], Callable[[Valkey], None]]] = {
    "stopped": (Valkey.stop, Valkey.start),
    "killed": (Valkey.kill, Valkey.start),
    "frozen": (freeze, thaw),
}


def post(service: Service, token: str) -> int:
    """The status; raises when there is no answer within the client's patience."""
    return service.post(token).status_code


@pytest.mark.parametrize("way", WAYS)
def test_opt_outs_do_not_feel_that_redis_goes_and_are_delivered_after(
    service: Service, own_engines: Engines, tool: SlowReceiver, way: str
) -> None:  # I1, I3
    away, back = WAYS[way]
    valkey = own_engines.redis
    assert isinstance(valkey, Valkey)
    people = [f"person-{number}@example.com" for number in range(120)]
    tokens = [service.token(person) for person in people]
    for name in ("web", "worker", "scheduler"):
        service.start(name)
    service.click(tokens[0])
    assert wait_until(lambda: len(tool.off) == 1, PATIENCE)

    with ThreadPoolExecutor(2) as pool:
        answers = [pool.submit(post, service, token) for token in tokens[:60]]
        away(valkey)
        answers += [pool.submit(post, service, token) for token in tokens[60:90]]
        statuses = [answer.result() for answer in answers]
        answers = [pool.submit(post, service, token) for token in tokens[90:]]
        back(valkey)
        statuses += [answer.result() for answer in answers]

    refused = [token for token, status in zip(tokens, statuses, strict=True) if status == 503]
    # A click has 1.5 s, and the machine may stand still longer, which is not Redis' fault.
    assert len(refused) <= min(3, service.logs().count('"unresponsive"'))
    assert {*statuses} <= {200, 503}
    for token in refused:
        service.click(token)
    assert service.rows("SELECT count(*) FROM suppression WHERE active") == [(len(people),)]
    assert wait_until(lambda: set(tool.off) == set(people), PATIENCE)
    assert wait_until(lambda: service.pending() == 0, PATIENCE)


def test_flushing_redis_loses_no_work(
    service: Service, own_engines: Engines, tool: SlowReceiver
) -> None:  # I3
    service.start("web")
    people: list[str] = []

    def is_queued() -> bool:  # a message that is late is dropped
        people.append(f"person-{len(people)}@example.com")
        service.click(service.token(people[-1]))
        return bool(redis.llen("rq:queue:fresh"))

    with Redis.from_url(own_engines.redis.url) as redis:
        assert wait_until(is_queued, PATIENCE)
        redis.flushall()
    service.start("worker")
    service.start("scheduler")
    assert wait_until(lambda: set(tool.off) == set(people), PATIENCE)


def test_flushing_redis_under_a_worker_does_not_end_it(
    service: Service, own_engines: Engines, tool: SlowReceiver
) -> None:  # I3
    tool.holds = lambda _: True
    for name in ("web", "scheduler"):
        service.start(name)
    worker = service.start("worker")
    service.click(service.token("jane@example.com"))
    assert tool.holding.wait(PATIENCE)
    with Redis.from_url(own_engines.redis.url) as redis:
        redis.flushall()
    tool.let_go()
    assert wait_until(lambda: service.pending() == 0, PATIENCE)
    service.click(service.token("paul@example.com"))
    assert wait_until(lambda: "paul@example.com" in tool.off, PATIENCE)
    assert worker.alive


def test_a_worker_started_while_redis_is_away_waits_for_it(
    service: Service, own_engines: Engines, tool: SlowReceiver
) -> None:  # I3
    own_engines.redis.stop()
    worker = service.start("worker")
    service.start("scheduler")
    service.start("web")
    service.click(service.token("jane@example.com"))
    assert wait_until(lambda: "redis_unavailable" in worker.log.read_text(), PATIENCE)
    own_engines.redis.start()
    assert wait_until(lambda: "jane@example.com" in tool.off, PATIENCE)
