"""What `consent.js` loads: the texts, cookies and looks of one site."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from preference_center.web.languages import LANGUAGES
from tests.cookies.pages.conftest import config
from tests.cookies.pages.shop import SITES
from tests.in_force import put_in_force
from tests.web.pages.fixtures import CATALOGUE

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient


def test_any_page_may_read_it_and_keep_it_for_minutes(client: FlaskClient) -> None:
    response = client.get("/consent/shop/config.json")
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert response.headers["Cache-Control"] == "public, max-age=300"
    assert "Set-Cookie" not in response.headers
    assert "Access-Control-Allow-Credentials" not in response.headers
    again = client.get(
        "/consent/shop/config.json", headers={"If-None-Match": response.headers["ETag"]}
    )
    assert (again.status_code, again.data) == (304, b"")


def test_it_has_the_categories_with_what_is_essential_required(client: FlaskClient) -> None:
    found = config(client)
    assert [(each["key"], each["required"]) for each in found["categories"]] == [
        ("essential", True),
        ("functional", False),
        ("advertising", False),
    ]
    [choice, basket] = found["categories"][0]["cookies"]
    assert (choice["name"], choice["duration"], basket["name"]) == (
        "pc_consent",
        "6 months",
        "basket",
    )
    assert found["categories"][2]["cookies"] == [
        {
            "name": "_ad*",
            "purpose": "Shows ads by interests",
            "duration": "3 months",
            "provider": "Example Ads Inc.",
        }
    ]
    assert choice["provider"] == "Acme"
    assert (found["months"], found["path"]) == (6, "/consent")
    assert found["notice_url"] == "https://acme.example/privacy"


def test_the_first_layer_names_purposes_and_partners(client: FlaskClient) -> None:
    """Before the buttons: Garante, 10 June 2021, 7.1; CNIL, 17 September 2020, 2.1."""
    assert config(client)["texts"]["text"] == (
        "Some cookies are needed for this site to work. Others are used only with your consent."
        " Functional: remembers settings. Advertising: shows ads by interests."
        " Partners: Example Ads Inc. You can change this choice at any time, at the end of every"
        " page."
    )
    assert "Statistics" not in config(client, site="blog")["texts"]["text"]


def test_statistics_are_a_category_of_their_own(app: Flask, client: FlaskClient) -> None:
    counted = """
[sites.shop.categories.statistics.cookies]
_count = { purpose = "statistics", days = 30 }
"""
    put_in_force(app, CATALOGUE + SITES.replace("[sites.blog]", counted + "[sites.blog]"))
    found = config(client)
    keys = [each["key"] for each in found["categories"]]
    assert keys == ["essential", "functional", "statistics", "advertising"]
    assert found["categories"][2]["text"] == "They count visits and what is used."
    assert "Statistics: counts visits and what is used." in found["texts"]["text"]


def test_a_site_without_optional_cookies_has_only_what_is_essential(client: FlaskClient) -> None:
    found = config(client, site="blog")
    assert [each["key"] for each in found["categories"]] == ["essential"]
    assert found["path"] == "/privacy/cookies"


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_has_all_texts_within_four_kilobytes(
    client: FlaskClient, language: str
) -> None:
    response = client.get(f"/consent/shop/config.json?language={language}-XX")
    found = response.get_json()
    assert len(response.data) <= 4096
    assert (found["language"], found["direction"]) == (language, "ltr")
    english = config(client, "?language=en")
    assert found["texts"].keys() == english["texts"].keys()
    same = [key for key, text in found["texts"].items() if text == english["texts"][key]]
    assert bool(same) == (language == "en")
    assert found["version"] == english["version"]


def test_with_as_many_cookies_as_a_site_may_name_it_and_the_page_stay_small(
    app: Flask, client: FlaskClient
) -> None:
    cookies = "".join(
        f"[sites.shop.categories.{category}.cookies]\n"
        + "".join(
            f'"_{category}_{number}" = {{ purpose = "statistics", days = 400,'
            ' provider = "Example Advertising Tools Inc." }\n'
            for number in range(24)
        )
        for category in ("essential", "functional", "advertising")
    )
    site, _, rest = SITES.partition("[sites.shop.categories")
    blog = rest[rest.index("[sites.blog]") :]
    put_in_force(app, CATALOGUE + site + cookies + blog)
    for language in LANGUAGES:
        query = f"?language={language}"
        assert len(client.get(f"/consent/shop/config.json{query}").data) <= 16_384
        page = client.get(f"/consent/shop{query}").data
        assert page.count(b'<th scope="row">') == 73  # with our own
        assert len(page) <= 30_720


def test_without_a_known_language_it_is_that_of_the_browser(client: FlaskClient) -> None:
    headers = {"Accept-Language": "de-AT, en;q=0.5"}
    response = client.get("/consent/shop/config.json?language=xx", headers=headers)
    assert response.get_json()["language"] == "de"
    assert "Accept-Language" in response.headers["Vary"]


@pytest.mark.parametrize("path", ["/consent/none/config.json", "/consent/none"])
def test_an_unknown_site_is_not_found(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code in {404, 405}
    assert client.post("/consent/none", json={}).status_code == 404
