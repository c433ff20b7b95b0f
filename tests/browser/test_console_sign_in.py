"""Staff set a password, sign in by it or at a provider on another site, and sign out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyotp
import pytest

from preference_center.core.staff import Role
from preference_center.infra.context import services
from preference_center.web.console import accounts
from tests.browser.axe import violations
from tests.browser.pressing import press
from tests.web.console.accounts import PASSWORD, quick_hashes
from tests.web.console.sign_ins import trusting
from tests.web.console.test_real_provider import issuer, put_user

if TYPE_CHECKING:
    from flask import Flask
    from playwright.sync_api import Browser, Page

    from tests.clock import Clock

__all__ = ["issuer", "quick_hashes"]

# The provider uses Authlib's former module for JWTs.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def check(page: Page) -> None:
    """The page fits a phone, and has no fault that axe-core finds."""
    page.wait_for_load_state()  # a press does not wait for the next page's styles
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390, page.url
    assert violations(page) == []
    page.set_viewport_size({"width": 1280, "height": 800})


def test_somebody_comes_back_from_the_providers_site_signed_in(
    browser: Browser, app: Flask, site: str, issuer: str, clock: Clock
) -> None:
    clock.now = datetime.now(UTC)
    put_user(issuer, "leads")
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    with trusting(app, issuer, console_url=site):
        with app.app_context():
            accounts.create_account("eve", [Role.SUPPORT, Role.OPERATOR], "cli:grace")
            accounts.create_account("bob", [Role.COMPLIANCE], "cli:grace")
            accounts.change_account("bob", "cli:grace", disabled=True)
        page.goto(f"{site}/console/staff")
        check(page)
        clock.now = datetime.now(UTC)  # the provider's; a token of the future is refused
        page.click("text=Sign in with your company’s account")
        page.wait_for_url(f"{issuer}/**")  # another site: the cookie is Lax
        page.fill("input[name=sub]", "u-1")
        page.click("button >> nth=0")
        page.wait_for_url(f"{site}/console/staff")
        assert "this one" in page.inner_text("main")
        check(page)
        page.click("text=eve")
        page.wait_for_url("**/accounts/*")
        check(page)
        page.uncheck("input[value=operator]")
        page.click("text=Change the roles")
        check(page)
        page.click("main button.danger")
        page.wait_for_url("**/accounts/*")
        assert "operator" not in page.inner_text("main .facts")
        page.click("nav.menu >> text=Audit")
        page.wait_for_url("**/console/audit")
        assert "staff.account_changed" in page.inner_text("main")
        check(page)
        page.click("header >> text=Sign out")
        page.wait_for_url("**/sign-in/out")
        check(page)
        page.click("text=Sign out there, too")
        page.wait_for_url(f"{issuer}/**")
        page.goto(f"{site}/console/staff")
        assert "/console/sign-in" in page.url
    context.close()


def test_a_new_account_is_set_up_and_signed_in_to(
    browser: Browser, app: Flask, site: str, quick_hashes: None, clock: Clock
) -> None:
    with app.app_context():
        token = accounts.create_account("eve", [Role.COMPLIANCE], "cli:grace")
        start = services().now()
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.goto(f"{site}/console/enrol/{token}")
    check(page)
    totp = pyotp.TOTP(page.inner_text("main form p > code").replace(" ", ""))
    page.fill("#password", PASSWORD)
    page.fill("#repeated", PASSWORD)
    page.fill("#code", totp.at(start))
    press(page.locator("main form button"))
    recovery_code = page.locator("main .codes code").first.inner_text()
    check(page)
    page.goto(f"{site}/console/audit?action=staff.enrolled")
    page.fill("#name", "eve")
    page.fill("#password", PASSWORD)
    page.fill("#code", "000000")
    page.click("main form button")
    check(page)
    page.fill("#password", PASSWORD)
    page.fill("#code", recovery_code)
    page.click("main form button")
    page.wait_for_url(f"{site}/console/audit?action=staff.enrolled")
    assert "console:eve" in page.inner_text("main")
    page.click("header >> text=eve")
    page.wait_for_url("**/console/sessions")
    check(page)
    context.close()
