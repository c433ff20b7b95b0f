"""Every page of the console that a link leads to, with the past of the demo's company in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import pytest
from werkzeug.routing import RequestRedirect

from dev.demo.acts import REPLIES
from dev.demo.clock import Clock
from dev.demo.files import Files
from dev.demo.history import ADA
from dev.demo.seeding import fill
from preference_center.app.console import CONSOLE_PAGES
from preference_center.core.staff import Role
from preference_center.infra.context import EXTENSION_NAME
from preference_center.web.console.frame import Access
from tests.browser.axe import violations
from tests.clock import START
from tests.web.console.staff import cookie_of, staff

if TYPE_CHECKING:
    from flask import Flask
    from playwright.sync_api import Page, ViewportSize


SIZES: tuple[ViewportSize, ...] = ({"width": 1280, "height": 900}, {"width": 390, "height": 900})
NO_PAGES = (".csv", "/proof", "/preview/page", "/preview/mail")
"""What is downloaded, and what is shown in a frame."""
AFTER_A_FORM = {"/window/add_destination/settings"}
"""What a form leads to, with what it sends."""


@pytest.fixture
def filled(app: Flask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Flask:
    """The service with the demo's company and its past."""
    clock, current = Clock(lambda: START), app.extensions[EXTENSION_NAME]
    settings = current.settings.model_copy(update={"reply_addresses": REPLIES})
    changed = replace(current, settings=settings, now=clock)
    monkeypatch.setitem(app.extensions, EXTENSION_NAME, changed)
    with app.app_context():
        fill(Files(tmp_path), "http://127.0.0.1:9", 8300, clock)
    return app


def sign_in(page: Page, app: Flask, site: str) -> None:
    """Be somebody with every role."""
    content = {"staff": staff(app, *Role).token}
    value = cookie_of(app, content)
    page.context.add_cookies([{"name": "console", "value": value, "url": f"{site}/console"}])


def open_person(page: Page, site: str) -> str:
    """Look Ada up; where the browser is then."""
    page.goto(f"{site}/console/people")
    page.locator("#who").fill(ADA)
    page.locator("select").first.select_option("called")
    page.locator("main button").first.click()
    page.wait_for_url("**/people/*")
    return page.url


def rules_without_id() -> Iterator[str]:
    """The pages that can be opened as they are."""
    for route in CONSOLE_PAGES:
        if (
            "GET" in route.methods
            and "<" not in route.rule
            and route.access is not Access.ANYONE
            and route.rule not in AFTER_A_FORM
        ):
            yield route.rule


def scrolls_sideways(page: Page, size: ViewportSize) -> bool:
    """Whether the page, not just a table in it, is wider than a screen of this size."""
    page.set_viewport_size(size)
    return bool(page.evaluate("document.documentElement.scrollWidth > innerWidth"))


def page_of(app: Flask, url: str) -> str | None:
    """The endpoint at a URL of the console."""
    try:
        endpoint, _ = app.url_map.bind("127.0.0.1").match(urlsplit(url).path, "GET")
    except RequestRedirect:
        return None
    return str(endpoint) if endpoint.startswith("console.") else None


def test_no_page_is_wider_than_the_screen_or_has_a_violation(
    page: Page, site: str, filled: Flask
) -> None:
    sign_in(page, filled, site)
    found: dict[str, list[str]] = {}
    waiting = [f"{site}/console{rule}" for rule in rules_without_id()]
    waiting.append(open_person(page, site))
    seen: set[str | None] = {None}
    while waiting:
        url = waiting.pop(0)
        name = page_of(filled, url)
        if name in seen or urlsplit(url).path.endswith(NO_PAGES):
            continue
        seen.add(name)
        answer = page.goto(url)
        assert answer
        assert answer.status == 200, url
        problems = [f"wider than {size['width']}" for size in SIZES if scrolls_sideways(page, size)]
        if problems := [*problems, *violations(page)]:
            found[url] = problems
        links = page.locator("main a[href]").evaluate_all("all => all.map(a => a.href)")
        waiting += [urljoin(url, link) for link in links if link.startswith(f"{site}/console")]
    assert not found, "\n".join(f"{url}: {problems}" for url, problems in found.items())
    assert len(seen) > 30
