from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from preference_center.infra.db.transactions import run_in_transaction
from preference_center.web.api import keys
from preference_center.web.api.keys import KeyScope
from tests.clock import START
from tests.web.api.sender import Sender
from workers import jobs

if TYPE_CHECKING:
    from werkzeug.test import TestResponse

ADDRESSES = b"ada@example.com\ngrace@example.com\nnobody\n"
OPT_OUTS = {"preset": "addresses", "only": "opt-outs", "scopes": {"list": "all_marketing"}}


def begun(sender: Sender, **fields: Any) -> str:
    answer = sender.post("/v1/imports", OPT_OUTS | fields)
    assert answer.status_code == 201, answer.text
    assert answer.get_json()["state"] == "awaiting_file"
    return str(answer.get_json()["id"])


def upload(sender: Sender, import_id: str, content: bytes = ADDRESSES) -> TestResponse:
    path = f"/v1/imports/{import_id}/file"
    headers = sender.headers | {"Content-Type": "text/csv"}
    return sender.client.put(path, data=content, headers=headers)


def work(sender: Sender, import_id: str) -> dict[str, Any]:
    """What the import is like once a worker has had its turn."""
    with sender.app.app_context():
        jobs.continue_import(import_id)
    answer = sender.client.get(f"/v1/imports/{import_id}", headers=sender.headers)
    assert answer.status_code == 200
    return dict(answer.get_json())


def test_a_list_is_planned_first_and_applied_once_the_plan_is_confirmed(sender: Sender) -> None:
    import_id = begun(sender)
    assert upload(sender, import_id).get_json()["state"] == "uploaded"

    planned = work(sender, import_id)
    assert planned["state"] == "planned"
    assert planned["planned"]["new"] == [
        {"meaning": "opt_out", "scope": "all_marketing", "count": 2}
    ]
    assert [refusal["line"] for refusal in planned["refusals"]] == [3]
    assert "lifted" in planned["note"]
    assert sender.rows("SELECT 1 FROM event") == []

    answer = sender.post(f"/v1/imports/{import_id}/apply", {"plan": planned["plan"]})
    assert answer.get_json()["state"] == "applying"
    assert work(sender, import_id)["applied"]["new"] == planned["planned"]["new"]
    assert sender.ask("offers.weekly", "ada@example.com")["allow"] is False

    assert sender.post(f"/v1/imports/{import_id}/undo", None).get_json()["state"] == "undoing"
    undone = work(sender, import_id)
    assert (undone["state"], undone["retracted"]) == ("undone", 2)
    assert sender.ask("offers.weekly", "ada@example.com")["allow"] is True


def test_scopes_that_are_missing_are_named_and_given_without_another_upload(
    sender: Sender,
) -> None:
    import_id = begun(sender, scopes={})
    upload(sender, import_id)
    found = work(sender, import_id)
    assert found["state"] == "unusable"
    assert found["planned"]["groups"] == [
        {"meaning": "opt_out", "group": "list", "count": 2, "unmapped": True}
    ]

    assert sender.put(f"/v1/imports/{import_id}", OPT_OUTS).get_json()["state"] == "uploaded"
    assert work(sender, import_id)["state"] == "planned"


def test_dates_that_can_t_be_read_are_shown_and_their_format_given_afterwards(
    sender: Sender,
) -> None:
    dated = OPT_OUTS | {"preset": "generic-list", "column": "who"}
    import_id = begun(sender, **dated)
    upload(sender, import_id, b"who,date\nada@example.com,03/04/2024\nbob@example.com,25/12/2023\n")
    found = work(sender, import_id)
    assert found["state"] == "unusable"
    assert "line 2: 03/04/2024" in found["problem"]
    assert found["planned"]["rows"] == 2

    sender.put(f"/v1/imports/{import_id}", dated | {"date_formats": ["%d/%m/%Y"]})
    assert work(sender, import_id)["planned"]["undated"] == 0


@pytest.mark.parametrize(
    "fields, pointer, code",
    [
        ({"preset": "sendgrid"}, "/preset", "rule-violation"),
        ({"only": None}, "/only", "rule-violation"),
        ({"scopes": {"list": "acme.newz"}}, "/scopes", "unknown-topic"),
        ({"scopes": {"a": "all_marketing", "A": "acme.news"}}, "/scopes", "rule-violation"),
        ({"time_zone": "Rome"}, "/time_zone", "rule-violation"),
        ({"encoding": "utf-16"}, "/encoding", "rule-violation"),
        ({"date_formats": ["DD.MM.YYYY"]}, "/date_formats", "rule-violation"),
        ({"received_at": "2031-01-01T00:00:00Z"}, "/received_at", "rule-violation"),
        ({"as": "opt-outs"}, "/as", "unknown-field"),
    ],
)
def test_what_can_t_be_is_refused_before_anything_is_uploaded(
    sender: Sender, fields: dict[str, Any], pointer: str, code: str
) -> None:
    answer = sender.post("/v1/imports", OPT_OUTS | fields)

    assert answer.status_code == 422
    faults = answer.get_json()["errors"]
    assert [(fault["pointer"], fault["code"]) for fault in faults] == [(pointer, code)]
    assert sender.rows("SELECT 1 FROM list_import") == []


def test_a_plan_that_is_not_the_one_looked_at_is_not_applied(sender: Sender) -> None:
    import_id = begun(sender)
    path = f"/v1/imports/{import_id}/apply"
    assert sender.post(path, {"plan": "x"}).status_code == 409
    upload(sender, import_id)
    plan = work(sender, import_id)["plan"]
    upload(sender, import_id, b"linus@example.com\n")
    work(sender, import_id)

    answer = sender.post(path, {"plan": plan})
    assert answer.status_code == 409
    assert answer.get_json()["type"].endswith("/import-conflict")
    assert sender.post(f"/v1/imports/{import_id}/undo", None).status_code == 409


def test_imports_of_another_key_are_not_there(sender: Sender) -> None:
    import_id = begun(sender)
    with sender.app.app_context():
        text = run_in_transaction(
            lambda c: keys.create_key(c, "other", [KeyScope.WRITE], ["*"], START)
        )
    other = Sender(sender.app, sender.client, text)

    path = f"/v1/imports/{import_id}"
    assert other.client.get(path, headers=other.headers).status_code == 404
    assert upload(other, import_id).status_code == 404
    assert other.post(f"{path}/undo", None).status_code == 404
    assert sender.client.get(f"/v1/imports/{uuid4()}", headers=sender.headers).status_code == 404


def test_who_did_it_is_in_the_audit_and_no_address(sender: Sender) -> None:
    # I12
    import_id = begun(sender)
    upload(sender, import_id)
    plan = work(sender, import_id)["plan"]
    sender.post(f"/v1/imports/{import_id}/apply", {"plan": plan})
    work(sender, import_id)

    rows = sender.rows("SELECT action, actor, detail FROM audit ORDER BY id")
    assert [row[0] for row in rows] == ["import.created", "import.applying", "import.applied"]
    assert len({row[1] for row in rows}) == 1
    assert "example.com" not in str(rows)


def test_a_file_that_breaks_off_is_not_planned(sender: Sender) -> None:
    import_id = begun(sender)
    answer = sender.client.put(
        f"/v1/imports/{import_id}/file",
        data=ADDRESSES,
        headers=sender.headers | {"Content-Type": "text/csv"},
        environ_overrides={"CONTENT_LENGTH": "5000"},
    )
    assert answer.status_code == 400
    assert work(sender, import_id)["state"] == "awaiting_file"
