"""`connect` makes the connector of a stored destination, with its rate limit and its lease.

This is the composition root of connectors.

All workers of a destination share a tool's rate limit through Redis. It is the generic cell rate
algorithm (ITU-T I.371), which is a token bucket that stores one number, the time when the bucket
will be full again. A request reserves its time there and then waits for it, so workers neither race
nor poll. While Redis is unavailable, each process keeps the limit for itself.

A lease says how long a worker may act on what it has claimed.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import redis
import structlog
from flask import current_app
from limits import parse

from preference_center.catalogue.store import current_catalogue
from preference_center.core.addresses import Channel
from preference_center.destinations.rules.plan import channels_by_topic
from preference_center.destinations.rules.states import Destination
from preference_center.infra.company_webhooks import ALLOW_PRIVATE
from preference_center.infra.context import services
from preference_center.infra.redis import connect_redis, error_fields
from preference_center.integrations.base.contract import (
    Connector,
    DestinationConfig,
    RateLimit,
    RateLimited,
)
from preference_center.integrations.base.integration import RATE_SETTING
from preference_center.integrations.registry import (
    DestinationConfigError,
    get_spec,
    make_connector,
)

if TYPE_CHECKING:
    from preference_center.integrations.base.http import EndpointRateLimit, RequestRateLimiter

log = structlog.get_logger()


REDIS_TIMEOUT = 0.25


REDIS_RETRY_DELAY = 5.0
"""Seconds that Redis may take, and that it is not used after a failure."""


MAX_FIRST_WAIT = 1.0
"""Seconds that a worker's batch waits for its first request; beyond, it does other work."""


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


LEASE_DURATION = timedelta(seconds=90)
"""How long a worker holds a batch; one exchange with a tool (30 s) ends well within it."""


MAX_EXCHANGE_DURATION = timedelta(seconds=30)


SETTLE_MARGIN = timedelta(seconds=10)
"""Time left after the last exchange, to store its outcome."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A claim that ends at `ends_at`, by the clock `now`."""

    ends_at: datetime
    now: Callable[[], datetime]

    def __call__(self) -> bool:
        """Whether it outlasts an exchange that starts now."""
        return self.now() + MAX_EXCHANGE_DURATION < self.ends_at

    def max_wait(self) -> float:
        """Seconds that a request may wait for the rate limit and still be settled in time."""
        return (self.ends_at - MAX_EXCHANGE_DURATION - SETTLE_MARGIN - self.now()).total_seconds()


ConnectorFactory = Callable[[Destination, Lease], Connector]
"""Makes a destination's connector; the lease tells it whether a request is allowed."""


BUCKETS_EXTENSION = "preference_center.token_buckets"


def connect(destination: Destination, lease: Lease | None = None) -> Connector:
    """Make the connector of `destination`. Raises DestinationConfigError for bad settings."""
    config = DestinationConfig(
        name=destination.name,
        settings=destination.settings,
        topics=destination.mapping,
        sends_service=destination.sends_service,
        channels=_topic_channels(destination),
    )
    return build_connector(destination.kind, config, lease)


def _topic_channels(destination: Destination) -> dict[str, Channel]:
    """The channel of each of its topics; empty if all are email."""
    if destination.channels <= {Channel.EMAIL}:
        return {}
    return channels_by_topic(destination.mapping, current_catalogue())


def build_connector(kind: str, config: DestinationConfig, lease: Lease | None = None) -> Connector:
    """Make a connector of `kind`. Raises DestinationConfigError for bad settings.

    Without a lease its requests may wait for the rate limit without end.
    """
    # Imported late, as connectors are: a process that calls no tool needs no HTTP client.
    from preference_center.integrations.base.http import HttpContext  # noqa: PLC0415

    http = HttpContext(
        now=services().now,
        allow_private=os.environ.get(ALLOW_PRIVATE) == "1",
        private_networks=services().settings.reachable_networks,
        file_root=Path(services().settings.file_drop_root),
        rate_limiter=TokenBucket(
            _token_buckets(),
            config.name,
            _rate_limit(kind, config),
            math.inf if lease is None else MAX_FIRST_WAIT,
        ),
    )
    if lease is not None:
        http = replace(http, lease_valid=lease, max_wait=lease.max_wait)
    return make_connector(kind, config, http)


def _rate_limit(kind: str, config: DestinationConfig) -> RateLimit | None:
    """The setting's limit, else the documented one. Raises DestinationConfigError."""
    stated = config.settings.get(RATE_SETTING)
    if stated:
        try:
            return parse_rate_limit(stated)
        except ValueError:
            problem = f"{kind}: {RATE_SETTING}: write e.g. '10 per second' or '500 per minute'"
            raise DestinationConfigError(problem) from None
    return get_spec(kind).capabilities.rate_limit


def _token_buckets() -> TokenBuckets:
    """The process's token buckets, which share one connection to Redis."""
    buckets = current_app.extensions.get(BUCKETS_EXTENSION)
    if buckets is None:
        buckets = current_app.extensions[BUCKETS_EXTENSION] = TokenBuckets(
            services().settings.redis_url
        )
    return cast("TokenBuckets", buckets)
