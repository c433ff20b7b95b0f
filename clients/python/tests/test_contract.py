"""The contract that every client keeps."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from clients.python.tests.contract import CONTRACT
from clients.python.tests.fake_service import Answer, FakeService, problem
from preference_center_client import Action, Rejected, RetryPolicy, Sending, Unauthenticated
from preference_center_client.connection import READ_LIMITS, WRITE_LIMITS
from preference_center_client.links import LinkMinter
from preference_center_client.models import UNANSWERED
from preference_center_client.retries import RETRIED_STATUSES, parse_retry_after

LINKS = CONTRACT["links"]
FAILURES: dict[str, Answer] = {
    "no_connection": httpx.ConnectError,
    "time_out": httpx.ReadTimeout,
    "unreadable": httpx.Response(200, text="<html>a proxy</html>"),
}


@pytest.mark.parametrize("made", LINKS["made"])
def test_links_made_offline_are_those_of_the_service(made: dict[str, Any]) -> None:
    minter = LinkMinter(LINKS["keys"][made["key"]], lambda: float(made["at"]))
    links = minter.mint(made["address"], made["topic"], made["message_id"])
    assert links.unsubscribe_url == made["unsubscribe_url"]
    assert links.preferences_url == made["preferences_url"]
    assert links.headers == made["headers"]


@pytest.mark.parametrize("case", CONTRACT["retries"]["cases"])
def test_when_a_request_is_repeated(case: dict[str, Any]) -> None:
    now = datetime.fromtimestamp(case.get("now", 0), UTC)
    waits: list[float | None] = [None, None]
    if case["status"] is None or case["status"] in RETRIED_STATUSES:
        asked = parse_retry_after(case.get("retry_after"), now)
        policy = RetryPolicy(attempts=CONTRACT["retries"]["attempts"])
        attempt, left = case["attempt"], case["seconds_left"]
        waits = [policy.delay(attempt, left, asked, draw) for draw in (lambda: 1.0, lambda: 0.0)]
    assert waits == (case["wait"] or [None, None])


@pytest.mark.parametrize("case", CONTRACT["unanswered"]["cases"])
def test_what_an_unanswered_decision_is(case: dict[str, Any]) -> None:  # I4, I11
    failure = case["failure"]
    answer = problem(failure) if isinstance(failure, int) else FAILURES[failure]
    with FakeService([answer]).client() as client:
        service = client.decide("password_reset", "ada@example.com", service=True)
        assert (service.allow, service.rule) == (True, UNANSWERED)
        if case["marketing"] == "error":
            with pytest.raises(Rejected):
                client.decide("offers.weekly", "ada@example.com")
        else:
            marketing = client.decide("offers.weekly", "ada@example.com")
            assert (marketing.allow, marketing.rule) == (False, CONTRACT["unanswered"]["rule"])


@pytest.mark.parametrize("case", CONTRACT["answered"]["cases"])
def test_service_mail_is_asked_about_too(case: dict[str, Any]) -> None:  # I4
    service = FakeService([httpx.Response(200, json={"as_of": "1.2.3", "decisions": [case]})])
    with service.client() as client:
        decision = client.decide("password_reset", "ada@example.com", service=True)
        assert (decision.allow, decision.rule) == (case["allow"], case["rule"])
        sending = Sending(client, service_types={"password_reset"})
        action = sending.action("password_reset", "ada@example.com")
        assert action is (Action.SEND if case["allow"] else Action.DROP)
    assert len(service.requests) == 2


def test_time_limits() -> None:
    for limits, name in ((READ_LIMITS, "read"), (WRITE_LIMITS, "write")):
        given = CONTRACT["time_outs"][name]
        assert (limits.attempt, limits.call) == (given["attempt"], given["call"])


def test_a_missing_key_is_an_error_of_its_own() -> None:
    with FakeService([problem(401)]).client() as client, pytest.raises(Unauthenticated):
        client.decide("offers.weekly", "ada@example.com")
