"""How often something may be done: counted in Redis for all processes together.

While Redis is away each process counts for itself, so limits loosen and nothing stops.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog
from limits import RateLimitItem, parse_many
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import MovingWindowRateLimiter
from redis import RedisError

log = structlog.get_logger()

TIMEOUT = 0.05
BREAKER = 5.0
"""Seconds that Redis may take, and that it is left alone after it failed."""


class Limiter:
    """Counts acts under a key. Safe for use by several threads.

    Windows move: "3 per hour" looks back an hour from each act, by the clock of Redis's
    client. Keys must hold nothing personal (I12).
    """

    def __init__(self, redis_url: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        redis = RedisStorage(redis_url, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT)
        self._shared = MovingWindowRateLimiter(redis)
        self._monotonic = monotonic
        self.forget()

    def forget(self) -> None:
        """Drop what this process counted for itself, and trust Redis again."""
        self._own = MovingWindowRateLimiter(MemoryStorage())
        self._broken_until = 0.0

    def allows(self, limits: str, *key: str) -> bool:
        """Whether one more act is within all of `limits` ("3 per hour; 10 per day").

        If so it is counted; an act that is refused is not. Never raises for Redis.
        """
        items = parse_many(limits)
        if self._monotonic() >= self._broken_until:
            try:
                return _hit(self._shared, items, key)
            except RedisError as error:
                self._broken_until = self._monotonic() + BREAKER
                log.warning("redis_away", error=type(error).__name__)
        return _hit(self._own, items, key)


def _hit(
    strategy: MovingWindowRateLimiter, items: list[RateLimitItem], key: tuple[str, ...]
) -> bool:
    return all(strategy.test(item, *key) for item in items) and all(
        strategy.hit(item, *key) for item in items
    )
