"""The preference page in a frame of a real page on another site, over HTTPS."""

# ruff: noqa: F401, F811 - fixtures of the package are imported by name

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.clock import Clock
from tests.in_force import put_in_force
from tests.infra.tls import Site, serving
from tests.ledger.tables import Ledger
from tests.web.pages.fixtures import CATALOGUE, app, ledger, proven

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment
    from flask import Flask
    from playwright.sync_api import Browser, Page


class Company:
    """A page of the company with `source` in a frame."""

    source = ""

    def __call__(self, _: WSGIEnvironment, respond: StartResponse) -> Iterable[bytes]:
        respond("200 OK", [("Content-Type", "text/html")])
        frame = f'<iframe title="Settings" width="600" height="900" src="{self.source}"></iframe>'
        return [f"<!doctype html><title>Account</title>{frame}".encode()]


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page without JavaScript that takes the tests' certificates."""
    context = browser.new_context(
        ignore_https_errors=True, java_script_enabled=False, locale="en-GB"
    )
    yield context.new_page()
    context.close()


@pytest.fixture
def company() -> Company:
    return Company()


@pytest.fixture
def around(company: Company, tmp_path: Path) -> Iterator[str]:
    """The company's page, on another site than ours: `localhost` and 127.0.0.1 differ."""
    folder = tmp_path / "around"
    folder.mkdir()
    with serving(company, folder) as site:
        yield f"https://localhost:{urlsplit(site.url).port}"


@pytest.fixture
def ours(app: Flask, tmp_path: Path) -> Iterator[Site]:
    with serving(app, tmp_path) as site:
        yield site


def name_origin(app: Flask, origin: str) -> None:
    named = f'name = "Acme"\nframe_origins = ["{origin}"]\n'
    put_in_force(app, CATALOGUE.replace('name = "Acme"\n', named, 1))


def is_refused(page: Page, around: str) -> bool:
    """Whether the browser reports that the framed page does not want to be there."""
    with page.expect_console_message(lambda message: "frame-ancestors" in message.text):
        page.goto(around)
    return not page.frame_locator("iframe").locator(".sheet").count()


def test_on_a_site_that_the_catalogue_names_the_page_works_in_a_frame(
    app: Flask, page: Page, ours: Site, company: Company, around: str, proven: str, ledger: Ledger
) -> None:
    name_origin(app, around)
    company.source = f"{ours.url}/p/{proven}?lang=en"
    page.goto(around)
    frame = page.frame_locator("iframe")
    offers = frame.get_by_role("checkbox", name="Offers")
    offers.check(force=True)
    frame.get_by_role("button", name="Save").click()
    frame.locator("#result").wait_for()
    assert ("opted_in", "offers") in ledger.kinds()  # the cookie came back: I5


def test_on_any_other_site_the_browser_shows_nothing(
    app: Flask, page: Page, ours: Site, company: Company, around: str, proven: str
) -> None:
    name_origin(app, "https://www.acme.example")
    company.source = f"{ours.url}/p/{proven}?lang=en"
    assert is_refused(page, around)


def test_pages_about_rights_are_framed_nowhere(
    app: Flask, page: Page, ours: Site, company: Company, around: str, proven: str
) -> None:
    name_origin(app, around)
    company.source = f"{ours.url}/rights/{proven}?lang=en"
    assert is_refused(page, around)
