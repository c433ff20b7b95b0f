"""Asking for somebody else: the agent's form, and the person's answer."""

from __future__ import annotations

import re
from datetime import timedelta
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from werkzeug.datastructures import FileStorage
from werkzeug.test import encode_multipart

from preference_center.infra.db.transactions import run_in_transaction
from preference_center.rights.requests.steps import open_sealed
from preference_center.rights.rules.requests import IdentityLevel, RequestState, RequestVia
from tests.infra.mailing import give_mail_server, link_in, queued_emails
from tests.ledger.tables import Ledger
from tests.rights.pages.acts import form_fields, requests_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

    from tests.clock import Clock

AGENT, PRINCIPAL, UNKNOWN = "jane.doe@example.com", "ada@example.com", "jack.poe@example.com"
PDF = b"%PDF-1.7 signed"


@pytest.fixture(autouse=True)
def _mail(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    give_mail_server(app, monkeypatch)


@pytest.fixture
def path(proven: str) -> str:
    """The page of Jane, an agent, whose address is proven."""
    return f"/rights/agent/{proven}"


def send(client: FlaskClient, path: str, *files: tuple[bytes, str], **fields: Any) -> TestResponse:
    data: dict[str, Any] = {
        "name": "Data Rights Ltd",
        "address": PRINCIPAL,
        "right": "access",
        **form_fields(client, path),
        **fields,
    }
    if files:
        data["proof"] = [FileStorage(BytesIO(content), name) for content, name in files]
    boundary, body = encode_multipart(data)  # in memory, unlike the client by itself
    return client.post(path, data=body, content_type=f"multipart/form-data; boundary={boundary}")


def stored_files(app: Flask) -> list[tuple[Any, ...]]:
    with app.app_context():
        return run_in_transaction(lambda c: c.execute("SELECT * FROM rights_proof").fetchall())


def test_the_agents_own_address_is_proven_first(app: Flask, client: FlaskClient) -> None:
    assert "we email a link to your address" in client.get("/rights/agent").text
    refused = client.post("/rights/agent", data={"name": "x", "right": "access"})
    assert refused.status_code == 403
    client.post("/rights/agent", data={"address": AGENT})
    [email] = queued_emails(app)
    assert email.recipient.exact == AGENT
    opened = client.post(link_in(email), data={"open": "yes"})
    assert opened.location.startswith("/rights/agent/")
    assert client.get(opened.location).status_code == 200
    assert requests_in(app) == []


def test_the_person_is_asked_and_the_agent_learns_nothing(
    app: Flask, client: FlaskClient, path: str
) -> None:
    answer = send(client, path, (PDF, "authority.pdf"))
    assert answer.status_code == 200
    [asked] = requests_in(app)
    assert (asked.via, asked.state) == (RequestVia.AGENT, RequestState.IDENTIFYING)
    assert asked.level is IdentityLevel.NONE
    assert asked.reference in answer.text
    assert PRINCIPAL not in answer.text
    assert "/rights/status/" not in answer.text
    [email] = queued_emails(app)
    assert (email.kind, email.recipient.exact) == ("rights_agent_asked", PRINCIPAL)
    with app.app_context():
        part = open_sealed(asked)
    assert part.agent == {"name": "Data Rights Ltd", "address": AGENT}


def test_known_and_unknown_principals_get_the_same_answer(
    client: FlaskClient, path: str, app: Flask
) -> None:
    pages = [send(client, path, address=to).text for to in (PRINCIPAL, UNKNOWN)]
    shown = [found for page in pages for found in re.findall("<code>(.*)</code>", page)]
    assert sorted(shown) == sorted(each.reference for each in requests_in(app))
    assert len({re.sub("<code>.*</code>", "", page) for page in pages}) == 1


def test_an_objection_counts_at_once(client: FlaskClient, path: str, ledger: Ledger) -> None:
    assert "is off" in send(client, path, right="object").text
    assert ledger.kinds() == [("opted_out", "all_marketing")]


@pytest.fixture
def answer_path(app: Flask, client: FlaskClient, path: str) -> str:
    """The path of the link in the mail that asks the principal."""
    send(client, path, right="restrict")
    return link_in(queued_emails(app)[-1])


def test_the_person_confirms_by_a_button_and_scanners_do_not(
    app: Flask, client: FlaskClient, answer_path: str, ledger: Ledger
) -> None:
    before = ledger.rows()
    for method in ("GET", "HEAD", "OPTIONS", "POST"):
        assert client.open(answer_path + "?confirm=yes", method=method).status_code == 200
    assert ledger.rows() == before  # I7
    shown = client.get(answer_path).text
    assert "Data Rights Ltd" in shown
    assert PRINCIPAL not in shown  # C6
    for _ in range(2):
        assert "It is confirmed" in client.post(answer_path, data={"confirm": "yes"}).text
    assert [each.state for each in requests_in(app)] == [RequestState.DONE]
    assert ledger.kinds() == [("restricted", "restriction")]


def test_the_person_refuses_it_and_nothing_changes(
    app: Flask, client: FlaskClient, answer_path: str, ledger: Ledger
) -> None:
    assert "You have refused it" in client.post(answer_path, data={"refuse": "yes"}).text
    assert "You have refused it" in client.post(answer_path, data={"confirm": "yes"}).text
    assert ledger.kinds() == []


def test_after_a_week_it_is_too_late(
    app: Flask, client: FlaskClient, answer_path: str, clock: Clock
) -> None:
    clock.advance(timedelta(days=8))
    answer = client.post(answer_path, data={"confirm": "yes"})
    assert "You had 7 days to answer" in answer.text
    assert requests_in(app)[0].state is RequestState.IDENTIFYING


def test_no_other_link_confirms_it(
    app: Flask, client: FlaskClient, answer_path: str, token: str, proven: str
) -> None:
    status = answer_path.replace("/authority/", "/status/")
    assert client.get(status).status_code == 404  # nor does this one show the status
    for other in (token, proven, "broken"):
        answer = client.post(f"/rights/authority/{other}", data={"confirm": "yes"})
        assert answer.status_code == 404


@pytest.mark.parametrize(
    "files, remedy",
    [
        ([(b"PK\x03\x04 a bomb", "authority.pdf")], "no PDF, PNG or JPEG"),
        ([(b"<svg onload=alert(1)>", "scan.png")], "no PDF, PNG or JPEG"),
        ([(b"", "empty.pdf")], "no PDF, PNG or JPEG"),
        ([(b"%PDF-" + b"x" * 5_000_000, "large.pdf")], "larger than 5 MB"),
        ([(PDF, "1.pdf")] * 4, "three files at most"),
        ([(PDF, "1.pdf"), (b"MZ", "2.pdf")], "no PDF, PNG or JPEG"),
    ],
)
def test_a_bad_file_is_refused_whole_and_said_why(
    app: Flask, client: FlaskClient, path: str, files: list[tuple[bytes, str]], remedy: str,
    ledger: Ledger,
) -> None:  # fmt: skip
    before = ledger.rows()
    answer = send(client, path, *files, right="object")
    assert (answer.status_code, remedy in answer.text) == (422, True)
    assert ledger.rows() == before
    assert requests_in(app) == []


def test_a_files_name_leads_nowhere_and_is_not_stored(
    app: Flask, client: FlaskClient, path: str
) -> None:
    send(client, path, (PDF, "../../etc/passwd"), (b"\xff\xd8\xff\xe1Exif GPS", "Ada.exe"))
    stored = str(stored_files(app))
    assert len(stored_files(app)) == 2
    for private in ("passwd", "Ada", "GPS", "%PDF"):
        assert private not in stored


@pytest.mark.parametrize(
    "fields, remedy",
    [
        ({"name": ""}, "give your name"),
        ({"name": "Win now: evil.example/x"}, "without a link"),
        ({"name": "a" * 101}, "give your name"),
        ({"address": "nobody"}, "Enter an email address"),
        ({"address": "a@example.com b@example.com"}, "more than one email address"),
        ({"right": "minor"}, "please choose first"),
        ({"text": "x" * 4001}, "longer than 4000 characters"),
        ({"proof_kind": "other"}, "please choose first"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_half_written(
    app: Flask, client: FlaskClient, path: str, fields: dict[str, str], remedy: str
) -> None:
    answer = send(client, path, (PDF, "1.pdf"), **fields)
    assert (answer.status_code, remedy in answer.text) == (422, True)
    assert requests_in(app) == []
    assert queued_emails(app) == []


def test_another_site_can_not_send_it(app: Flask, client: FlaskClient, path: str) -> None:
    hidden = form_fields(client, path)
    answer = app.test_client().post(
        path, data={"name": "x", "address": PRINCIPAL, "right": "access", **hidden}
    )
    assert answer.status_code == 400
    assert requests_in(app) == []


def test_one_person_is_asked_three_times_an_hour(
    app: Flask, client: FlaskClient, path: str, ledger: Ledger
) -> None:
    rights = ("access", "correct", "restrict", "close", "erase_account")
    statuses = [send(client, path, right=right).status_code for right in rights]
    assert statuses == [200] * 3 + [429] * 2
    assert len(requests_in(app)) == len(queued_emails(app)) == 3
    send(client, path, right="object")
    assert ledger.kinds() == [("opted_out", "all_marketing")]  # an objection always counts


def test_nobody_is_mailed_of_one_objection_after_another(
    app: Flask, client: FlaskClient, path: str
) -> None:
    answers = [send(client, path, right="object") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200] * 3 + [429] * 2
    assert "is off" not in answers[-1].text  # since nothing was recorded (I1)
    assert len(queued_emails(app)) == 3


def test_sent_twice_it_is_one_request(
    app: Flask, client: FlaskClient, path: str, subscribed: Callable[..., Any]
) -> None:
    hidden = form_fields(client, path)
    for _ in range(2):
        client.post(path, data={"name": "x", "address": PRINCIPAL, "right": "access", **hidden})
    assert len(requests_in(app)) == len(queued_emails(app)) == 1
