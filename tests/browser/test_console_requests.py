"""A data-subject request in the console, from a call to its answer by two people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from preference_center.core.staff import Role
from tests.browser.axe import violations
from tests.browser.pressing import press
from tests.in_force import CATALOGUE, put_in_force
from tests.rights.emails.test_texts import CONTROLLER
from tests.web.console.staff import CSRF, cookie_of, staff

if TYPE_CHECKING:
    from flask import Flask
    from playwright.sync_api import Browser, Page


def open_console(browser: Browser, app: Flask, site: str, role: Role, name: str) -> Page:
    """The browser of somebody who has signed in."""
    context = browser.new_context(base_url=site, viewport={"width": 1280, "height": 800})
    token = staff(app, role, name=name).token
    value = cookie_of(app, {"csrf_token": CSRF, "staff": token})
    context.add_cookies([{"name": "console", "value": value, "url": f"{site}/console"}])
    return context.new_page()


def check(page: Page) -> None:
    """The page fits a phone, and has no fault that axe-core finds."""
    page.wait_for_load_state()  # a press does not wait for the next page's styles
    page.set_viewport_size({"width": 390, "height": 800})
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 390, page.url
    assert violations(page) == []
    page.set_viewport_size({"width": 1280, "height": 800})


def test_a_call_is_recorded_and_two_people_erase(browser: Browser, app: Flask, site: str) -> None:
    put_in_force(app, CATALOGUE + CONTROLLER)
    grace = open_console(browser, app, site, Role.SUPPORT, "grace")
    grace.goto("/console/requests")
    check(grace)
    grace.click("text=Open a request")
    grace.fill("#address", "ada@example.com")
    grace.select_option("#reason", "called")
    check(grace)
    grace.click("text=Continue")
    grace.select_option("#kind", "erase")
    grace.select_option("#extent", "account")
    grace.select_option("#via", "phone")
    grace.fill("#text", "Please <b>forget</b> me")
    check(grace)
    grace.click("main button.primary")
    check(grace)
    grace.click("text=Ask for proof, or confirm identity")
    grace.select_option("#result", "confirmed")
    grace.select_option("#proof", "recent_dealings")
    grace.check("text=Last order")
    check(grace)
    grace.click("main button.primary")
    press(grace.locator("text=Read what was written"))
    assert grace.inner_text("main pre") == "Please <b>forget</b> me"
    grace.click("text=Propose to erase")
    check(grace)
    press(grace.locator("main button.danger"))
    assert "This is your own proposal" in grace.inner_text("main")
    reference = grace.title().partition(" ")[0]

    ada = open_console(browser, app, site, Role.COMPLIANCE, "ada")
    ada.goto("/console/requests")
    assert "waits for a second person" in ada.inner_text("main")
    check(ada)
    ada.click(f"text={reference}")
    ada.click("text=Decide so")
    press(ada.locator("main button.danger"))
    assert "nobody any more" in ada.inner_text("main")
    check(ada)
    for path in ("closed", "tasks", "holds", "holds/place", "minors"):
        ada.goto(f"/console/requests/{path}")
        check(ada)
    grace.context.close()
    ada.context.close()
