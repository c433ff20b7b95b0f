"""Limits count across processes, and hold on without Redis."""

from __future__ import annotations

from structlog.testing import capture_logs

from preference_center.limiting import BREAKER, Limiter

NOWHERE = "redis://127.0.0.1:1/0"
TWO = "2 per hour"


class Seconds:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_processes_count_together(clean: None, redis_url: str) -> None:
    one, other = Limiter(redis_url), Limiter(redis_url)
    assert [limiter.allows(TWO, "a") for limiter in (one, other, one)] == [True, True, False]
    assert other.allows(TWO, "b")


def test_every_limit_must_allow_it(clean: None, redis_url: str) -> None:
    limiter = Limiter(redis_url)
    both = "5 per second; 2 per hour"
    assert [limiter.allows(both, "a") for _ in range(3)] == [True, True, False]


def test_what_is_refused_does_not_count(clean: None, redis_url: str) -> None:
    limiter = Limiter(redis_url)
    for _ in range(5):
        limiter.allows("1 per day; 3 per month", "a")
    assert [limiter.allows("3 per month", "a") for _ in range(3)] == [True, True, False]


def test_without_redis_each_process_counts_for_itself() -> None:
    limiter, other = Limiter(NOWHERE), Limiter(NOWHERE)
    assert [limiter.allows(TWO, "a") for _ in range(3)] == [True, True, False]
    assert other.allows(TWO, "a")


def test_a_broken_redis_is_left_alone_for_a_while() -> None:
    seconds = Seconds()
    limiter = Limiter(NOWHERE, seconds)
    with capture_logs() as logs:
        for _ in range(3):
            limiter.allows(TWO, "a")
        assert [entry["event"] for entry in logs] == ["redis_away"]
        seconds.now = BREAKER
        limiter.allows(TWO, "a")
    assert len(logs) == 2
