"""A person's life on the pages of rights in a real browser, with and without JavaScript."""

# ruff: noqa: F401, F811 - fixtures of the package are imported by name

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4
from zipfile import ZipFile

import pytest

from preference_center.contacts import upsert_contacts
from preference_center.contacts.rules.contact import ContactUpdate
from preference_center.core.addresses import Channel, parse_address
from preference_center.core.links.tokens import TokenPurpose
from preference_center.infra.context import EXTENSION_NAME
from preference_center.infra.outbox import EmailKind
from preference_center.ledger.rules import RequestOrigin
from preference_center.rights.access_file.build import build_access_file
from preference_center.rights.rules.requests import RequestState
from preference_center.web.languages import LANGUAGES
from tests.browser.axe import violations
from tests.browser.both import IN_BOTH
from tests.browser.pressing import press
from tests.clock import START, Clock
from tests.infra.mailing import give_mail_server, link_in, queued_emails
from tests.ledger.changes import add_destination
from tests.ledger.tables import Ledger
from tests.rights.pages.acts import requests_in
from tests.web.pages.fixtures import MakeToken, app, ledger, make_token, subscribed, token

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from flask import Flask
    from playwright.sync_api import Browser, Page


ADDRESS, NEW_ADDRESS = "jane.doe@example.com", "jane.roe@example.com"


