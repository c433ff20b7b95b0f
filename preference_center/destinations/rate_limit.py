"""A tool's rate limit, kept by all workers of a destination together: one place in Redis.

The generic cell rate algorithm (ITU-T I.371), which is a token bucket that stores one
number, the moment when the bucket will be full again. Requests take their turn there and
then wait for it, so workers neither race nor poll. While Redis is away, each process keeps
to the limit by itself.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import redis
import structlog
from limits import parse

from preference_center.domain.sync.capabilities import Rate
from preference_center.integrations.base.rate_limit import Limit, Pace, Paced
from preference_center.queue import connect

log = structlog.get_logger()

TIMEOUT = 0.25
BREAKER = 5.0
"""Seconds that Redis may take, and that it is left alone after it failed."""
PATIENCE = 1.0
"""Seconds that a worker's batch waits for its first turn: beyond, the worker does others' work."""
MARGIN = 1.04
"""How much further apart than the limit allows requests are sent. They don't reach the tool
as evenly: at the very limit, one that was late and others that weren't are one too many in
the tool's window, and a 429 costs more than the margin."""

_TAKE = """
local now = tonumber(ARGV[4])
if now == nil then
    local t = redis.call('TIME')
    now = t[1] + t[2] / 1000000
end
local interval, burst, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local full = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
local wait = math.max(full - now - (burst - 1) * interval, 0)
if wait <= most then
    full = full + interval
    if full > now then
        redis.call('SET', KEYS[1], string.format('%.6f', full),
            'PX', math.ceil((full - now) * 1000) + 1000)
    end
end
return string.format('%.6f', wait)
"""
_HOLD = """
local now = tonumber(ARGV[3])
if now == nil then
    local t = redis.call('TIME')
    now = t[1] + t[2] / 1000000
end
local full = now + tonumber(ARGV[2]) + tonumber(ARGV[1])
if tonumber(redis.call('GET', KEYS[1]) or 0) < full then
    redis.call('SET', KEYS[1], string.format('%.6f', full),
        'PX', math.ceil((full - now) * 1000) + 1000)
end
"""


class Buckets:
    """The buckets of all destinations, in one process. Safe for use by several threads.

    `clock` is for benches that don't wait for real: seconds, in place of Redis's own time.
    """

    def __init__(self, redis_url: str, clock: Callable[[], float] | None = None) -> None:
        client = connect(redis_url, timeout=TIMEOUT)
        self._take = client.register_script(_TAKE)
        self._hold = client.register_script(_HOLD)
        self._clock = clock
        self._local: dict[str, float] = {}
        self._lock = threading.Lock()
        self._broken_until = 0.0

    def take(self, key: str, interval: float, burst: int, most: float) -> float:
        """Seconds until the turn, which is taken only if they are at most `most`."""
        answer = self._ask(self._take, key, interval, burst, most)
        return self._take_here(key, interval, burst, most) if answer is None else float(answer)

    def hold(self, key: str, interval: float, burst: int, seconds: float) -> None:
        """No turn comes before `seconds` have passed."""
        lead = (burst - 1) * interval
        self._ask(self._hold, key, lead, seconds)
        with self._lock:  # also here, for when Redis goes away meanwhile
            until = self._now() + seconds + lead
            self._local[key] = max(self._local.get(key, 0.0), until)

    def _ask(self, script: Any, key: str, *given: float) -> Any:
        if time.monotonic() < self._broken_until:
            return None
        now = "" if self._clock is None else repr(self._clock())
        try:
            return script(keys=[key], args=[*given, now]) or b"0"
        except redis.RedisError as error:
            log.warning("redis_away", error=type(error).__name__)
            self._broken_until = time.monotonic() + BREAKER
            return None

    def _take_here(self, key: str, interval: float, burst: int, most: float) -> float:
        with self._lock:
            now = self._now()
            full = max(self._local.get(key, 0.0), now)
            wait = max(full - now - (burst - 1) * interval, 0.0)
            if wait <= most:
                self._local[key] = full + interval
            return wait

    def _now(self) -> float:
        return self._clock() if self._clock else time.monotonic()


class Bucket:
    """One destination's share of `Buckets`; a `Pace` of one batch.

    Its first request waits `patience` seconds at most and gives the turn back where that
    is too short: a worker that sleeps keeps other tools waiting (I3). Later ones wait as
    long as they may, since what was sent before them would have to be sent again.
    """

    def __init__(
        self, buckets: Buckets, destination: str, rate: Rate | None, patience: float = math.inf
    ) -> None:
        self._patience = patience
        self._buckets = buckets
        self._destination = destination
        self._key = f"pace:{destination}"
        self._interval = MARGIN * rate.seconds / rate.requests if rate else 0.0
        self._burst = rate.burst if rate else 1

    def reserve(self, most: float) -> float:
        """See Pace."""
        most = max(min(most, self._patience), 0.0)
        wait = self._buckets.take(self._key, self._interval, self._burst, most)
        if wait > most:
            # Back as soon as the rest is short enough to be waited for.
            early = self._patience if self._patience < wait else 0.0
            raise Paced(
                f"{self._destination}: kept to its rate limit",
                retry_after=timedelta(seconds=wait - early),
            )
        self._patience = math.inf
        return wait

    def hold(self, seconds: float) -> None:
        """See Pace."""
        self._buckets.hold(self._key, self._interval, self._burst, seconds)

    def within(self, limit: Limit) -> Pace:
        """See Pace."""
        name = f"{self._destination}:{limit.name}"
        return _Both(Bucket(self._buckets, name, limit.rate, self._patience), self)


class _Both:
    """A further limit within a destination's own. A turn of it may pass in vain."""

    def __init__(self, narrow: Bucket, wide: Bucket) -> None:
        self._narrow = narrow
        self._wide = wide

    def reserve(self, most: float) -> float:
        """See Pace."""
        wait = self._narrow.reserve(most)
        return max(wait, self._wide.reserve(most))

    def hold(self, seconds: float) -> None:
        """See Pace: of all requests."""
        self._wide.hold(seconds)

    def within(self, limit: Limit) -> Pace:
        """See Pace."""
        return self._wide.within(limit)


def read_rate(text: str) -> Rate:
    """A setting as in `10 per second` or `500 per minute`. Raises ValueError."""
    item = parse(text)
    return Rate(item.amount, item.get_expiry())
