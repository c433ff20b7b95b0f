"""Reporting a child's address: by anybody, with one answer for every address."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from preference_center.rights.requests.minors import dismiss
from preference_center.rights.requests.steps import list_steps, open_sealed
from preference_center.rights.rules.requests import RequestKind, RequestState
from tests.infra.mailing import give_mail_server, link_in, queued_emails
from tests.ledger.tables import Ledger
from tests.rights.pages.acts import form_fields, requests_in

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

    from tests.clock import Clock

KNOWN, UNKNOWN = "jane.doe@example.com", "jack.poe@example.com"
PATH = "/rights/minor"


@pytest.fixture(autouse=True)
def _mail(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    give_mail_server(app, monkeypatch)


def report(client: FlaskClient, address: str = KNOWN, **more: Any) -> TestResponse:
    fields = {"address": address, "text": "She is ten.", "contact": ""}
    return client.post(PATH, data=fields | more)


@pytest.fixture
def answer_path(app: Flask, client: FlaskClient) -> str:
    """The path of the link in the mail to Jane, who was reported."""
    report(client)
    return link_in(queued_emails(app)[-1])


def test_a_report_pauses_marketing_at_once(
    app: Flask, client: FlaskClient, subscribed: Callable[..., Any], ledger: Ledger
) -> None:
    assert subscribed()
    answer = report(client, contact="Mum@Example.com")
    assert (answer.status_code, "Thank you" in answer.text) == (200, True)
    assert not subscribed()  # I2
    assert ledger.kinds() == [("restricted", "restriction")]
    with app.app_context():
        [stored] = requests_in(app)
        part = open_sealed(stored)
    assert (stored.kind, stored.state) == (RequestKind.MINOR, RequestState.OPEN)
    assert (part.text, part.reporter) == ("She is ten.", "mum@example.com")


def test_known_and_unknown_addresses_get_the_same_answer(
    app: Flask, client: FlaskClient, token: str
) -> None:
    client.post(f"/u/{token}", data={"confirm": "this"})
    known, unknown = report(client), report(client, UNKNOWN)
    assert known.text == unknown.text
    assert KNOWN not in known.text
    assert {email.recipient.exact for email in queued_emails(app)} == {KNOWN, UNKNOWN}


def test_sent_twice_it_is_one_report(app: Flask, client: FlaskClient) -> None:
    fields = form_fields(client, PATH) | {"address": KNOWN, "text": "She is ten."}
    pages = [client.post(PATH, data=fields).text for _ in range(2)]
    assert pages[0] == pages[1]
    assert len(requests_in(app)) == len(queued_emails(app)) == 1


def test_reports_about_one_mailbox_are_limited_and_answered_alike(
    app: Flask, client: FlaskClient
) -> None:
    pages = {report(client, text=f"He is {number}.").text for number in range(6)}
    assert len(pages) == 1
    assert len(requests_in(app)) == 3
    assert len(queued_emails(app)) == 1


def test_one_network_reports_thirty_times_an_hour(app: Flask, client: FlaskClient) -> None:
    public = {"REMOTE_ADDR": "8.8.8.8"}
    statuses = [
        client.post(
            PATH, data={"address": f"p{number}@example.com"}, environ_base=public
        ).status_code
        for number in range(33)
    ]
    assert statuses == [200] * 30 + [429] * 3
    assert len(requests_in(app)) == 30


@pytest.mark.parametrize(
    "fields, remedy",
    [
        ({"address": ""}, "Enter an email address"),
        ({"address": "a@example.com, b@example.com"}, "more than one email address"),
        ({"text": "x" * 1001}, "longer than 1000 characters"),
        ({"contact": "mum"}, "your own address is not an email address"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_half_written(
    app: Flask, client: FlaskClient, fields: dict[str, str], remedy: str, ledger: Ledger
) -> None:
    before = ledger.rows()
    answer = report(client, **fields)
    assert (answer.status_code, remedy in answer.text) == (422, True)
    assert ledger.rows() == before
    assert requests_in(app) == []


def test_another_site_can_not_report_for_its_visitors(app: Flask, client: FlaskClient) -> None:
    headers = {"Sec-Fetch-Site": "cross-site"}
    assert client.post(PATH, data={"address": KNOWN}, headers=headers).status_code == 403
    assert requests_in(app) == []


def test_the_holder_says_once_that_it_is_wrong(
    app: Flask, client: FlaskClient, answer_path: str, ledger: Ledger
) -> None:
    before = ledger.rows()
    for method in ("GET", "HEAD", "OPTIONS", "POST"):  # a POST of nothing is no press (I7)
        assert client.open(answer_path, method=method).status_code == 200
    assert ledger.rows() == before
    for _ in range(2):
        assert "Thank you" in client.post(answer_path, data={"wrong": "yes"}).text
    with app.app_context():
        steps = list_steps(requests_in(app)[0].id)
    assert [step.action for step in steps] == ["received", "contradicted"]


def test_after_14_days_it_says_whom_to_write_to(
    app: Flask, client: FlaskClient, answer_path: str, clock: Clock
) -> None:
    clock.advance(timedelta(days=15))
    assert "write to us" in client.post(answer_path, data={"wrong": "yes"}).text
    with app.app_context():
        assert len(list_steps(requests_in(app)[0].id)) == 1


def test_the_page_says_what_was_decided(
    app: Flask, client: FlaskClient, answer_path: str, clock: Clock,
    subscribed: Callable[..., Any],
) -> None:  # fmt: skip
    clock.advance(timedelta(minutes=1))
    with app.app_context():
        dismiss(requests_in(app)[0].id, "compliance")
    assert "this is not the case" in client.get(answer_path).text
    assert subscribed()


def test_no_other_link_answers_it(
    app: Flask, client: FlaskClient, token: str, proven: str, answer_path: str
) -> None:
    for other in (token, proven, answer_path.rpartition("/")[2][:-1], "broken"):
        assert client.post(f"/rights/reported/{other}", data={"wrong": "yes"}).status_code == 404


def test_the_list_of_rights_leads_to_it(client: FlaskClient) -> None:
    assert re.search(r'href="/rights/minor"', client.get("/rights").text)
