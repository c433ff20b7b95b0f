"""`/v1/contacts/erase` and `/v1/contacts/erasures`: who may erase whom, and what is answered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pytest

from preference_center.rights.erasure.store import READABLE_FOR
from preference_center.rights.holds import place_hold
from tests.clock import START
from tests.core.histories import NEWS
from tests.infra.mailing import give_mail_server, queued_emails
from tests.ledger.changes import add_destination
from tests.rights.erasing import ADA, EXTERNAL_ID, NUMBER, rows, store, tables_with
from tests.web.api.sender import Sender, make_sender

if TYPE_CHECKING:
    from flask import Flask

EVERYTHING_OF_ADA: Mapping[str, str] = {"external_id": EXTERNAL_ID, "extent": "account"}


@pytest.fixture
def sender(in_force: Flask) -> Sender:
    with in_force.app_context():
        store(ADA, NUMBER)
    return make_sender(in_force, scopes=("rights",))


def erase(sender: Sender, body: Mapping[str, Any] = EVERYTHING_OF_ADA, **headers: str) -> Any:
    answer = sender.client.post(
        "/v1/contacts/erase", json=dict(body), headers=sender.headers | headers
    )
    assert answer.status_code == 202, answer.text
    return answer.get_json()


def test_a_person_is_erased_with_all_addresses(sender: Sender, in_force: Flask) -> None:
    answered = erase(sender)
    assert len(answered["erasures"]) == 2
    assert {each["extent"] for each in answered["erasures"]} == {"account"}
    with in_force.app_context():
        assert tables_with("ada@example.com") | tables_with(EXTERNAL_ID) == set()


def test_marketing_of_one_address_is_erased(sender: Sender, in_force: Flask) -> None:
    answered = erase(sender, {"address": "ada@example.com", "extent": "marketing"})
    assert len(answered["erasures"]) == 1
    with in_force.app_context():
        assert tables_with(NUMBER.exact) == {"address"}


def test_the_response_names_nobody(sender: Sender) -> None:  # I12
    assert "ada@" not in str(erase(sender))


def test_the_tools_and_how_far_they_are_can_be_read_later(sender: Sender, in_force: Flask) -> None:
    with in_force.app_context():
        add_destination("crm", NEWS)
    [first, *_] = [each for each in erase(sender)["erasures"] if each["tools"]]
    assert first["tools"] == [{"tool": "crm", "waits_for_person": False}]
    assert first["address_kept_until"].startswith((START + READABLE_FOR).isoformat()[:19])
    read = sender.client.get(f"/v1/contacts/erasures/{first['erasure']}", headers=sender.headers)
    assert read.status_code == 200
    assert read.get_json() == first


@pytest.mark.parametrize("name", ["01a20cc8-8e80-7c91-b27e-829dd3bd27e7", "ada"])
def test_an_unknown_erasure_is_not_found(sender: Sender, name: str) -> None:
    answer = sender.client.get(f"/v1/contacts/erasures/{name}", headers=sender.headers)
    assert answer.status_code == 404
    assert answer.get_json()["type"].endswith("/problems/not-found")


def test_a_repeat_returns_the_same_erasures(sender: Sender) -> None:  # I7
    assert erase(sender) == erase(sender)


def test_a_repeat_with_the_same_key_returns_the_stored_response(
    sender: Sender, in_force: Flask
) -> None:
    headers = {"Idempotency-Key": "e3b0c442"}
    first = erase(sender, EVERYTHING_OF_ADA, **headers)
    with in_force.app_context():
        add_destination("crm", NEWS)
    assert erase(sender, EVERYTHING_OF_ADA, **headers) == first


def test_an_unknown_contact_is_refused(sender: Sender) -> None:
    answer = sender.post("/v1/contacts/erase", {"external_id": "nobody", "extent": "account"})
    assert answer.status_code == 422
    assert answer.get_json()["type"].endswith("/problems/unknown-contact")


def test_a_held_person_is_refused_with_the_ground(sender: Sender, in_force: Flask) -> None:
    with in_force.app_context():
        place_hold(ADA, "case-1", "claims in court", "counsel")
    answer = sender.post("/v1/contacts/erase", dict(EVERYTHING_OF_ADA))
    assert answer.status_code == 409
    assert answer.get_json()["type"].endswith("/problems/under-hold")
    assert "claims in court" in answer.get_json()["detail"]


def test_the_key_needs_the_scope(in_force: Flask) -> None:
    other = make_sender(in_force, scopes=("write", "lift"))
    assert other.post("/v1/contacts/erase", dict(EVERYTHING_OF_ADA)).status_code == 403
    assert (
        other.client.get(
            "/v1/contacts/erasures/01a20cc8-8e80-7c91-b27e-829dd3bd27e7", headers=other.headers
        ).status_code
        == 403
    )


@pytest.mark.parametrize("extent", [None, "everything"])
def test_the_extent_is_to_be_named(sender: Sender, extent: str | None) -> None:
    answer = sender.post("/v1/contacts/erase", {"external_id": EXTERNAL_ID, "extent": extent})
    assert answer.status_code == 422


def test_the_person_is_told_before_the_address_is_hidden(
    sender: Sender, in_force: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_mail_server(in_force, monkeypatch)
    erase(sender)
    [notice] = queued_emails(in_force)
    assert notice.recipient == ADA
    assert dict(notice.values) == {"extent": "account"}
    with in_force.app_context():
        assert tables_with("ada@example.com") == {"outgoing_mail"}


def test_what_was_still_to_be_mailed_is_cancelled(
    sender: Sender, in_force: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_mail_server(in_force, monkeypatch)
    in_force.test_client().post("/form", data={"address": "ada@example.com"})
    erase(sender, {**EVERYTHING_OF_ADA, "notify": False})
    with in_force.app_context():
        assert rows("SELECT outcome, recipient_digest FROM outgoing_mail") == [("cancelled", None)]
        assert tables_with("ada@example.com") == set()
