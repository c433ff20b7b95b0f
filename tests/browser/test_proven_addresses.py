"""A mailbox and a phone number on one page, both proven, as a person with a phone sees it."""

# ruff: noqa: F401, F811 - fixtures of the package are imported by name

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from preference_center.core.addresses import mask_address
from preference_center.core.links.tokens import TokenPurpose
from tests.browser.axe import violations
from tests.browser.pressing import press, press_twice
from tests.browser.revisiting import assert_holds, posting_nothing
from tests.browser.test_pages import over_http
from tests.clock import Clock
from tests.ledger.tables import Ledger
from tests.recipients.pages.test_proven_addresses import MAILBOX, PHONE, one_time
from tests.web.pages.fixtures import app, ledger

if TYPE_CHECKING:
    from flask import Flask
    from playwright.sync_api import Page


def test_each_section_is_saved_for_its_own_address_and_the_page_stays_whole(
    app: Flask, page: Page, site: str, clock: Clock, ledger: Ledger, over_http: None
) -> None:
    mailbox, phone = (one_time(app, clock, each, TokenPurpose.PORTAL) for each in (MAILBOX, PHONE))
    page.set_viewport_size({"width": 320, "height": 800})
    page.goto(f"{site}/portal/{mailbox}?{urlencode({'also': phone})}")
    headings = page.get_by_role("heading", level=2).all_inner_texts()
    assert [each for each in headings if ":" in each] == [
        f"Email: {mask_address(MAILBOX)}",
        f"Text messages: {mask_address(PHONE)}",
    ]
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 320

    clock.advance(timedelta(minutes=1))
    page.get_by_role("checkbox", name="Text alerts").check()
    press(page.get_by_role("button", name=f"Save for {mask_address(PHONE)}"))
    assert "Turned on: Text alerts" in page.get_by_role("status").inner_text()
    assert page.get_by_role("checkbox", name="Text alerts").is_checked()
    assert page.get_by_role("checkbox", name="Weekly digest").is_checked()
    assert ledger.kinds() == [("opted_in", "alerts")]
    assert violations(page) == []


def result(page: Page) -> str:
    """What was done; the paragraph before names the address."""
    return page.locator("#result p").nth(1).inner_text()


def test_a_result_survives_all_that_a_browser_can_do_to_it(
    app: Flask, page: Page, site: str, clock: Clock, ledger: Ledger, over_http: None
) -> None:  # I7, I9
    mailbox, phone = (one_time(app, clock, each, TokenPurpose.PORTAL) for each in (MAILBOX, PHONE))
    page.goto(f"{site}/portal/{phone}?{urlencode({'also': mailbox})}")
    form = page.url
    page.reload()  # the portal link works once, the page to which it led goes on
    clock.advance(timedelta(minutes=1))
    page.get_by_role("checkbox", name="Weekly digest").uncheck()
    press_twice(page.get_by_role("button", name=f"Save for {mask_address(MAILBOX)}"))
    assert_holds(page, result, "Turned off: Weekly digest", "Disattivato: Riassunto")
    assert_both_are_shown(page, digest=False, alerts=False)
    assert ledger.kinds() == [("opted_out", "digest")]
    with posting_nothing(page):
        page.go_back()  # to the form, which is read again
        assert page.url == form
        assert_both_are_shown(page, digest=False, alerts=False)
        page.go_forward()

    clock.advance(timedelta(minutes=1))
    page.get_by_role("checkbox", name="Text alerts").check()
    press_twice(page.get_by_role("button", name=f"Save for {mask_address(PHONE)}"))
    assert_holds(page, result, "Turned on: Text alerts", "Attivato: Avvisi")
    page.go_back()  # to the result before, whose undo is still owed
    assert result(page) == "Turned off: Weekly digest"
    press_twice(page.get_by_role("button", name="Undo"))
    assert_holds(page, result, "As before: Weekly digest", "Come prima: Riassunto")
    assert_both_are_shown(page, digest=True, alerts=True)
    assert [kind for kind, _ in ledger.acts()] == ["opted_out", "opted_in", "retracted"]
    address_ids = {event["kind"]: event["address_id"] for event in ledger.events()}
    assert address_ids["retracted"] == address_ids["opted_out"] != address_ids["opted_in"]


def assert_both_are_shown(page: Page, *, digest: bool, alerts: bool) -> None:
    assert page.get_by_role("checkbox", name="Weekly digest").is_checked() is digest
    assert page.get_by_role("checkbox", name="Text alerts").is_checked() is alerts
