"""Pages wear the looks of their brand, and load nothing from elsewhere for it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from preference_center.catalogue.cli import read_catalogue
from preference_center.web.languages import LANGUAGES
from tests.web.pages.demo import DEMO, put_in_force

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

    from tests.clock import Clock
    from tests.web.pages.fixtures import MakeToken

HOST = "preferenze.bottega-aurora.example"


@pytest.fixture
def app(app: Flask, clock: Clock) -> Flask:
    """The service with the demo's two brands."""
    put_in_force(app, clock)
    return app


def styles(text: str) -> list[str]:
    return re.findall(r'<link rel="stylesheet" href="([^"]*)"', text)


def without_version(url: str) -> str:
    return url.partition("?")[0]


def test_a_topics_page_shows_its_brand(client: FlaskClient, make_token: MakeToken) -> None:
    page = client.get(f"/u/{make_token(scope='cascina.offers')}?lang=en").text
    assert [without_version(url) for url in styles(page)] == [
        "/static/pages.css",
        "/brand/cascina/style.css",
    ]
    assert re.search(r'<img src="/brand/cascina/logo\?v=\w+" alt="Cascina Aurora"', page)
    assert re.search(r'<link rel="icon" href="/brand/cascina/favicon\?v=\w+">', page)
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
    done = client.post(f"/u/{token}?lang=de", data={"confirm": "all"}, follow_redirects=True).text
    assert "Cascina Aurora und Auroras Laden" in done


def test_the_offer_to_stop_all_names_the_brands_before_it_is_pressed(
    client: FlaskClient, make_token: MakeToken
) -> None:
    token = make_token(scope="cascina.offers")
    for page in (
        client.get(f"/p/{token}?lang=en").text,
        client.post(f"/u/{token}?lang=en", data={"confirm": "this"}, follow_redirects=True).text,
    ):
        assert "everything that Cascina Aurora and Aurora&#39;s Corner Shop send" in page


def test_the_host_of_a_brand_lends_its_looks_to_what_spans_several(
    client: FlaskClient, make_token: MakeToken
) -> None:
    page = client.get(f"/u/{make_token(scope='all_marketing')}", base_url=f"https://{HOST}:8443")
    assert [without_version(url) for url in styles(page.text)[1:]] == ["/brand/bottega/style.css"]


def test_the_tokens_come_from_us_for_light_and_dark(client: FlaskClient) -> None:
    response = client.get("/brand/cascina/style.css")
    assert response.mimetype == "text/css"
    assert "--accent: #2f6b3a; --on-accent: #ffffff; --header: #1f4d2b;" in response.text
    assert "--radius: 6px;" in response.text
    assert '--font: "Brand", ui-serif, Georgia, serif;' in response.text
    dark = response.text.partition("prefers-color-scheme: dark")[2]
    assert "--accent: #8fd19e; --on-accent: #10221a;" in dark


def test_a_page_of_the_companys_own_can_load_the_font(client: FlaskClient) -> None:
    (font,) = re.findall(r'url\("(.*?)"\)', client.get("/brand/cascina/style.css").text)
    assert client.get(font).headers["Access-Control-Allow-Origin"] == "*"
    for other in ("logo", "style.css"):
        assert "Access-Control-Allow-Origin" not in client.get(f"/brand/cascina/{other}").headers


def test_a_brand_without_looks_has_those_of_all_pages(
    app: Flask, client: FlaskClient, clock: Clock, make_token: MakeToken
) -> None:
    plain = re.sub(
        r"^(logo|favicon|illustration|font|radius|colours)\b.*\n",
        "",
        DEMO.read_text(),
        flags=re.MULTILINE,
    )
    put_in_force(app, clock, plain)
    page = client.get(f"/u/{make_token(scope='cascina.offers')}?lang=en").text
    assert styles(page) == ["/static/pages.css"]
    assert '<link rel="icon" href="/static/favicon.svg">' in page
    assert '<p lang="en">Cascina Aurora</p>' in page
    with client.get("/static/favicon.svg") as response:
        assert response.mimetype == "image/svg+xml"


