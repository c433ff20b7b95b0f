"""The extension for Flask."""

from __future__ import annotations

import json

import httpx
import pytest

from clients.python.tests.contract import CONTRACT
from clients.python.tests.fake_service import KEY, URL, FakeService, decided

pytest.importorskip("flask")

from flask import Flask

from preference_center_client import Action
from preference_center_client import flask as extension
from preference_center_client.flask import PreferenceCenter


def make_app(service: FakeService, monkeypatch: pytest.MonkeyPatch) -> Flask:
    monkeypatch.setattr(extension, "Client", lambda *_: service.client())
    app = Flask(__name__)
    app.config.update(
        PREFERENCE_CENTER_URL=URL,
        PREFERENCE_CENTER_KEY=KEY,
        PREFERENCE_CENTER_LINK_KEY=CONTRACT["links"]["keys"]["with_mail"],
        PREFERENCE_CENTER_SERVICE_TYPES=["invoice"],
    )
    return app


def test_a_signed_in_customer_is_sent_to_their_page(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "https://preferences.example.com/portal/k1.x?lang=it"
    service = FakeService([httpx.Response(200, json={"url": url})])
    app = make_app(service, monkeypatch)
    preferences = PreferenceCenter(app)
    app.add_url_rule(
        "/settings",
        view_func=lambda: preferences.redirect_to_page("ada@example.com", "it"),
        endpoint="settings",
        methods=["POST"],
    )
    answer = app.test_client().post("/settings")
    assert (answer.status_code, answer.location) == (303, url)
    assert answer.headers["Cache-Control"] == "no-store"
    assert json.loads(service.requests[0].content)["language"] == "it"


def test_links_and_actions_of_the_current_application(monkeypatch: pytest.MonkeyPatch) -> None:
    service = FakeService([decided(False), httpx.ConnectError])
    app = make_app(service, monkeypatch)
    preferences = PreferenceCenter()
    preferences.init_app(app)
    with app.app_context():
        links = preferences.links("ada@example.com", "acme.offers")
        assert links.unsubscribe_url.startswith("https://acme.example.com/u/~7.")
        assert preferences.sending.action("invoice", "ada@example.com") is Action.DROP
        assert preferences.sending.action("invoice", "ada@example.com") is Action.SEND  # down
        assert preferences.sending.action("offers.weekly", "ada@example.com") is Action.WAIT


def test_links_need_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app(FakeService([httpx.ConnectError]), monkeypatch)
    app.config.pop("PREFERENCE_CENTER_LINK_KEY")
    preferences = PreferenceCenter(app)
    with app.app_context(), pytest.raises(ValueError, match="LINK_KEY is not set"):
        preferences.links("ada@example.com", "acme.offers")
