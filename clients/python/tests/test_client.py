"""What the clients send, repeat and read."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from clients.python.tests.fake_service import FakeService, allowed, decided, problem
from preference_center_client import (
    AsyncClient,
    Client,
    Consent,
    Evidence,
    InvalidRequest,
    LinkRequest,
    OptOut,
    StaleWatermark,
    TimeLimits,
    Unavailable,
)
from preference_center_client.connection import READ_LIMITS, Connection
from preference_center_client.exchange import Call, Wait, exchange

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
STOP = OptOut("ada@example.com", "acme.offers", "phone", NOW)
RECORDED = httpx.Response(200, json=[{"recorded": True, "event": "e1"}])


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """In a thread of its own: another may have an event loop already."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()  # noqa: TID251 - in its own thread


def test_a_write_is_repeated_with_the_same_idempotency_key() -> None:
    service = FakeService([httpx.ConnectError, httpx.ReadTimeout, RECORDED])
    with service.client() as client:
        assert client.record_opt_out(STOP).event == "e1"
        client.record_opt_out(STOP)
    keys = [request.headers["Idempotency-Key"] for request in service.requests]
    assert keys[0] == keys[1] == keys[2] != keys[3]
    assert service.slept == [0.2, 0.4]
    assert json.loads(service.requests[0].content) == [
        {
            "address": "ada@example.com",
            "channel": "email",
            "scope": "acme.offers",
            "via": "phone",
            "received_at": "2026-11-24T09:00:00+00:00",
        }
    ]


def test_the_key_of_a_write_can_be_given() -> None:
    service = FakeService([RECORDED])
    with service.client() as client:
        client.record_opt_out(STOP, idempotency_key="call-4711")
    assert service.requests[0].headers["Idempotency-Key"] == "call-4711"
    assert service.requests[0].headers["Authorization"] == "Bearer pc_shop_example"


def test_retry_after_is_waited_for_and_given_up_beyond_the_time_of_the_call() -> None:
    busy = httpx.Response(503, headers={"Retry-After": "3"})
    service = FakeService([busy, RECORDED])
    with service.client() as client:
        assert client.record_opt_out(STOP).recorded
    assert service.slept == [3.0]
    service = FakeService([httpx.Response(429, headers={"Retry-After": "300"})])
    with service.client() as client, pytest.raises(Unavailable, match="429") as raised:
        client.record_opt_out(STOP)
    assert raised.value.retry_after == 300
    assert service.slept == []


def test_a_refused_write_is_not_repeated_and_says_what_to_fix() -> None:
    service = FakeService([problem(422, "unknown-topic")])
    with service.client() as client, pytest.raises(InvalidRequest) as raised:
        client.record_opt_out(STOP)
    assert len(service.requests) == 1
    assert raised.value.type == "unknown-topic"
    assert raised.value.errors[0].pointer == "/scope"


def test_no_error_holds_the_address_or_the_key() -> None:  # I12
    for answer in (problem(422), httpx.ConnectError, httpx.Response(200, text="{}")):
        with FakeService([answer]).client() as client:
            with pytest.raises(Exception, match=r".+") as raised:
                client.record_opt_out(STOP)
            assert "ada@" not in str(raised.value)
            assert "pc_shop" not in str(raised.value) + repr(client.__dict__["_connection"])
    assert "ada@" not in repr(STOP)


def test_a_long_list_is_asked_in_parts_and_stays_in_order() -> None:
    service = FakeService([allowed])
    with service.client() as client:
        decisions = client.decide_many(
            "offers.weekly", [f"p{i}@example.com" for i in range(20_001)]
        )
    assert len(decisions) == 20_001
    assert [len(json.loads(r.content)["recipients"]) for r in service.requests] == [
        10_000,
        10_000,
        1,
    ]


def test_what_was_decided_before_a_failure_stays_decided() -> None:  # I11
    service = FakeService([allowed, httpx.ReadTimeout])
    with service.client() as client:
        decisions = client.decide_many("offers.weekly", ["a@example.com"] * 10_001)
    assert [each.rule for each in decisions[9_999:]] == ["not_opted_out", "unanswered"]
    assert len(service.requests) == 4


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"decisions": []},
        {"decisions": [{"allow": "yes", "rule": "x"}]},
        {"decisions": [{"rule": "x"}]},
        {"decisions": [{"allow": True, "rule": "x"}] * 2},
        [],
        "yes",
    ],
)
def test_an_unreadable_response_allows_nothing(body: Any) -> None:  # I11
    with FakeService([httpx.Response(200, json=body)]).client() as client:
        assert not client.decide("offers.weekly", "ada@example.com").allow


def test_a_redirect_is_not_followed() -> None:
    """The key would go to whoever is there."""
    service = FakeService([httpx.Response(302, headers={"Location": "https://x.example"})])
    with service.client() as client, pytest.raises(Exception, match="302"):
        client.record_opt_out(STOP)


