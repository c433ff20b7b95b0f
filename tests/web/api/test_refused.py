"""Refused calls are counted too, and what they write is bounded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from preference_center.infra.context import EXTENSION_NAME
from preference_center.web.api import endpoint
from tests.web.api.sender import Sender, make_sender
from tests.web.api.test_rate_limit import limited

if TYPE_CHECKING:
    from flask import Flask
    from werkzeug.test import TestResponse

ASK = {"message_type": "offers.weekly", "recipient": "ada@example.com"}
PERSON = {"address": "ada@example.com"}
AUDIT = "SELECT detail ->> 'needed', detail ->> 'count_in_hour' FROM audit ORDER BY id"


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "INVALID_KEY_RATE", "3 per hour")


def call(app: Flask, key: str, remote: str = "192.0.2.1") -> TestResponse:
    return app.test_client().post(
        "/v1/decisions",
        json=ASK,
        headers={"Authorization": f"Bearer {key}"},
        environ_overrides={"REMOTE_ADDR": remote},
    )


def unknown(number: int) -> str:
    return f"pc_shop_{number:043d}"


def test_calls_without_a_scope_use_up_the_rate_of_the_key(in_force: Flask) -> None:
    slow = limited(in_force, "2 per hour")
    assert [slow.post("/v1/links", PERSON).status_code for _ in range(3)] == [403, 403, 429]


def test_refusals_of_one_kind_write_a_row_for_each_power_of_ten(in_force: Flask) -> None:
    sender = make_sender(in_force, "campaigns", ["check"])
    for _ in range(120):
        assert sender.post("/v1/portal-links", PERSON).status_code == 403
    sender.post("/v1/links", PERSON | {"scope": "all_marketing"})
    portal = "scope:portal"
    assert sender.rows(AUDIT) == [
        (portal, "1"),
        (portal, "10"),
        (portal, "100"),
        ("scope:links", "1"),
    ]


def test_a_network_that_guesses_keys_must_wait_without_a_look_up(in_force: Flask) -> None:
    answers = [call(in_force, unknown(number)) for number in range(5)]
    assert [answer.status_code for answer in answers] == [401, 401, 401, 429, 429]
    assert answers[-1].get_json()["type"].endswith("/problems/rate-limited")
    assert answers[-1].headers["Retry-After"]
    assert call(in_force, unknown(9), "192.0.2.200").status_code == 429  # the same network
    assert call(in_force, unknown(9), "198.51.100.1").status_code == 401


def test_a_key_in_use_is_not_shut_out_by_others_of_its_network(
    in_force: Flask, sender: Sender
) -> None:
    assert call(in_force, sender.key).status_code == 200
    for number in range(5):
        call(in_force, unknown(number))
    assert call(in_force, sender.key).status_code == 200


def test_no_address_of_a_client_is_counted_by(
    in_force: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:  # I12
    seen: list[str] = []
    limiter = in_force.extensions[EXTENSION_NAME].limiter
    acquire = type(limiter).acquire

    def noted(self: object, rate: str, *key: str) -> object:
        seen.extend(key)
        return acquire(self, rate, *key)

    monkeypatch.setattr(type(limiter), "acquire", noted)
    call(in_force, unknown(1), "2001:db8::1")
    call(in_force, unknown(1), "192.0.2.1")
    assert len(seen) == 4
    assert not any(part in key for key in seen for part in ("192.0.2", "2001"))
