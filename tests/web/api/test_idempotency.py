"""Writes under an Idempotency-Key: done once, answered the same however often."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pytest
from psycopg import errors

from preference_center.infra.db.transactions import override_limits, run_in_transaction
from preference_center.web.api import idempotency
from preference_center.web.api.idempotency import IdempotentRequest
from tests.clock import START, Clock
from tests.ledger.changes import patient
from tests.web.api.sender import Sender, consent, evidence, make_sender, opt_out

if TYPE_CHECKING:
    from flask import Flask
    from werkzeug.test import TestResponse

KEPT = "SELECT digest, ciphertext FROM idempotent_response"
EVENTS = "SELECT id::text FROM event ORDER BY seq"
SOME = "8e03978e-40d5-43dd-bc93-6894a57f9324"

PREFERENCES = {
    "address": "ada@example.com",
    "rendered_at": START.isoformat(),
    "evidence": evidence(),
    "topics": {"acme.news": {"state": "on"}},
}


def post(sender: Sender, body: Any, key: str = SOME, path: str = "/v1/opt-outs") -> TestResponse:
    return sender.post_raw(path, json.dumps(body).encode(), **{"Idempotency-Key": key})


@pytest.mark.parametrize(
    "method, path, body",
    [
        ("POST", "/v1/opt-outs", opt_out()),
        ("POST", "/v1/opt-outs", [opt_out(), opt_out(address="grace@example.com")]),
        ("POST", "/v1/opt-outs", []),
        ("POST", "/v1/consents", consent()),
        ("PUT", "/v1/preferences", PREFERENCES),
        ("PUT", "/v1/preferences", PREFERENCES | {"topics": {}}),
    ],
)
def test_a_repeat_gets_the_first_answer_and_writes_nothing(
    sender: Sender, clock: Clock, method: str, path: str, body: Any
) -> None:
    headers = sender.headers | {"Idempotency-Key": SOME}

    first = sender.client.open(path, method=method, json=body, headers=headers)
    events = sender.rows(EVENTS)
    clock.advance(timedelta(hours=23))
    again = sender.client.open(path, method=method, json=body, headers=headers)

    assert (first.status_code, again.status_code) == (200, 200)
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.data == first.data
    assert again.content_type == first.content_type
    assert again.headers["Cache-Control"] == "no-store"
    assert sender.rows(EVENTS) == events


def test_the_answer_is_what_it_would_be_without_a_key(sender: Sender) -> None:
    with_key = sender.client.put(
        "/v1/preferences", json=PREFERENCES, headers=sender.headers | {"Idempotency-Key": SOME}
    ).get_json()
    without = sender.put("/v1/preferences", PREFERENCES).get_json()

    # the state that its own transaction made, before anybody else saw it
    assert with_key["topics"]["acme.news"] == {"state": "on"}
    assert len(with_key.pop("events")) == 1
    assert without.pop("events") == []
    assert with_key == without


def test_the_same_key_with_another_body_is_refused(sender: Sender) -> None:
    post(sender, opt_out())

    for answer in (
        post(sender, opt_out(address="grace@example.com")),
        post(sender, consent(), path="/v1/consents"),
        post(sender, opt_out(), path="/v1/opt-outs?x=1"),
    ):
        assert answer.status_code == 422
        assert answer.get_json()["type"].endswith("/problems/idempotency-key-reused")
    assert len(sender.rows(EVENTS)) == 1


def test_keys_of_two_senders_have_nothing_to_do_with_each_other(
    sender: Sender, in_force: Flask
) -> None:
    other = make_sender(in_force, "campaigns")

    post(sender, opt_out())
    answer = post(other, opt_out(address="grace@example.com"))

    assert answer.get_json()["recorded"]


@pytest.mark.parametrize("key", ["", " ", '""', "a b", "é", "x" * 256, "a\x7f", '"a b"'])
def test_a_key_that_is_none_is_refused(sender: Sender, key: str) -> None:
    answer = post(sender, opt_out(), key)

    assert answer.status_code == 400
    assert answer.get_json()["type"].endswith("/problems/invalid-idempotency-key")
    assert sender.rows(EVENTS) == []


def test_quotes_around_a_key_mean_nothing(sender: Sender) -> None:
    post(sender, opt_out(), SOME)

    assert "Idempotent-Replayed" in post(sender, opt_out(), f'"{SOME}"').headers


@pytest.mark.parametrize(
    "body, status", [(opt_out(scope="acme.unknown"), 422), ({"address": 1}, 422)]
)
def test_nothing_is_kept_of_a_request_that_was_refused(
    sender: Sender, body: Any, status: int
) -> None:
    assert post(sender, body).status_code == status
    assert sender.rows(KEPT) == []
    assert post(sender, opt_out()).get_json()["recorded"]


def test_a_key_without_the_scope_is_refused_before_anything_is_replayed(
    sender: Sender, in_force: Flask
) -> None:
    checker = make_sender(in_force, "checker", ["check"])
    post(sender, opt_out())

    assert post(checker, opt_out()).status_code == 403


def test_nothing_is_kept_when_the_write_fails(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = idempotency.insert_response

    def fail_after(*given: Any) -> bool:
        assert real(*given)
        raise errors.DiskFull("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(idempotency, "insert_response", fail_after)
        assert post(sender, opt_out()).status_code == 503
    assert sender.rows(EVENTS) == []
    assert sender.rows(KEPT) == []

    answer = post(sender, opt_out())
    assert answer.get_json()["recorded"]
    assert "Idempotent-Replayed" not in answer.headers


def test_what_is_kept_shows_neither_key_nor_answer(sender: Sender) -> None:
    # I12: senders may make their keys of an address
    event = post(sender, opt_out(), "ada@example.com").get_json()["event"]

    ((digest, ciphertext),) = sender.rows(KEPT)
    assert b"ada@" not in digest + ciphertext
    assert event.encode() not in ciphertext


def test_a_day_later_a_key_is_free_again_and_what_was_kept_goes(
    sender: Sender, clock: Clock
) -> None:
    post(sender, opt_out(), "first")
    post(sender, opt_out(), "second")
    clock.advance(idempotency.RETENTION)

    answer = post(sender, opt_out(address="grace@example.com"), "second")

    assert answer.get_json()["recorded"]
    assert len(sender.rows(KEPT)) == 1


def at_once(app: Flask, count: int, work: Callable[[int], TestResponse]) -> list[TestResponse]:
    barrier = Barrier(count)

    def start(number: int) -> TestResponse:
        with app.app_context(), override_limits(patient()):
            barrier.wait()
            return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(start, range(count)))


def test_of_many_at_once_one_writes_and_the_others_replay(sender: Sender) -> None:
    def ask(_: int) -> TestResponse:
        return sender.app.test_client().post(
            "/v1/consents", json=consent(), headers=sender.headers | {"Idempotency-Key": SOME}
        )

    answers = at_once(sender.app, 6, ask)

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.data for answer in answers}) == 1
    assert sum("Idempotent-Replayed" not in answer.headers for answer in answers) == 1
    assert len(sender.rows(EVENTS)) == 1


def test_of_different_requests_at_once_under_one_key_one_wins(sender: Sender) -> None:
    def ask(number: int) -> TestResponse:
        body = opt_out(address=f"p{number}@example.com")
        headers = sender.headers | {"Idempotency-Key": SOME}
        return sender.app.test_client().post("/v1/opt-outs", json=body, headers=headers)

    statuses = sorted(answer.status_code for answer in at_once(sender.app, 6, ask))

    assert statuses == [200, *[422] * 5]
    assert len(sender.rows(EVENTS)) == 1


def test_one_that_is_overtaken_writes_nothing_and_replays(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The other one begins after this one has looked, and is done before it keeps its answer.
    real = IdempotentRequest.stored_response
    others: list[TestResponse] = []

    def looked(repeat: IdempotentRequest) -> Any:
        found = real(repeat)
        if not others:
            others.append(post(sender, consent(), path="/v1/consents"))
        return found

    def begin(repeat: IdempotentRequest) -> Any:
        monkeypatch.setattr(IdempotentRequest, "stored_response", real)
        return looked(repeat)

    monkeypatch.setattr(IdempotentRequest, "stored_response", begin)
    answer = post(sender, consent(), path="/v1/consents")

    assert answer.status_code == 200
    assert answer.headers["Idempotent-Replayed"] == "true"
    assert answer.data == others[0].data
    assert len(sender.rows(EVENTS)) == 1


def test_old_answers_go_in_small_steps(sender: Sender, clock: Clock) -> None:
    for number in range(12):
        post(sender, opt_out(), f"k{number}")
    clock.advance(idempotency.RETENTION + timedelta(seconds=1))

    with sender.app.app_context():
        assert run_in_transaction(lambda c: idempotency.purge_responses(c, clock(), limit=5)) == 5
    post(sender, opt_out(), "new")
    post(sender, opt_out(), "newer")
    assert len(sender.rows(KEPT)) == 2