def test_a_url_with_the_version_of_its_content_is_cached_for_a_year(
    client: FlaskClient, make_token: MakeToken
) -> None:
    page = client.get(f"/u/{make_token(scope='cascina.offers')}").text
    style_sheet = styles(page)[1]
    (font,) = re.findall(r'url\("(.*?)"\)', client.get(style_sheet).text)
    for url in (style_sheet, font, *re.findall(r'(?:src|href)="(/brand/cascina/[^"]*)"', page)):
        cached = client.get(url).headers["Cache-Control"]
        assert cached == "public, max-age=31536000, immutable", url
        other = client.get(url.replace("?v=", "?v=0"))  # of another version of the catalogue
        assert other.status_code == 200
        assert other.headers["Cache-Control"] == "public, max-age=300"


def test_another_content_has_another_url(
    app: Flask, client: FlaskClient, clock: Clock, make_token: MakeToken
) -> None:
    page = f"/u/{make_token(scope='cascina.offers')}"
    before = styles(client.get(page).text)[1]
    put_in_force(app, clock, read_catalogue(DEMO).replace("radius = 6", "radius = 7"))
    after = styles(client.get(page).text)[1]
    assert before != after
    assert "--radius: 7px;" in client.get(after).text


def test_the_font_is_served_as_the_policy_allows(client: FlaskClient) -> None:
    response = client.get("/brand/bottega/font.woff2")
    assert response.mimetype == "font/woff2"
    assert response.data.startswith(b"wOF2")
    policy = client.get("/form").headers["Content-Security-Policy"]
    assert "font-src 'self'" in policy


@pytest.mark.parametrize("name", ["logo", "logo-dark", "favicon", "illustration"])
def test_a_picture_opened_by_itself_can_do_nothing(client: FlaskClient, name: str) -> None:
    response = client.get(f"/brand/bottega/{name}")
    assert response.mimetype == "image/svg+xml"
    assert response.text.startswith("<svg ")
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    [policy] = response.headers.getlist("Content-Security-Policy")
    assert "default-src 'none'" in policy
    assert "sandbox" in policy


def test_a_logo_for_dark_pages_is_there_where_it_differs(
    client: FlaskClient, make_token: MakeToken
) -> None:
    two = client.get(f"/u/{make_token(scope='bottega.similar_products')}").text
    assert re.search(r'<source srcset="/brand/bottega/logo-dark\?v=\w+" media="\(pref', two)
    assert "<source" not in client.get(f"/u/{make_token(scope='cascina.offers')}").text


@pytest.mark.parametrize(
    "path",
    [
        "/brand/none/style.css",
        "/brand/none/logo",
        "/brand/x/y/logo",
        "/brand/cascina/cover",
    ],
)
def test_a_brand_that_is_not_there_has_no_looks(client: FlaskClient, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 404
    assert response.headers["Cache-Control"] == "no-store"


def test_the_illustration_decorates_success(client: FlaskClient, make_token: MakeToken) -> None:
    path = f"/u/{make_token(scope='bottega.similar_products')}?lang=en"
    assert "illustration" not in client.get(path).text
    done = client.post(path, data={"confirm": "this"}, follow_redirects=True).text
    assert re.search(r'<img class="art" src="/brand/bottega/illustration\?v=\w+" alt="">', done)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_page_and_its_style_sheets_weigh_30_kb_at_most(
    client: FlaskClient, make_token: MakeToken, language: str
) -> None:
    token = make_token(scope="cascina.offers")
    for path in (f"/p/{token}", f"/u/{token}", f"/w/{token}", "/rights", "/form", "/nowhere"):
        page = client.get(f"{path}?lang={language}").text
        weight = len(page.encode())
        for url in styles(page):
            with client.get(url) as response:
                weight += len(response.data)
        assert weight <= 30_000, path
