"""Rate limits, counted in Redis for all processes together.

While Redis is unavailable each process counts for itself: the limits are looser, but all
operations continue.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

import structlog
from limits import RateLimitItem, parse, parse_many
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import MovingWindowRateLimiter
from redis import RedisError

from preference_center.core.errors import InvalidInput
from preference_center.infra.redis_connection import connect_redis, error_fields

log = structlog.get_logger()

T = TypeVar("T")

REDIS_TIMEOUT_SECONDS = 0.05
BREAKER_SECONDS = 5.0
"""The timeout of Redis, and how long it is not used after a failure."""

MAX_BATCHES = 10_000
"""Batches kept before expired ones are dropped; limits memory, since clients determine keys."""

BATCHES_PER_WINDOW = 100
"""A process claims this fraction of a rate from Redis at a time."""

UNLIMITED = "none"


@dataclass(frozen=True, slots=True)
class RequestRate:
    """`limit` operations per window."""

    limit: int
    window_seconds: int


@dataclass(frozen=True, slots=True)
class RateLimitStatus:
    """Whether one more operation is within its rate."""

    allowed: bool
    rate: RequestRate
    remaining: int
    """Operations left in this window, as far as this process knows."""
    reset_seconds: int
    """Seconds until the window ends."""


@dataclass(slots=True)
class _TokenBatch:
    """The operations that this process may do until the window ends, by its monotonic clock."""

    ends_at: float = 0.0
    local_remaining: int = 0
    shared_remaining: int = 0
    """Left for all processes when the batch was claimed."""


class RedisRateLimiter:
    """Counts operations per key. Thread-safe.

    Keys must not contain personal data (I12). No method raises an error of Redis.
    """

    def __init__(self, redis_url: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        client = connect_redis(redis_url, timeout=REDIS_TIMEOUT_SECONDS)
        self._redis = RedisStorage("redis://", connection_pool=client.connection_pool)
        self._shared = MovingWindowRateLimiter(self._redis)
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Drop the counts of this process, and use Redis again."""
        self._memory = MemoryStorage()
        self._local = MovingWindowRateLimiter(self._memory)
        self._batches: dict[tuple[str, ...], _TokenBatch] = {}
        self._broken_until = 0.0

    def hit(self, limits: str, *key: str) -> bool:
        """Whether one more operation is within all of `limits` ("3 per hour; 10 per day").

        An allowed operation is counted, a rejected one is not. Windows are sliding: "3 per hour"
        means the hour before each operation, by the clock of the Redis client.
        """
        items = parse_many(limits)
        return self._with_redis(
            lambda: _hit(self._shared, items, key), lambda: _hit(self._local, items, key)
        )

    def acquire(self, rate: str, *key: str) -> RateLimitStatus:
        """Count one more operation, and return whether it is within `rate` ("6000 per minute").

        For frequent operations: a process claims a hundredth of the rate from Redis at a time, and
        claims again when that is used up or the window is over. So all processes together never
        allow more, and what is unused when a window ends is lost. The window begins with the first
        operation.
        """
        item, known = _parse_item(rate)
        with self._lock:
            now = self._monotonic()
            batch = self._batches.get((rate, *key))
            if (
                batch is None
                or now >= batch.ends_at
                or (not batch.local_remaining and batch.shared_remaining)
            ):
                self._drop_expired(now)
                batch = self._batches[rate, *key] = self._fetch_batch(item, key, now)
            allowed = batch.local_remaining > 0
            batch.local_remaining -= allowed
            return RateLimitStatus(
                allowed,
                known,
                batch.local_remaining + batch.shared_remaining,
                math.ceil(batch.ends_at - now),
            )

    def is_exhausted(self, rate: str, *key: str) -> bool:
        """Whether `acquire` would reject now, as far as this process knows; counts nothing."""
        with self._lock:
            batch = self._batches.get((rate, *key))
            return (
                batch is not None
                and not batch.local_remaining + batch.shared_remaining
                and self._monotonic() < batch.ends_at
            )

    def increment(self, window: str, *key: str) -> int:
        """Count an operation, and return the count in this "hour", "day" or other window.

        The window begins with the first operation.
        """
        item = _parse_item(f"1 per {window}")[0]
        name, expiry = item.key_for("count", *key), item.get_expiry()
        return self._with_redis(
            lambda: int(self._redis.incr(name, expiry)), lambda: self._memory.incr(name, expiry)
        )

    def _drop_expired(self, now: float) -> None:
        if len(self._batches) >= MAX_BATCHES:
            self._batches = {
                key: batch for key, batch in self._batches.items() if now < batch.ends_at
            }

    def _fetch_batch(self, item: RateLimitItem, key: tuple[str, ...], now: float) -> _TokenBatch:
        def fetch(storage: RedisStorage | MemoryStorage) -> _TokenBatch:
            name, size = item.key_for(*key), max(1, item.amount // BATCHES_PER_WINDOW)
            left = item.amount - storage.incr(name, item.get_expiry(), size)
            # Redis returns whole seconds; with 0 we would query it for every operation.
            ends = now + max(1.0, storage.get_expiry(name) - time.time())
            return _TokenBatch(
                ends, local_remaining=max(0, size + min(0, left)), shared_remaining=max(0, left)
            )

        return self._with_redis(lambda: fetch(self._redis), lambda: fetch(self._memory))

    def _with_redis(self, shared: Callable[[], T], local: Callable[[], T]) -> T:
        if self._monotonic() >= self._broken_until:
            try:
                return shared()
            except RedisError as error:
                self._broken_until = self._monotonic() + BREAKER_SECONDS
                log.warning("redis_unavailable", **error_fields(error))
        return local()


def parse_rate(text: str) -> str:
    """A rate for `acquire` from user input, or UNLIMITED. Raises InvalidInput."""
    text = " ".join(text.split())
    try:
        valid = text == UNLIMITED or (";" not in text and parse(text).amount > 0)
    except ValueError:
        valid = False
    if not valid:
        raise InvalidInput("not a valid rate; use e.g. '6000 per minute', or none")
    return text


@cache
def _parse_item(rate: str) -> tuple[RateLimitItem, RequestRate]:
    item = parse(rate)
    return item, RequestRate(item.amount, item.get_expiry())


def _hit(
    strategy: MovingWindowRateLimiter, items: list[RateLimitItem], key: tuple[str, ...]
) -> bool:
    return all(strategy.test(item, *key) for item in items) and all(
        strategy.hit(item, *key) for item in items
    )
