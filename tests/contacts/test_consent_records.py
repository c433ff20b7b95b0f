"""Records of consents in the form of ISO/IEC TS 27560: by link, by API and in the access file."""

from __future__ import annotations

import html
import json
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from preference_center.contacts.consents import SCHEMA_VERSION, ConsentRecords
from preference_center.core.addresses import Channel, parse_address
from preference_center.core.events import ALL_MARKETING, EventKind
from preference_center.ledger import record
from tests.clock import START
from tests.in_force import put_in_force
from tests.infra.mailing import give_mail_server, link_in, queued_emails
from tests.ledger.changes import add_destination, change
from tests.recipients.pages.test_policy_versions import VERSIONS, WEEK
from tests.recipients.pages.test_preferences import Form
from tests.rights.access_file.people import ask, file_of
from tests.rights.asking import ADA
from tests.web.api.sender import make_sender
from tests.web.pages.fixtures import CATALOGUE
from tests.web.pages.visits import proof

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

    from tests.clock import Clock
    from tests.web.pages.fixtures import MakeToken

SCHEMA = Path(__file__).resolve().parents[2] / "docs/schemas/consent-records-1.json"
MINUTE = timedelta(minutes=1)
JANE = parse_address("jane.doe@example.com", Channel.EMAIL)
RECIPIENT = """
[destinations.email-tool]
title = "Our newsletter tool"
company = "Example Tools Inc."
country = "US"
"""
EVIDENCE = {
    "source": "checkout",
    "wording": "Yes, send me offers",
    "language": "it",
    "policy": "privacy/2026-12",
}


@pytest.fixture
def app(app: Flask) -> Flask:
    purpose = 'legal_basis = "consent"\npurpose = { en = "Telling you of offers", it = "Offerte" }'
    text = CATALOGUE.replace('title = { en = "Offers"', f'{purpose}\ntitle = {{ en = "Offers"')
    put_in_force(app, text + VERSIONS + RECIPIENT)
    with app.app_context():
        add_destination("email-tool", "offers")
        consented = change(
            1, EventKind.OPTED_IN, "offers", address=ADA, at=START, evidence=EVIDENCE
        )
        record([consented])
    return app


def query(app: Flask, **more: Any) -> dict[str, Any]:
    sender = make_sender(app, scopes=["read"])
    answer = sender.post("/v1/consents/query", {"address": ADA.exact} | more)
    assert answer.status_code == 200, answer.text
    return dict(answer.get_json())


def test_the_published_schema_is_that_of_the_model_and_holds(app: Flask) -> None:
    published = json.loads(SCHEMA.read_text(encoding="utf-8"))
    current = ConsentRecords.model_json_schema(mode="serialization")
    assert published == current | {"$schema": published["$schema"]}
    jsonschema.Draft202012Validator.check_schema(published)
    validator = jsonschema.Draft202012Validator(
        published, format_checker=jsonschema.FormatChecker(["date-time"])
    )
    assert list(validator.iter_errors(query(app))) == []


def test_a_record_says_who_what_for_under_which_policy_and_how_to_withdraw(app: Flask) -> None:
    found = query(app, language="en")
    [consent] = found["records"]
    assert consent["schema_version"] == SCHEMA_VERSION
    assert (consent["collection_method"], consent["wording"], consent["language"]) == (
        "checkout", "Yes, send me offers", "it",
    )  # fmt: skip
    assert consent["timestamp"] == START.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert consent["privacy_notice"] == {
        "url": "https://acme.example/it/2026-12",  # in the language of the consent
        "version": "2026-12",
        "sha256": "f" * 64,
    }
    [purpose] = consent["purposes"]
    assert purpose["purpose"] == "Telling you of offers"
    assert purpose["lawful_basis"] == "consent"
    assert purpose["withdrawal_method"].endswith("/form")
    assert purpose["recipient_third_parties"] == ["recipient-1"]
    controller, recipient = found["party_identification"]
    assert (controller["party_name"], controller["party_email"]) == (
        "Acme Ltd", "privacy@acme.example",
    )  # fmt: skip
    assert (recipient["party_name"], recipient["party_role"]) == (
        "Example Tools Inc.", "processor",
    )  # fmt: skip
    assert consent["state"] == "given"
    assert [each["event_state"] for each in consent["events"]] == ["given"]


