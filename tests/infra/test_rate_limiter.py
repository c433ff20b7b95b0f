"""Limits count across processes, and hold on without Redis."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from redis import Redis
from structlog.testing import capture_logs

from preference_center.core.errors import InvalidInput
from preference_center.infra.redis import BREAKER_SECONDS, RedisRateLimiter, RequestRate, parse_rate

NOWHERE = "redis://127.0.0.1:1/0"
TWO = "2 per hour"


class Seconds:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_processes_count_together(clean: None, redis_url: str) -> None:
    one, other = RedisRateLimiter(redis_url), RedisRateLimiter(redis_url)
    assert [limiter.hit(TWO, "a") for limiter in (one, other, one)] == [True, True, False]
    assert other.hit(TWO, "b")


def test_every_limit_must_allow_it(clean: None, redis_url: str) -> None:
    limiter = RedisRateLimiter(redis_url)
    both = "5 per second; 2 per hour"
    assert [limiter.hit(both, "a") for _ in range(3)] == [True, True, False]


def test_what_is_refused_does_not_count(clean: None, redis_url: str) -> None:
    limiter = RedisRateLimiter(redis_url)
    for _ in range(5):
        limiter.hit("1 per day; 3 per month", "a")
    assert [limiter.hit("3 per month", "a") for _ in range(3)] == [True, True, False]


def test_without_redis_each_process_counts_for_itself() -> None:
    limiter, other = RedisRateLimiter(NOWHERE), RedisRateLimiter(NOWHERE)
    assert [limiter.hit(TWO, "a") for _ in range(3)] == [True, True, False]
    assert other.hit(TWO, "a")


def test_a_broken_redis_is_left_alone_for_a_while() -> None:
    seconds = Seconds()
    limiter = RedisRateLimiter(NOWHERE, seconds)
    with capture_logs() as logs:
        for _ in range(3):
            limiter.hit(TWO, "a")
        assert [entry["event"] for entry in logs] == ["redis_unavailable"]
        seconds.now = BREAKER_SECONDS
        limiter.hit(TWO, "a")
    assert len(logs) == 2


RATE = "1000 per hour"


def test_a_rate_is_taken_in_lots_and_never_exceeded(clean: None, redis_url: str) -> None:
    one, other = RedisRateLimiter(redis_url), RedisRateLimiter(redis_url)
    taken = [
        limiter.acquire("25 per hour", "a").allowed for _ in range(20) for limiter in (one, other)
    ]
    assert sum(taken) == 25
    assert one.acquire("25 per hour", "b").allowed


def test_only_one_act_in_many_asks_redis(
    clean: None, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    limiter = RedisRateLimiter(redis_url)
    first = limiter.acquire(RATE, "a")
    asked = look_ups(limiter, monkeypatch)
    seen = [limiter.acquire(RATE, "a") for _ in range(9)]
    assert not asked
    limiter.acquire(RATE, "a")
    assert asked
    assert (first.remaining, seen[-1].remaining) == (999, 990)
    assert first.rate == RequestRate(1000, 3600)
    assert 0 < first.reset_seconds <= 3600


def test_what_is_over_its_rate_asks_redis_no_more(
    clean: None, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    limiter = RedisRateLimiter(redis_url)
    limiter.acquire("1 per hour", "a")
    assert not limiter.acquire("1 per hour", "a").allowed
    asked = look_ups(limiter, monkeypatch)
    assert not any(limiter.acquire("1 per hour", "a").allowed for _ in range(9))
    assert not asked


def test_a_rate_begins_anew_with_its_window(clean: None, redis_url: str) -> None:
    seconds = Seconds()
    limiter = RedisRateLimiter(redis_url, seconds)
    assert [limiter.acquire("1 per hour", "a").allowed for _ in range(2)] == [True, False]
    with Redis.from_url(redis_url) as redis:
        redis.flushdb()  # Redis's own clock has not moved
    seconds.now = 3601.0
    assert limiter.acquire("1 per hour", "a").allowed


def test_without_redis_a_rate_holds_within_each_process() -> None:
    limiter, other = RedisRateLimiter(NOWHERE), RedisRateLimiter(NOWHERE)
    assert [limiter.acquire(TWO, "a").allowed for _ in range(3)] == [True, True, False]
    assert other.acquire(TWO, "a").allowed


def test_threads_share_a_rate(clean: None, redis_url: str) -> None:
    limiter = RedisRateLimiter(redis_url)
    with ThreadPoolExecutor(4) as pool:
        taken = list(pool.map(lambda _: limiter.acquire("300 per hour", "a").allowed, range(400)))
    assert sum(taken) == 300


@pytest.mark.parametrize("text", ["6000 per minute", "6000/minute", "5 per 2 hours", "none"])
def test_a_rate_can_be_written(text: str) -> None:
    assert parse_rate(f" {text} ") == text


@pytest.mark.parametrize(
    "text", ["", "6000", "0 per hour", "-1 per hour", "1/hour; 2/day", "1 per x"]
)
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="6000 per minute"):
        parse_rate(text)


def look_ups(limiter: RedisRateLimiter, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Gets an entry each time that this limiter asks Redis from now on."""
    asked, ask = list[int](), limiter._with_redis

    def noted(*given: Any) -> Any:
        asked.append(1)
        return ask(*given)

    monkeypatch.setattr(limiter, "_with_redis", noted)
    return asked
