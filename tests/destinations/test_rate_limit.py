"""A tool's rate limit, on real Redis and a clock of the test's own."""

from __future__ import annotations

from datetime import timedelta

import pytest

from preference_center.destinations.connect import MAX_FIRST_WAIT
from preference_center.destinations.token_buckets import (
    INTERVAL_MARGIN,
    TokenBucket,
    TokenBuckets,
    parse_rate_limit,
)
from preference_center.integrations.base.contract import (
    Connector,
    DeliveryError,
    DestinationConfig,
    RateLimit,
    RateLimited,
)
from preference_center.integrations.base.http import (
    EndpointRateLimit,
    HttpContext,
    RequestRateLimiter,
    parse_reset_headers,
)
from preference_center.integrations.registry import make_connector
from tests.integrations.contract import ANNA, NOW, off
from tests.integrations.tools.sendgrid import KEY, SendGridStandIn
from tests.integrations.tools.stand_in import Fault

TEN_A_SECOND = RateLimit(10, 1)
TURN = 0.1 * INTERVAL_MARGIN
"""Seconds between two requests."""
NOBODY = "redis://127.0.0.1:1/0"


class Seconds:
    """A clock that only waits move."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def seconds(clean: None) -> Seconds:
    return Seconds()


def bucket(
    url: str, seconds: Seconds, rate: RateLimit | None = TEN_A_SECOND, name: str = "mailer"
) -> TokenBucket:
    """The bucket as one process has it."""
    return TokenBucket(TokenBuckets(url, seconds), name, rate)


def test_workers_of_a_destination_take_turns(redis_url: str, seconds: Seconds) -> None:
    one, other = bucket(redis_url, seconds), bucket(redis_url, seconds)
    waits = [pace.reserve(60) for pace in (one, other, one, other)]
    assert waits == pytest.approx([0, TURN, 2 * TURN, 3 * TURN], abs=1e-4)
    seconds.now += 4 * TURN
    assert one.reserve(60) == pytest.approx(0, abs=1e-4)


def test_destinations_do_not_wait_for_each_other(redis_url: str, seconds: Seconds) -> None:
    bucket(redis_url, seconds).reserve(60)
    assert bucket(redis_url, seconds, name="other").reserve(60) == 0


def test_a_limit_of_one_kind_of_request_is_kept_besides_the_accounts(
    redis_url: str, seconds: Seconds
) -> None:
    pace = bucket(redis_url, seconds)
    search = pace.with_limit(EndpointRateLimit("search", RateLimit(2, 1)))
    assert search.reserve(60) == pytest.approx(0, abs=1e-4)
    assert pace.reserve(60) == pytest.approx(TURN, abs=1e-4), "it took a turn of both"
    assert search.reserve(60) == pytest.approx(5 * TURN, abs=1e-4)
    with pytest.raises(RateLimited):
        search.reserve(0.1)


def test_a_limit_of_one_kind_of_request_never_widens_the_accounts(
    redis_url: str, seconds: Seconds
) -> None:
    pace = bucket(redis_url, seconds, RateLimit(1, 60))
    pace.reserve(60)
    with pytest.raises(RateLimited):
        pace.with_limit(EndpointRateLimit("search", RateLimit(2, 1))).reserve(50)
    other = bucket(redis_url, seconds, name="other").with_limit(
        EndpointRateLimit("search", RateLimit(2, 1))
    )
    assert other.reserve(60) == pytest.approx(0, abs=1e-4)


def test_a_documented_burst_may_be_sent_at_once(redis_url: str, seconds: Seconds) -> None:
    pace = bucket(redis_url, seconds, RateLimit(10, 1, burst=3))
    waits = [pace.reserve(60) for _ in range(5)]
    assert waits == pytest.approx([0, 0, 0, TURN, 2 * TURN], abs=1e-4)


def test_a_turn_beyond_the_lease_is_not_taken(redis_url: str, seconds: Seconds) -> None:
    pace = bucket(redis_url, seconds, RateLimit(1, 60))
    pace.reserve(50)
    for _ in range(2):
        with pytest.raises(RateLimited) as caught:
            pace.reserve(50)
        assert caught.value.retry_after == timedelta(seconds=60 * INTERVAL_MARGIN)
    seconds.now += 60 * INTERVAL_MARGIN
    assert pace.reserve(50) == 0


def test_a_batch_gives_its_turn_back_rather_than_have_a_worker_sleep(
    redis_url: str, seconds: Seconds
) -> None:  # I3: the worker is free for other tools meanwhile
    bucket(redis_url, seconds, RateLimit(1, 10)).reserve(50)
    turn = 10 * INTERVAL_MARGIN
    for _ in range(2):
        with pytest.raises(RateLimited) as caught:
            patient(redis_url, seconds, RateLimit(1, 10)).reserve(50)
        # Early enough to wait for the rest, so that no capacity is lost.
        assert caught.value.retry_after == timedelta(seconds=turn - MAX_FIRST_WAIT)
    seconds.now += turn - MAX_FIRST_WAIT
    assert patient(redis_url, seconds, RateLimit(1, 10)).reserve(50) == pytest.approx(
        MAX_FIRST_WAIT
    )


def test_a_batch_that_has_begun_waits_for_its_other_turns(
    redis_url: str, seconds: Seconds
) -> None:  # else a batch of several requests would never end
    pace = patient(redis_url, seconds, RateLimit(1, 10))
    assert [pace.reserve(50), pace.reserve(50)] == pytest.approx([0, 10 * INTERVAL_MARGIN])


def patient(url: str, seconds: Seconds, rate: RateLimit) -> TokenBucket:
    """The bucket as a worker's batch has it."""
    return TokenBucket(TokenBuckets(url, seconds), "mailer", rate, MAX_FIRST_WAIT)


