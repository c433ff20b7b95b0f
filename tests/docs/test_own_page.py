"""The application that docs/own-page.md names, run as it is against the service on a port."""

# ruff: noqa: F401, F811 - a fixture of another folder is imported by name

from __future__ import annotations

import re
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.conftest import site
from tests.clock import Clock
from tests.docs.reading import ROOT
from tests.in_force import CATALOGUE, put_in_force
from tests.web.api.sender import make_sender

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

ADA = "ada@example.com"
CODE = (ROOT / "docs/examples/email_settings.py").read_text(encoding="utf-8")
TITLED = CATALOGUE.replace(
    'class = "service"\nground = "billing"',
    'class = "service"\nground = "billing"\ntitle = { it = "Fattura", en = "Invoice" }',
)
INPUT = re.compile(r'<input type="(\w+)" name="(\w+)" value="([^"]*)"([^>]*)>')


@pytest.fixture
def example(app: Flask, site: str, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the application defines, going by the clock of the service."""
    put_in_force(app, TITLED)
    key = make_sender(app, scopes=["catalogue", "portal", "write", "lift"]).key
    monkeypatch.setenv("PREFERENCES_URL", site)
    monkeypatch.setenv("PREFERENCES_KEY", key)
    monkeypatch.setenv("SECRET_KEY", "of the example")
    names: dict[str, Any] = {"__name__": "own_page"}
    assert "timeout=5" in CODE
    exec(CODE.replace("timeout=5", "timeout=60"), names)  # a busy machine may take its time
    names["datetime"] = SimpleNamespace(now=lambda _zone: clock())
    return names


@pytest.fixture
def customer(example: dict[str, Any]) -> FlaskClient:
    """A customer who is signed in with the company."""
    browser: FlaskClient = example["app"].test_client()
    with browser.session_transaction() as session:
        session["email"] = ADA
    return browser


def shown(customer: FlaskClient) -> str:
    answer = customer.get("/email-settings")
    assert answer.status_code == 200
    return answer.text


def submit(customer: FlaskClient, page: str, *, on: set[str], **more: str) -> None:
    """Press a button of this page with these boxes ticked."""
    fields = [(name, value) for kind, name, value, _ in INPUT.findall(page) if kind == "hidden"]
    form: dict[str, Any] = {"on": sorted(on), **more}
    for name, value in fields:
        form.setdefault(name, []).append(value)
    assert customer.post("/email-settings", data=form).status_code == 303


def ticked(page: str) -> set[str]:
    found = INPUT.findall(page)
    return {value for kind, _, value, rest in found if kind == "checkbox" and "checked" in rest}


def test_it_draws_topics_and_what_is_always_on(customer: FlaskClient) -> None:
    page = shown(customer)
    assert "Every month" in page
    assert ticked(page) == {"acme.offers"}
    assert "Invoice (billing)" in page
    assert "SMS" not in page  # another channel


def test_what_the_customer_changes_is_what_the_service_decides(
    app: Flask, customer: FlaskClient
) -> None:
    submit(customer, shown(customer), on={"acme.news"})
    page = shown(customer)
    assert ticked(page) == {"acme.news"}
    assert "Off since" in page
    sender = make_sender(app, "other")
    assert sender.ask("newsletter.monthly", ADA)["allow"]
    assert not sender.ask("offers.weekly", ADA)["allow"]
    submit(customer, page, on={"acme.news"}, all="off")
    page = shown(customer)
    assert ticked(page) == set()
    assert "All marketing is off." in page


def test_saving_without_a_change_records_nothing(app: Flask, customer: FlaskClient) -> None:
    submit(customer, shown(customer), on={"acme.offers"})
    assert make_sender(app, "other").rows("SELECT 1 FROM event") == []


def test_a_page_left_open_lifts_no_later_opt_out(
    app: Flask, customer: FlaskClient, clock: Clock
) -> None:  # I5
    stale = shown(customer)
    clock.advance(timedelta(minutes=1))
    make_sender(app, "other").opt_out(ADA, "acme.news")
    clock.advance(timedelta(minutes=1))
    submit(customer, stale, on={"acme.news", "acme.offers"})
    assert ticked(shown(customer)) == {"acme.offers"}


def test_the_catalogue_is_fetched_again_only_when_it_changes(
    app: Flask, customer: FlaskClient, example: dict[str, Any]
) -> None:
    shown(customer)
    etag = example["kept"]["etag"]
    shown(customer)
    assert example["kept"]["etag"] == etag
    put_in_force(app, TITLED.replace("Every month", "Twice a month"))
    assert "Twice a month" in shown(customer)


def test_nobody_sees_it_without_signing_in(example: dict[str, Any]) -> None:
    assert example["app"].test_client().get("/email-settings").status_code == 401


def test_another_site_can_not_save(customer: FlaskClient) -> None:
    headers = {"Sec-Fetch-Site": "cross-site"}
    assert customer.post("/email-settings", data={}, headers=headers).status_code == 403
