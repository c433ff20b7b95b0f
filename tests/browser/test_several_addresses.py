"""Two mailboxes and a phone number on one page, which has no script, on a phone."""

# ruff: noqa: F401, F811 - fixtures of the package are imported by name

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING

from preference_center.core.addresses import mask_address
from tests.browser.axe import violations
from tests.browser.both import IN_BOTH
from tests.browser.layout import overflow, small_targets
from tests.browser.pressing import press
from tests.browser.test_pages import over_http
from tests.clock import Clock
from tests.ledger.tables import Ledger
from tests.recipients.pages.test_several_addresses import (
    OTHER_MAILBOX,
    SAVE,
    SAVE_OTHER,
    SAVE_PHONE,
    portal_path,
)
from tests.web.pages.fixtures import app, ledger

if TYPE_CHECKING:
    from flask import Flask
    from playwright.sync_api import Page


def ticks(page: Page) -> list[bool]:
    """Of all boxes, in the order of the page."""
    return [box.is_checked() for box in page.get_by_role("checkbox").all()]


def test_each_label_ticks_a_box_of_its_own(page: Page, site: str, app: Flask, clock: Clock) -> None:
    page.goto(site + portal_path(app, clock))
    assert (before := ticks(page)) == [True, False, True, False, False]
    for number, label in enumerate(page.locator("label.switch").all()):
        label.click(position={"x": 4, "y": 4})
        assert ticks(page) == [not was if n <= number else was for n, was in enumerate(before)]


@IN_BOTH
def test_what_is_chosen_in_every_section_stays_until_it_is_saved(
    page: Page, site: str, app: Flask, clock: Clock, ledger: Ledger, over_http: None
) -> None:  # I7, I9
    page.set_viewport_size({"width": 320, "height": 800})
    page.goto(site + portal_path(app, clock))
    shoot(page, "opened")
    clock.advance(timedelta(minutes=1))
    for number in (0, 3, 4):
        page.locator("label.switch").nth(number).click()
    chosen = [False, False, True, True, True]
    page.get_by_role("checkbox").nth(4).press("Enter")  # saves nothing, as several buttons save
    page.locator("details.languages summary").click()
    press(page.get_by_role("button", name="Italiano"))
    assert "Cosa riceve" in page.locator("h1").inner_text()
    assert ticks(page) == chosen
    page.reload()
    assert ticks(page) == chosen
    page.locator("details.languages summary").click()
    press(page.get_by_role("button", name="English"))
    assert ledger.events() == []
    for label in (SAVE_PHONE, SAVE_OTHER, SAVE):
        press(page.get_by_role("button", name=label))
        assert page.get_by_role("status").is_visible()
        assert ticks(page) == chosen
        assert overflow(page) == []
        assert small_targets(page) == []
        assert violations(page) == []
    shoot(page, "saved")
    assert ledger.kinds() == [
        ("opted_in", "alerts"),
        ("opted_in", "offers"),
        ("opted_out", "digest"),
    ]
    page.go_back()
    assert ticks(page) == chosen
    press(page.get_by_role("button", name="Stop all marketing").nth(1))  # of the other mailbox
    assert ledger.kinds()[-1] == ("opted_out", "all_marketing")
    assert ticks(page)[:1] + ticks(page)[-1:] == [False, True]  # not lost, as not stopped
    assert mask_address(OTHER_MAILBOX) in page.get_by_role("status").inner_text()
    assert overflow(page) == []
    assert violations(page) == []
    shoot(page, "stopped")
    addresses = [event["address_id"] for event in ledger.events()]
    assert addresses[-1] == addresses[1]


def shoot(page: Page, name: str) -> None:
    if shots := os.environ.get("SHOTS"):
        page.screenshot(path=f"{shots}/several-{name}.png", full_page=True)
