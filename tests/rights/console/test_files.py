"""Agents' files and the file of a request for access: never shown, only saved."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import pytest

from preference_center.core.staff import Role
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.rights.access_file.build import build_access_file
from preference_center.rights.console import decide
from preference_center.rights.requests.files import list_proofs
from preference_center.rights.rules import identity
from preference_center.rights.rules.lifecycle import RightsRequest
from preference_center.rights.rules.new_request import Agent
from preference_center.rights.rules.requests import (
    IdentityLevel,
    RequestKind,
    RequestState,
    RequestVia,
)
from tests.rights.console.asking import actions, ask, load, rows
from tests.web.console.staff import Staff, staff, words

if TYPE_CHECKING:
    from flask import Flask
    from werkzeug.test import TestResponse

PDF = b"%PDF-1.7 <script>alert(1)</script>"
HOSTILE_NAME = '../../"><script>alert(1)</script>.pdf'


@pytest.fixture
def asked(app: Flask) -> RightsRequest:
    agent = Agent("Data Rights", "post@agents.example")
    return ask(app, RequestKind.RESTRICT, via=RequestVia.AGENT, agent=agent)


def upload(
    who: Staff, asked: RightsRequest, content: bytes, name: str = "letter.pdf"
) -> TestResponse:
    path = f"/console/requests/{asked.id}/proofs"
    return who.post(path, kind="power_of_attorney", proof=(BytesIO(content), name))


def proof_id(app: Flask, asked: RightsRequest) -> str:
    with app.app_context():
        [proof] = run_in_transaction(lambda c: list_proofs(c, asked.id))
        return str(proof.id)


def test_a_file_is_stored_without_its_name_and_saved_as_an_attachment(
    app: Flask, asked: RightsRequest
) -> None:
    assert upload(staff(app, Role.SUPPORT), asked, PDF, HOSTILE_NAME).status_code == 303
    ada = staff(app, Role.COMPLIANCE, name="ada")
    page = ada.get(f"/console/requests/{asked.id}").get_data(as_text=True)
    assert "alert(1)" not in page
    path = f"/console/requests/{asked.id}/proofs/{proof_id(app, asked)}"
    saved = ada.post(path)
    assert saved.data == PDF
    assert saved.headers["Content-Type"] == "application/octet-stream"
    name = f"{asked.reference}-1.pdf"
    assert saved.headers["Content-Disposition"] == f"attachment; filename={name}"
    assert saved.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in saved.headers["Content-Security-Policy"]
    assert actions(app, asked)[-1] == ("console:ada", "proof_read")
    assert ada.get(path).status_code == 405


def test_support_sees_no_file_of_a_stranger(app: Flask, asked: RightsRequest) -> None:
    grace = staff(app, Role.SUPPORT)
    upload(grace, asked, PDF)
    path = f"/console/requests/{asked.id}/proofs/{proof_id(app, asked)}"
    assert grace.post(path).status_code == 403
    assert ("console:grace", "proof_read") not in actions(app, asked)


def test_a_file_is_found_at_its_own_request_only(app: Flask, asked: RightsRequest) -> None:
    upload(staff(app, Role.SUPPORT), asked, PDF)
    other = ask(app, RequestKind.CLOSE, via=RequestVia.AGENT, agent=Agent("B", "b@agents.example"))
    ada = staff(app, Role.COMPLIANCE, name="ada")
    path = f"/console/requests/{other.id}/proofs/{proof_id(app, asked)}"
    assert ada.post(path).status_code == 404
    ada.post(f"{path}/delete")
    assert rows(app, "SELECT count(*) FROM rights_proof") == [(1,)]


@pytest.mark.parametrize(
    "content, name, problem",
    [
        (b"<html><script>alert(1)</script>", "page.pdf", "PDF, PNG or JPEG"),
        (b"PK\x03\x04", "archive.pdf", "PDF, PNG or JPEG"),
        (b"%PDF-" + b"x" * 1_000, "large.pdf", "larger than"),
        (b"", "", "Choose a file"),
    ],
)
def test_what_cannot_be_taken_is_not_stored(
    app: Flask,
    monkeypatch: pytest.MonkeyPatch,
    asked: RightsRequest,
    content: bytes,
    name: str,
    problem: str,
) -> None:
    for module in (identity, decide):
        monkeypatch.setattr(module, "MAX_PROOF_BYTES", 1_000)
    answer = upload(staff(app, Role.SUPPORT), asked, content, name)
    assert answer.status_code == 422
    assert problem in words(answer)
    assert rows(app, "SELECT count(*) FROM rights_proof") == [(0,)]


def test_a_fourth_file_is_refused(app: Flask, asked: RightsRequest) -> None:
    grace = staff(app, Role.SUPPORT)
    answers = [upload(grace, asked, PDF).status_code for _ in range(4)]
    assert answers == [303, 303, 303, 422]


def test_a_deleted_file_is_gone_and_the_deletion_a_step(app: Flask, asked: RightsRequest) -> None:
    upload(staff(app, Role.SUPPORT), asked, PDF)
    ada = staff(app, Role.COMPLIANCE, name="ada")
    path = f"/console/requests/{asked.id}/proofs/{proof_id(app, asked)}/delete"
    assert "can’t be brought back" in words(ada.get(path))
    assert ada.post(path).status_code == 303
    assert rows(app, "SELECT count(*) FROM rights_proof") == [(0,)]
    assert actions(app, asked)[-1] == ("console:ada", "proof_deleted")


def test_an_accepted_authority_stands_in_for_the_person(app: Flask, asked: RightsRequest) -> None:
    ada = staff(app, Role.COMPLIANCE, name="ada")
    accept = f"/console/requests/{asked.id}/accept"
    assert ada.post(accept).status_code == 422
    upload(staff(app, Role.SUPPORT), asked, PDF)
    assert ada.post(f"/console/requests/{asked.id}/reject").status_code == 303
    assert ada.post(accept).status_code == 303
    assert load(app, asked).state is RequestState.DONE
    assert {"authority_rejected", "authority_accepted"} <= {a for _, a in actions(app, asked)}


def test_the_file_of_a_request_for_access_is_saved_by_compliance_only(app: Flask) -> None:
    asked = ask(app, RequestKind.ACCESS, level=IdentityLevel.CONTROLS_ADDRESS)
    path = f"/console/requests/{asked.id}/file"
    ada = staff(app, Role.COMPLIANCE, name="ada")
    assert ada.post(path).status_code == 404
    with app.app_context():
        build_access_file(asked.id)
    assert "can download it" in words(ada.get(f"/console/requests/{asked.id}"))
    saved = ada.post(path)
    assert saved.data.startswith(b"PK")
    assert f"data-{asked.reference}.zip" in saved.headers["Content-Disposition"]
    assert staff(app, Role.SUPPORT).post(path).status_code == 403
    assert actions(app, asked)[-1] == ("console:ada", "file_downloaded")
