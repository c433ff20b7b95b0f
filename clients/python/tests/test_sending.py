"""What becomes of a message, also while the service is down."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from clients.python.tests.fake_service import FakeService, decided, problem
from preference_center_client import Action, AsyncSending, NotPermitted, Sending


def sending(service: FakeService, **options: object) -> Sending:
    return Sending(service.client(), service_types={"password_reset"}, **options)  # type: ignore[arg-type]


def test_marketing_is_sent_where_the_service_allows_it() -> None:
    actions = sending(FakeService([decided(True, False)])).actions("offers.weekly", ["a", "b"])
    assert actions == [Action.SEND, Action.DROP]


def test_a_closed_account_gets_no_service_mail() -> None:  # I4
    service = FakeService([decided(True, False)])
    actions = sending(service).actions("password_reset", ["a", "b"])
    assert actions == [Action.SEND, Action.DROP]


@pytest.mark.parametrize("when_unknown", ["wait", "drop"])
def test_service_mail_goes_out_while_the_service_is_down(when_unknown: str) -> None:  # I4
    service = FakeService([httpx.ConnectError])
    found = sending(service, when_unknown=when_unknown)
    for _ in range(100):
        assert found.action("password_reset", "a@example.com") is Action.SEND
    assert len(service.requests) == 3  # of one call: it slows nobody


def test_service_mail_that_a_key_may_not_ask_about_is_sent_and_stops_no_marketing(
    caplog: pytest.LogCaptureFixture,
) -> None:  # I4
    found = sending(FakeService([problem(403), decided(True)]))
    assert found.action("password_reset", "a@example.com") is Action.SEND
    assert "password_reset: 403" in caplog.text
    assert "a@example.com" not in caplog.text  # I12
    assert found.action("offers.weekly", "a@example.com") is Action.SEND


@pytest.mark.parametrize("when_unknown, action", [("wait", Action.WAIT), ("drop", Action.DROP)])
def test_marketing_waits_or_is_dropped_while_the_service_is_down(
    when_unknown: str, action: Action
) -> None:  # I11
    found = sending(FakeService([httpx.ConnectError]), when_unknown=when_unknown)
    assert found.action("offers.weekly", "a@example.com") is action


def test_a_service_that_is_down_slows_nobody() -> None:
    service, now = FakeService([httpx.ConnectError]), [0.0]
    found = sending(service, clock=lambda: now[0])
    for _ in range(100):
        assert found.action("offers.weekly", "a@example.com") is Action.WAIT
    assert len(service.requests) == 3  # of one call
    service.answers = [decided(True)]
    now[0] = 10.0
    assert found.action("offers.weekly", "a@example.com") is Action.SEND


def test_a_key_that_may_not_ask_is_an_error_and_sends_nothing() -> None:
    with pytest.raises(NotPermitted):
        sending(FakeService([problem(403)])).action("offers.weekly", "a@example.com")


def test_unknown_is_never_sent() -> None:  # I11
    with pytest.raises(ValueError, match="send"):
        sending(FakeService([decided(True)]), when_unknown="send").action("x", "a@example.com")


def test_nobody_is_asked_about_an_empty_list() -> None:
    service = FakeService([decided()])
    assert sending(service).actions("offers.weekly", []) == []
    assert service.requests == []


def test_the_async_one_does_the_same() -> None:
    async def work() -> None:
        service = FakeService([decided(True, False), httpx.ConnectError])
        async with service.async_client() as client:
            found = AsyncSending(client, service_types={"password_reset"}, when_unknown="drop")
            assert await found.actions("offers.weekly", ["a", "b"]) == [Action.SEND, Action.DROP]
            assert await found.action("offers.weekly", "a") is Action.DROP
            assert await found.action("password_reset", "a") is Action.SEND  # I4
            asked = len(service.requests)
            assert await found.action("offers.weekly", "a") is Action.DROP
            assert len(service.requests) == asked
            service = FakeService([decided(False)])
        async with service.async_client() as client:
            found = AsyncSending(client, service_types={"password_reset"})
            assert await found.action("password_reset", "a") is Action.DROP

    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work()).result()  # noqa: TID251 - in its own thread
