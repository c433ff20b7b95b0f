"""What pages say of a new privacy policy: readable on a small screen, and clean for axe."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.browser.axe import violations
from tests.browser.layout import overflow, small_targets
from tests.browser.pressing import press
from tests.in_force import put_in_force
from tests.recipients.pages.test_policy_versions import VERSIONS, WEEK
from tests.web.pages.fixtures import CATALOGUE
from tests.web.pages.visits import proof

if TYPE_CHECKING:
    from flask import Flask
    from playwright.sync_api import Page

    from tests.clock import Clock


@pytest.mark.parametrize("language", ["en", "de"])
def test_the_notice_and_the_topic_that_asks_again(
    app: Flask, site: str, page: Page, clock: Clock, language: str
) -> None:
    put_in_force(app, CATALOGUE + VERSIONS)
    page.set_viewport_size({"width": 320, "height": 900})
    page.goto(f"{site}/p/{proof(app, clock())}?lang={language}")
    page.locator("label[for=topics-offers]").click()
    press(page.locator("main form button.primary").last)
    clock.advance(WEEK)
    page.goto(f"{site}/p/{proof(app, clock())}?lang={language}")
    notice = page.get_by_role("complementary")
    assert "2026" in notice.inner_text()
    assert notice.get_by_role("link").is_visible()
    assert not page.locator("#topics-offers").is_checked()
    assert overflow(page) == []
    assert small_targets(page) == []
    assert violations(page) == []


@pytest.mark.parametrize("width", [360, 1200])
def test_a_topic_that_ends_is_kept_and_unsaved_choices_survive_another_language(
    app: Flask, site: str, page: Page, clock: Clock, width: int
) -> None:
    asks = VERSIONS.replace("reconsent = true", "reconsent = true\nask_from = 2026-11-24")
    put_in_force(app, CATALOGUE + VERSIONS)
    page.set_viewport_size({"width": width, "height": 900})
    clock.advance(-WEEK)  # agreed to before the coming version was asked for
    page.goto(f"{site}/p/{proof(app, clock())}")
    page.locator("label[for=topics-offers]").click()
    press(page.locator("main form button.primary").last)
    clock.advance(WEEK)
    put_in_force(app, CATALOGUE + asks)
    page.goto(f"{site}/p/{proof(app, clock())}")
    page.locator("label[for=topics-digest]").click()
    page.get_by_text("English", exact=True).first.click()
    press(page.get_by_role("button", name="Italiano"))
    assert not page.locator("#topics-digest").is_checked()  # not saved, and not lost
    keep = page.get_by_role("button", name="Mantieni:")
    assert keep.is_visible()
    if shots := os.environ.get("SHOTS"):
        page.screenshot(path=f"{shots}/keep-{width}.png", full_page=True)
        page.get_by_text("Italiano", exact=True).first.click()
        page.screenshot(path=f"{shots}/menu-{width}.png")
        page.get_by_text("Italiano", exact=True).first.click()
    assert overflow(page) == []
    assert small_targets(page) == []
    assert violations(page) == []
    page.locator("#topics-digest").focus()
    page.keyboard.press("Enter")  # in a field, it saves: the first button is no language
    page.wait_for_url("**result=**")
    assert keep.is_visible()
    press(keep)
    assert "Continuerà a ricevere" in page.get_by_role("status").inner_text()
    assert keep.count() == 0
    assert not page.locator("#topics-digest").is_checked()
    assert violations(page) == []
