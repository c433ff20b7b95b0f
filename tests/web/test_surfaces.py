"""What an application with one surface answers, and what it does not (decision 96)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from preference_center.app.console import CONSOLE_PAGES
from preference_center.app.web import Surface, create_app
from preference_center.infra.context import db

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Flask
    from flask.testing import FlaskClient

    from preference_center.infra.config import Settings


@pytest.fixture
def public(app: Flask, settings: Settings) -> Iterator[FlaskClient]:
    yield from clients(settings, Surface.PUBLIC)


@pytest.fixture
def console(app: Flask, settings: Settings) -> Iterator[FlaskClient]:
    yield from clients(settings, Surface.CONSOLE)


def clients(settings: Settings, surface: Surface) -> Iterator[FlaskClient]:
    """One browser of that surface."""
    served = create_app(settings, surface=surface)
    yield served.test_client()
    with served.app_context():
        db.engine.dispose()


def test_the_public_surface_has_no_page_of_the_console(public: FlaskClient) -> None:
    for rule in {route.rule for route in CONSOLE_PAGES}:
        path = f"/console{rule.replace('<', '').replace('>', '').replace(':', '')}"
        assert public.get(path).status_code == 404
        assert public.post(path).status_code == 404
    assert public.get("/form").status_code == 200


def test_the_console_answers_nothing_of_the_public_surface(
    app: Flask, console: FlaskClient
) -> None:
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith(("/console", "/static/")) or rule.endpoint.startswith("probes."):
            continue
        path = "/".join("x" if "<" in part else part for part in rule.rule.split("/"))
        assert rule.methods
        if rule.rule == "/":
            assert console.get(path).headers["Location"] == "/console/"
            continue
        for method in rule.methods:
            assert console.open(path, method=method).status_code == 404, (method, path)


@pytest.mark.parametrize("path", ["/console/sign-in", "/static/console.css", "/livez"])
def test_the_console_answers_its_pages_files_and_probes(console: FlaskClient, path: str) -> None:
    with console.get(path) as response:
        assert response.status_code == 200
