"""The browser's Global Privacy Control: the page records it by script, a press without one."""

# ruff: noqa: F401, F811 - fixtures of the package are imported by name

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from preference_center.core.events import SHARING
from tests.browser.axe import violations
from tests.browser.pressing import press
from tests.browser.shops import GPC
from tests.browser.test_pages import over_http
from tests.ledger.tables import Ledger
from tests.web.pages.fixtures import app, ledger, make_token, proven, token

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


HONOURED = "Opt-out honoured: your data is not sold or shared for advertising."


def opened(browser: Browser, url: str, *, script: bool = True, signal: bool = True) -> Page:
    headers = {"Sec-GPC": "1"} if signal else {}
    context = browser.new_context(
        locale="en-US", java_script_enabled=script, extra_http_headers=headers
    )
    if signal:
        context.add_init_script(GPC)
    page = context.new_page()
    page.goto(url)
    return page


@pytest.mark.parametrize("path", ["u", "p", "rights/access"])
def test_to_open_the_page_is_enough_where_scripts_run(
    browser: Browser, site: str, token: str, ledger: Ledger, over_http: None, path: str
) -> None:
    page = opened(browser, f"{site}/{path}/{token}")
    page.get_by_text(HONOURED).wait_for()
    assert page.get_by_text("When you press a button on one of these pages").is_hidden()
    assert ledger.kinds() == [("opted_out", SHARING)]
    page.context.close()


def test_without_script_the_next_press_records_it(
    browser: Browser, site: str, token: str, ledger: Ledger, over_http: None
) -> None:
    page = opened(browser, f"{site}/p/{token}", script=False)
    assert page.get_by_text("When you press a button on one of these pages").is_visible()
    assert page.get_by_text(HONOURED).is_hidden()
    assert ledger.kinds() == []  # I7
    press(page.get_by_role("button", name="Save"))
    assert page.get_by_text(HONOURED).is_visible()
    assert ledger.kinds() == [("opted_out", SHARING)]
    page.context.close()


def test_a_browser_without_the_signal_posts_nothing(
    browser: Browser, site: str, token: str, ledger: Ledger, over_http: None
) -> None:
    page = opened(browser, f"{site}/p/{token}", signal=False)
    page.wait_for_load_state("networkidle")
    assert page.locator("script").count() == 0
    assert ledger.kinds() == []
    page.context.close()
