"""Pages in the words of a brand: informal, and with texts of its own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from preference_center.web.languages import known_texts
from tests.in_force import put_in_force
from tests.web.pages.fixtures import CATALOGUE

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

    from tests.ledger.tables import Ledger
    from tests.web.pages.fixtures import MakeToken

KEY = "How to reach us"
OTHER = """
[brands.other]
name = "Other"
host = "other.example"
"""


def worded(app: Flask, settings: str, more: str = "") -> None:
    """Acme with these settings, and perhaps another brand."""
    put_in_force(app, CATALOGUE.replace('name = "Acme"', f'name = "Acme"\n{settings}', 1) + more)


def headings(client: FlaskClient, path: str, language: str) -> list[str]:
    page = client.get(f"{path}?lang={language}").text
    return [re.sub(r"<[^>]*>", "", each).strip() for each in re.findall(r"<h2>(.*?)</h2>", page)]


@pytest.mark.parametrize("language", ["it", "en", "de", "fr", "es"])
def test_a_text_of_its_own_is_on_the_page_of_a_brand(
    app: Flask, client: FlaskClient, token: str, language: str
) -> None:
    assert "Ask us, Acme & Co" not in headings(client, f"/u/{token}", language)
    worded(app, f'texts.{language}."{KEY}" = "Ask us, Acme & Co"')
    assert "Ask us, Acme & Co" in headings(client, f"/u/{token}", language)
    other = next(each for each in ("it", "de") if each != language)
    assert "Ask us, Acme & Co" not in headings(client, f"/u/{token}", other)


def test_a_page_of_several_brands_keeps_to_what_they_share(
    app: Flask, client: FlaskClient, token: str, make_token: MakeToken
) -> None:
    worded(app, f'texts.en."{KEY}" = "Ask us"', OTHER)
    assert "Ask us" in headings(client, f"/u/{token}", "en")  # about a topic of Acme
    everyone = make_token(scope="all_marketing")
    assert KEY in headings(client, f"/u/{everyone}", "en")
    worded(app, f'texts.en."{KEY}" = "Ask us"', f'{OTHER}texts.en."{KEY}" = "Ask us"')
    assert "Ask us" in headings(client, f"/u/{everyone}", "en")


def test_a_page_at_the_host_of_a_brand_has_its_words(app: Flask, client: FlaskClient) -> None:
    worded(app, "", f'{OTHER}texts.en."{KEY}" = "Ask Other"')
    assert KEY in client.get("/form").text
    assert "Ask Other" in client.get("/form", base_url="http://other.example").text


def test_an_error_page_has_them_too(app: Flask, client: FlaskClient) -> None:
    worded(app, f'texts.en."{KEY}" = "Ask us"')
    for path in ("/u/broken", "/nowhere"):
        response = client.get(path, headers={"Accept-Language": "en"})
        assert response.status_code == 404
        assert "Ask us" in response.text


def test_every_text_of_a_page_can_be_replaced(app: Flask, client: FlaskClient, token: str) -> None:
    page = client.get(f"/u/{token}?lang=en").text
    shown = [key for key in known_texts() if f">{key}<" in page]
    assert len(shown) > 2
    worded(app, "\n".join(f'texts.en."{key}" = "Quite another text"' for key in shown))
    page = client.get(f"/u/{token}?lang=en").text
    assert not [key for key in shown if f">{key}<" in page]
    assert page.count("Quite another text") >= len(shown)


def test_evidence_tells_apart_what_was_read(
    app: Flask, client: FlaskClient, token: str, make_token: MakeToken, ledger: Ledger
) -> None:  # I8: the version of the text that the person saw
    client.post(f"/u/{token}", data={"confirm": "this"})
    worded(app, f'texts.en."{KEY}" = "Ask us"')
    client.post(f"/u/{make_token('ada@example.com')}", data={"confirm": "this"})
    client.post(f"/u/{make_token('bea@example.com')}", data={"confirm": "this"})
    versions = [event["evidence"]["text_version"] for event in ledger.events()]
    assert versions[1] == versions[2] != versions[0]
    assert all(re.fullmatch(r"[0-9a-f]{12}", version) for version in versions)


def test_a_brand_states_the_language_for_browsers_in_none_of_ours(
    app: Flask, client: FlaskClient, token: str
) -> None:
    def language(accepted: str) -> str:
        response = client.get(f"/u/{token}", headers={"Accept-Language": accepted})
        return response.headers["Content-Language"]

    assert language("pt") == "en"
    worded(app, 'fallback_language = "it"')
    assert (language("pt"), language("de"), language("en")) == ("it", "de", "en")


def test_texts_are_compiled_once_and_not_per_request(
    app: Flask, client: FlaskClient, token: str
) -> None:
    from preference_center.web.languages import load_translations

    worded(app, f'address = "informal"\ntexts.de."{KEY}" = "Frag uns"')
    assert "Frag uns" in client.get(f"/u/{token}?lang=de").text
    before = load_translations.cache_info()
    client.get(f"/u/{token}?lang=de")
    after = load_translations.cache_info()
    assert after.misses == before.misses
    assert after.hits > before.hits
