"""The language switch of a page with own words, without JavaScript."""

# ruff: noqa: F401, F811 - fixtures of the package are imported by name

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.both import IN_BOTH
from tests.browser.pressing import press
from tests.ledger.tables import Ledger
from tests.rights.pages.acts import requests_in
from tests.web.pages.fixtures import MakeToken, app, ledger, make_token, subscribed, token

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Flask
    from playwright.sync_api import Browser, Page

WORDS = "I have written\nfor ten minutes."


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A phone without JavaScript."""
    context = browser.new_context(
        locale="en-US", java_script_enabled=False, viewport={"width": 320, "height": 640}
    )
    yield context.new_page()
    context.close()


@IN_BOTH
def test_what_was_written_stays_in_another_language(
    page: Page, site: str, app: Flask, ledger: Ledger
) -> None:  # I7
    from playwright.sync_api import expect

    before = ledger.kinds()
    page.goto(f"{site}/rights/object")
    page.get_by_label("Your email address").fill("jane.doe@")  # not finished
    page.get_by_label("Your objection, in your own words").fill(WORDS)
    page.locator("details.languages summary").click()
    press(page.get_by_role("button", name="Deutsch"))
    expect(page.locator("html")).to_have_attribute("lang", "de")
    expect(page.locator("#text")).to_have_value(WORDS)
    expect(page.locator("#address")).to_have_value("jane.doe@")
    assert (ledger.kinds(), requests_in(app)) == (before, [])
    page.locator("#address").fill("jane.doe@example.com")
    page.locator("#address").press("Enter")  # sends it, and does not switch
    page.wait_for_url("**/rights/status/**")
    expect(page.locator("html")).to_have_attribute("lang", "de")
    [asked] = requests_in(app)
    assert asked.language == "de"
