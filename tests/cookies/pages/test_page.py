"""The choice without a script, as a site shows it at its own origin."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from preference_center.cookies.pages import choice
from preference_center.cookies.pages import page as page_module
from preference_center.core.errors import Unavailable
from preference_center.web.languages import LANGUAGES
from tests.clock import START, Clock
from tests.cookies.pages.shop import ORIGIN
from tests.cookies.pages.test_choice import rows

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

OWN = "https://preferences.example.com"


def show(client: FlaskClient, query: str = "", **headers: str) -> str:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    response = client.get(f"/consent/shop{query}", headers=sent)
    assert response.status_code == 200
    return html.unescape(response.text)


def version_of(page: str) -> str:
    found: list[str] = re.findall(r'name="version" value="(\w+)"', page)
    return found[0]


def press(client: FlaskClient, button: str, *on: str, **fields: str) -> TestResponse:
    form = {"press": button, "on": list(on), "version": version_of(show(client)), **fields}
    return client.post("/consent/shop", data=form, headers={"Origin": ORIGIN})


def switches(page: str) -> dict[str, bool]:
    boxes = re.findall(r'<input type="checkbox"[^>]* name="on" value="(\w+)"([^>]*)>', page)
    return {key: "checked" in rest for key, rest in boxes}


def buttons(page: str) -> list[tuple[str, str]]:
    return re.findall(r'<button([^>]*) name="press" value="(\w+)"', page)


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page))


def assert_says(response: TestResponse, status: int, text: str) -> None:
    """In the page itself, which has its style sheet also at the site's origin."""
    assert response.status_code == status
    assert text in html.unescape(response.text)
    assert f'href="{OWN}/static/pages.css' in response.text
    assert OWN in response.headers["Content-Security-Policy"]
    assert len(buttons(response.text)) == 3


def test_it_shows_each_category_with_its_named_cookies(client: FlaskClient) -> None:
    page = show(client)
    assert switches(page) == {"functional": False, "advertising": False}
    cells = re.findall(r'<th scope="row">(.*?)</th>', page)
    names = [text_of(cell).strip() for cell in cells]
    assert names == [
        "pc_consent Acme",
        "basket Acme",
        "language Acme",
        "_ad* Example Ads Inc.",
    ]
    assert "No choice is saved in this browser" in page
    assert buttons(page) == [("", "save"), ("", "accept"), ("", "refuse")]  # alike


def test_reading_it_writes_nothing_and_sets_no_cookie(
    client: FlaskClient, database_url: str
) -> None:
    response = client.get("/consent/shop")  # I7
    assert "Set-Cookie" not in response.headers
    assert not rows(database_url)


@pytest.mark.parametrize(
    "button, on, granted",
    [
        ("save", ["functional"], {"functional": True, "advertising": False}),
        ("save", [], {"functional": False, "advertising": False}),
        ("accept", [], {"functional": True, "advertising": True}),
        ("refuse", ["advertising"], {"functional": False, "advertising": False}),
    ],
)
def test_a_button_records_the_choice_and_leads_back(
    client: FlaskClient, database_url: str, button: str, on: list[str], granted: dict[str, bool]
) -> None:
    response = press(client, button, *on)
    assert (response.status_code, response.headers["Location"]) == (303, "?saved=yes#result")
    assert rows(database_url, "method, choices") == [("page", granted)]
    shown = show(client, "?saved=yes")
    assert switches(shown) == granted
    assert "Your choice is saved." in shown
    assert f"Chosen on {START.day} {START:%B %Y}, 10:00" in shown


def test_where_the_browser_keeps_no_cookie_the_page_says_so(client: FlaskClient) -> None:
    press(client, "accept")
    client.delete_cookie("pc_consent")
    text = show(client, "?saved=yes")
    assert "did not keep the cookie" in text
    assert "Your choice is saved." not in text


def test_after_half_a_year_the_choice_no_longer_counts(client: FlaskClient, clock: Clock) -> None:
    press(client, "accept")
    clock.now += timedelta(days=184)  # RULES D3
    shown = show(client)
    assert switches(shown) == {"functional": False, "advertising": False}
    assert "no longer counts" in shown


