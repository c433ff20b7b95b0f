"""Making sure that it is the person: whom a link is mailed to, and what nobody learns from it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from preference_center.contacts import upsert_contacts
from preference_center.contacts.rules.contact import ContactUpdate
from preference_center.core.addresses import Channel, parse_address
from preference_center.infra.outbox import EmailKind
from preference_center.ledger.rules import RequestOrigin
from preference_center.web.languages import LANGUAGES
from tests.clock import START, Clock
from tests.infra.mailing import give_mail_server, headers_of, link_in, queued_emails
from tests.ledger.tables import Ledger
from tests.rights.pages.acts import erase_now
from tests.web.pages.fixtures import MakeToken
from tests.web.pages.work import work_of

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

KNOWN, UNKNOWN, ERASED = "jane.doe@example.com", "jack.poe@example.com", "jill.roe@example.com"
PROVEN_ACTS = ["access", "correct", "erase", "restrict", "unrestrict", "close", "reopen"]
MINUTE = timedelta(minutes=1)
ORIGIN = RequestOrigin("test", "test", START)


@pytest.fixture(autouse=True)
def _mail(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    give_mail_server(app, monkeypatch)


def ask(client: FlaskClient, address: str, act: str = "erase", **more: Any) -> TestResponse:
    return client.post(f"/rights/{act}", data={"address": address}, **more)


@pytest.fixture
def mailed(app: Flask, client: FlaskClient) -> str:
    """The path of the link that Jane was mailed to delete her data."""
    ask(client, KNOWN)
    return link_in(queued_emails(app)[-1])


@pytest.mark.parametrize("act", PROVEN_ACTS)
def test_it_mails_a_link_to_the_typed_address(app: Flask, client: FlaskClient, act: str) -> None:
    shown = client.get(f"/rights/{act}")
    assert shown.status_code == 200
    assert 'name="address"' in shown.text
    answer = ask(client, " Jane.Doe@Example.COM ", act)
    assert answer.status_code == 200
    assert "a link is on its way" in answer.text
    (email,) = queued_emails(app)
    assert (email.kind, email.recipient.exact) == (EmailKind.RIGHTS_LINK, KNOWN)
    assert email.expires_at == START + timedelta(hours=24)
    assert email.values["right"] == act
    assert link_in(email).startswith(f"/rights/open/{act}/")
    assert "jane.doe" not in email.values["link"].lower()  # I12


@pytest.mark.parametrize("act", PROVEN_ACTS)
@pytest.mark.parametrize("age", [timedelta(days=1), timedelta(days=3650)])
def test_a_messages_link_has_it_mailed_to_its_own_address(
    app: Flask, client: FlaskClient, make_token: MakeToken, act: str, age: timedelta
) -> None:  # level 1 starts a request, and no more: links get forwarded
    path = f"/rights/{act}/{make_token(age=age)}"
    assert 'name="address"' not in client.get(path).text
    answer = client.post(path, data={"mail": "yes", "address": "thief@example.com"})
    assert answer.status_code == 200
    assert KNOWN not in answer.text  # C6
    assert [email.recipient.exact for email in queued_emails(app)] == [KNOWN]


@pytest.mark.parametrize("act", PROVEN_ACTS)
def test_a_form_of_the_act_itself_changes_nothing(
    app: Flask, client: FlaskClient, token: str, act: str, ledger: Ledger
) -> None:
    before = ledger.rows()
    fields = {"confirm": "yes", "extent": "marketing", "text": "x", "language": "it"}
    for path in (f"/rights/{act}", f"/rights/{act}/{token}"):
        answer = client.post(path, data=fields)
        assert answer.status_code == 403
        assert "Nothing was changed" in answer.text
    assert ledger.rows() == before
    assert queued_emails(app) == []


def test_the_button_of_the_mail_opens_the_right_once(
    client: FlaskClient, mailed: str, clock: Clock
) -> None:
    for method in ("GET", "HEAD", "OPTIONS", "POST"):  # scanners use nothing up (I7)
        assert client.open(mailed, method=method).status_code == 200
    opened = client.post(mailed, data={"open": "yes"})
    assert opened.status_code == 303
    assert opened.location.startswith("/rights/erase/")
    assert client.get(opened.location).status_code == 200
    clock.advance(3 * MINUTE)
    used = client.post(mailed, data={"open": "yes"})
    assert used.status_code == 410
    assert "This link has expired" in used.text


def test_an_expired_link_has_another_mailed_to_its_own_address(
    app: Flask, client: FlaskClient, mailed: str, clock: Clock
) -> None:
    clock.advance(timedelta(hours=25))
    assert client.get(mailed).status_code == 410
    answer = client.post(mailed, data={"again": "yes", "address": "thief@example.com"})
    assert answer.status_code == 200
    assert KNOWN not in answer.text
    newest = queued_emails(app)[-1]
    assert newest.recipient.exact == KNOWN
    assert client.post(link_in(newest), data={"open": "yes"}).status_code == 303


def test_a_page_left_open_for_a_day_says_so_and_mails_another_link(
    app: Flask, client: FlaskClient, proven: str, clock: Clock, ledger: Ledger
) -> None:
    clock.advance(timedelta(days=1))
    before = ledger.rows()
    late = client.post(f"/rights/erase/{proven}", data={"confirm": "yes", "extent": "marketing"})
    assert late.status_code == 403
    assert "open for more than 30 minutes" in late.text
    assert ledger.rows() == before
    client.post(f"/rights/erase/{proven}", data={"mail": "yes"})
    assert [email.recipient.exact for email in queued_emails(app)] == [KNOWN]


def test_known_unknown_and_erased_addresses_get_the_same_answer_for_the_same_work(
    app: Flask, client: FlaskClient, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:  # one row in the outbox for each, and nothing is looked up
    client.post(f"/u/{token}", data={"confirm": "this"})
    erase_now(app, ERASED)
    ask(client, "warm.up@example.com")
    known, known_work = work_of(ask, client, KNOWN, monkeypatch)
    for address in (UNKNOWN, ERASED):
        answer, work = work_of(ask, client, address, monkeypatch)
        assert answer.status_code == known.status_code == 200
        assert answer.text.replace(address, KNOWN) == known.text
        assert headers_of(answer) == headers_of(known)
        assert work == known_work
    assert not [step for step in known_work if " address" in step]
    mailed = [email.recipient.exact for email in queued_emails(app)]
    assert {KNOWN, UNKNOWN, ERASED} <= set(mailed)  # who was erased can come back


@pytest.mark.parametrize(
    "typed, remedy",
    [
        ("", "Enter an email address"),
        ("jane", "Enter an email address"),
        ("x" * 5000, "Enter an email address"),
        ("a@example.com, b@example.com", "more than one email address"),
        ("a@example.com b@example.com", "more than one email address"),
        ("a@example.com;b@example.com", "more than one email address"),
        ("+39 333 123 4567", "can’t send a link to a phone number"),
    ],
)
def test_what_is_no_address_is_said_with_the_remedy_and_kept_in_the_field(
    app: Flask, client: FlaskClient, typed: str, remedy: str
) -> None:
    answer = ask(client, typed)
    assert answer.status_code == 422
    assert remedy in answer.text
    assert 'aria-invalid="true"' in answer.text
    assert f'value="{typed[:320]}"' in answer.text
    assert queued_emails(app) == []


def test_another_site_mails_nobody(app: Flask, client: FlaskClient, token: str) -> None:
    headers = {"Sec-Fetch-Site": "cross-site"}
    assert ask(client, KNOWN, headers=headers).status_code == 403
    path = f"/rights/erase/{token}"
    assert client.post(path, data={"mail": "yes"}, headers=headers).status_code == 403
    assert queued_emails(app) == []


def test_a_mailbox_gets_three_an_hour_together_with_the_other_form(
    app: Flask, client: FlaskClient
) -> None:
    answers = [ask(client, KNOWN) for _ in range(3)]
    assert len({(answer.status_code, answer.text) for answer in answers}) == 1
    client.post("/form", data={"address": KNOWN})
    assert len(queued_emails(app)) == 3


def test_a_network_that_asks_five_thousand_times_is_refused_after_thirty(
    app: Flask, client: FlaskClient
) -> None:
    statuses = [
        ask(client, f"p{number}@example.com", environ_base={"REMOTE_ADDR": "8.8.8.8"}).status_code
        for number in range(100)
    ]
    assert statuses == [200] * 30 + [429] * 70
    assert len(queued_emails(app)) == 30


def test_a_phone_number_is_told_how_to_ask(
    app: Flask, client: FlaskClient, make_token: MakeToken
) -> None:
    path = f"/rights/access/{make_token('+393331234567', 'alerts', channel=Channel.SMS)}"
    page = client.get(path)
    assert "can’t send a link to a phone number" in page.text
    assert "<form" not in page.text
    assert client.post(path, data={"mail": "yes"}).status_code == 422
    assert queued_emails(app) == []


def test_without_a_mail_server_it_says_how_to_reach_the_company(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    for answer in (client.get("/rights/erase"), ask(client, KNOWN)):
        assert "this service can’t send email" in answer.text
        assert "<form" not in answer.text
    assert answer.status_code == 503


def test_a_visit_by_the_companys_log_in_needs_no_mail(
    app: Flask, client: FlaskClient, proven: str
) -> None:  # `/portal` redirects to such a visit
    assert "we mail a link" not in client.get(f"/rights/access/{proven}").text


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_on_the_way_speaks_the_language(
    app: Flask, client: FlaskClient, language: str
) -> None:
    answer = ask(client, KNOWN, f"erase?lang={language}")
    assert answer.headers["Content-Language"] == language
    assert f'href="/rights/erase?lang={language}"' in answer.text  # not a POST asked for again
    path = link_in(queued_emails(app)[0])
    opened = client.post(f"{path}?lang={language}", data={"open": "yes"})
    assert opened.location.endswith(f"?lang={language}")


@pytest.mark.parametrize("address", [KNOWN, UNKNOWN])
def test_beyond_the_limit_the_page_says_that_no_link_was_sent(
    app: Flask, client: FlaskClient, address: str
) -> None:
    """In the same words for somebody we know and for nobody."""
    if address == KNOWN:
        with app.app_context():
            upsert_contacts(
                [ContactUpdate(addresses=(parse_address(KNOWN, Channel.EMAIL),))], ORIGIN
            )
    for _ in range(3):
        assert "a link is on its way" in ask(client, address).text
    late = ask(client, address)
    assert late.status_code == 429
    assert "No link was sent" in late.text
    assert f"<strong>{address}</strong> has had them." in late.text
    assert "on its way" not in late.text
    assert len(queued_emails(app)) == 3
