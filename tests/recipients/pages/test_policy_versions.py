"""The privacy policy on the pages: its version in evidence, its changes, and asking again."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.in_force import put_in_force
from tests.infra.mailing import give_mail_server, link_in, queued_emails
from tests.recipients.pages.test_preferences import Form
from tests.rights.pages.acts import press
from tests.web.pages.fixtures import CATALOGUE
from tests.web.pages.visits import proof

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


class TestKeep:
    """A topic that ends with the coming version can be kept before."""

    @pytest.fixture
    def client(self, app: Flask) -> FlaskClient:
        asks = VERSIONS.replace("reconsent = true", "reconsent = true\nask_from = 2026-11-26")
        put_in_force(app, CATALOGUE + asks)
        return app.test_client()

    @pytest.fixture
    def asked(self, client: FlaskClient, proven: str, clock: Clock) -> FlaskClient:
        form = Form.of(client, proven)
        form.ticks.add("offers")
        form.send(client)
        clock.advance(timedelta(days=3))
        return client

    def keep(self, client: FlaskClient, token: str) -> Form:
        form = Form.of(client, token)
        form.button = {"keep": "offers"}
        return form.send(client)

    def test_the_page_names_what_ends_and_when_with_a_button_each(
        self, asked: FlaskClient, app: Flask, clock: Clock
    ) -> None:
        page = asked.get(f"/p/{proof(app, clock())}").text
        assert "From then on we no longer send you this, unless you press Keep:" in page
        assert page.count('name="keep"') == 1
        assert 'name="keep" value="offers"' in page

    def test_before_the_day_from_which_it_is_asked_the_page_says_when_to_come_back(
        self, client: FlaskClient, proven: str
    ) -> None:
        form = Form.of(client, proven)
        form.ticks.add("offers")
        page = form.send(client).text
        assert "From then on we no longer send you this, unless you agree again:" in page
        assert "You can do so here from 26 November 2026 on." in page
        assert 'name="keep"' not in page

    def test_it_goes_on_after_the_day_with_the_words_as_evidence(
        self, asked: FlaskClient, app: Flask, clock: Clock, ledger: Ledger
    ) -> None:
        saved = self.keep(asked, proof(app, clock()))
        assert "You keep getting this, also under our new privacy policy:" in saved.text
        assert "You changed nothing" not in saved.text
        assert 'name="keep"' not in saved.text
        event = ledger.events()[-1]
        assert (event["kind"], event["scope"]) == ("opted_in", "offers")
        assert event["evidence"]["policy"] == "privacy/2026-12"
        clock.advance(WEEK)
        assert "offers" in Form.of(asked, proof(app, clock())).ticks

    def test_twice_is_once(
        self, asked: FlaskClient, app: Flask, clock: Clock, ledger: Ledger
    ) -> None:  # I7
        form = Form.of(asked, proof(app, clock()))
        form.button = {"keep": "offers"}
        form.send(asked)
        count = len(ledger.events())
        assert "You keep getting this, also under our new privacy policy:" in form.send(asked).text
        assert len(ledger.events()) == count

    def test_a_save_without_it_lets_it_end(
        self, asked: FlaskClient, app: Flask, clock: Clock
    ) -> None:
        Form.of(asked, proof(app, clock())).send(asked)
        clock.advance(WEEK)
        assert "offers" not in Form.of(asked, proof(app, clock())).ticks

    def test_a_stale_keep_turns_nothing_on(
        self, asked: FlaskClient, app: Flask, clock: Clock
    ) -> None:  # I5
        form = Form.of(asked, proof(app, clock()))
        form.button = {"keep": "offers"}
        clock.advance(timedelta(minutes=1))
        other = Form.of(asked, proof(app, clock()))
        other.ticks.discard("offers")
        other.send(asked)
        assert "offers" not in form.send(asked).ticks

    def test_from_a_link_that_proves_nothing_it_takes_an_email(
        self,
        asked: FlaskClient,
        app: Flask,
        token: str,
        ledger: Ledger,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        give_mail_server(app, monkeypatch)
        count = len(ledger.events())
        kept = self.keep(asked, token).text
        assert "To confirm your choice, press the button in that email" in kept
        assert "To turn on" not in kept  # it is on
        assert len(ledger.events()) == count
        [mail] = queued_emails(app)
        asked.post(link_in(mail), data={"confirm": "yes"})
        assert ledger.events()[-1]["evidence"]["policy"] == "privacy/2026-12"
