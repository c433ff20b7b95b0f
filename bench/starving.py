"""How soon a click reaches a healthy tool next to a slow one, on the Procfile's processes."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime

from werkzeug.wrappers import Request, Response

from bench.ground import TOPIC, Ground, add_destination, hush
from bench.working import running
from dev.processes import wait_until
from preference_center.core.addresses import Channel, parse_address
from preference_center.core.events import Change, EventKind
from preference_center.infra.context import services
from preference_center.integrations.base.integration import RATE_SETTING
from preference_center.ledger import record
from tests.integrations.tools.receiver import SECRET, Receiver

STALLS = 18.0
"""Seconds that the stalled tool takes for a request: just inside our time-out of 20."""
LIMITED = "5 per minute"
EVERY = 0.5
"""Seconds between clicks."""
LONGEST = 200.0
"""Seconds that the last clicks are waited for."""


class Stopwatch(Receiver):
    """A receiver that notes when it first got each address, `delay` after the request."""

    def __init__(self, delay: float = 0.0) -> None:
        super().__init__()
        self._delay = delay
        self.received_at: dict[str, float] = {}

    def handle(self, request: Request) -> Response:
        at = time.monotonic()
        for item in json.loads(request.get_data())["data"]["items"]:
            self.received_at.setdefault(item["address"], at)
        time.sleep(self._delay)
        return super().handle(request)


@dataclass(frozen=True, slots=True)
class Latencies:
    """Seconds from the commit of a click until the healthy tool had it."""

    clicks: int
    p50: float
    p99: float
    worst: float


def clicks_with_slow_tool(
    ground: Ground, seconds: float, modules: list[str], slow: Mapping[str, str], delay: float
) -> Latencies:
    """Click for so long next to a tool with the settings `slow` that takes `delay` a request."""
    with ground.app.app_context(), Stopwatch(delay) as other, Stopwatch() as healthy:
        hush()
        for name, tool, settings in (("slow", other, slow), ("healthy", healthy, {})):
            url = {"url": f"{tool.url}/hook", "secret": SECRET}
            add_destination(name, "webhook", {**url, **settings})
        with ExitStack() as stack:
            for module in [*modules, "workers.scheduler"]:
                stack.enter_context(running(ground, module))
            clicked = _click(seconds, healthy)
            if not wait_until(lambda: clicked.keys() <= healthy.received_at.keys(), LONGEST):
                raise RuntimeError(
                    f"{len(healthy.received_at)} of {len(clicked)} clicks were received"
                )
    took = sorted(healthy.received_at[who] - at for who, at in clicked.items())
    return Latencies(len(took), took[len(took) // 2], took[len(took) * 99 // 100], took[-1])


def _click(seconds: float, healthy: Stopwatch) -> dict[str, float]:
    """Steadily, once the processes work; when each click was committed."""
    _opt_out("first@example.com")
    if not wait_until(lambda: "first@example.com" in healthy.received_at, LONGEST):
        raise RuntimeError("the workers did not start")
    clicked, begin = {}, time.monotonic()
    for number in range(int(seconds / EVERY)):
        time.sleep(max(0.0, begin + number * EVERY - time.monotonic()))
        who = f"clicked-{number}@example.com"
        _opt_out(who)
        clicked[who] = time.monotonic()
    return clicked


def _opt_out(who: str) -> None:
    now = datetime.now(UTC)
    address = parse_address(who, Channel.EMAIL)
    new_id = services().new_id()
    record([Change(new_id, EventKind.OPTED_OUT, address, TOPIC, now, now, "bench", "bench")])


MODES: dict[str, tuple[dict[str, str], float]] = {
    f"that takes {STALLS:.0f} s a request": ({}, STALLS),
    f"that takes {LIMITED}": ({RATE_SETTING: LIMITED}, 0.0),
}
