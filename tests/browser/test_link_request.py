"""From the form to the page in a real browser: type an address, open the mail, press, choose."""

# ruff: noqa: F401, F811 - fixtures of the package are imported by name

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from preference_center.web.emails import stop_url
from preference_center.web.languages import LANGUAGES
from tests.browser.axe import violations
from tests.browser.pressing import press, press_twice
from tests.clock import Clock
from tests.infra.emails import outgoing_email
from tests.infra.mailing import give_mail_server, link_in, queued_emails
from tests.ledger.tables import Ledger
from tests.web.pages.fixtures import app, ledger

if TYPE_CHECKING:
    from flask import Flask
    from playwright.sync_api import Browser, Page


@pytest.fixture(autouse=True)
def _mail(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    give_mail_server(app, monkeypatch)
    monkeypatch.setitem(app.config, "SESSION_COOKIE_SECURE", False)  # the test's site has no TLS


@pytest.fixture(params=[(320, "dark", False), (1024, "light", True)], ids=["phone", "desktop"])
def page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    """A phone without JavaScript, and a desktop with it."""
    width, scheme, script = request.param
    context = browser.new_context(
        java_script_enabled=script, color_scheme=scheme, viewport={"width": width, "height": 640}
    )
    yield context.new_page()
    context.close()


def test_who_stops_such_emails_can_go_back_reload_and_allow_them_again(
    page: Page, site: str, app: Flask, clock: Clock
) -> None:
    with app.app_context():
        url = stop_url(outgoing_email(unproven=True, language="en"), None, clock())
    page.goto(f"{site}{urlsplit(url).path}?lang=en")
    press_twice(page.get_by_role("button", name="Don’t send me these emails"))
    assert page.url.endswith("#result")
    assert "December" in page.get_by_role("status").inner_text()
    page.reload()
    assert page.get_by_role("heading", name="We won’t send you these emails").is_visible()
    page.go_back()
    page.go_forward()
    page.get_by_role("group").click()
    press(page.get_by_role("link", name="Italiano"))
    assert page.get_by_role("heading", name="Non le invieremo").is_visible()
    press(page.get_by_role("button", name="Consenti di nuovo"))
    assert "Di nuovo consentito" in page.get_by_role("status").inner_text()


@pytest.mark.parametrize("path", ["form", "rights/access", "rights/object", "rights/minor"])
def test_an_address_that_is_none_moves_the_focus_to_the_error(
    page: Page, site: str, path: str
) -> None:
    from playwright.sync_api import expect

    page.goto(f"{site}/{path}?lang=en")
    page.locator("#address").fill("jane.doe")
    page.keyboard.press("Enter")
    expect(page.locator("#problem")).to_be_focused()
    expect(page).to_have_title(re.compile("^Error:"))


def test_the_page_of_a_broken_link_moves_the_focus_to_what_is_wrong(page: Page, site: str) -> None:
    from playwright.sync_api import expect

    page.goto(f"{site}/u/broken?lang=en")
    expect(page.locator("#problem")).to_be_focused()


def test_a_person_without_a_link_gets_to_their_choices(
    page: Page, site: str, app: Flask, ledger: Ledger, clock: Clock
) -> None:
    from playwright.sync_api import expect

    page.goto(site)
    page.get_by_label("Your email address").fill("jane.doe@example.com")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("a link is on its way")
    (email,) = queued_emails(app)
    page.goto(f"{site}{link_in(email)}")
    assert ledger.events() == []
    press(page.get_by_role("button", name="Open my choices"))
    page.wait_for_url(f"{site}/p/**")
    clock.advance(timedelta(minutes=1))
    page.get_by_role("checkbox", name="Offers").check()
    page.get_by_role("checkbox", name="Weekly digest").uncheck()
    press(page.get_by_role("button", name="Save"))
    assert "Saved" in page.get_by_role("status").inner_text()
    assert ledger.kinds() == [("opted_out", "digest"), ("opted_in", "offers")]
    page.go_back()
    page.goto(f"{site}{link_in(email)}")
    clock.advance(timedelta(minutes=5))
    press(page.get_by_role("button", name="Open my choices"))
    assert page.get_by_role("heading", level=1).inner_text() == "This link has expired"
    press(page.get_by_role("button", name="Email me a new link"))
    assert "a link is on its way" in page.get_by_role("status").inner_text()
    assert [email.recipient.exact for email in queued_emails(app)] == ["jane.doe@example.com"] * 2


def test_another_site_can_not_press_the_button(page: Page, site: str, app: Flask) -> None:
    fields = '<input name="address" value="jane.doe@example.com"><button>Win a prize</button>'
    form = f'<form method="post" action="{site}/form">{fields}</form>'
    page.route("https://evil.example/", lambda route: route.fulfill(
        body=form, content_type="text/html"
    ))  # fmt: skip
    page.goto("https://evil.example/")
    press(page.get_by_role("button"))
    assert "Another website sent this form" in page.get_by_role("alert").inner_text()
    assert queued_emails(app) == []
    press(page.get_by_role("button", name="Email me a link"))  # now it is our own
    assert len(queued_emails(app)) == 1


@pytest.fixture
def phone(browser: Browser) -> Iterator[Page]:
    """A page on a phone's screen, with JavaScript, since axe-core is JavaScript."""
    context = browser.new_context(viewport={"width": 320, "height": 640})
    yield context.new_page()
    context.close()


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_page_on_the_way_has_a_violation_or_is_too_wide(
    phone: Page, site: str, app: Flask, clock: Clock, language: str
) -> None:  # C8
    switch = f"?lang={language}"
    found: dict[str, list[str]] = {}

    def look(name: str) -> None:
        assert phone.locator("html").get_attribute("lang") == language
        found[name] = violations(phone)
        assert phone.evaluate("document.documentElement.scrollWidth") == 320

    phone.goto(f"{site}/form{switch}")
    look("form")
    phone.locator("#address").fill("nobody")
    press(phone.locator("main button").first)
    look("not an address")
    phone.locator("#address").fill("jane.doe@example.com")
    press(phone.locator("main button").first)
    look("on its way")
    path = link_in(queued_emails(app)[0])
    phone.goto(f"{site}{path}{switch}")
    look("button")
    clock.advance(timedelta(days=2))
    press(phone.locator("main button").first)
    look("expired")
    phone.goto(f"{site}/m/broken{switch}")
    look("unreadable")
    assert {name: rules for name, rules in found.items() if rules} == {}
