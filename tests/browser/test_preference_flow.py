"""The preference page after Save: Back, Forward, Reload, a double press, another language."""

# ruff: noqa: F401, F811 - fixtures of the package are imported by name

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.browser.axe import violations
from tests.browser.pressing import press, press_twice
from tests.browser.revisiting import posting_nothing
from tests.browser.test_pages import over_http
from tests.clock import Clock
from tests.ledger.tables import Ledger
from tests.web.pages.fixtures import app, ledger, make_token, proven, subscribed, token

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Locator, Page


def topic(page: Page, name: str) -> Locator:
    return page.get_by_role("checkbox", name=name)


def focused(page: Page) -> str:
    return str(page.evaluate("document.querySelector(':focus, :target').id"))


def test_a_result_survives_all_that_a_browser_can_do_to_it(
    page: Page, site: str, proven: str, ledger: Ledger, clock: Clock, over_http: None,
    subscribed: Callable[..., bool],
) -> None:  # fmt: skip
    page.goto(f"{site}/p/{proven}")
    form = page.url
    clock.advance(timedelta(minutes=1))
    topic(page, "Weekly digest").uncheck()
    press_twice(page.get_by_role("button", name="Save"))
    result = page.url
    assert result.endswith("#result")
    assert page.title().startswith("Saved: What you receive")
    assert focused(page) == "result"
    assert "Turned off: Weekly digest" in page.get_by_role("status").inner_text()
    events = ledger.kinds()
    assert events == [("opted_out", "digest")]
    for _ in ("reload", "again"):
        page.reload()
        assert "Turned off: Weekly digest" in page.get_by_role("status").inner_text()
    page.go_back()
    assert page.url == form
    assert not topic(page, "Weekly digest").is_checked()  # read again, not remembered
    page.go_forward()
    assert page.url == result
    page.get_by_text("English", exact=True).first.click()
    press(page.get_by_role("button", name="Italiano"))
    assert page.title().startswith("Salvato:")
    assert "Riassunto" in page.get_by_role("status").inner_text()
    page.go_back()
    assert page.title().startswith("Saved:")
    assert ledger.kinds() == events  # I7
    clock.advance(timedelta(minutes=1))
    press(page.get_by_role("button", name="Undo"))
    assert page.title().startswith("Undone:")
    page.reload()
    assert "As before: Weekly digest" in page.get_by_role("status").inner_text()
    assert subscribed()
    page.go_back()  # to the result, which is not true any more
    page.reload()
    assert "Turned off:" not in page.get_by_role("status").inner_text()


def test_after_everything_was_stopped_one_topic_is_turned_on(
    page: Page, site: str, proven: str, clock: Clock, over_http: None,
    subscribed: Callable[..., bool],
) -> None:  # fmt: skip  # I5
    page.goto(f"{site}/p/{proven}")
    press(page.get_by_role("button", name="Stop all marketing"))
    clock.advance(timedelta(minutes=1))
    press(page.get_by_role("link", name="See and change what you receive"))
    assert page.get_by_text("All marketing has been off since").is_visible()
    assert page.get_by_role("button", name="Stop all marketing").count() == 0
    clock.advance(timedelta(minutes=1))
    topic(page, "Offers").check()
    press(page.get_by_role("button", name="Save"))
    assert "Turned on: Offers" in page.get_by_role("status").inner_text()
    assert page.get_by_text("nothing that we add later").is_visible()
    assert subscribed(topic="offers")
    assert not subscribed()


def test_a_pause_holds_for_a_topic_that_is_turned_off_and_on_again(
    page: Page, site: str, proven: str, clock: Clock, over_http: None, ledger: Ledger,
    subscribed: Callable[..., bool],
) -> None:  # fmt: skip  # I5
    page.goto(f"{site}/p/{proven}")
    clock.advance(timedelta(minutes=1))
    page.get_by_role("group", name="All marketing").get_by_label("30 days").check()
    press_twice(page.get_by_role("button", name="Save"))
    for wanted in (False, True):
        clock.advance(timedelta(minutes=1))
        page.reload()  # an opt-in counts from when its form was rendered
        topic(page, "Weekly digest").set_checked(wanted)
        press_twice(page.get_by_role("button", name="Save"))
    with posting_nothing(page):
        page.reload()
        page.go_back()
        page.go_forward()
    said = page.get_by_role("status").inner_text()
    assert "Turned on: Weekly digest" in said
    assert "Still paused until December 24, 2026: Weekly digest" in said
    assert topic(page, "Weekly digest").is_checked()
    assert not subscribed()  # until the pause ends
    kinds = [("paused", "all_marketing"), ("opted_out", "digest"), ("opted_in", "digest")]
    assert ledger.acts() == [*kinds, ("paused", "digest")]
    clock.advance(timedelta(days=31))
    assert subscribed()


def test_the_whole_row_presses_its_switch_and_save_stays_in_reach(
    page: Page, site: str, proven: str
) -> None:
    page.set_viewport_size({"width": 320, "height": 640})
    page.goto(f"{site}/p/{proven}")
    row = page.locator("label.switch").first
    box, save = row.bounding_box(), page.get_by_role("button", name="Save").bounding_box()
    assert box
    assert save
    assert save["y"] + save["height"] <= 640
    was = topic(page, "Weekly digest").is_checked()
    row.click(position={"x": 4, "y": box["height"] - 4})
    assert topic(page, "Weekly digest").is_checked() is not was


def test_an_error_is_announced_tied_to_its_field_and_accessible(
    page: Page, site: str, proven: str, clock: Clock
) -> None:
    page.goto(f"{site}/p/{proven}")
    page.context.clear_cookies()
    clock.advance(timedelta(minutes=1))
    topic(page, "Offers").check()
    press(page.get_by_role("button", name="Save"))
    assert page.title().startswith("Error: What you receive")
    assert focused(page) == "problem"
    assert topic(page, "Offers").is_checked()  # nothing ticked is lost
    described = page.locator("#topics-offers-hint").inner_text()
    assert described.startswith("Not saved yet.")
    page.get_by_role("alert").get_by_role("link").click()
    assert focused(page) == "topics-offers"
    assert violations(page) == []
