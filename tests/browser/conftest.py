"""Real browsers, and the service on a port for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import pytest

from dev.errors import BrowserError
from dev.maintenance.browser import FOR_FIREFOX, start_chromium, start_firefox
from dev.postgres import make_database
from tests.environment import connecting_within, link_clicks_within, patient_timeouts

if TYPE_CHECKING:
    from flask import Flask
    from playwright.sync_api import Browser, Page, Playwright

    from dev.demo.states import Demo
    from dev.engines import Engines
    from preference_center.infra.db.connections import DatabaseTimeouts
    from tests.browser.both import Start
    from tests.environment import Environment

GPC = {
    "privacy.globalprivacycontrol.enabled": True,
    "privacy.globalprivacycontrol.functionality.enabled": True,
}
"""What "Tell websites not to sell or share my data" of Firefox's settings sets."""
STARTS: dict[str, Callable[[Playwright], Browser]] = {
    "chromium": start_chromium,
    "firefox": start_firefox,
    "firefox with GPC": lambda playwright: start_firefox(playwright, GPC),
}
PATIENCE = 30_000  # milliseconds; an action of Playwright waits that long, an assertion 5 s


@pytest.fixture(scope="session")
def start() -> Iterator[Start]:
    """Starts a browser by its name, one of each for all tests of this worker."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NODE_OPTIONS", f'--require "{FOR_FIREFOX}"')
        playwright = sync_playwright().start()
    with ExitStack() as stack:
        stack.callback(playwright.stop)

        @cache
        def started(name: str) -> Browser:
            browser = STARTS[name](playwright)
            stack.callback(browser.close)
            return browser

        def start(name: str) -> Browser:
            try:
                return started(name)
            except BrowserError as error:
                pytest.skip(str(error))

        yield start


@pytest.fixture
def browser(start: Start, request: pytest.FixtureRequest) -> Browser:
    """Chromium, or what IN_BOTH asks for."""
    return start(getattr(request, "param", "chromium"))


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
