"""What is known of a contact, on the pages and in the mail: the language, and no more (I9)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from preference_center import contacts
from preference_center.contacts import store as stored_contacts
from preference_center.contacts.rules.contact import ContactRef, ContactUpdate
from preference_center.core.addresses import Channel, parse_address
from preference_center.core.errors import Unavailable
from preference_center.infra.outbox import OutgoingEmail
from preference_center.ledger.rules import RequestOrigin
from preference_center.web.emails import render_email
from tests.clock import START, Clock
from tests.infra.mailing import give_mail_server, link_in, queued_emails
from tests.ledger.tables import Ledger
from tests.recipients.pages.test_preferences import Form
from tests.web.pages.fixtures import MakeToken

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

JANE = "jane.doe@example.com"
FRENCH = {"Accept-Language": "fr"}

Speaks = Callable[..., None]


@pytest.fixture
def speaks(app: Flask, clock: Clock) -> Speaks:
    """`speaks("de-AT", address=...)`: Jane's contact, with this locale."""

    def put(locale: str, address: str = JANE) -> None:
        profile = ContactUpdate(locale=locale, addresses=(parse_address(address, Channel.EMAIL),))
        with app.app_context():
            contacts.upsert_contacts([profile], RequestOrigin("test", "test", clock()))

    return put


def written_in(app: Flask, email: OutgoingEmail) -> str:
    with app.app_context():
        return str(render_email(email, START)["Content-Language"])


@pytest.mark.parametrize("path", ["/u/{}", "/p/{}", "/w/{}"])
def test_a_page_speaks_the_contacts_language(
    client: FlaskClient, token: str, speaks: Speaks, path: str
) -> None:
    speaks("de-AT")
    url = path.format(token)
    assert client.get(url, headers=FRENCH).headers["Content-Language"] == "de"
    switched = client.get(f"{url}?lang=it", headers=FRENCH)
    assert switched.headers["Content-Language"] == "it"


def test_a_language_that_we_lack_leaves_it_to_the_browser(
    client: FlaskClient, token: str, speaks: Speaks
) -> None:
    speaks("pt-BR")
    assert client.get(f"/u/{token}", headers=FRENCH).headers["Content-Language"] == "fr"


def test_the_language_of_another_form_of_the_address_is_not_revealed(
    client: FlaskClient, token: str, speaks: Speaks
) -> None:  # I9
    speaks("de", "jane.doe+shop@example.com")
    assert client.get(f"/u/{token}", headers=FRENCH).headers["Content-Language"] == "fr"


def test_it_is_the_language_in_which_they_say_no(
    client: FlaskClient, token: str, speaks: Speaks, ledger: Ledger
) -> None:  # I8
    speaks("de")
    answer = client.post(
        f"/u/{token}", data={"confirm": "this"}, headers=FRENCH, follow_redirects=True
    )
    assert answer.headers["Content-Language"] == "de"
    assert [event["evidence"]["language"] for event in ledger.events()] == ["de"]


def test_the_receipt_for_machines_is_in_it_too(
    client: FlaskClient, token: str, speaks: Speaks
) -> None:
    speaks("es")
    assert client.get(f"/w/{token}/receipt.json", headers=FRENCH).get_json()["language"] == "es"


def test_without_the_database_the_page_goes_without(
    client: FlaskClient, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(_work: object) -> None:
        raise Unavailable("the database can't be reached")

    monkeypatch.setattr(stored_contacts, "run_autocommit", gone)
    answer = client.get(f"/u/{token}", headers=FRENCH)
    assert (answer.status_code, answer.headers["Content-Language"]) == (200, "fr")


class TestMail:
    @pytest.fixture(autouse=True)
    def _server(self, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
        give_mail_server(app, monkeypatch)

    def test_a_link_is_mailed_in_the_contacts_language_and_the_page_does_not_tell(
        self, app: Flask, client: FlaskClient, speaks: Speaks
    ) -> None:
        speaks("de")
        answer = client.post("/form", data={"address": JANE}, headers=FRENCH)
        [email] = queued_emails(app)
        assert written_in(app, email) == "de"
        assert answer.headers["Content-Language"] == "fr"
        opened = client.get(link_in(email), headers=FRENCH)
        assert opened.headers["Content-Language"] == "de"

    def test_who_switched_the_form_is_written_to_in_that_language(
        self, app: Flask, client: FlaskClient, speaks: Speaks
    ) -> None:
        speaks("de")
        client.post("/form?lang=it", data={"address": JANE}, headers=FRENCH)
        assert [written_in(app, email) for email in queued_emails(app)] == ["it"]

    def test_what_is_to_be_confirmed_is_written_in_it(
        self, app: Flask, client: FlaskClient, token: str, speaks: Speaks
    ) -> None:
        speaks("de")
        form = Form.of(client, token)
        form.ticks.add("offers")
        form.send(client)
        [email] = queued_emails(app)
        assert written_in(app, email) == "de"
        confirmed = client.post(
            link_in(email), data={"confirm": "1"}, headers=FRENCH, follow_redirects=True
        )
        assert confirmed.headers["Content-Language"] == "de"


def test_the_links_of_a_closed_account_still_answer(
    app: Flask, client: FlaskClient, clock: Clock, speaks: Speaks, make_token: MakeToken
) -> None:  # I7
    speaks("de")
    token = make_token(age=timedelta(days=900))
    jane = parse_address(JANE, Channel.EMAIL)
    with app.app_context():
        contacts.deactivate_contacts(
            [(ContactRef(address=jane), clock())], RequestOrigin("test", "test", clock())
        )
    for path in (f"/u/{token}", f"/p/{token}", f"/w/{token}"):
        assert client.get(path).status_code == 200
    body = {"List-Unsubscribe": "One-Click"}
    assert client.post(f"/u/{token}", data=body).status_code == 200
    assert (
        client.post(f"/u/{token}", data={"confirm": "all"}, follow_redirects=True).status_code
        == 200
    )