def test_suppressions_are_listed_page_by_page() -> None:
    pages = [
        httpx.Response(200, json={"suppressions": [{"event": "1"}], "next": "c2"}),
        httpx.Response(200, json={"suppressions": [{"event": "2"}]}),
    ]
    service = FakeService([*pages])
    with service.client() as client:
        found = [each["event"] for each in client.iter_suppressions(scope="acme.offers")]
    assert found == ["1", "2"]
    assert dict(service.requests[1].url.params) == {"scope": "acme.offers", "cursor": "c2"}


def test_a_watermark_of_an_older_database_is_an_error_of_its_own() -> None:
    service = FakeService([problem(410, "stale-watermark")])
    with service.client() as client, pytest.raises(StaleWatermark):
        client.list_changes("1.2.3")


def test_the_async_client_does_the_same() -> None:
    service = FakeService([httpx.ConnectError, decided(True, False)])

    async def work() -> None:
        async with service.async_client() as client:
            rows = await client.decide_many("offers.weekly", ["a@example.com", "b@example.com"])
            assert [each.allow for each in rows] == [True, False]
            service.answers = [RECORDED]
            assert (await client.record_opt_out(STOP)).recorded
            pages = [{"suppressions": [{"event": "1"}], "next": "c"}, {"suppressions": []}]
            service.answers = [httpx.Response(200, json=page) for page in pages]
            assert [each async for each in client.iter_suppressions()] == [{"event": "1"}]

    run(work())
    assert service.slept == [0.2]


def test_both_clients_have_the_same_calls() -> None:
    def calls(kind: type) -> dict[str, list[str]]:
        return {
            name: list(inspect.signature(member).parameters)
            for name, member in inspect.getmembers(kind, inspect.isfunction)
            if not name.startswith("_")
        }

    assert calls(Client) == calls(AsyncClient)


def test_times_need_a_time_zone() -> None:
    naive = OptOut("ada@example.com", "acme.offers", "phone", NOW.replace(tzinfo=None))
    with FakeService([RECORDED]).client() as client, pytest.raises(ValueError, match="time zone"):
        client.record_opt_out(naive)


@pytest.mark.parametrize("url", ["preferences.example.com", "ftp://x.example", ""])
def test_a_url_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="looks like https"):
        Client(url, "pc_x")


def test_a_reading_of_everything_may_take_as_long_as_a_write() -> None:
    service = FakeService([httpx.Response(200, text='{}\n{"end": true, "count": 0}')])
    with service.client(read=TimeLimits(1, 2), write=TimeLimits(7, 9)) as client:
        client.read_digests()
        client.read_digests("1.2.3")
    assert [each.extensions["timeout"]["read"] for each in service.requests] == [7, 1]


def test_a_call_ends_within_its_time_though_every_attempt_is_silent() -> None:
    connection = Connection("https://preferences.example.com", "pc_x")
    call = Call("POST", "/v1/decisions", parse=str)
    now, asked = 100.0, []

    def run_in_silence() -> None:
        nonlocal now
        steps = exchange(call, connection, clock=lambda: now, draw=lambda: 0.0)
        step = next(steps)
        while True:
            if isinstance(step, Wait):
                now += step.seconds
                step = next(steps)
            else:
                asked.append(step.timeout.read)
                now += step.timeout.read or 0.0
                step = steps.send(httpx.ReadTimeout("silent"))

    with pytest.raises(Unavailable, match="took too long"):
        run_in_silence()
    assert asked == pytest.approx([2.0, 2.0, 0.4])
    assert now == pytest.approx(100.0 + READ_LIMITS.call)


def test_other_operations_are_sent_as_they_are() -> None:
    service = FakeService([httpx.Response(200, json={"request": "r1"})])
    with service.client(write=TimeLimits(1, 2)) as client:
        assert client.call("POST", "/v1/rights", {"kind": "access"}) == {"request": "r1"}
        client.call("get", "/v1/rights", params={"state": "open"})
    assert "Idempotency-Key" in service.requests[0].headers
    assert "Idempotency-Key" not in service.requests[1].headers


def test_every_body_has_what_the_api_requires() -> None:
    evidence = Evidence("checkout", "Yes, write to me", "en", NOW)
    consent = Consent("ada@example.com", "acme.news", evidence, own_act=True)
    assert consent.to_json()["own_act"] is True
    assert consent.to_json()["evidence"]["occurred_at"] == "2026-11-24T09:00:00+00:00"
    link = LinkRequest("+393331234567", "acme.sms", channel="sms", short=True)
    assert link.to_json() == {
        "address": "+393331234567",
        "channel": "sms",
        "scope": "acme.sms",
        "short": True,
    }
