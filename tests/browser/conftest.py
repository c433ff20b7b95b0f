"""A real Chromium, and the service on a port for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from dev.errors import BrowserError
from dev.maintenance.browser import chromium
from dev.postgres import make_database
from tests.environment import connecting_within, link_clicks_within, patient_timeouts

if TYPE_CHECKING:
    from flask import Flask
    from playwright.sync_api import Browser, Page

    from dev.demo.states import Demo
    from dev.engines import Engines
    from preference_center.infra.db.connections import DatabaseTimeouts
    from tests.environment import Environment

PATIENCE = 30_000  # milliseconds; an action of Playwright waits that long, an assertion 5 s


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests of this worker."""
    from playwright.sync_api import expect

    expect.set_options(timeout=PATIENCE)
    try:
        with chromium() as browser:
            yield browser
    except BrowserError as error:
        pytest.skip(str(error))


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page with no cookies and nothing remembered."""
    context = browser.new_context(locale="en-US")  # else that of the machine, or none
    yield context.new_page()
    context.close()


def limits_of_two_clicks() -> DatabaseTimeouts:
    """For clicks at the same time: on a busy machine one may wait long for the other."""
    return replace(patient_timeouts(), retry=60)


@pytest.fixture
def site(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The service on empty tables, served on the loopback; yields `http://127.0.0.1:port`."""
    from dev.maintenance.screenshots import on_port
    from preference_center.infra.context import EXTENSION_NAME

    limits = limits_of_two_clicks()
    wired = replace(app.extensions[EXTENSION_NAME], timeouts=limits)
    monkeypatch.setitem(app.extensions, EXTENSION_NAME, wired)
    with link_clicks_within(limits), on_port(app) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def demo(
    engines: Engines, environment: Environment, redis_url: str, request: pytest.FixtureRequest
) -> Iterator[Demo]:
    """The service as the pictures of its pages show it, on tables of this module's own."""
    from dev.maintenance.screenshots import serving

    server = engines.database.url
    module = request.module.__name__.rpartition(".")[2]
    name = f"{environment.run}_{module}_{environment.worker}"
    make_database(server, name)
    url = f"{server.rpartition('/')[0]}/{name}"
    clicks = link_clicks_within(limits_of_two_clicks())
    with connecting_within(60), clicks, serving(url, redis_url) as demo:
        yield demo
