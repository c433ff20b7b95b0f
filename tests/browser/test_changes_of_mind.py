"""Back buttons, second tabs and double clicks: what was last chosen holds, no "no" is lost."""

# ruff: noqa: F401, F811 - fixtures of the package are imported by name

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.browser.pressing import press, press_twice
from tests.browser.test_pages import over_http
from tests.clock import Clock
from tests.ledger.tables import Ledger
from tests.web.pages.fixtures import app, ledger, make_token, proven, subscribed, token

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page


def test_back_after_undo_and_again_unsubscribed(
    page: Page, site: str, token: str, ledger: Ledger, subscribed: Callable[..., bool]
) -> None:  # I5
    page.goto(f"{site}/u/{token}")
    press(page.get_by_role("button", name="Unsubscribe"))
    press(page.get_by_role("button", name="Undo"))
    page.go_back()
    assert subscribed()
    again = page.context.new_page()
    again.goto(f"{site}/u/{token}")
    press(again.get_by_role("button", name="Unsubscribe"))
    again.get_by_role("status").wait_for()
    assert not subscribed()
    assert [kind for kind, _ in ledger.kinds()] == ["opted_out", "retracted", "opted_out"]


def test_undo_pressed_again_after_going_back_takes_back_nothing_newer(
    page: Page, site: str, token: str, clock: Clock, subscribed: Callable[..., bool]
) -> None:  # I5
    page.goto(f"{site}/u/{token}")
    press(page.get_by_role("button", name="Unsubscribe"))
    stale = page.locator("[name=undo]").get_attribute("value")
    press(page.get_by_role("button", name="Undo"))
    clock.advance(timedelta(minutes=1))
    press(page.get_by_role("button", name="Unsubscribe after all"))
    assert not subscribed()
    clock.advance(timedelta(minutes=1))
    page.locator("[name=undo]").evaluate("(e, stale) => { e.value = stale }", stale)
    press(page.get_by_role("button", name="Undo"))
    assert not subscribed()


def test_two_tabs_with_opposite_choices_end_on_what_was_pressed_last(
    page: Page,
    site: str,
    proven: str,
    clock: Clock,
    over_http: None,
    subscribed: Callable[..., bool],
) -> None:
    page.goto(f"{site}/p/{proven}")
    other = page.context.new_page()
    other.goto(f"{site}/p/{proven}")
    clock.advance(timedelta(minutes=1))
    other.get_by_role("checkbox", name="Weekly digest").uncheck()
    press(other.get_by_role("button", name="Save"))
    assert not subscribed()
    clock.advance(timedelta(minutes=1))
    press(page.get_by_role("button", name="Save"))  # stale: its tick was not touched
    assert not subscribed()  # RULES C4
    assert not page.get_by_role("checkbox", name="Weekly digest").is_checked()


def test_an_opt_out_in_one_tab_survives_an_opt_in_from_a_stale_one(
    page: Page,
    site: str,
    token: str,
    proven: str,
    clock: Clock,
    over_http: None,
    ledger: Ledger,
) -> None:  # I5: a form's opt-in counts from when it was rendered
    page.goto(f"{site}/p/{proven}")
    page.get_by_role("checkbox", name="Offers").check()
    clock.advance(timedelta(minutes=1))
    other = page.context.new_page()
    other.goto(f"{site}/u/{token}")
    press(other.get_by_role("button", name="Unsubscribe"))
    press(other.get_by_role("button", name="Stop all marketing"))
    clock.advance(timedelta(minutes=1))
    press(page.get_by_role("button", name="Save"))
    page.goto(f"{site}/p/{proven}")
    assert not page.get_by_role("checkbox", name="Offers").is_checked()
    assert ("opted_out", "all_marketing") in ledger.kinds()


def test_a_button_pressed_twice_makes_one_event(
    page: Page, site: str, token: str, ledger: Ledger
) -> None:  # I7
    page.goto(f"{site}/u/{token}")
    press_twice(page.get_by_role("button", name="Unsubscribe"))
    page.reload()  # posts nothing
    page.get_by_role("status").wait_for()
    assert ledger.kinds() == [("opted_out", "digest")]
