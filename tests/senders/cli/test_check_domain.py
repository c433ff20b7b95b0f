"""`flask check-domain`, against a real HTTPS server with proxies in front of the service."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from wsgiref.types import WSGIApplication

import pytest
from werkzeug.wrappers import Request, Response

from tests.clock import Clock
from tests.in_force import CATALOGUE, put_in_force
from tests.infra.tls import Site, serving
from tests.ledger.tables import Ledger

if TYPE_CHECKING:
    from click.testing import Result
    from flask import Flask

HSTS = {"Strict-Transport-Security": "max-age=31536000"}
Answer = Callable[[Request, Response], Response | None]


@pytest.fixture
def in_force(app: Flask) -> Flask:
    put_in_force(app)
    return app


@pytest.fixture
def site(in_force: Flask, tmp_path: Path) -> Iterator[Site]:
    with serving(in_force, tmp_path) as site:
        yield site


def check(app: Flask, *words: str) -> Result:
    return app.test_cli_runner().invoke(args=["check-domain", *words])


def found(app: Flask, site: Site) -> dict[str, str]:
    """Code and severity of all errors and warnings."""
    result = check(app, site.url, "--ca-file", str(site.authority), "--json")
    rows: list[dict[str, str]] = json.loads(result.stdout)
    assert result.exit_code == any(row["severity"] == "error" for row in rows)
    return {row["code"]: row["severity"] for row in rows if row["severity"] != "ok"}


def behind(app: WSGIApplication, change: Answer) -> WSGIApplication:
    """The service behind something that changes what it answers."""

    @Request.application
    def front(request: Request) -> Response:
        inner = Response.from_app(app, request.environ, buffered=True)
        return change(request, inner) or inner

    return front


def well(request: Request, answer: Response) -> None:
    """As a good proxy does it."""
    answer.headers.update(HSTS)
    if request.path == "/healthz":
        answer.status_code = 403


def test_a_sound_host_is_found_sound_and_nothing_is_recorded(
    in_force: Flask, site: Site, database_url: str
) -> None:  # I7
    before = Ledger(database_url).rows()
    site.front = behind(in_force, well)
    result = check(in_force, site.url, "--ca-file", str(site.authority))
    assert result.exit_code == 0, result.output
    assert "No problems found." in result.stdout
    assert "is answered 200, at once" in result.stdout
    assert "60 more days" in result.stdout
    assert Ledger(database_url).rows() == before


def redirect(request: Request, _: Response) -> Response | None:
    return Response(status=301, headers={"Location": f"https://www.example.com{request.path}"})


def only_get(request: Request, _: Response) -> Response | None:
    return Response("no", 403) if request.method == "POST" else None


def challenge(request: Request, _: Response) -> Response:
    return Response("<script>prove()</script> Are you human?", mimetype="text/html")


def no_origin(request: Request, _: Response) -> Response | None:
    return Response("no", 403) if request.method == "POST" and "Origin" in request.headers else None


def forms_only(request: Request, _: Response) -> Response | None:
    multipart = (request.content_type or "").startswith("multipart/")
    return Response("no", 415) if multipart else None


def set_cookie(_: Request, answer: Response) -> None:
    answer.set_cookie("__bot", "1")


def rewrite(_: Request, answer: Response) -> None:
    if answer.mimetype == "text/html":
        answer.set_data(answer.get_data(as_text=True) + "<script src=x></script>")


def strip_headers(_: Request, answer: Response) -> None:
    del answer.headers["Cache-Control"]


def no_head(request: Request, _: Response) -> Response | None:
    return Response(status=405) if request.method in {"HEAD", "OPTIONS"} else None


def never_404(_: Request, answer: Response) -> None:
    if answer.status_code == 404:
        answer.status_code = 200


def plain(_: Request, answer: Response) -> None:
    del answer.headers["Strict-Transport-Security"]


def open_health(_: Request, answer: Response) -> None:
    if answer.status_code == 403:
        answer.status_code = 200


ALL_POSTS = {"post_form": "error", "post_multipart": "error", "post_foreign": "error"}


@pytest.mark.parametrize(
    "fault, expected",
    [
        (redirect, ALL_POSTS | {"page": "error", "method": "warning"}),  # RULES A5
        (only_get, ALL_POSTS),
        (challenge, ALL_POSTS | {"page": "error", "any_token": "error", "healthz": "warning"}),
        (no_origin, {"post_foreign": "error"}),  # RULES A4
        (forms_only, {"post_multipart": "error"}),  # RULES A3
        (set_cookie, {"cookie": "warning"}),
        (rewrite, {"page_changed": "warning"}),
        (strip_headers, {"response_header_missing": "warning"}),  # RULES C7
        (no_head, {"method": "warning"}),
        (never_404, {"any_token": "error"}),  # RULES A7
        (plain, {"hsts": "warning"}),
        (open_health, {"healthz": "warning"}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_each_fault_in_front_of_us_is_found(
    in_force: Flask, site: Site, fault: Answer, expected: dict[str, str]
) -> None:
    site.front = behind(behind(in_force, well), fault)
    assert found(in_force, site) == expected


def test_a_host_of_another_installation_is_reported(in_force: Flask, site: Site) -> None:
    from preference_center.app.web import create_app
    from preference_center.infra.context import EXTENSION_NAME, db

    settings = in_force.extensions[EXTENSION_NAME].settings
    keys = settings.link_keys.replace("l1:A", "l1:B")
    other = create_app(settings.model_copy(update={"link_keys": keys}))
    site.front = behind(other, well)
    result = check(in_force, site.url, "--ca-file", str(site.authority))
    assert result.exit_code == 1
    assert "has it the same LINK_KEYS?" in result.stdout
    with other.app_context():
        db.engine.dispose()


def test_a_certificate_that_nobody_trusts_is_reported(in_force: Flask, site: Site) -> None:
    result = check(in_force, site.url)
    assert result.exit_code == 1
    assert "The certificate is not trusted: self-signed certificate." in result.stdout


def test_a_certificate_that_ends_soon_is_reported(
    in_force: Flask, site: Site, clock: Clock
) -> None:
    site.front = behind(in_force, well)
    clock.now = site.ends - timedelta(days=15)
    assert found(in_force, site) == {}
    clock.now = site.ends - timedelta(days=9)
    assert found(in_force, site) == {"certificate_expiring": "warning"}


def test_every_brands_host_is_looked_at(app: Flask) -> None:
    hosted = CATALOGUE.replace('name = "Acme"', 'name = "Acme"\nhost = "choices.acme.invalid"')
    put_in_force(app, hosted)
    rows = json.loads(check(app, "--json").stdout)
    assert {row["url"] for row in rows} == {
        "https://preferences.example.com",
        "https://choices.acme.invalid",
    }
    only = json.loads(check(app, "--brand", "acme", "--json").stdout)
    expected = [("https://choices.acme.invalid", "unreachable")]
    assert [(row["url"], row["code"]) for row in only] == expected


@pytest.mark.parametrize(
    "words, exit_code, expected_message",
    [
        (["example.com"], 1, "use e.g. https://"),
        (["https://x.invalid", "--brand", "acme"], 1, "not both"),
        (["--brand", "acmee"], 1, 'did you mean "acme"'),
        (["https://x.invalid", "--ca-file", "no-such.pem"], 2, "does not exist"),
    ],
)
def test_a_wrong_command_states_what_to_fix(
    in_force: Flask, words: list[str], exit_code: int, expected_message: str
) -> None:
    result = check(in_force, *words)
    assert result.exit_code == exit_code
    assert expected_message in result.stderr


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "https://exa mple", "https://127.0.0.1:1"])
def test_a_host_that_cant_be_right_is_an_error(in_force: Flask, url: str) -> None:
    result = check(in_force, url)
    assert result.exit_code == 1
    assert "error   " in result.stdout
