"""What the pages of rights make of a proven person's button: one request, and its status page."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from preference_center.catalogue.rules.privacy import Law
from preference_center.contacts import load_contacts, upsert_contacts
from preference_center.contacts.rules.contact import ContactRef, ContactUpdate
from preference_center.core.addresses import Channel, parse_address
from preference_center.ledger.rules import RequestOrigin
from preference_center.rights.holds import end_hold, place_hold
from preference_center.rights.rules.requests import (
    Extent,
    IdentityLevel,
    RequestKind,
    RequestState,
    RequestVia,
)
from tests.clock import START
from tests.in_force import put_in_force
from tests.rights.pages.acts import form_fields, press, reference_in, requests_in
from tests.web.pages.fixtures import CATALOGUE

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

    from tests.clock import Clock
    from tests.ledger.tables import Ledger

JANE = parse_address("jane.doe@example.com", Channel.EMAIL)
WORK = parse_address("jane@work.example", Channel.EMAIL)
PHONE = parse_address("+39 333 1234567", Channel.SMS)
_WITH_TWO_LAWS = CATALOGUE.replace(
    "[controller]", '[rights]\nlaws = ["gdpr", "ccpa"]\n\n[controller]'
)
ORIGIN = RequestOrigin("test", "test", START)


@pytest.mark.parametrize("act", ["access", "restrict", "close"])
def test_one_button_is_one_request_however_often_it_is_pressed(
    app: Flask, client: FlaskClient, proven: str, act: str
) -> None:  # I7
    path = f"/rights/{act}/{proven}"
    fields = form_fields(client, path) | {"confirm": "yes"}
    first, answer = client.post(path, data=fields), client.post(path, data=fields)
    assert reference_in(client, first) == reference_in(client, answer)
    assert answer.status_code == 303
    assert answer.location.startswith("/rights/status/")
    (asked,) = requests_in(app)
    assert asked.kind == RequestKind(act)
    assert asked.via is RequestVia.PAGE
    assert asked.level is IdentityLevel.CONTROLS_ADDRESS
    assert asked.reference == reference_in(client, answer)


@pytest.mark.parametrize(
    "stated, law, days",
    [("ccpa", Law.CCPA, 45), ("", None, 30), ("lgpd", None, 30)],
    ids=["California", "not stated", "of no law here"],
)
def test_who_says_where_they_live_gets_the_dates_of_its_law(
    app: Flask, client: FlaskClient, proven: str, stated: str, law: Law | None, days: int
) -> None:
    put_in_force(app, _WITH_TWO_LAWS)
    path = f"/rights/access/{proven}"
    assert "Where you live" in client.get(path).text
    assert press(client, path, confirm="yes", law=stated).status_code == 303
    (asked,) = requests_in(app)
    assert asked.law is law
    assert (asked.due_at - asked.received_at).days in {days - 1, days}


def test_where_one_law_counts_nobody_is_asked_where_they_live(
    client: FlaskClient, proven: str
) -> None:
    assert "Where you live" not in client.get(f"/rights/access/{proven}").text


def test_an_erasure_takes_two_steps_and_says_what_goes_and_stays(
    app: Flask, client: FlaskClient, proven: str, ledger: Ledger
) -> None:
    path, before = f"/rights/erase/{proven}", ledger.rows()
    nothing = client.post(path, data={"confirm": "yes", "extent": "all"})
    assert nothing.status_code == 422
    assert "please choose first" in nothing.text
    second = client.post(path, data={"extent": "marketing"})
    assert "What goes" in second.text
    assert "What stays, and why" in second.text
    assert requests_in(app) == []
    assert ledger.rows() == before
    assert press(client, path, extent="marketing", confirm="yes").status_code == 303
    (asked,) = requests_in(app)
    assert (asked.kind, asked.extent) == (RequestKind.ERASE, Extent.MARKETING)


def test_deleting_an_account_with_other_addresses_waits_for_more_proof(
    app: Flask, client: FlaskClient, proven: str
) -> None:
    with app.app_context():
        upsert_contacts([ContactUpdate(addresses=(JANE, WORK))], ORIGIN)
    path = f"/rights/erase/{proven}"
    assert "we need more proof" in client.post(path, data={"extent": "account"}).text
    answer = press(client, f"/rights/erase/{proven}", extent="account", confirm="yes")
    (asked,) = requests_in(app)
    assert asked.required_level is IdentityLevel.CONTACT
    assert not asked.state.closed
    page = client.get(answer.location).text
    assert "We need to be sure that it’s you" in page
    assert "never for an ID card" in page
    assert "All marketing to this address is off." in page


def test_deleting_an_account_with_one_address_takes_no_more_proof(
    app: Flask, client: FlaskClient, proven: str
) -> None:
    path = f"/rights/erase/{proven}"
    assert "we need more proof" not in client.post(path, data={"extent": "account"}).text
    page = client.get(press(client, path, extent="account", confirm="yes").location).text
    assert "anything is still owed. Then the account is deleted with its data." in page
    assert "All marketing to this address is off." in page
    assert [asked.state for asked in requests_in(app)] == [RequestState.OPEN]


def test_the_pages_say_how_many_addresses_an_account_has(
    app: Flask, client: FlaskClient, proven: str
) -> None:
    def pages() -> list[str]:
        deleting = client.post(f"/rights/erase/{proven}", data={"extent": "account"})
        return [client.get(f"/rights/close/{proven}").text, deleting.text]

    for page in pages():
        assert "no other address" not in page
        assert "addresses that we have" not in page
    with app.app_context():
        upsert_contacts([ContactUpdate(addresses=(JANE, WORK, PHONE))], ORIGIN)
    closing, deleting = pages()
    assert "This closes the account with all 3 addresses that we have." in closing
    assert "we need more proof" in closing
    assert "closed at once" not in closing
    assert "This deletes the account with all 3 addresses that we have." in deleting
    assert "no other address" not in closing + deleting


def test_a_legal_hold_comes_before_a_deletion_and_the_page_says_so(
    app: Flask, client: FlaskClient, proven: str, ledger: Ledger
) -> None:
    with app.app_context():
        place_hold(JANE, "C-1", "claims in court", "test")
    before = ledger.events()
    path = f"/rights/erase/{proven}"
    assert "that comes first" in client.post(path, data={"extent": "marketing"}).text
    status = press(client, path, extent="marketing", confirm="yes").location
    page = client.get(status).text
    assert "It is deleted as soon as that ends." in page
    assert "claims in court" not in page  # the company's own words, for its staff
    assert 'href="https://garante.example"' in page
    assert ledger.events() == before
    with app.app_context():
        end_hold("C-1", "test")
    assert "It is deleted as soon as that ends." not in client.get(status).text


def test_the_page_of_a_deletion_says_what_becomes_of_a_limit_and_of_a_copy_asked_for(
    client: FlaskClient, proven: str
) -> None:
    path = f"/rights/erase/{proven}"
    plain = client.get(path).text
    assert "not ready yet" not in plain
    assert "the newer request counts" not in plain
    press(client, f"/rights/access/{proven}", confirm="yes")
    press(client, f"/rights/restrict/{proven}", confirm="yes")
    for page in (client.get(path), client.post(path, data={"extent": "marketing"})):
        assert "not ready yet" in page.text
        assert "the newer request counts" in page.text


def test_the_language_is_corrected_at_once(app: Flask, client: FlaskClient, proven: str) -> None:
    with app.app_context():
        upsert_contacts([ContactUpdate(addresses=(JANE,), locale="en")], ORIGIN)
    path = f"/rights/correct/{proven}"
    assert 'value="en" checked' in client.get(path, query_string={"what": "language"}).text
    saved = press(client, path, what="language", language="it")
    assert saved.status_code == 200
    assert '<html lang="it">' in saved.text
    with app.app_context():
        ref = ContactRef(address=JANE)
        assert load_contacts([ref]).find(ref).locale == "it"


@pytest.mark.parametrize("language", ["", "tlh", "en-GB-oed"])
def test_a_language_that_we_do_not_speak_is_not_saved(
    app: Flask, client: FlaskClient, proven: str, language: str
) -> None:
    with app.app_context():
        upsert_contacts([ContactUpdate(addresses=(JANE,), locale="en")], ORIGIN)
    answer = press(client, f"/rights/correct/{proven}", what="language", language=language)
    assert answer.status_code == 422
    assert "please choose first" in answer.text


def test_without_an_account_no_contact_is_made_for_a_language(
    app: Flask, client: FlaskClient, proven: str, ledger: Ledger
) -> None:
    before = ledger.rows()
    answer = client.get(f"/rights/correct/{proven}", query_string={"what": "language"})
    assert "We hold no account with this address" in answer.text
    assert ledger.rows() == before


def test_anything_else_to_correct_is_read_by_staff(
    app: Flask, client: FlaskClient, proven: str
) -> None:
    path = f"/rights/correct/{proven}"
    assert press(client, path, what="words", text=" ").status_code == 422
    assert press(client, path, what="words", text="x" * 4001).status_code == 422
    assert requests_in(app) == []
    answer = press(client, path, what="words", text="My name is spelt wrong.")
    assert "Our staff read it" in client.get(answer.location).text
    assert [each.kind for each in requests_in(app)] == [RequestKind.CORRECT]


def test_the_reference_stays_readable_after_the_visit(
    client: FlaskClient, proven: str, clock: Clock
) -> None:
    status = press(client, f"/rights/close/{proven}", confirm="yes").location
    clock.advance(timedelta(days=90))
    assert client.get(status).status_code == 200


@pytest.mark.parametrize(
    "days, language, words",
    [
        (3650, "en", "<li>for 10 years: invoices</li>"),
        (3650, "it", "<li>per 10 anni: fatture</li>"),
        (365, "en", "<li>for 1 year: invoices</li>"),
        (400, "en", "<li>for 400 days: invoices</li>"),
    ],
)
def test_what_is_kept_of_an_account_is_said_in_years_and_in_the_language(
    app: Flask, client: FlaskClient, proven: str, days: int, language: str, words: str
) -> None:  # GDPR art. 13(2)(a)
    ground = 'ground = { en = "invoices", it = "fatture" }'
    put_in_force(app, f"{CATALOGUE}\n[retention.closed_accounts]\ndays = {days}\n{ground}\n")
    assert words in client.get(f"/rights/close/{proven}?lang={language}").text
