"""All workers of a destination share a tool's rate limit through Redis.

It is the generic cell rate algorithm (ITU-T I.371), which is a token bucket that stores one number,
the time when the bucket will be full again. A request reserves its time there and then waits for
it, so workers neither race nor poll. While Redis is unavailable, each process keeps the limit for
itself.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

import redis
import structlog
from flask import current_app
from limits import parse

from preference_center.infra.context import services
from preference_center.infra.redis import connect_redis, error_fields
from preference_center.integrations.base.contract import RateLimit, RateLimited
from preference_center.integrations.base.http import EndpointRateLimit, RequestRateLimiter

log = structlog.get_logger()


BUCKETS_EXTENSION = "preference_center.token_buckets"


REDIS_TIMEOUT = 0.25


REDIS_RETRY_DELAY = 5.0
"""Seconds that Redis may take, and that it is not used after a failure."""


INTERVAL_MARGIN = 1.04
"""Factor by which requests are further apart than the limit allows. They don't reach the tool
as evenly as they are sent: at the exact limit, a late one makes one too many in the tool's
window, and a 429 costs more than the margin."""


_ACQUIRE_SCRIPT = """
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


_PAUSE_SCRIPT = """
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


class TokenBuckets:
    """The buckets of all destinations, in one process. Thread-safe.

    `clock` is for benchmarks that don't really wait: seconds, in place of Redis's own time.
    """

    def __init__(self, redis_url: str, clock: Callable[[], float] | None = None) -> None:
        client = connect_redis(redis_url, timeout=REDIS_TIMEOUT)
        self._acquire_script = client.register_script(_ACQUIRE_SCRIPT)
        self._pause_script = client.register_script(_PAUSE_SCRIPT)
        self._clock = clock
        self._local: dict[str, float] = {}
        self._lock = threading.Lock()
        self._broken_until = 0.0

    def acquire(self, key: str, interval: float, burst: int, max_wait: float) -> float:
        """Seconds until the request may be sent; it is reserved only if at most `max_wait`."""
        response = self._run_script(self._acquire_script, key, interval, burst, max_wait)
        return (
            self._acquire_locally(key, interval, burst, max_wait)
            if response is None
            else float(response)
        )

    def pause(self, key: str, interval: float, burst: int, seconds: float) -> None:
        """Allow no request before `seconds` have passed."""
        lead = (burst - 1) * interval
        self._run_script(self._pause_script, key, lead, seconds)
        with self._lock:  # also here, in case Redis becomes unavailable
            until = self._now() + seconds + lead
            self._local[key] = max(self._local.get(key, 0.0), until)

    def _run_script(self, script: Any, key: str, *arguments: float) -> Any:
        if time.monotonic() < self._broken_until:
            return None
        now = "" if self._clock is None else repr(self._clock())
        try:
            return script(keys=[key], args=[*arguments, now]) or b"0"
        except redis.RedisError as error:
            log.warning("redis_unavailable", **error_fields(error))
            self._broken_until = time.monotonic() + REDIS_RETRY_DELAY
            return None

    def _acquire_locally(self, key: str, interval: float, burst: int, max_wait: float) -> float:
        with self._lock:
            now = self._now()
            full = max(self._local.get(key, 0.0), now)
            wait = max(full - now - (burst - 1) * interval, 0.0)
            if wait <= max_wait:
                self._local[key] = full + interval
            return wait

    def _now(self) -> float:
        return self._clock() if self._clock else time.monotonic()


class TokenBucket:
    """One destination's bucket: the `RequestRateLimiter` of one batch.

    Its first request waits `max_first_wait` seconds at most, and else raises RateLimited: a
    worker that sleeps keeps other tools waiting (I3). Later ones wait as long as they may,
    since the requests before them would have to be repeated.
    """

    def __init__(
        self,
        buckets: TokenBuckets,
        destination: str,
        rate_limit: RateLimit | None,
        max_first_wait: float = math.inf,
    ) -> None:
        self._max_first_wait = max_first_wait
        self._buckets = buckets
        self._destination = destination
        self._key = f"rate_limit:{destination}"
        self._interval = (
            INTERVAL_MARGIN * rate_limit.seconds / rate_limit.requests if rate_limit else 0.0
        )
        self._burst = rate_limit.burst if rate_limit else 1

    def reserve(self, max_wait: float) -> float:
        """See RequestRateLimiter."""
        max_wait = max(min(max_wait, self._max_first_wait), 0.0)
        wait = self._buckets.acquire(self._key, self._interval, self._burst, max_wait)
        if wait > max_wait:
            # Retried as soon as the rest is short enough to be waited for.
            early = self._max_first_wait if self._max_first_wait < wait else 0.0
            raise RateLimited(
                f"{self._destination}: its rate limit is reached",
                retry_after=timedelta(seconds=wait - early),
            )
        self._max_first_wait = math.inf
        return wait

    def pause(self, seconds: float) -> None:
        """See RequestRateLimiter."""
        self._buckets.pause(self._key, self._interval, self._burst, seconds)

    def with_limit(self, limit: EndpointRateLimit) -> RequestRateLimiter:
        """See RequestRateLimiter."""
        name = f"{self._destination}:{limit.name}"
        return _CombinedRateLimiter(
            TokenBucket(self._buckets, name, limit.rate_limit, self._max_first_wait), self
        )


class _CombinedRateLimiter:
    """A further limit within a destination's own. Its reservation may go unused."""

    def __init__(self, endpoint_limiter: TokenBucket, account_limiter: TokenBucket) -> None:
        self._endpoint_limiter = endpoint_limiter
        self._account_limiter = account_limiter

    def reserve(self, max_wait: float) -> float:
        """See RequestRateLimiter."""
        wait = self._endpoint_limiter.reserve(max_wait)
        return max(wait, self._account_limiter.reserve(max_wait))

    def pause(self, seconds: float) -> None:
        """See RequestRateLimiter: pauses all requests."""
        self._account_limiter.pause(seconds)

    def with_limit(self, limit: EndpointRateLimit) -> RequestRateLimiter:
        """See RequestRateLimiter."""
        return self._account_limiter.with_limit(limit)


def parse_rate_limit(text: str) -> RateLimit:
    """A setting as in `10 per second` or `500 per minute`. Raises ValueError."""
    item = parse(text)
    return RateLimit(item.amount, item.get_expiry())


def token_buckets() -> TokenBuckets:
    """The process's token buckets, which share one connection to Redis."""
    buckets = current_app.extensions.get(BUCKETS_EXTENSION)
    if buckets is None:
        buckets = current_app.extensions[BUCKETS_EXTENSION] = TokenBuckets(
            services().settings.redis_url
        )
    return cast("TokenBuckets", buckets)
