"""Web processes start, stop, are replaced and crash behind nginx, under clicks and decisions."""

from __future__ import annotations

import os
import signal
import socket
import time

import httpx

from dev.processes import children, command_line, wait_until
from tests.rollout.conftest import InFront, NewTraffic
from tests.rollout.fleet import PATIENCE, Fleet, Web
from tests.rollout.traffic import Traffic


def settle(traffic: Traffic) -> None:
    """Return after another two hundred requests."""
    enough = len(traffic.clicks) + len(traffic.decisions) + 200
    assert wait_until(lambda: len(traffic.clicks) + len(traffic.decisions) >= enough, PATIENCE)


def test_a_rollout_refuses_and_loses_no_click(
    fleet: Fleet,
    in_front: InFront,
    traffic: NewTraffic,
) -> None:  # I1
    key = fleet.set_up()
    first, second = fleet.start().await_ready(), fleet.start().await_ready()
    with in_front(first, second) as proxy, traffic(proxy, key) as under:
        settle(under)

        first = fleet.replace(first)  # a rolling restart
        settle(under)
        second = fleet.replace(second)
        settle(under)

        first.kill()  # a crash
        settle(under)
        fleet.start(port=first.port).await_ready()
        settle(under)

        assert second.terminate() == 0
        settle(under)
    assert under.failures == {}, proxy.access_log()[-50:]
    assert wait_until(lambda: not under.unrecorded(), PATIENCE)


def test_a_worker_process_that_crashes_is_replaced_and_no_click_fails(
    fleet: Fleet,
    in_front: InFront,
    traffic: NewTraffic,
) -> None:  # I1
    key = fleet.set_up()
    webs = [fleet.start().await_ready() for _ in range(2)]
    with in_front(*webs) as proxy, traffic(proxy, key) as under:
        settle(under)
        for web in webs:
            before = workers(web)
            os.kill(before[0], signal.SIGKILL)
            assert wait_until(lambda: has_replaced(web, before), PATIENCE)  # noqa: B023 - called at once
            web.await_ready()
            settle(under)
    assert under.failures == {}
    assert under.unrecorded() == set()


def test_a_process_that_is_told_to_stop_while_it_starts_ends(fleet: Fleet) -> None:
    fleet.set_up()
    web = fleet.start()
    assert wait_until(lambda: "Spawning worker-2" in web.log.read_text(), PATIENCE)
    assert web.terminate() == 0
    assert "refused to gracefully stop" not in web.log.read_text()  # none had to be killed


def has_replaced(web: Web, before: list[int]) -> bool:
    now = workers(web)
    return len(now) == len(before) and now != before


def workers(web: Web) -> list[int]:
    """Its worker processes; `multiprocessing` may have one of its own."""
    return [pid for pid in children(web.popen.pid) if "resource_tracker" not in command_line(pid)]


def test_a_process_that_says_ready_accepts_connections_until_it_is_told_to_stop(
    fleet: Fleet,
) -> None:
    fleet.set_up()
    for _ in range(3):
        web = fleet.start()
        seen = []
        deadline = time.monotonic() + PATIENCE
        while 200 not in seen and time.monotonic() < deadline:
            seen.append(web.readiness()[0])
        for _ in range(50):  # each of its worker processes
            socket.create_connection(("127.0.0.1", web.port), 5).close()
        assert httpx.get(f"{web.url}/form", timeout=30).status_code == 200
        assert seen[-1] == 200
        assert web.terminate() == 0
        assert web.readiness()[0] == 0