def test_what_the_tool_asks_for_holds_everybody(redis_url: str, seconds: Seconds) -> None:
    one, other = bucket(redis_url, seconds, None), bucket(redis_url, seconds, None)
    assert other.reserve(0) == 0
    one.pause(30)
    assert other.reserve(60) == pytest.approx(30, abs=1e-4)
    seconds.now += 31
    assert other.reserve(0) == 0


def test_without_redis_each_process_keeps_to_the_limit(seconds: Seconds) -> None:
    pace = bucket(NOBODY, seconds)
    waits = [pace.reserve(60) for _ in range(3)]
    assert waits == pytest.approx([0, TURN, 2 * TURN], abs=1e-4)
    pace.pause(5)
    assert pace.reserve(60) == pytest.approx(5, abs=1e-4)


def test_a_thousand_requests_take_as_long_as_the_limit_dictates(
    redis_url: str, seconds: Seconds
) -> None:
    began, workers = seconds.now, [bucket(redis_url, seconds) for _ in range(3)]
    for number in range(1000):
        seconds.sleep(workers[number % 3].reserve(60))
    assert 999 * TURN - 0.2 < seconds.now - began < 1000 * TURN + 1


@pytest.mark.parametrize("text", ["10 per second", "10/second"])
def test_a_rate_reads_as_it_is_written(text: str) -> None:
    assert parse_rate_limit(text) == RateLimit(10, 1)
    with pytest.raises(ValueError, match="parse"):
        parse_rate_limit("quick")


def sendgrid(server: SendGridStandIn, pace: RequestRateLimiter, seconds: Seconds) -> Connector:
    http = HttpContext(allow_private=True, now=lambda: NOW, rate_limiter=pace, sleep=seconds.sleep)
    settings = {"api_key": KEY, "base_url": server.url}
    return make_connector("sendgrid", DestinationConfig("mailer", settings, {"news": "11"}), http)


def test_requests_wait_for_their_turn(redis_url: str, seconds: Seconds) -> None:
    began = seconds.now
    with SendGridStandIn() as server:
        pace = bucket(redis_url, seconds, RateLimit(1, 5))
        sendgrid(server, pace, seconds).push([off(1, ANNA, "news")])
        assert seconds.now - began == pytest.approx(
            5 * INTERVAL_MARGIN * (len(server.seen) - 1), abs=0.01
        )


def test_retry_after_holds_every_worker(redis_url: str, seconds: Seconds) -> None:
    with SendGridStandIn() as server:
        server.fail(Fault(429, {"Retry-After": "40"}))
        with pytest.raises(DeliveryError):
            sendgrid(server, bucket(redis_url, seconds, None), seconds).push([off(1, ANNA, "news")])
    assert bucket(redis_url, seconds, None).reserve(60) == pytest.approx(40, abs=1e-3)


def test_a_time_in_milliseconds_is_read_as_such() -> None:
    parse = parse_reset_headers("x-left", "x-reset", epoch=True)
    reset = str(int(NOW.timestamp() * 1000) + 90_000)
    assert parse(200, {"x-left": "0", "x-reset": reset}, NOW) == timedelta(seconds=90)


@pytest.mark.parametrize("epoch", [True, False])
def test_a_tools_own_headers_are_read(epoch: bool) -> None:  # noqa: FBT001
    parse = parse_reset_headers("x-left", "x-reset", epoch=epoch)
    reset = str(int(NOW.timestamp()) + 90) if epoch else "90"
    assert parse(200, {"x-left": "0", "x-reset": reset}, NOW) == timedelta(seconds=90)
    assert parse(200, {"x-left": "7", "x-reset": reset}, NOW) is None
    assert parse(200, {"x-left": "none", "x-reset": "soon"}, NOW) is None
    assert parse(200, {}, NOW) is None
