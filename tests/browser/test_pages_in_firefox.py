"""The pages that people meet most, in Firefox on a phone's width: they work, fit and announce."""

# ruff: noqa: F401, F811 - fixtures of the package are imported by name

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from preference_center.core.events import SHARING
from tests.browser.both import IN_FIREFOX
from tests.browser.layout import overflow
from tests.browser.pressing import press
from tests.browser.revisiting import switch_to
from tests.browser.test_pages import over_http
from tests.clock import Clock
from tests.ledger.tables import Ledger
from tests.web.pages.fixtures import app, ledger, make_token, proven, subscribed, token

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Browser, Page


PHONE = (360, 640)
FOCUSED = "(document.activeElement.id || document.querySelector(':target')?.id) ?? ''"
"""Where the keyboard and a screen reader go on: Firefox moves there without giving it focus."""


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    width, height = PHONE
    context = browser.new_context(locale="en-US", viewport={"width": width, "height": height})
    yield context.new_page()
    context.close()


def assert_result(page: Page, title: str) -> None:
    assert page.title().startswith(title)
    assert page.evaluate(FOCUSED) == "result"
    assert overflow(page) == []


@IN_FIREFOX
def test_unsubscribe_and_undo_in_two_languages(
    page: Page, site: str, token: str, ledger: Ledger
) -> None:
    page.goto(f"{site}/u/{token}")
    assert overflow(page) == []
    press(page.get_by_role("button", name="Unsubscribe"))
    assert_result(page, "Unsubscribed: Weekly digest")
    switch_to(page, "it")
    assert page.get_by_role("heading", level=1).inner_text() == "Disiscrizione completata"
    assert overflow(page) == []
    page.go_back()
    press(page.get_by_role("button", name="Undo"))
    assert_result(page, "Undone: Weekly digest")
    assert ledger.kinds() == [("opted_out", "digest"), ("retracted", "digest")]


@IN_FIREFOX
def test_a_choice_survives_another_language_is_saved_and_undone(
    page: Page, site: str, proven: str, clock: Clock, over_http: None,
    subscribed: Callable[..., bool],
) -> None:  # fmt: skip
    page.goto(f"{site}/p/{proven}")
    assert overflow(page) == []
    clock.advance(timedelta(minutes=1))
    page.get_by_role("checkbox", name="Weekly digest").uncheck()
    switch_to(page, "it")
    assert not page.locator("#topics-digest").is_checked()
    assert overflow(page) == []
    switch_to(page, "en")
    press(page.get_by_role("button", name="Save"))
    assert_result(page, "Saved: What you receive")
    assert not subscribed()
    clock.advance(timedelta(minutes=1))
    press(page.get_by_role("button", name="Undo"))
    assert_result(page, "Undone:")
    assert subscribed()


@pytest.mark.parametrize("browser", ["firefox with GPC"], indirect=True)
def test_its_own_setting_against_sale_and_sharing_is_honoured(
    page: Page, site: str, token: str, ledger: Ledger, over_http: None
) -> None:
    page.goto(f"{site}/p/{token}")
    page.get_by_text("Opt-out honoured").wait_for()
    assert page.get_by_text("When you press a button on one of these pages").is_hidden()
    assert ledger.kinds() == [("opted_out", SHARING)]
    assert overflow(page) == []
