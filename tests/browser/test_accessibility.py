"""axe-core finds nothing wrong with any page, in any language, in light or dark (C8).

Dark pages are looked at in one language: colours depend on none.
"""

# ruff: noqa: F401, F811 - fixtures of the package are imported by name

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from preference_center.web.emails import render_email
from preference_center.web.languages import LANGUAGES
from tests.browser.axe import violations
from tests.browser.layout import overflow, small_targets
from tests.browser.pressing import press
from tests.clock import Clock
from tests.infra.mailing import give_mail_server, link_in, queued_emails
from tests.web.pages.demo import put_in_force
from tests.web.pages.fixtures import MakeToken, app, make_token

if TYPE_CHECKING:
    from flask import Flask
    from playwright.sync_api import Browser, Page


LOOKS = [("light", language) for language in LANGUAGES] + [("dark", "en")]


@pytest.fixture(params=["light", "dark"])
def page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    """A page on a phone's screen."""
    context = browser.new_context(
        color_scheme=request.param, viewport={"width": 360, "height": 740}
    )
    yield context.new_page()
    context.close()


@pytest.mark.parametrize("page, language", LOOKS, indirect=["page"])
def test_no_page_has_a_violation(
    page: Page, site: str, app: Flask, clock: Clock, make_token: MakeToken, language: str
) -> None:
    put_in_force(app, clock)
    token, switch = make_token(scope="cascina.newsletter"), f"?lang={language}"
    found: dict[str, list[str]] = {}

    def look(name: str) -> None:
        assert page.locator("html").get_attribute("lang") == language
        found[name] = violations(page)

    page.goto(f"{site}/u/{token}{switch}")
    look("unsubscribe")
    press(page.locator("main button[value=this]"))
    look("done")
    press(page.locator("#result button"))
    look("undone")
    press(page.locator("main button[value=this]"))
    clock.advance(timedelta(hours=1))
    press(page.locator("#result button"))
    look("too late")
    page.goto(f"{site}/u/{token}{switch}")
    look("already unsubscribed")
    page.goto(f"{site}/p/{token}{switch}")
    look("preferences")
    press(page.locator("main form button").last)
    look("preferences, saved")
    page.goto(f"{site}/p/{make_token(age=timedelta(days=90))}{switch}")
    look("preferences by an old link")
    page.goto(f"{site}/u/{make_token(scope='all_marketing')}{switch}")
    look("unsubscribe from all")
    press(page.locator("main button[value=this]"))
    press(page.locator("main section").last.locator("button"))
    look("thanks, or no reason")
    page.goto(f"{site}/u/broken{switch}")
    look("unreadable")
    page.goto(f"{site}/nowhere{switch}")
    look("fault")
    assert {name: rules for name, rules in found.items() if rules} == {}


@pytest.mark.parametrize("page, language", LOOKS, indirect=["page"])
def test_no_page_of_a_confirmation_has_a_violation(
    page: Page, site: str, app: Flask, clock: Clock, make_token: MakeToken, language: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    put_in_force(app, clock)
    give_mail_server(app, monkeypatch)
    found: dict[str, list[str]] = {}
    page.set_extra_http_headers({"Sec-GPC": "1"})
    page.goto(f"{site}/p/{make_token(scope='cascina.newsletter')}?lang={language}")
    page.locator("input[value='cascina.offers']").check()
    page.locator("input[name='pause:all_marketing'][value='30']").check()
    page.locator("form summary").click()
    found["preferences"] = violations(page)
    press(page.locator("main form button").last)
    found["preferences, paused"] = violations(page)
    (email,) = queued_emails(app)
    clock.advance(timedelta(minutes=1))
    page.goto(f"{site}{link_in(email)}?lang={language}")
    found["confirm"] = violations(page)
    press(page.locator("main button"))
    found["confirmed"] = violations(page)
    clock.advance(timedelta(days=8))
    page.goto(f"{site}{link_in(email)}?lang={language}")
    found["too late to confirm"] = violations(page)
    assert {name: rules for name, rules in found.items() if rules} == {}


@pytest.mark.parametrize("page, language", LOOKS, indirect=["page"])
def test_no_page_of_an_email_that_anybody_can_cause_has_a_violation(
    page: Page, site: str, app: Flask, clock: Clock, language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_in_force(app, clock)
    give_mail_server(app, monkeypatch)
    found: dict[str, list[str]] = {}
    page.goto(f"{site}/form?lang={language}")
    page.locator("#address").fill("ada")
    press(page.locator("main form button"))
    found["wrong address"] = violations(page)
    page.locator("#address").fill("ada@example.com")
    press(page.locator("main form button"))
    found["requested"] = violations(page)
    (email,) = queued_emails(app)
    with app.app_context():
        html = render_email(email, clock()).get_body(("html",))
    assert html
    reader = page.context.new_page()  # whose policy lets the styles of an email count
    reader.set_content(html.get_content())
    stop = urlsplit(reader.locator("a[href*='/emails/']").get_attribute("href") or "").path
    found["the email"] = violations(reader)
    page.goto(f"{site}{stop}?lang={language}")
    found["stop"] = violations(page)
    press(page.locator("main form button"))
    found["stopped"] = violations(page)
    page.reload()
    press(page.locator("main form button"))
    found["allowed"] = violations(page)
    assert {name: rules for name, rules in found.items() if rules} == {}


def test_the_page_of_our_own_cookies_has_no_violation_and_fits(
    page: Page, site: str, app: Flask, clock: Clock
) -> None:
    put_in_force(app, clock)
    page.goto(f"{site}/cookies?lang=de")
    page.set_viewport_size({"width": 320, "height": 600})
    assert violations(page) + overflow(page) + small_targets(page) == []


@pytest.mark.parametrize("width", [320, 650, 1280])
def test_the_reference_of_the_api_has_no_violation_and_fits(
    page: Page, site: str, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 740})
    page.goto(f"{site}/v1/docs")
    assert violations(page) == []
    wider = "[...document.querySelectorAll('*')].filter(e => e.scrollWidth > e.clientWidth + 1"
    assert page.evaluate(f"{wider} && getComputedStyle(e).overflowX !== 'visible').length") == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width  # 1.4.10 reflow


def test_axe_core_would_find_what_is_wrong(page: Page, site: str) -> None:
    page.goto(f"{site}/u/broken")
    page.locator("html").evaluate("html => { html.removeAttribute('lang') }")
    page.locator("h1").evaluate("h1 => { h1.style.color = '#999'; h1.style.background = '#aaa' }")
    found = "\n".join(violations(page))
    assert "html-has-lang" in found
    assert "color-contrast" in found
