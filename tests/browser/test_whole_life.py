"""A person's whole life in a real browser, and after it no trace of them (I6)."""

# ruff: noqa: F401, F811 - fixtures are imported by name

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.browser.pressing import press
from tests.life.fixtures import company, places
from tests.life.living import whole_life

if TYPE_CHECKING:
    from flask import Flask
    from playwright.sync_api import Browser, Locator, Page

    from tests.life.company import Company
    from tests.life.traces import Places


@pytest.fixture(params=[False, True], ids=["without script", "with script"])
def page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    context = browser.new_context(java_script_enabled=request.param)
    yield context.new_page()
    context.close()


@dataclass(slots=True)
class BrowserVisitor:
    """See `tests.life.visitors.Visitor`."""

    page: Page
    site: str

    def open(self, path: str) -> None:
        """See Visitor."""
        answer = self.page.goto(f"{self.site}{path}")
        assert answer
        assert answer.status == 200, self.page.content()

    def press(self, **fields: str) -> None:
        """See Visitor."""
        form, buttons = self.page.locator("form"), []
        for name in fields:
            form = form.filter(has=self.page.locator(f'[name="{name}"]'))
        for name, value in fields.items():
            chosen = form.locator(f'[name="{name}"][value="{value}"]')
            if chosen.count() and chosen.first.get_attribute("type") in {"checkbox", "radio"}:
                chosen.first.check()
            elif chosen.count():
                buttons.append(chosen.first)
            else:
                form.locator(f'[name="{name}"]').first.fill(value)
        press(buttons[0] if buttons else form.first.locator("button").last)

    def download(self, action: str) -> bytes:
        """See Visitor."""
        with self.page.expect_download() as started:
            self.page.locator(f'form[action*="{action}"] button').click()
        return started.value.path().read_bytes()

    @property
    def text(self) -> str:
        """See Visitor."""
        return self.page.content()

    @property
    def path(self) -> str:
        """See Visitor."""
        return urlsplit(self.page.url).path


def test_after_a_whole_life_no_trace_is_left(
    page: Page, site: str, app: Flask, company: Company, places: Places,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setitem(app.config, "SESSION_COOKIE_SECURE", False)  # the test's site has no TLS
    whole_life(BrowserVisitor(page, site), company, places)
