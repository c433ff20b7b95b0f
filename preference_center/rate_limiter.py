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

TIMEOUT = 0.05
BREAKER = 5.0
"""Seconds that Redis may take, and that it is left alone after it failed."""

MOST_LOTS = 10_000
"""Lots that are kept before those that are over are dropped: anybody can make keys."""

LOTS = 100
"""In how many parts processes take a rate from Redis."""

UNLIMITED = "none"


@dataclass(frozen=True, slots=True)
class Rate:
    """So many acts in a window of so many seconds."""

    amount: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Allowance:
    """Whether one more act is within its rate."""

    allowed: bool
    rate: Rate
    left: int
    """In this window, as far as this process knows."""
    seconds: int
    """Until the window ends."""


@dataclass(slots=True)
class _Lot:
    """What this process may still do until the window ends, by its monotonic clock."""

    ends: float = 0.0
    own: int = 0
    shared: int = 0
    """Left for everybody when it was taken."""


class Limiter:
    """Counts acts under a key. Safe for use by several threads.

    Keys must hold nothing personal (I12). No method raises for Redis.
    """

    def __init__(self, redis_url: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._redis = RedisStorage(
            redis_url, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT
        )
        self._shared = MovingWindowRateLimiter(self._redis)
        self._monotonic = monotonic
        self._taking = threading.Lock()
        self.forget()

    def forget(self) -> None:
        """Drop what this process counted for itself, and trust Redis again."""
        self._memory = MemoryStorage()
        self._own = MovingWindowRateLimiter(self._memory)
        self._lots: dict[tuple[str, ...], _Lot] = {}
        self._broken_until = 0.0

    def allows(self, limits: str, *key: str) -> bool:
        """Whether one more act is within all of `limits` ("3 per hour; 10 per day").

        If so it is counted; an act that is refused is not. Windows move: "3 per hour" looks
        back an hour from each act, by the clock of Redis's client.
        """
        items = parse_many(limits)
        return self._with_redis(
            lambda: _hit(self._shared, items, key), lambda: _hit(self._own, items, key)
        )

    def take(self, rate: str, *key: str) -> Allowance:
        """Whether one more act is within `rate` ("6000 per minute"), which then counts.

        For acts that come by the thousand: a process takes a hundredth of the rate from Redis
        at a time, and asks again when that is used up or the window is over. So all processes
        together never allow more, and what some have not used when a window ends is lost.
        The window begins with the first act.
        """
        item, known = _item(rate)
        with self._taking:
            now = self._monotonic()
            lot = self._lots.get((rate, *key))
            if lot is None or now >= lot.ends or (not lot.own and lot.shared):
                self._drop_ended(now)
                lot = self._lots[rate, *key] = self._lot(item, key, now)
            allowed = lot.own > 0
            lot.own -= allowed
            return Allowance(allowed, known, lot.own + lot.shared, math.ceil(lot.ends - now))

    def is_spent(self, rate: str, *key: str) -> bool:
        """Whether `take` would refuse now, as far as this process knows; nothing is counted."""
        with self._taking:
            lot = self._lots.get((rate, *key))
            return lot is not None and not lot.own + lot.shared and self._monotonic() < lot.ends

    def count(self, window: str, *key: str) -> int:
        """Count an act, and return how many there were in this "hour", "day" or other window.

        The window begins with the first act.
        """
        item = _item(f"1 per {window}")[0]
        name, expiry = item.key_for("count", *key), item.get_expiry()
        return self._with_redis(
            lambda: int(self._redis.incr(name, expiry)), lambda: self._memory.incr(name, expiry)
        )

    def _drop_ended(self, now: float) -> None:
        if len(self._lots) >= MOST_LOTS:
            self._lots = {key: lot for key, lot in self._lots.items() if now < lot.ends}

    def _lot(self, item: RateLimitItem, key: tuple[str, ...], now: float) -> _Lot:
        def taken(storage: RedisStorage | MemoryStorage) -> _Lot:
            name, size = item.key_for(*key), max(1, item.amount // LOTS)
            left = item.amount - storage.incr(name, item.get_expiry(), size)
            # Redis tells whole seconds; at none of them we would ask for every act.
            ends = now + max(1.0, storage.get_expiry(name) - time.time())
            return _Lot(ends, own=max(0, size + min(0, left)), shared=max(0, left))

        return self._with_redis(lambda: taken(self._redis), lambda: taken(self._memory))

    def _with_redis(self, shared: Callable[[], T], alone: Callable[[], T]) -> T:
        if self._monotonic() >= self._broken_until:
            try:
                return shared()
            except RedisError as error:
                self._broken_until = self._monotonic() + BREAKER
                log.warning("redis_away", error=type(error).__name__)
        return alone()


def read_rate(text: str) -> str:
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
def _item(rate: str) -> tuple[RateLimitItem, Rate]:
    item = parse(rate)
    return item, Rate(item.amount, item.get_expiry())


def _hit(
    strategy: MovingWindowRateLimiter, items: list[RateLimitItem], key: tuple[str, ...]
) -> bool:
    return all(strategy.test(item, *key) for item in items) and all(
        strategy.hit(item, *key) for item in items
    )
