"""The privacy policy on the pages: its version in evidence, its changes, and asking again."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.in_force import put_in_force
from tests.recipients.pages.test_preferences import Form
from tests.rights.pages.acts import press
from tests.web.pages.fixtures import CATALOGUE

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

    from tests.clock import Clock
    from tests.ledger.tables import Ledger

VERSIONS = f"""
[policies.privacy."2026"]
effective = 2026-01-01
url = "https://acme.example/privacy/2026"
sha256 = "{"0" * 64}"
summary = {{ en = "The first one.", it = "La prima." }}

[policies.privacy."2026-12"]
effective = 2026-12-01
url = {{ en = "https://acme.example/en/2026-12", it = "https://acme.example/it/2026-12" }}
sha256 = "{"f" * 64}"
summary = {{ en = "A new supplier.", it = "Un nuovo fornitore." }}
reconsent = true
"""
WEEK = timedelta(days=7)


@pytest.fixture
def app(app: Flask) -> Flask:
    put_in_force(app, CATALOGUE + VERSIONS)
    return app


def test_a_choice_keeps_the_version_that_was_in_force(
    client: FlaskClient, token: str, ledger: Ledger, clock: Clock
) -> None:
    client.post(f"/u/{token}", data={"confirm": "this"})
    clock.advance(WEEK)
    client.post(f"/u/{token}", data={"confirm": "all"})
    found = [event["evidence"].get("policy") for event in ledger.events()]
    assert (found[0], found[-1]) == ("privacy/2026", "privacy/2026-12")


def test_an_objection_on_a_page_keeps_it(client: FlaskClient, token: str, ledger: Ledger) -> None:
    press(client, f"/rights/object/{token}", text="Basta!")
    [event] = ledger.events()
    assert (event["scope"], event["evidence"]["policy"]) == ("all_marketing", "privacy/2026")


def test_the_receipt_names_the_version(client: FlaskClient, token: str) -> None:
    client.post(f"/u/{token}", data={"confirm": "this"})
    [opt_out] = client.get(f"/w/{token}/receipt.json").get_json()["opt_outs"]
    assert opt_out["policy"] == "privacy/2026"


def test_one_click_showed_no_policy(client: FlaskClient, token: str, ledger: Ledger) -> None:
    client.post(f"/u/{token}", data={"List-Unsubscribe": "One-Click"})  # RFC 8058
    assert "policy" not in ledger.events()[0]["evidence"]


@pytest.mark.parametrize("path", ["/form", "/u/{}", "/p/{}", "/w/{}", "/rights", "/nothing-here"])
def test_every_page_tells_of_a_change(client: FlaskClient, token: str, path: str) -> None:
    page = client.get(path.format(token)).text
    assert "Our privacy policy changes on 1 December 2026." in page
    assert '<span lang="en">A new supplier.</span>' in page
    assert 'href="https://acme.example/en/2026-12"' in page


def test_it_speaks_the_language_and_ends(client: FlaskClient, clock: Clock) -> None:
    clock.advance(WEEK)
    page = client.get("/form?lang=it").text
    assert "La nostra informativa sulla privacy è cambiata il 1 dicembre 2026." in page
    assert "https://acme.example/it/2026-12" in page
    clock.advance(5 * WEEK)
    assert "informativa sulla privacy è cambiata" not in client.get("/form?lang=it").text


def test_the_preference_page_says_why_a_topic_is_off_and_asks_again(
    client: FlaskClient, proven: str, clock: Clock, app: Flask
) -> None:  # I11
    from tests.web.pages.visits import proof

    form = Form.of(client, proven)
    form.ticks.add("offers")
    assert "offers" in form.send(client).ticks
    clock.advance(WEEK)
    again = Form.of(client, proof(app, clock()))
    assert again.ticks == {"digest"}
    assert "You asked for this before our privacy policy changed." in again.text
    again.ticks.add("offers")
    saved = again.send(client)
    assert "offers" in saved.ticks
    assert "before our privacy policy changed" not in saved.text