def test_a_choice_whose_record_is_not_at_hand_shows_the_day_of_its_cookie(
    client: FlaskClient,
) -> None:
    client.set_cookie("pc_consent", f"1.{'a' * 32}.{version_of(show(client))}.20261101.functional")
    shown = show(client)
    assert switches(shown)["functional"]
    assert "Chosen on 1 November 2026." in shown


def test_without_the_database_the_cookie_still_says_what_was_chosen(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    press(client, "accept")

    def unavailable(_: object) -> object:
        raise Unavailable("no database")

    monkeypatch.setattr("preference_center.cookies.pages.page.run_autocommit", unavailable)
    assert switches(show(client)) == {"functional": True, "advertising": True}


def test_with_the_signal_of_the_browser_advertising_has_no_switch(client: FlaskClient) -> None:
    press(client, "accept")
    shown = show(client, Sec_GPC="1")
    assert switches(shown) == {"functional": True}
    assert "Opt-out honoured" in shown  # RULES D8


def test_a_form_about_cookies_that_have_changed_is_not_recorded(
    client: FlaskClient, database_url: str
) -> None:
    response = press(client, "accept", version="0000000000")
    assert response.status_code == 409
    assert "have changed in the meantime" in response.text
    assert not rows(database_url)


def test_an_unknown_button_records_nothing(client: FlaskClient, database_url: str) -> None:
    assert press(client, "other").status_code == 400
    assert not rows(database_url)


def test_no_other_site_may_post_the_form(client: FlaskClient, database_url: str) -> None:
    form = {"press": "accept"}
    response = client.post("/consent/shop", data=form, headers={"Origin": "https://evil.example"})
    assert_says(response, 403, "Nothing was saved.")
    assert not rows(database_url)


def test_beyond_the_rate_nothing_is_recorded(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "SENDER_RATE", "1 per hour")
    assert press(client, "accept").status_code == 303
    assert_says(press(client, "accept"), 429, "Too many requests at once.")


def test_an_oversized_form_is_refused(client: FlaskClient) -> None:
    response = press(client, "accept", padding="x" * choice.MAX_BODY_BYTES)
    assert_says(response, 413, "Nothing was saved.")


def test_without_the_database_the_page_says_that_nothing_was_saved(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:  # I1
    def unavailable(_: object) -> None:
        raise Unavailable("no database")

    monkeypatch.setattr(page_module, "store_consent", unavailable)
    response = press(client, "accept")
    assert_says(response, 503, "We couldn’t save that.")
    assert "Set-Cookie" not in response.headers


def test_assets_and_links_lead_to_our_host_and_back_to_the_site_alone(client: FlaskClient) -> None:
    response = client.get("/consent/shop?lang=it")
    targets = set(re.findall(r' (?:href|src|srcset|action)="([^"]*)"', response.text))
    inside = {each for each in targets if each.startswith(("?lang=", "mailto:"))}
    assert f"{ORIGIN}/" in targets
    allowed = (f"{OWN}/", "https://acme.example/privacy", f"{ORIGIN}/")
    assert not [each for each in targets - inside if not each.startswith(allowed)]
    policy = response.headers["Content-Security-Policy"]
    assert policy.startswith(f"default-src 'none'; style-src {OWN}; img-src {OWN}; font-src {OWN};")
    assert response.headers["Referrer-Policy"] == "same-origin"
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_speaks_the_language_of_the_browser_or_of_the_link(
    client: FlaskClient, language: str
) -> None:
    assert f'<html lang="{language}"' in show(client, Accept_Language=language)
    assert f'<html lang="{language}"' in show(client, f"?language={language}", Accept_Language="fi")


def test_a_chosen_language_is_kept_after_the_choice(client: FlaskClient) -> None:
    form = {"press": "refuse", "version": version_of(show(client))}
    response = client.post("/consent/shop?lang=de", data=form)
    assert response.headers["Location"] == "?saved=yes&lang=de#result"


def test_a_site_with_nothing_optional_has_nothing_to_press(client: FlaskClient) -> None:
    page = client.get("/consent/blog").text
    assert not buttons(page)
    assert 'href="http://localhost:8000/"' in page
