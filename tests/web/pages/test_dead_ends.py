"""No path of this host leaves a person without a way to stop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.infra.mailing import give_mail_server
from tests.ledger.tables import Ledger

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

HUGE = b"x" * 9_000_000


@pytest.fixture(autouse=True)
def mail_server(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    give_mail_server(app, monkeypatch)


@pytest.mark.parametrize(
    "method, path, body, status",
    [
        ("GET", "/nothing", b"", 404),
        ("POST", "/nothing", b"", 404),
        ("GET", "/", b"", 302),
        ("DELETE", "/form", b"", 405),
        ("GET", "/reason/x", b"", 405),
        ("POST", "/u/x", HUGE, 413),
        ("GET", "/u/x", b"", 404),
        ("GET", "/U/x", b"", 404),
        ("GET", "/w/x/receipt.json", b"", 404),
        ("POST", "/c/x", b"", 404),
    ],
    ids=["lost", "posted", "root", "method", "read", "huge", "token", "case", "receipt", "confirm"],
)
def test_every_dead_end_leads_to_the_form_and_names_a_contact(
    client: FlaskClient, method: str, path: str, body: bytes, status: int
) -> None:
    answer = client.open(path, method=method, data=body)
    assert answer.status_code == status
    if status != 302:
        assert 'action="/form"' in answer.text
        assert "hello@acme.example" in answer.text


@pytest.mark.parametrize(
    "path, page",
    [
        ("/U/{}", "/u/{}"),
        ("/P/{}.", "/p/{}"),
        ("/{}", "/u/{}"),
        ("/unsubscribe/{})", "/u/{}"),
        ("/M/{}", "/m/{}"),
    ],
    ids=["case", "preferences", "bare", "word", "mailed"],
)
def test_a_lost_path_with_a_token_leads_to_its_page_and_changes_nothing(
    client: FlaskClient, token: str, ledger: Ledger, path: str, page: str
) -> None:  # I7
    before = ledger.rows()
    there = {"PATH_INFO": path.format(token)}
    for method in ("GET", "HEAD"):
        answer = client.open(method=method, environ_overrides=there)
        assert (answer.status_code, answer.location) == (302, page.format(token))
    assert client.post(environ_overrides=there).status_code == 404  # A5: never a redirect
    assert ledger.rows() == before


@pytest.mark.parametrize("after", [".", ">", ")", ",", "/", "%20", "%E2%80%8B", "%0A", "_"])
def test_a_link_with_a_character_too_many_shows_its_page(
    client: FlaskClient, token: str, ledger: Ledger, after: str
) -> None:
    for path in ("u", "p", "w"):
        answer = client.get(f"/{path}/{token}{after}")
        assert answer.status_code == 200
        assert f"{token}{after}" not in answer.text  # forms lead to the token itself
    client.post(f"/u/{token}{after}", data={"confirm": "this"}, follow_redirects=True)
    assert ledger.kinds() == [("opted_out", "digest")]


def test_a_fault_while_the_database_is_away_names_the_contact_known_last(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from preference_center.core.errors import Unavailable, UnavailableCause

    client.get("/nothing")

    def away(token: str) -> None:
        raise Unavailable("away", UnavailableCause.UNREACHABLE)

    monkeypatch.setitem(client.application.view_functions, "pages.preferences", away)
    answer = client.get("/p/x")
    assert answer.status_code == 503
    assert "hello@acme.example" in answer.text
