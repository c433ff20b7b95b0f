"""How often a key may ask."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from preference_center.infra.context import EXTENSION_NAME
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.infra.redis import RedisRateLimiter
from preference_center.web.api import keys
from preference_center.web.api.keys import KeyScope
from tests.clock import START
from tests.web.api.sender import Sender, make_sender

if TYPE_CHECKING:
    from flask import Flask
    from werkzeug.test import TestResponse

ASK = {"message_type": "offers.weekly", "recipient": "ada@example.com"}


def limited(app: Flask, rate: str, name: str = "slow") -> Sender:
    with app.app_context():
        key = run_in_transaction(
            lambda c: keys.create_key(c, name, [KeyScope.CHECK], ["*"], START, rate)
        )
    return Sender(app, app.test_client(), key)


def ask(sender: Sender) -> TestResponse:
    return sender.post("/v1/decisions", ASK)


def test_every_answer_tells_the_rate_and_what_is_left(sender: Sender) -> None:
    for answer in (ask(sender), sender.post("/v1/decisions", {})):
        assert answer.headers["RateLimit-Policy"] == '"key";q=600000;w=60'
    left = answer.headers["RateLimit"]
    assert left.startswith('"key";r=599998;t=')
    assert 0 < int(left.rpartition("=")[2]) <= 60


def test_who_asks_too_often_gets_a_retry_time(in_force: Flask) -> None:
    slow, other = limited(in_force, "2 per hour"), make_sender(in_force)

    assert [ask(slow).status_code for _ in range(3)] == [200, 200, 429]
    answer = ask(slow)

    assert answer.get_json()["type"].endswith("/problems/rate-limited")
    assert answer.content_type == "application/problem+json"
    assert 0 < int(answer.headers["Retry-After"]) <= 3600
    assert answer.headers["RateLimit"].startswith('"key";r=0;t=')
    assert ask(other).status_code == 200


def test_a_key_without_a_limit_reports_none(in_force: Flask) -> None:
    answer = ask(limited(in_force, "none"))

    assert answer.status_code == 200
    assert "RateLimit" not in answer.headers


def test_who_is_nobody_uses_up_nothing(in_force: Flask) -> None:
    slow = limited(in_force, "1 per hour")
    headers = {"Authorization": "Bearer pc_slow_" + "A" * 43}

    answer = slow.client.post("/v1/decisions", json=ASK, headers=headers)

    assert "RateLimit" not in answer.headers
    assert ask(slow).status_code == 200


def test_decisions_go_on_without_redis(in_force: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    limiter = RedisRateLimiter("redis://127.0.0.1:1/0")
    away = replace(in_force.extensions[EXTENSION_NAME], make_limiter=lambda: limiter)
    monkeypatch.setitem(in_force.extensions, EXTENSION_NAME, away)

    slow = limited(in_force, "2 per hour")

    assert [ask(slow).status_code for _ in range(3)] == [200, 200, 429]
