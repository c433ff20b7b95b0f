"""Pages wear the looks of their brand, and load nothing from elsewhere for it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.pages.demo import put_in_force

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

    from tests.clock import Clock
    from tests.pages.conftest import MakeToken

HOST = "preferenze.bottega-aurora.example"


@pytest.fixture
def app(app: Flask, clock: Clock) -> Flask:
    """The service with the demo's two brands."""
    put_in_force(app, clock)
    return app


def styles(text: str) -> list[str]:
    return re.findall(r'<link rel="stylesheet" href="([^"]*)"', text)


def test_a_topics_page_shows_its_brand(client: FlaskClient, make_token: MakeToken) -> None:
    page = client.get(f"/u/{make_token(scope='cascina.offers')}?lang=en").text
    assert styles(page) == ["/static/pages.css", "/brand/cascina/style.css"]
    assert '<img src="/brand/cascina/logo" alt=""' in page
    assert "bottega" not in page
    assert "<title>Unsubscribe · Cascina Aurora</title>" in page
    assert "VAT IT00000000000" in page


def test_all_marketing_spans_all_brands_and_names_them(
    client: FlaskClient, make_token: MakeToken
) -> None:
    token = make_token(scope="all_marketing")
    english = client.get(f"/u/{token}?lang=en").text
    assert "Cascina Aurora and Aurora&#39;s Corner Shop" in english
    assert styles(english) == ["/static/pages.css"]  # neither brand's own
    assert "Cascina Aurora e La Bottega di Aurora" in client.get(f"/u/{token}?lang=it").text
    done = client.post(f"/u/{token}?lang=de", data={"confirm": "all"}).text
    assert "Cascina Aurora und Auroras Laden" in done


def test_the_offer_to_stop_all_names_the_brands_before_it_is_pressed(
    client: FlaskClient, make_token: MakeToken
) -> None:
    token = make_token(scope="cascina.offers")
    for page in (
        client.get(f"/p/{token}?lang=en").text,
        client.post(f"/u/{token}?lang=en", data={"confirm": "this"}).text,
    ):
        assert "everything that Cascina Aurora and Aurora&#39;s Corner Shop send" in page


def test_the_host_of_a_brand_lends_its_looks_to_what_spans_several(
    client: FlaskClient, make_token: MakeToken
) -> None:
    page = client.get(f"/u/{make_token(scope='all_marketing')}", base_url=f"https://{HOST}:8443")
    assert styles(page.text)[1:] == ["/brand/bottega/style.css"]


def test_the_colours_come_from_us_for_light_and_dark(client: FlaskClient) -> None:
    response = client.get("/brand/cascina/style.css")
    assert response.mimetype == "text/css"
    assert "--accent: #2f6b3a; --on-accent: #ffffff;" in response.text
    dark = response.text.partition("prefers-color-scheme: dark")[2]
    assert "--accent: #8fd19e; --on-accent: #10221a;" in dark
    assert response.headers["Cache-Control"] == "public, max-age=300"


def test_a_logo_opened_by_itself_can_do_nothing(client: FlaskClient) -> None:
    response = client.get("/brand/cascina/logo")
    assert response.mimetype == "image/svg+xml"
    assert response.text.startswith("<svg ")
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    [policy] = response.headers.getlist("Content-Security-Policy")
    assert "default-src 'none'" in policy
    assert "sandbox" in policy


@pytest.mark.parametrize("path", ["/brand/none/style.css", "/brand/none/logo", "/brand/x/y/logo"])
def test_a_brand_that_is_not_there_has_no_looks(client: FlaskClient, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 404
    assert response.headers["Cache-Control"] == "no-store"
