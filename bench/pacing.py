"""A backlog for a tool with a documented limit: HubSpot, 190 requests in 10 seconds.

Only waiting is simulated: the clock goes on with the real one while anything works, here or
in the database, and jumps to the moment that a worker waits for. The stand-in counts every
10 seconds back from each request, and answers 429 beyond 190, as HubSpot documents.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from flask import current_app
from werkzeug.wrappers import Request, Response

from bench.ground import Ground, add_destination, hush
from bench.opted_out import opt_out
from preference_center.destinations.connect import Lease
from preference_center.destinations.push import sync
from preference_center.destinations.rules.states import Destination
from preference_center.destinations.scan import verify
from preference_center.destinations.store.listings import ListingKind
from preference_center.destinations.token_buckets import TokenBucket, TokenBuckets
from preference_center.infra.context import EXTENSION_NAME, services
from preference_center.infra.job_queue import TICK_SECONDS
from preference_center.integrations.base.contract import Connector, DestinationConfig, RateLimit
from preference_center.integrations.base.http import HttpContext
from preference_center.integrations.hubspot.connector import HubSpot
from tests.integrations.tools.hubspot import TOKEN, HubSpotStandIn
from workers.scheduler import TICK_INTERVAL

SUBSCRIPTION = "11"
RATE = RateLimit(190, 10)
"""Professional and Enterprise accounts': what the setting `rate` is for."""


class Clock:
    """The real time, and what was skipped of it."""

    def __init__(self) -> None:
        self._began, self._at = datetime.now(UTC), time.perf_counter()
        self.skipped = 0.0

    def __call__(self) -> datetime:
        return self._began + timedelta(seconds=self.seconds())

    def seconds(self) -> float:
        """Since it began."""
        return time.perf_counter() - self._at + self.skipped

    def epoch(self) -> float:
        """Since 1970, as Redis tells the time."""
        return self().timestamp()

    def skip(self, seconds: float) -> None:
        """Wait, at once."""
        self.skipped += seconds


class Limited(HubSpotStandIn):
    """HubSpot, which keeps its limit."""

    def __init__(self, clock: Clock, rate: RateLimit) -> None:
        super().__init__()
        self._clock, self._rate = clock, rate
        self._lately: deque[float] = deque()
        self.answered = 0
        self.refused = 0

    def handle(self, request: Request) -> Response:
        now = self._clock.seconds()
        while self._lately and self._lately[0] <= now - self._rate.seconds:
            self._lately.popleft()
        if len(self._lately) >= self._rate.requests:
            self.refused += 1
            return Response('{"status": "error", "policyName": "TEN_SECONDLY_ROLLING"}', 429)
        self._lately.append(now)
        self.answered += 1
        return super().handle(request)


@dataclass(frozen=True, slots=True)
class Kept:
    """How a backlog went. Seconds of the simulated clock, save `worked`, which is real."""

    count: int
    took: float
    limit: float
    """What the tool's limit dictates: as few requests as can be, as fast as it takes them."""
    worked: float
    answered: int
    refused: int


def keep_to_limit(ground: Ground, count: int) -> Kept:
    """Opt `count` people out, then have one worker tell HubSpot, job after job."""
    rate = RATE
    with ground.app.app_context():
        hush()
        destination = add_destination("hubspot", HubSpot.kind, {"token": TOKEN}, SUBSCRIPTION)
        opt_out(count)
        ground.vacuum()
        with simulated() as clock, Limited(clock, rate) as tool:
            took = _work_off(ground, destination, clock, tool, count)
        if tool.answered * HubSpot.capabilities.batch_size < count or len(tool.statuses) != count:
            raise RuntimeError(f"{len(tool.statuses)} of {count} opt-outs reached the tool")
    requests = -(-count // HubSpot.capabilities.batch_size)
    limit = requests * rate.seconds / rate.requests
    return Kept(count, took, limit, took - clock.skipped, tool.answered, tool.refused)


def _work_off(ground: Ground, destination: int, clock: Clock, tool: Limited, count: int) -> float:
    """Seconds until all was settled; between jobs, what was pushed is read back."""
    buckets = TokenBuckets(ground.settings.redis_url, clock.epoch)

    def connect(of: Destination, lease: Lease) -> Connector:
        setup = DestinationConfig(of.name, {**of.settings, "base_url": tool.url}, of.mapping)
        pace = TokenBucket(buckets, of.name, RATE)
        waits = HttpContext(now=clock, allow_private=True, rate_limiter=pace, sleep=clock.skip)
        return HubSpot(setup, replace(waits, lease_valid=lease, max_wait=lease.max_wait))

    began, settled = clock.seconds(), 0
    while settled < count:
        until = clock() + timedelta(seconds=TICK_SECONDS)
        done = sync(destination, connect, until=until, stop=lambda: False)
        settled += done
        until = clock() + timedelta(seconds=TICK_SECONDS)
        verify(destination, ListingKind.READ, connect, until=until, stop=lambda: False)
        if done == 0:  # held, or failed: the scheduler looks again
            clock.skip(TICK_INTERVAL)
    return clock.seconds() - began


@contextmanager
def simulated() -> Iterator[Clock]:
    """The service with a clock of this bench."""
    real, clock = services(), Clock()
    current_app.extensions[EXTENSION_NAME] = replace(real, now=clock)
    try:
        yield clock
    finally:
        current_app.extensions[EXTENSION_NAME] = real