@pytest.fixture(autouse=True)
def _ready(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    give_mail_server(app, monkeypatch)
    monkeypatch.setitem(app.config, "SESSION_COOKIE_SECURE", False)  # the test's site has no TLS
    with app.app_context():
        add_destination("email-tool", "digest")
        contact = ContactUpdate(addresses=(parse_address(ADDRESS, Channel.EMAIL),), locale="en")
        upsert_contacts([contact], RequestOrigin("test", "test", START))


@pytest.fixture(params=[(320, "dark", False), (1024, "light", True)], ids=["phone", "desktop"])
def page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    """A phone without JavaScript, and a desktop with it."""
    width, scheme, script = request.param
    context = browser.new_context(
        java_script_enabled=script, color_scheme=scheme, viewport={"width": width, "height": 640}
    )
    yield context.new_page()
    context.close()


class Person:
    """Jane at her browser, with her mailbox beside it."""

    def __init__(self, page: Page, site: str, app: Flask, clock: Clock) -> None:
        self.page, self.site, self._app, self._clock = page, site, app, clock

    def press(self, name: str) -> None:
        press(self.page.get_by_role("button", name=name))

    def follow(self, name: str) -> None:
        press(self.page.get_by_role("link", name=name, exact=True))

    def open_newest_mail(self, kind: EmailKind) -> None:
        emails = [email for email in queued_emails(self._app) if email.kind is kind]
        self.page.goto(f"{self.site}{link_in(emails[-1])}?lang=en")

    def prove(self, right: str) -> None:
        """From the list of rights to the page of one, by the mailed link."""
        self._clock.advance(timedelta(hours=1))
        self.page.goto(f"{self.site}/rights?lang=en")
        self.follow(right)
        self.page.get_by_label("Your email address").fill(ADDRESS)
        self.press("Email me a link")
        assert "a link is on its way" in self.status()
        self.open_newest_mail(EmailKind.RIGHTS_LINK)
        self.press("Continue")

    def sign_in(self, right: str) -> None:
        """From the company's account page, whose log-in vouches for her, to the page of a right."""
        self._clock.advance(timedelta(hours=1))
        token = token_of(self._app, self._clock, TokenPurpose.PORTAL)
        self.page.goto(f"{self.site}/portal/{token}?lang=en")
        self.follow("Your data and your rights")
        self.follow(right)

    def status(self) -> str:
        return " ".join(self.page.get_by_role("status").all_inner_texts())


@pytest.fixture
def jane(page: Page, site: str, app: Flask, clock: Clock) -> Person:
    return Person(page, site, app, clock)


@IN_BOTH
def test_a_person_sees_corrects_limits_and_deletes_and_comes_back(
    jane: Person, app: Flask, clock: Clock, ledger: Ledger, subscribed: Callable[..., Any]
) -> None:
    _see(jane, app)
    _correct(jane)
    _limit(jane, subscribed)
    _delete(jane, app)
    _come_back(jane, clock, subscribed)


def _see(jane: Person, app: Flask) -> None:
    jane.prove("See and download your data")
    jane.press("Prepare my file")
    assert "check again in a few minutes" in jane.status()
    with app.app_context():
        assert build_access_file(requests_in(app)[-1].id)
    jane.page.reload()
    with jane.page.expect_download() as download:
        jane.page.get_by_role("button", name="Download my data (ZIP)").click()
    with ZipFile(download.value.path()) as archive:
        assert ADDRESS.encode() in archive.read("data.json")


def _correct(jane: Person) -> None:
    jane.prove("Correct your data")
    jane.follow("The language that we write in")
    jane.page.get_by_label("Deutsch").check()
    jane.press("Save")
    assert "Saved." in jane.status()
    assert jane.page.get_by_label("Deutsch").is_checked()
    jane.prove("Correct your data")
    jane.follow("The address that we write to")
    jane.page.get_by_label("Your new email address").fill(NEW_ADDRESS)
    jane.press("Email me a link")
    jane.open_newest_mail(EmailKind.NEW_ADDRESS)
    jane.press("Confirm this address")
    assert "Your address is corrected" in jane.status()
    jane.open_newest_mail(EmailKind.ADDRESS_MOVED)
    jane.press("This wasn’t me")
    assert "It is undone" in jane.status()


@IN_BOTH
def test_a_person_objects_and_complains_without_a_link(
    jane: Person, subscribed: Callable[..., Any]
) -> None:
    jane.page.goto(f"{jane.site}/form")
    jane.follow("Your data and your rights")
    jane.follow("Object to marketing")
    jane.page.get_by_label("Your email address").fill(f"{ADDRESS}, jim.poe@example.com")
    jane.press("Object")
    assert "more than one email address" in jane.page.get_by_role("alert").inner_text()
    assert subscribed()
    jane.page.get_by_label("Your email address").fill(ADDRESS)
    jane.page.get_by_label("Your objection, in your own words").fill("Basta!")
    jane.press("Object")
    assert "We have stopped all marketing to this address" in jane.status()
    assert not subscribed()
    jane.follow("All your rights")
    jane.follow("Complain")
    jane.page.get_by_label("Your email address").fill(ADDRESS)
    jane.page.get_by_label("What went wrong?").fill("You called me at night.")
    jane.press("Send")
    jane.press("Withdraw the request")
    assert "You have withdrawn it." in jane.status()


@IN_BOTH
def test_another_site_can_not_object_in_a_visitors_name(
    page: Page, site: str, subscribed: Callable[..., Any]
) -> None:
    fields = f'<input name="address" value="{ADDRESS}"><button>Win a prize</button>'
    form = f'<form method="post" action="{site}/rights/object">{fields}</form>'
    page.route("https://evil.example/", lambda route: route.fulfill(
        body=form, content_type="text/html"
    ))  # fmt: skip
    page.goto("https://evil.example/")
    press(page.get_by_role("button"))
    assert "Another website sent this form" in page.get_by_role("alert").inner_text()
    assert subscribed()


def _limit(jane: Person, subscribed: Callable[..., Any]) -> None:
    assert subscribed()
    jane.sign_in("Limit what we do with your data")
    jane.press("Limit the use of my data")
    assert "It is done." in jane.status()
    assert not subscribed()
    jane.sign_in("Limit what we do with your data")
    jane.press("End the limit")
    assert "It is done." in jane.status()
    assert subscribed()


def _delete(jane: Person, app: Flask) -> None:
    jane.sign_in("Delete your data")
    jane.page.get_by_label("What marketing uses").check()
    jane.press("Continue")
    assert "What stays, and why" in jane.page.get_by_role("main").inner_text()
    jane.press("Delete now")
    assert "Done here." in jane.status()
    assert "A system that sends our messages" in jane.page.get_by_role("main").inner_text()
    assert requests_in(app)[-1].state is RequestState.DONE


def _come_back(jane: Person, clock: Clock, subscribed: Callable[..., Any]) -> None:
    jane.sign_in("Come back")
    jane.press("Come back")
    assert "You are back" in jane.status()
    assert not subscribed()
    jane.follow("Choose what you receive")
    assert jane.page.get_by_role("heading", level=1).inner_text() == "What you receive"


class Inspector:
    """Looks at one page after another, in one language."""

    def __init__(self, page: Page, site: str, language: str) -> None:
        self.page, self._site, self._language = page, site, language
        self.found: dict[str, list[str]] = {}

    def open(self, path: str, **query: str) -> None:
        more = "".join(f"&{name}={value}" for name, value in query.items())
        self.page.goto(f"{self._site}{path}?lang={self._language}{more}")
        self.look(path + more)

    def press(self, selector: str, name: str) -> None:
        press(self.page.locator(f"main {selector}").last)
        self.look(name)

    def look(self, name: str) -> None:
        assert self.page.locator("html").get_attribute("lang") == self._language
        self.found[name] = violations(self.page)
        assert self.page.evaluate("document.documentElement.scrollWidth") == 320, name  # 1.4.10


@pytest.fixture(params=[("light", language) for language in LANGUAGES] + [("dark", "en")])
def inspector(request: pytest.FixtureRequest, browser: Browser, site: str) -> Iterator[Inspector]:
    """On a phone's screen, with JavaScript, since axe-core is JavaScript."""
    scheme, language = request.param
    context = browser.new_context(color_scheme=scheme, viewport={"width": 320, "height": 640})
    yield Inspector(context.new_page(), site, language)
    context.close()


ACTS = ["access", "correct", "erase", "restrict", "close", "reopen", "object", "complaint"]


def token_of(app: Flask, clock: Clock, purpose: TokenPurpose) -> str:
    token: str = app.extensions[EXTENSION_NAME].links.create_one_time_token(
        purpose, parse_address(ADDRESS, Channel.EMAIL), uuid4(), clock()
    )
    return token


def test_no_page_has_a_violation_or_is_too_wide(
    inspector: Inspector, app: Flask, clock: Clock, token: str
) -> None:  # C8
    visit = token_of(app, clock, TokenPurpose.PAGE_VISIT)
    inspector.open("/rights")
    inspector.open(f"/rights/{visit}")
    for act in ACTS:
        inspector.open(f"/rights/{act}")
        inspector.open(f"/rights/{act}/{visit}")
    for what in ("language", "address", "words"):
        inspector.open(f"/rights/correct/{visit}", what=what)
    inspector.open(f"/rights/erase/{token}")
    inspector.press("form button", "link sent")
    path = link_in(queued_emails(app)[-1])
    inspector.open(path)
    clock.advance(timedelta(days=2))
    inspector.open(path)
    inspector.open(f"/rights/erase/{visit}")  # the visit has ended
    assert {name: rules for name, rules in inspector.found.items() if rules} == {}


def test_no_page_of_a_request_has_a_violation_or_is_too_wide(
    inspector: Inspector, app: Flask, clock: Clock
) -> None:  # C8
    visit = token_of(app, clock, TokenPurpose.PAGE_VISIT)
    inspector.open(f"/rights/access/{visit}")
    inspector.press("form button", "access asked for")
    with app.app_context():
        assert build_access_file(requests_in(app)[-1].id)
    inspector.page.reload()
    inspector.look("the file")
    inspector.open(f"/rights/restrict/{visit}")
    inspector.press("form button", "limited")
    inspector.open(f"/rights/restrict/{visit}")
    inspector.open(f"/p/{visit}")
    for extent in ("account", "marketing"):
        inspector.open(f"/rights/erase/{visit}")
        inspector.page.locator(f"#extent-{extent}").check()
        inspector.press("form button", f"{extent}: what goes and stays")
        inspector.press("form button", f"{extent}: asked for")
    inspector.open("/rights/object")
    inspector.page.locator("#address").fill("nobody")
    inspector.press("form button", "not an address")
    clock.advance(timedelta(minutes=1))
    inspector.open(f"/rights/reopen/{visit}")
    inspector.press("form button", "back")
    assert {name: rules for name, rules in inspector.found.items() if rules} == {}


def test_no_page_about_somebody_else_has_a_violation_or_is_too_wide(
    inspector: Inspector, app: Flask, clock: Clock
) -> None:  # C8
    visit = token_of(app, clock, TokenPurpose.PAGE_VISIT)
    inspector.open("/rights/agent")
    inspector.open(f"/rights/agent/{visit}")
    for name, error in (("www.example.com", "bad name"), ("Data Rights Ltd", "sent")):
        inspector.page.locator("#name").fill(name)
        inspector.page.locator("#address").fill("paul@example.org")
        inspector.page.locator("input[value=erase_account]").check()
        inspector.press("form button", error)
    path = link_in(queued_emails(app)[-1])
    inspector.open(path)
    inspector.press("button[name=confirm]", "confirmed by the person")
    clock.advance(timedelta(days=9))
    inspector.open(path)
    inspector.open("/rights/minor")
    for contact, error in (("mum", "bad contact"), ("", "reported")):
        inspector.page.locator("#address").fill("son@example.org")
        inspector.page.locator("#contact").fill(contact)
        inspector.press("form button", error)
    path = link_in(queued_emails(app)[-1])
    inspector.open(path)
    inspector.press("form button", "said to be wrong")
    assert {name: rules for name, rules in inspector.found.items() if rules} == {}
