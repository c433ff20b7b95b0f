"""The list of rights: who reaches it, from where, and what it says without a controller."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from preference_center.web.languages import LANGUAGES
from tests.ledger.tables import Ledger
from tests.web.pages.demo import put_in_force
from tests.web.pages.fixtures import CATALOGUE, MakeToken

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

    from tests.clock import Clock

ACTS = [
    "access", "correct", "erase", "restrict", "object", "dont_sell_or_share", "close", "reopen",
    "complaint",
]  # fmt: skip


def without_controller() -> str:
    return CATALOGUE[: CATALOGUE.index("[controller]")]


def test_anybody_reads_the_list_without_a_link(client: FlaskClient) -> None:
    page = client.get("/rights")
    assert page.status_code == 200
    main = page.text.partition("<footer")[0]
    assert re.findall(r'href="/rights/(\w+)"', main) == [*ACTS, "agent", "minor"]
    assert "free of charge" in page.text
    assert "no disadvantage for you" in page.text


def test_a_link_goes_along_to_every_right(client: FlaskClient, token: str) -> None:
    page = client.get(f"/rights/{token}").text.partition("<footer")[0]
    assert re.findall(rf'href="/rights/(\w+)/{re.escape(token)}"', page) == ACTS
    assert f'href="/p/{token}"' in page
    assert "jane.doe@example.com" not in page  # masked: the link may be somebody else's (C6)


@pytest.mark.parametrize("path", ["/u/{}", "/p/{}", "/w/{}"])
def test_the_footer_of_every_page_of_a_link_leads_there_with_it(
    client: FlaskClient, token: str, path: str
) -> None:
    assert f'href="/rights/{token}"' in client.get(path.format(token)).text


@pytest.mark.parametrize("path", ["/form", "/u/broken", "/nowhere", "/rights", "/rights/access"])
def test_the_footer_of_every_other_page_leads_there(client: FlaskClient, path: str) -> None:
    page = client.get(path).text
    assert 'href="/rights"' in page
    assert 'href="https://acme.example/privacy"' in page
    assert 'href="mailto:privacy@acme.example"' in page


def test_reading_it_writes_nothing(client: FlaskClient, token: str, ledger: Ledger) -> None:  # I7
    before = ledger.rows()
    for method in ("GET", "HEAD", "OPTIONS"):
        assert client.open(f"/rights/{token}", method=method).status_code == 200
        assert client.open(f"/rights/erase/{token}", method=method).status_code == 200
    assert ledger.rows() == before


def test_without_a_controller_it_says_only_whom_to_write_to(
    app: Flask, client: FlaskClient, clock: Clock, proven: str, ledger: Ledger
) -> None:
    put_in_force(app, clock, without_controller())
    before = ledger.rows()
    for path in ("/rights", f"/rights/{proven}", "/rights/access", f"/rights/erase/{proven}"):
        page = client.get(path)
        assert page.status_code == 200
        assert "Write to us in your own words" in page.text
        assert "hello@acme.example" in page.text
        assert "<form" not in page.text
    for path in ("/rights/access", f"/rights/erase/{proven}", f"/rights/open/erase/{proven}"):
        assert client.post(path, data={"address": "jane.doe@example.com"}).status_code == 503
    assert ledger.rows() == before


@pytest.mark.parametrize("path", ["/rights/broken", "/rights/erase/broken", "/rights/unknown"])
def test_a_broken_link_is_said_to_be_broken(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_another_purposes_token_opens_no_right(
    client: FlaskClient, make_token: MakeToken, token: str
) -> None:
    assert client.get(f"/rights/open/erase/{token}").status_code == 404
    assert client.post(f"/rights/open/erase/{token}", data={"open": "yes"}).status_code == 404


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_speaks_every_language_and_keeps_it(client: FlaskClient, language: str) -> None:
    page = client.get(f"/rights?lang={language}")
    assert page.headers["Content-Language"] == language
    assert f'href="/rights/erase?lang={language}"' in page.text
