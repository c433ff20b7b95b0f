"""Data-subject requests through the API."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from preference_center.web.api.keys import KeyScope
from tests.clock import START
from tests.web.api.sender import Sender, make_sender

if TYPE_CHECKING:
    from flask import Flask
    from werkzeug.test import TestResponse

PERSON = [{"address": "Ada@Example.com"}]


def body(**given: Any) -> dict[str, Any]:
    return {"kind": "access", "addresses": PERSON, "language": "en"} | given


def create(sender: Sender, **given: Any) -> dict[str, Any]:
    answer = sender.post("/v1/rights", body(**given))
    assert answer.status_code == 201, answer.text
    return dict(answer.get_json())


def act(sender: Sender, request: dict[str, Any], name: str, **given: Any) -> TestResponse:
    return sender.post(f"/v1/rights/{request['request']}/{name}", given)


def read(sender: Sender, request: dict[str, Any]) -> dict[str, Any]:
    answer = sender.client.get(f"/v1/rights/{request['request']}", headers=sender.headers)
    assert answer.status_code == 200, answer.text
    return dict(answer.get_json())


def test_a_request_is_recorded_and_read_with_its_steps(sender: Sender) -> None:
    created = create(sender, text="Who gave you my address?", via="phone", kind="correct")
    assert created["state"] == "received"
    assert created["due_at"].startswith("2026-12-24T09:00:00")
    found = read(sender, created)
    assert found["addresses"] == [{"channel": "email", "address": "ada@example.com"}]
    assert found["text"] == "Who gave you my address?"
    assert [(step["action"], step["actor"]) for step in found["steps"]] == [
        ("received", "key:shop")
    ]


def test_the_list_and_the_response_name_nobody(sender: Sender) -> None:
    created = create(sender)
    listed = sender.client.get("/v1/rights", headers=sender.headers)
    assert listed.get_json()["requests"] == [created]
    assert "example.com" not in listed.text


def test_the_list_is_filtered_and_paged(sender: Sender) -> None:
    first, second = create(sender), create(sender, kind="correct", proof="portal")
    assert second["state"] == "open"
    for query, expected in (
        ("state=open", [second]),
        ("kind=access", [first]),
        ("due_within_days=29", []),
        ("due_within_days=30", sorted([first, second], key=lambda r: r["request"])),
    ):
        answer = sender.client.get(f"/v1/rights?{query}", headers=sender.headers)
        assert answer.get_json()["requests"] == expected, query
    page = sender.client.get("/v1/rights?limit=1", headers=sender.headers)
    following = f"/v1/rights?limit=1&cursor={page.get_json()['next']}"
    rest = sender.client.get(following, headers=sender.headers)
    found = page.get_json()["requests"] + rest.get_json()["requests"]
    assert {each["request"] for each in found} == {first["request"], second["request"]}


def test_a_restriction_vouched_for_by_the_log_in_is_done_at_once(sender: Sender) -> None:
    created = create(sender, kind="restrict", via="portal", proof="portal")
    assert (created["state"], created["outcome"]) == ("done", "fulfilled")
    assert sender.rows("SELECT kind, source, actor FROM event") == [
        ("restricted", "rights", "service")
    ]


def test_an_account_is_erased_when_the_company_completes_the_request(sender: Sender) -> None:
    created = create(sender, kind="erase", extent="account", identity_asked=True)
    assert created["state"] == "identifying"
    early = act(sender, created, "complete")
    assert early.status_code == 409
    assert early.get_json()["type"].endswith("/problems/request-conflict")
    known = act(
        sender, created, "identify", result="confirmed", proof="recent_dealings",
        facts=["last_order", "subscriptions"],
    )  # fmt: skip
    assert known.get_json()["state"] == "open"
    done = act(sender, created, "complete")
    assert (done.status_code, done.get_json()["state"]) == (200, "done")
    assert sender.rows("SELECT count(*) FROM address WHERE erased_at IS NOT NULL") == [(1,)]
    assert read(sender, created)["addresses"] == []


def test_identity_that_is_confirmed_lets_the_request_act(sender: Sender) -> None:
    created = create(sender, kind="close")
    assert act(sender, created, "identify", result="asked").get_json()["stopped_at"]
    act(sender, created, "identify", result="confirmed", proof="one_time_link")
    assert read(sender, created)["state"] == "done"


def test_three_failed_checks_refuse_the_request(sender: Sender) -> None:
    created = create(sender)
    failed = {"result": "failed", "facts": ["last_order"]}
    *_, last = [act(sender, created, "identify", **failed).get_json() for _ in range(3)]
    assert (last["state"], last["refusal"]) == ("refused", "not_identified")


def test_a_request_is_extended_refused_and_withdrawn(sender: Sender) -> None:
    first, second = create(sender, proof="portal"), create(sender, kind="correct")
    longer = act(sender, first, "extend", reason="complex").get_json()
    assert longer["extended_to"].startswith("2027-02-24")
    assert act(sender, first, "extend", reason="complex").status_code == 422
    assert act(sender, first, "refuse", ground="excessive").get_json()["refusal"] == "excessive"
    assert act(sender, second, "withdraw").get_json()["state"] == "withdrawn"
    again = act(sender, second, "withdraw")
    assert again.status_code == 409
    assert "closed" in again.get_json()["detail"]


@pytest.mark.parametrize("wrong, says", [
    ({"kind": "erase"}, "has an extent"),
    ({"extent": "account"}, "has an extent"),
    ({"via": "agent"}, "names the agent"),
    ({"addresses": []}, "whom the request is about"),
])  # fmt: skip
def test_a_request_that_cannot_be_taken_says_what_to_fix(
    sender: Sender, wrong: dict[str, Any], says: str
) -> None:
    answer = sender.post("/v1/rights", body() | wrong)
    assert answer.status_code == 422
    assert says in answer.text


@pytest.mark.parametrize("path, given", [
    ("", body(kind="erase", extent="account", proof="contact_login")),
    ("complete", {}),
    ("refuse", {"ground": "claims"}),
    ("identify", {"result": "failed"}),
])  # fmt: skip
def test_a_repeated_write_answers_the_same_and_writes_nothing(
    sender: Sender, path: str, given: dict[str, Any]
) -> None:
    at = "/v1/rights"
    if path:
        proof = "nothing" if path == "identify" else "contact_login"
        created = create(sender, kind="erase", extent="account", proof=proof)
        at = f"/v1/rights/{created['request']}/{path}"
    headers = sender.headers | {"Idempotency-Key": str(uuid4())}
    first = sender.client.post(at, json=given, headers=headers)
    assert first.status_code in {200, 201}, first.text
    steps = sender.rows("SELECT count(*) FROM rights_step")
    again = sender.client.post(at, json=given, headers=headers)
    assert (again.get_json(), again.headers["Idempotent-Replayed"]) == (first.get_json(), "true")
    assert sender.rows("SELECT count(*) FROM rights_step") == steps


@pytest.mark.parametrize("wrong", [
    {"addresses": []},
    {"extent": "account"},
    {"kind": "erase"},
    {"kind": "forget"},
    {"law": "hipaa"},
    {"text": "x" * 4001},
    {"addresses": [{"address": "ada@example.com, bob@example.com"}]},
    {"received_at": "2027-01-01T00:00:00Z"},
    {"received_at": "2026-11-24"},
    {"via": "agent"},
])  # fmt: skip
def test_a_wrong_request_is_refused_and_nothing_is_written(
    sender: Sender, wrong: dict[str, Any]
) -> None:
    answer = sender.post("/v1/rights", body(**wrong))
    assert answer.status_code == 422, answer.text
    assert "ada@" not in answer.text.lower()  # I12
    assert sender.rows("SELECT count(*) FROM rights_request") == [(0,)]


def test_a_time_in_the_future_is_shown_at_its_field(sender: Sender) -> None:
    answer = sender.post("/v1/rights", body(received_at="2027-01-01T00:00:00Z"))
    (error,) = answer.get_json()["errors"]
    assert (error["pointer"], error["detail"]) == ("/received_at", "this time lies in the future")


@pytest.mark.parametrize("name", ["no-id", "019ab4c2-0000-7000-8000-000000000000"])
def test_an_unknown_request_is_not_found(sender: Sender, name: str) -> None:
    answer = sender.client.get(f"/v1/rights/{name}", headers=sender.headers)
    assert answer.status_code == 404
    assert sender.post(f"/v1/rights/{name}/withdraw", {}).status_code == 404


def test_a_key_needs_the_scope_rights(in_force: Flask) -> None:
    others = [scope for scope in KeyScope if scope is not KeyScope.RIGHTS]
    sender = make_sender(in_force, "campaigns", others)
    assert sender.post("/v1/rights", body()).status_code == 403
    assert sender.client.get("/v1/rights", headers=sender.headers).status_code == 403


def test_without_a_language_the_contacts_own_counts(sender: Sender) -> None:
    sender.post("/v1/contacts", {"addresses": PERSON, "locale": "de"})
    assert create(sender, language=None)["language"] == "de"
    other = create(sender, language=None, addresses=[{"address": "bob@example.com"}])
    assert other["language"] == "it"


def test_an_objection_counts_at_once_without_any_proof(sender: Sender) -> None:  # I2
    create(sender, kind="object", received_at=START.isoformat(), via="postal_mail")
    assert sender.ask("offers.weekly", "ada@example.com")["allow"] is False


def test_sale_and_sharing_are_off_at_once_without_any_proof(sender: Sender) -> None:
    made = create(sender, kind="dont_sell_or_share", via="phone")  # 11 CCR 7026(d)
    assert made["state"] == "done"
    assert sender.ask("offers.weekly", "ada@example.com")["allow"] is True  # I4
    found = sender.post("/v1/suppressions/query", {"address": "ada@example.com"}).get_json()
    assert [each["scope"] for each in found["active_suppressions"]] == ["sharing"]


def test_the_companys_own_finding_of_a_minor_is_confirmed_at_once(sender: Sender) -> None:
    answer = sender.post("/v1/contacts/minor", {"address": "ada@example.com"})
    assert answer.status_code == 200, answer.text
    found = answer.get_json()
    assert (found["kind"], found["state"], found["outcome"]) == ("minor", "done", "fulfilled")
    contact = sender.post("/v1/contacts/query", {"address": "ada@example.com"})
    assert contact.get_json()["account"] == "erased"
    again = sender.post("/v1/contacts/minor", {"address": "ada@example.com"})
    assert (again.status_code, again.get_json()["state"]) == (200, "done")


def test_a_reported_minor_is_decided_by_completing_it_and_never_refused_or_withdrawn(
    sender: Sender,
) -> None:
    report = create(sender, kind="minor", text="He is in my class.")
    assert report["state"] == "open"
    assert act(sender, report, "withdraw").status_code == 409
    assert act(sender, report, "refuse", ground="excessive").status_code == 409
    assert act(sender, report, "complete").get_json()["state"] == "done"


def test_an_unknown_contact_is_no_minor(sender: Sender) -> None:
    assert sender.post("/v1/contacts/minor", {"external_id": "nobody"}).status_code == 422
    assert sender.post("/v1/contacts/minor", {"contact": str(uuid4())}).status_code == 422


def test_an_agents_request_waits_for_the_person(sender: Sender) -> None:
    agent = {"name": "Data Rights Ltd", "address": "cases@dr.example"}
    asked = create(sender, kind="restrict", via="agent", agent=agent)
    assert (asked["via"], asked["state"]) == ("agent", "identifying")
    for wrong in ({"via": "phone", "agent": agent}, {"via": "agent", "agent": {"name": "x"}}):
        assert sender.post("/v1/rights", body(**wrong)).status_code == 422
    pdf = {"kind": "power_of_attorney", "content": b64encode(b"%PDF-1.7").decode()}
    proofs = f"/v1/rights/{asked['request']}/proofs"
    assert [sender.post(proofs, pdf).status_code for _ in range(4)] == [201, 201, 201, 422]
    script = pdf | {"content": b64encode(b"<script>").decode()}
    assert "PDF, PNG or JPEG" in sender.post(proofs, script).get_json()["detail"]
    for content in ("not base64!", "QUJD\n", "QQ==QQ==", "Qé,5"):
        (error,) = sender.post(proofs, pdf | {"content": content}).get_json()["errors"]
        assert "base64 (RFC 4648, 4)" in error["detail"]
    link = {"name": "see evil.example", "address": "cases@dr.example"}
    assert sender.post("/v1/rights", body(via="agent", agent=link)).status_code == 422
