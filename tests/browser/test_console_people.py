"""Support at work in a real browser: find a person, read, record what they say, see it arrive."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

import pyotp
import pytest

from preference_center.core.staff import Role
from preference_center.infra.context import services
from preference_center.web.console import accounts
from tests.browser.axe import violations
from tests.browser.pressing import press
from tests.contacts.console.people import ADA, say
from tests.destinations.connected import connect, push
from tests.destinations.tool import Tool
from tests.in_force import put_in_force
from tests.web.console.accounts import PASSWORD, quick_hashes

if TYPE_CHECKING:
    from flask import Flask
    from playwright.sync_api import Browser, Page

    from tests.clock import Clock

__all__ = ["quick_hashes"]


OFFERS = "acme.offers"


@pytest.fixture(params=[(390, "dark"), (1280, "light")], ids=["phone", "desktop"])
def page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    """A phone, and a desk. The pages have no script; axe is one."""
    width, scheme = request.param
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 800})
    yield context.new_page()
    context.close()


@pytest.fixture
def recovery_code(app: Flask, monkeypatch: pytest.MonkeyPatch, quick_hashes: None) -> str:
    """A code that grace of support signs in with."""
    monkeypatch.setitem(app.config, "SESSION_COOKIE_SECURE", False)  # the test's site has no TLS
    put_in_force(app)
    with app.app_context():
        token = accounts.create_account("grace", {Role.SUPPORT}, "cli:test")
        enrolment = accounts.find_enrolment(token)
        assert enrolment
        authenticator = pyotp.parse_uri(enrolment.totp_uri)
        assert isinstance(authenticator, pyotp.TOTP)
        return accounts.enrol(token, PASSWORD, authenticator.at(services().now()))[0]


def sign_in(page: Page, site: str, code: str) -> None:
    page.goto(f"{site}/console/")
    page.get_by_label("Name").fill("grace")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_label("Code").fill(code)
    press(page.get_by_role("button", name="Sign in"))


def check(page: Page) -> None:
    """Every page: axe is content, and nothing but tables is wider than the screen."""
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")  # tables scroll


def test_an_opt_out_by_phone_is_recorded_and_seen_to_arrive(
    app: Flask, clock: Clock, site: str, page: Page, recovery_code: str
) -> None:
    from playwright.sync_api import expect

    hubspot, tool = connect(app, "hubspot", {OFFERS}), Tool()
    sign_in(page, site, recovery_code)
    check(page)
    expect(page.locator("#who")).to_be_focused()  # type at once
    page.keyboard.type(ADA.exact)
    page.keyboard.press("Tab")
    page.keyboard.type("They")  # all that is typed within 1 s selects an option
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_text("Nothing is recorded about this address.").wait_for()
    check(page)
    page.get_by_role("link", name="Record what the person says").click()
    check(page)
    page.get_by_role("button", name="Show what it will do").click()
    page.get_by_text("within seconds, while the tool is up").wait_for()
    check(page)
    expect(page.get_by_role("button", name="Record", exact=True)).to_be_focused()
    page.keyboard.press("Enter")
    page.get_by_text("It is recorded.").wait_for()
    page.get_by_text("pending; due by 27 Nov 2026, 10:00").wait_for()
    clock.advance(timedelta(seconds=20))
    push(app, hubspot, tool)
    assert tool.off == {ADA.exact: {OFFERS}}
    page.reload()
    page.get_by_text("confirmed, 24 Nov 2026, 10:00").wait_for()
    check(page)
    page.get_by_role("link", name="Send a link").click()
    check(page)


def test_whether_an_opt_out_of_tuesday_reached_hubspot_takes_four_clicks(
    app: Flask, clock: Clock, site: str, page: Page, recovery_code: str
) -> None:
    hubspot = connect(app, "hubspot", {OFFERS})
    connect(app, "mailer", {OFFERS, "acme.news"})
    say(app)
    clock.advance(timedelta(minutes=2))
    push(app, hubspot, Tool())
    clock.advance(timedelta(days=2))
    for _ in range(60):
        say(app, scope="acme.news")
    sign_in(page, site, recovery_code)
    page.get_by_label("Email address").fill(ADA.exact)
    page.get_by_label("Why do you look").select_option("They called")  # 1
    press(page.get_by_role("button", name="Find"))  # 2
    page.get_by_label("Tool").select_option("hubspot")  # 3
    page.get_by_label("Day").fill("2026-11-24")
    press(page.get_by_role("button", name="Filter"))  # 4
    (row,) = page.get_by_role("row").filter(has_text="Opted out: all marketing").all()
    assert "hubspot: confirmed, 24 Nov 2026, 10:02" in row.inner_text()
    assert "by phone" in row.inner_text()
