"""A tool that responds to no request, next to one that works, with real processes."""

from __future__ import annotations

import select
import threading
from functools import partial

from werkzeug.wrappers import Request

from dev.processes import wait_until
from tests.faults.service import PATIENCE, Service
from tests.faults.tool import SlowReceiver


class Counting(SlowReceiver):
    """Knows how many requests it held at once, each no longer than its client waited for it."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._held = 0
        self.most = 0

    def wait(self, request: Request, /) -> None:
        with self._lock:
            self._held += 1
            self.most = max(self.most, self._held)
        client = request.environ["werkzeug.socket"]  # readable once the client has closed it
        while not self.is_free.wait(0.05) and not select.select([client], [], [], 0)[0]:
            pass
        with self._lock:
            self._held -= 1


def test_a_stalled_tool_occupies_one_worker_and_the_others_hear_at_once(
    service: Service,
) -> None:  # I3
    with Counting() as stalled, Counting() as healthy:
        service.add_destination(stalled.url, "stalled")
        service.add_destination(healthy.url, "healthy")
        stalled.holds = lambda _: True
        for name in ("web", "scheduler", "worker", "fresh"):
            service.start(name)
        people = [f"person-{number}@example.com" for number in range(12)]
        for who in people:
            service.click(service.token(who))
            assert wait_until(partial(healthy.off.__contains__, who), PATIENCE)
        assert stalled.holding.is_set()
        assert stalled.most == 1
        stalled.let_go()
        assert wait_until(lambda: set(stalled.off) == set(people), 2 * PATIENCE)
