"""A request that came by phone or letter, recorded by staff."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from preference_center.core.staff import Role
from preference_center.rights.rules.requests import RequestKind
from tests.rights.console.asking import SCRIPT, actions, ask, rows
from tests.web.console.staff import Staff, staff, words

if TYPE_CHECKING:
    from flask import Flask

NEW = "/console/requests/new"
FORM = {"kind": "access", "via": "phone", "proof": "nothing"}


@pytest.fixture
def grace(app: Flask) -> Staff:
    return staff(app, Role.SUPPORT)


def look(grace: Staff, **given: str) -> str:
    """Name the person; returns the path of the form that follows."""
    form = {"channel": "email", "address": "Ada@example.com", "reason": "called"} | given
    answer = grace.post(NEW, **form)
    assert answer.status_code == 303, words(answer)
    return answer.headers["Location"].removeprefix("https://preferences.example.com")


AGENT = {"agent_name": "Data Rights", "agent_address": "post@agents.example"}


def test_the_person_is_named_by_a_recorded_look_and_by_no_url(app: Flask, grace: Staff) -> None:
    path = look(grace, reference="T-1")
    before, _, look_id = path.rpartition("/")
    assert "ada" not in before.lower()  # I12
    assert str(UUID(look_id)) == look_id
    assert rows(app, "SELECT actor, reason, reference FROM person_access") == [
        ("console:grace", "called", "T-1")
    ]
    shown = words(grace.get(path))
    assert "About a***@e***.com" in shown
    assert staff(app, Role.COMPLIANCE, name="ada").get(path).status_code == 410  # not their look


def test_the_reason_of_the_look_is_chosen_and_not_the_first_of_the_list(
    app: Flask, grace: Staff
) -> None:
    assert '<option value="" selected>Choose a reason' in grace.get(NEW).text
    answer = grace.post(NEW, channel="email", address="Ada@example.com", reason="")
    assert "Choose one of the list" in words(answer)
    assert rows(app, "SELECT 1 FROM person_access") == []


def test_a_call_becomes_a_request_with_when_it_was_received(app: Flask, grace: Staff) -> None:
    form = FORM | {"received_at": "2026-11-20T09:30", "law": "gdpr", "asked": "yes"}
    answer = grace.post(look(grace), **form)
    assert answer.status_code == 303
    assert rows(app, "SELECT kind, via, law, state, received_at::text FROM rights_request") == [
        ("access", "phone", "gdpr", "identifying", "2026-11-20 08:30:00+00")
    ]
    shown = words(grace.get(answer.headers["Location"]))
    assert "waits for proof of identity" in shown
    assert "grace" in shown


def test_what_acts_by_itself_is_done_with_proof_and_an_objection_without(
    app: Flask, grace: Staff
) -> None:
    grace.post(look(grace), **FORM | {"kind": "object"})
    grace.post(look(grace), **FORM | {"kind": "restrict", "proof": "contact_login"})
    kinds = "SELECT kind, state FROM rights_request ORDER BY kind"
    assert rows(app, kinds) == [("object", "done"), ("restrict", "done")]
    assert ("opted_out", "console:grace") in rows(app, "SELECT kind, actor FROM event")


def test_an_agent_is_named_and_the_person_is_asked(app: Flask, grace: Staff) -> None:
    answer = grace.post(look(grace), **FORM | AGENT | {"via": "agent"})
    assert rows(app, "SELECT via, state FROM rights_request") == [("agent", "identifying")]
    assert "Data Rights" in words(grace.get(answer.headers["Location"]))


WRONG: list[tuple[dict[str, str], str]] = [
    ({"kind": "forget"}, "Choose one of the list"),
    ({"via": "api"}, "Choose one of the list"),
    ({"kind": "erase"}, "has an extent"),
    ({"received_at": "2027-01-01T00:00"}, "in the future"),
    ({"received_at": "soon"}, "Write the time as"),
    ({"text": "x" * 4_001}, "the text is longer than 4,000 characters"),
    ({"via": "agent"}, "the agent's name"),
    (AGENT, "a request by an agent, and only that, names the agent"),
]


def test_a_form_that_cannot_be_taken_says_what_to_fix(app: Flask, grace: Staff) -> None:
    path = look(grace)
    for wrong, problem in WRONG:
        answer = grace.post(path, **FORM | {"text": SCRIPT} | wrong)
        assert answer.status_code == 422
        assert problem in words(answer)
        assert SCRIPT not in answer.get_data(as_text=True)
    assert rows(app, "SELECT count(*) FROM rights_request") == [(0,)]


def test_a_look_without_address_or_reason_is_none(app: Flask, grace: Staff) -> None:
    form = {"channel": "email", "address": "ada@example.com", "reason": "called"}
    for wrong in ({"address": "ada@x@y"}, {"reason": ""}, {"reference": "ada@example.com"}):
        assert grace.post(NEW, **form | wrong).status_code == 422
    assert rows(app, "SELECT count(*) FROM person_access") == [(0,)]


def test_the_person_of_a_request_is_opened_by_a_look_with_its_reference(
    app: Flask, grace: Staff
) -> None:
    asked = ask(app, RequestKind.CORRECT)
    answer = grace.post(f"/console/requests/{asked.id}/person")
    assert "/console/people/" in answer.headers["Location"]
    assert rows(app, "SELECT reason, reference FROM person_access") == [
        ("data_request", asked.reference)
    ]
    assert actions(app, asked)