def test_the_principal_is_a_pseudonym(app: Flask) -> None:  # I12
    found = query(app)
    assert ADA.exact not in json.dumps(found)
    assert found["records"][0]["pii_principal_id"].startswith("hmac:")


def test_a_withdrawn_consent_says_since_when(app: Flask, clock: Clock) -> None:
    at = clock.advance(MINUTE)
    with app.app_context():
        record([change(2, EventKind.OPTED_OUT, ALL_MARKETING, address=ADA, at=at)])
    [consent] = query(app)["records"]
    assert consent["state"] == "withdrawn"
    ended = consent["events"][1]
    assert (ended["event_state"], ended["event_time"]) == (
        "withdrawn", at.strftime("%Y-%m-%dT%H:%M:%SZ"),
    )  # fmt: skip
    assert ended["entity_id"] == consent["pii_principal_id"]


def test_a_policy_that_asks_again_invalidates_it_from_its_day(app: Flask, clock: Clock) -> None:
    clock.advance(WEEK)
    [consent] = query(app)["records"]
    assert consent["state"] == "invalidated"
    assert consent["events"][1]["event_time"] == "2026-12-01T00:00:00Z"
    assert consent["events"][1]["entity_id"] == "controller"


def test_only_a_link_that_proves_control_shows_them(
    app: Flask, client: FlaskClient, clock: Clock, make_token: MakeToken
) -> None:  # I9, I7
    proven, forwarded = proof(app, clock(), ADA.exact), make_token(ADA.exact)
    shown = client.get(f"/w/{proven}/consent.json")
    assert shown.headers["Content-Disposition"] == 'attachment; filename="consent-2026-11-24.json"'
    assert len(shown.get_json()["records"]) == 1
    assert "consent.json" in client.get(f"/w/{proven}").text
    hidden = client.get(f"/w/{forwarded}/consent.json")
    assert (hidden.status_code, hidden.get_json()["records"]) == (200, None)
    assert "consent.json" not in client.get(f"/w/{forwarded}").text


def test_who_has_agreed_to_nothing_is_offered_no_record(
    app: Flask, client: FlaskClient, clock: Clock
) -> None:
    other = proof(app, clock(), "grace@example.com")
    assert "consent.json" not in client.get(f"/w/{other}").text
    assert client.get(f"/w/{other}/consent.json").get_json()["records"] == []


def test_a_consent_to_a_topic_that_was_retired_is_offered_too(
    app: Flask, client: FlaskClient, clock: Clock
) -> None:
    put_in_force(app, CATALOGUE.replace("[topics.offers]", "[topics.offers]\nretired = true"))
    proven = proof(app, clock(), ADA.exact)
    assert len(client.get(f"/w/{proven}/consent.json").get_json()["records"]) == 1
    assert "consent.json" in client.get(f"/w/{proven}").text


@pytest.mark.parametrize(
    "way, language, words",
    [
        ("link", "en", "What you receive: Offers – Now and then."),
        ("link", "it", "Cosa riceve: Offerte – Ogni tanto."),
        ("email", "en", "Do you want to receive this? Offers"),
    ],
)
def test_a_consent_on_our_own_page_has_the_words_that_it_showed(
    app: Flask, client: FlaskClient, clock: Clock, make_token: MakeToken,
    monkeypatch: pytest.MonkeyPatch, way: str, language: str, words: str,
) -> None:  # fmt: skip
    give_mail_server(app, monkeypatch)
    token = make_token(JANE.exact) if way == "email" else proof(app, clock(), JANE.exact)
    path = f"/p/{token}?lang={language}"
    form = Form.in_page(path, client.get(path).text)
    form.ticks.add("offers")
    form.send(client)
    if way == "email":
        client.post(link_in(queued_emails(app)[0]), data={"confirm": "yes"})
    [consent] = query(app, address=JANE.exact)["records"]
    assert (consent["wording"], consent["language"]) == (words, language)
    with app.app_context():
        made = file_of(ask(JANE, language=language))
    assert words in html.unescape(made.read("index.html").decode())


def test_the_access_file_has_them_for_each_address(app: Flask) -> None:
    with app.app_context():
        made = file_of(ask(ADA, language="en"))
    found = json.loads(made.read("consent-records-1.json"))
    assert found["records"][0]["purposes"][0]["services"] == ["offers", "Acme"]
