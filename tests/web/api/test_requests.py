"""Invalid input gets a remedy: never a 500, never a partial write."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.clock import START
from tests.web.api.sender import Sender, consent, evidence, make_sender, opt_out

if TYPE_CHECKING:
    from flask import Flask

PATHS = [
    "/v1/decisions",
    "/v1/opt-outs",
    "/v1/consents",
    "/v1/links",
    "/v1/portal-links",
    "/v1/preferences/query",
]
ASK = {"message_type": "offers.weekly", "recipient": "ada@example.com"}

VALID: dict[str, Any] = {
    "/v1/decisions": ASK,
    "/v1/opt-outs": opt_out(),
    "/v1/consents": consent(),
    "/v1/links": {"address": "ada@example.com", "scope": "all_marketing", "message_id": "m"},
    "/v1/portal-links": {"address": "ada@example.com", "language": "it"},
    "/v1/preferences/query": {"address": "ada@example.com"},
}


NO_JSON = [
    b"",
    b" ",
    b"{",
    b"[",
    b"nul",
    b"{'address': 1}",
    b'{"address": "a@example.com",}',
    b'{"address": "\xff\xfe"}',
    b'{"address": "\\ud800"}',
    b'{"address": "a\x00b"}',
    b"\xef\xbb\xbf{}",
    "{}".encode("utf-16"),
    b"[" * 100_000,
    b'{"a":' * 100_000,
]


@pytest.mark.parametrize("path", PATHS)
def test_what_is_no_json_is_answered_with_the_place(sender: Sender, path: str) -> None:
    for raw in NO_JSON:
        answer = sender.post_raw(path, raw)

        assert answer.status_code == 400, raw[:20]
        problem = answer.get_json()
        assert problem["type"] == "https://preferences.example.com/problems/malformed-json"
        assert "line 1 column" in problem["detail"], raw[:20]


@pytest.mark.parametrize("path", PATHS)
def test_json_that_is_no_object_is_refused(sender: Sender, path: str) -> None:
    for raw in (b"null", b"true", b"1", b"NaN", b"Infinity", b'"x"', b"1e999"):
        answer = sender.post_raw(path, raw)

        assert answer.status_code == 422, raw
        assert answer.get_json()["errors"][0]["code"] == "wrong-type", raw


@pytest.mark.parametrize("path", PATHS)
def test_an_unknown_field_is_refused(sender: Sender, path: str) -> None:
    answer = sender.post(path, VALID[path] | {"chanel": "email"})

    assert answer.status_code == 422
    (fault,) = answer.get_json()["errors"]
    assert fault == {
        "pointer": "/chanel",
        "code": "unknown-field",
        "detail": "there is no such field here: did you mean channel?",
    }


def test_an_unknown_field_inside_the_evidence_is_refused(sender: Sender) -> None:
    body = consent(evidence=evidence(langauge="en"))

    (fault,) = sender.post("/v1/consents", body).get_json()["errors"]

    assert fault["pointer"] == "/evidence/langauge"
    assert "did you mean language?" in fault["detail"]


@pytest.mark.parametrize("path", PATHS)
def test_a_repeated_field_is_refused(sender: Sender, path: str) -> None:
    # Readers differ on which one counts: an opt-out might go to the wrong person.
    name, value = next(iter(VALID[path].items()))
    raw = json.dumps(VALID[path])[:-1] + f', "{name}": {json.dumps(value)}}}'

    answer = sender.post_raw(path, raw.encode())

    assert answer.status_code == 422
    assert answer.get_json()["errors"][0]["code"] == "repeated-field"
    assert sender.rows("SELECT 1 FROM event") == []


@pytest.mark.parametrize("path", PATHS)
def test_every_missing_field_is_named(sender: Sender, path: str) -> None:
    answer = sender.post(path, {})

    assert answer.status_code == 422
    assert {fault["code"] for fault in answer.get_json()["errors"]} == {"missing-field"}


@pytest.mark.parametrize(
    "more",
    [{"recipients": ["a@example.com"]}, {"recipient": None}],
    ids=["both", "neither"],
)
def test_a_question_is_about_one_or_about_many(sender: Sender, more: dict[str, Any]) -> None:
    answer = sender.post("/v1/decisions", ASK | more)

    assert answer.status_code == 422
    assert "exactly one of recipient" in answer.get_json()["detail"]


@pytest.mark.parametrize("recipients", [[1], [None], ["a@example.com", {}], {"0": "a"}, "a"])
def test_recipients_are_a_list_of_texts(sender: Sender, recipients: object) -> None:
    answer = sender.post(
        "/v1/decisions", {"message_type": "offers.weekly", "recipients": recipients}
    )

    assert answer.status_code == 422
    assert answer.get_json()["errors"][0]["pointer"].startswith("/recipients")


def test_more_than_ten_thousand_are_refused(sender: Sender) -> None:
    asked = {"message_type": "offers.weekly", "recipients": ["a@example.com"] * 10_001}
    assert sender.post("/v1/decisions", asked).status_code == 422
    assert sender.post("/v1/opt-outs", [opt_out()] * 10_001).status_code == 422
    assert sender.rows("SELECT 1 FROM event") == []


@pytest.mark.parametrize("path", PATHS)
def test_a_huge_body_is_refused_unread(sender: Sender, path: str) -> None:
    answer = sender.post_raw(path, b'"' + b"x" * (8 * 1024 * 1024) + b'"')

    assert answer.status_code == 413
    assert answer.mimetype == "application/problem+json"
    assert answer.get_json()["type"].endswith("/problems/too-large")


def test_a_huge_body_that_comes_in_chunks_is_refused_too(sender: Sender) -> None:
    body = b'{"message_type": "offers.weekly", "recipient": "ada@example.com"}'.ljust(9 << 20)
    chunked = {"wsgi.input": io.BytesIO(body), "wsgi.input_terminated": True}
    headers = sender.headers | {"Content-Type": "application/json"}
    answer = sender.client.post("/v1/decisions", headers=headers, environ_overrides=chunked)

    assert answer.status_code == 413
    assert answer.get_json()["type"].endswith("/problems/too-large")


def test_a_byte_order_mark_is_named(sender: Sender) -> None:
    answer = sender.post_raw("/v1/decisions", b"\xef\xbb\xbf" + json.dumps(ASK).encode())

    assert answer.status_code == 400
    assert "byte order mark" in answer.get_json()["detail"]


def test_a_huge_address_denies_itself(sender: Sender) -> None:
    answer = sender.post("/v1/decisions", ASK | {"recipient": "a" * 5_000_000 + "@example.com"})

    shown = answer.get_json()
    assert (shown["allow"], shown["rule"]) == (False, "unparseable_address")


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "text/plain"},
        {"Content-Type": ""},
        {"Content-Encoding": "gzip"},
    ],
)
def test_another_content_type_is_refused(sender: Sender, headers: dict[str, str]) -> None:
    answer = sender.post_raw("/v1/decisions", json.dumps(ASK).encode(), **headers)

    assert answer.status_code == 415
    assert answer.get_json()["type"].endswith("/problems/wrong-content-type")


def test_a_charset_after_the_content_type_does_no_harm(sender: Sender) -> None:
    raw = json.dumps(ASK).encode()
    headers = {"Content-Type": "application/json; charset=utf-8"}

    assert sender.post_raw("/v1/decisions", raw, **headers).status_code == 200


@pytest.mark.parametrize("path", ["/v1/", "/v1/nothing", "/v1/decisions/", "/v1/decisions/x"])
def test_a_wrong_path_is_a_problem_too(sender: Sender, path: str) -> None:
    answer = sender.post(path, ASK)

    assert answer.status_code == 404
    assert answer.mimetype == "application/problem+json"
    assert answer.get_json()["type"].endswith("/problems/not-found")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_a_wrong_method_is_a_problem_too(sender: Sender, method: str) -> None:
    answer = sender.client.open("/v1/decisions", method=method, headers=sender.headers)

    assert answer.status_code == 405
    assert answer.mimetype == "application/problem+json"
    assert "POST" in answer.headers["Allow"]


def test_before_there_is_a_catalogue_the_answer_is_503(app: Flask) -> None:
    sender = make_sender(app)

    answer = sender.post("/v1/decisions", ASK)

    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.get_json()["type"].endswith("/problems/unavailable")


def test_the_type_of_a_problem_can_be_followed(sender: Sender) -> None:
    from preference_center.web.api.problems import PROBLEMS

    for slug, problem in PROBLEMS.items():
        answer = sender.client.get(f"/problems/{slug}")
        assert answer.status_code == 200
        assert problem.remedy in answer.text
    assert sender.client.get("/problems/other").status_code == 404


def test_every_problem_and_rule_is_documented() -> None:
    from pathlib import Path

    from preference_center.decisions.rules import DecisionRule
    from preference_center.ledger.rules import ReceivedVia
    from preference_center.web.api.problems import PROBLEMS

    page = (Path(__file__).parents[3] / "docs" / "api.md").read_text(encoding="utf-8")
    for slug, problem in PROBLEMS.items():
        assert f"| `{slug}` | {problem.status} |" in page
    for rule in DecisionRule:
        assert f"| `{rule}` |" in page
    for via in ReceivedVia:
        assert f"`{via}`" in page


NAMES = st.sampled_from(
    [
        *("message_type", "recipient", "recipients", "channel", "address", "scope", "topic"),
        *("via", "received_at", "occurred_at", "evidence", "own_act", "message_id"),
        *("source", "wording", "language", "note"),
    ]
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["ada@example.com", "acme.offers", "all_marketing", "email", "sms", "phone"])
    | st.datetimes().map(lambda moment: moment.isoformat() + "Z")
    | st.just(START.isoformat())
)
JSONS = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES | st.text(), inner),
    max_leaves=12,
)


@st.composite
def mutated(draw: st.DrawFn) -> tuple[str, Any]:
    """A path with a valid body of which some fields were replaced by anything."""
    path = draw(st.sampled_from(PATHS))
    body = VALID[path] | draw(st.dictionaries(NAMES, JSONS, max_size=2))
    return path, draw(st.sampled_from([body, [body], [VALID[path], body]]))


ANYTHING = mutated() | st.tuples(st.sampled_from(PATHS), JSONS)


@settings(
    max_examples=250,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(ANYTHING)
def test_whatever_is_sent_is_answered_and_never_half_written(
    sender: Sender, sent: tuple[str, Any]
) -> None:
    path, body = sent
    before = sender.rows("SELECT count(*) FROM event")

    answer = sender.post_raw(path, json.dumps(body).encode())

    assert answer.status_code in {200, 400, 422}, answer.text
    if answer.status_code != 200:
        assert answer.mimetype == "application/problem+json"
        assert sender.rows("SELECT count(*) FROM event") == before


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.sampled_from(PATHS), st.binary(max_size=200))
def test_any_bytes_are_answered(sender: Sender, path: str, raw: bytes) -> None:
    assert 400 <= sender.post_raw(path, raw).status_code < 500
