"""What pages say of a new privacy policy: readable on a small screen, and clean for axe."""

from __future__ import annotations

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
