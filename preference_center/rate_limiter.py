"""How often something may be done: counted in Redis for all processes together.

While Redis is away each process counts for itself, so limits loosen and nothing stops.
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

from preference_center.errors import InvalidInput

log = structlog.get_logger()

T = TypeVar("T")

REDIS_TIMEOUT_SECONDS = 0.05
BREAKER_SECONDS = 5.0
"""Seconds that Redis may take, and that it is left alone after it failed."""

MAX_BATCHES = 10_000
"""Lots that are kept before those that are over are dropped: anybody can make keys."""

BATCHES_PER_WINDOW = 100
"""In how many parts processes take a rate from Redis."""

UNLIMITED = "none"


@dataclass(frozen=True, slots=True)
class RequestRate:
    """So many acts in a window of so many seconds."""

    limit: int
    window_seconds: int


@dataclass(frozen=True, slots=True)
class RateLimitStatus:
    """Whether one more act is within its rate."""

    allowed: bool
    rate: RequestRate
    remaining: int
    """In this window, as far as this process knows."""
    reset_seconds: int
    """Until the window ends."""


@dataclass(slots=True)
class _TokenBatch:
    """What this process may still do until the window ends, by its monotonic clock."""

    ends_at: float = 0.0
    local_remaining: int = 0
    shared_remaining: int = 0
    """Left for everybody when it was taken."""


class RedisRateLimiter:
    """Counts acts under a key. Safe for use by several threads.

    Keys must hold nothing personal (I12). No method raises for Redis.
    """

    def __init__(self, redis_url: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._redis = RedisStorage(
            redis_url,
            socket_timeout=REDIS_TIMEOUT_SECONDS,
            socket_connect_timeout=REDIS_TIMEOUT_SECONDS,
        )
        self._shared = MovingWindowRateLimiter(self._redis)
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Drop what this process counted for itself, and trust Redis again."""
        self._memory = MemoryStorage()
        self._local = MovingWindowRateLimiter(self._memory)
        self._batches: dict[tuple[str, ...], _TokenBatch] = {}
        self._broken_until = 0.0

    def hit(self, limits: str, *key: str) -> bool:
        """Whether one more act is within all of `limits` ("3 per hour; 10 per day").

        If so it is counted; an act that is refused is not. Windows move: "3 per hour" looks
        back an hour from each act, by the clock of Redis's client.
        """
        items = parse_many(limits)
        return self._with_redis(
            lambda: _hit(self._shared, items, key), lambda: _hit(self._local, items, key)
        )

    def acquire(self, rate: str, *key: str) -> RateLimitStatus:
        """Whether one more act is within `rate` ("6000 per minute"), which then counts.

        For acts that come by the thousand: a process takes a hundredth of the rate from Redis
        at a time, and asks again when that is used up or the window is over. So all processes
        together never allow more, and what some have not used when a window ends is lost.
        The window begins with the first act.
        """
        item, known = _parse_item(rate)
        with self._lock:
            now = self._monotonic()
            lot = self._batches.get((rate, *key))
            if (
                lot is None
                or now >= lot.ends_at
                or (not lot.local_remaining and lot.shared_remaining)
            ):
                self._drop_expired(now)
                lot = self._batches[rate, *key] = self._fetch_batch(item, key, now)
            allowed = lot.local_remaining > 0
            lot.local_remaining -= allowed
            return RateLimitStatus(
                allowed,
                known,
                lot.local_remaining + lot.shared_remaining,
                math.ceil(lot.ends_at - now),
            )

    def is_exhausted(self, rate: str, *key: str) -> bool:
        """Whether `take` would refuse now, as far as this process knows; nothing is counted."""
        with self._lock:
            lot = self._batches.get((rate, *key))
            return (
                lot is not None
                and not lot.local_remaining + lot.shared_remaining
                and self._monotonic() < lot.ends_at
            )

    def increment(self, window: str, *key: str) -> int:
        """Count an act, and return how many there were in this "hour", "day" or other window.

        The window begins with the first act.
        """
        item = _parse_item(f"1 per {window}")[0]
        name, expiry = item.key_for("count", *key), item.get_expiry()
        return self._with_redis(
            lambda: int(self._redis.incr(name, expiry)), lambda: self._memory.incr(name, expiry)
        )

    def _drop_expired(self, now: float) -> None:
        if len(self._batches) >= MAX_BATCHES:
            self._batches = {key: lot for key, lot in self._batches.items() if now < lot.ends_at}

    def _fetch_batch(self, item: RateLimitItem, key: tuple[str, ...], now: float) -> _TokenBatch:
        def fetch(storage: RedisStorage | MemoryStorage) -> _TokenBatch:
            name, size = item.key_for(*key), max(1, item.amount // BATCHES_PER_WINDOW)
            left = item.amount - storage.incr(name, item.get_expiry(), size)
            # Redis tells whole seconds; at none of them we would ask for every act.
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
                log.warning("redis_unavailable", error=type(error).__name__)
        return local()


def parse_rate(text: str) -> str:
    """A rate for `take` as a person wrote it, or UNLIMITED. Raises InvalidInput."""
    text = " ".join(text.split())
    try:
        valid = text == UNLIMITED or (";" not in text and parse(text).amount > 0)
    except ValueError:
        valid = False
    if not valid:
        raise InvalidInput("write a rate as in '6000 per minute', or none")
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
