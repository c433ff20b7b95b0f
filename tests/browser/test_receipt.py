"""From the link in a mail to the receipt: by keyboard, by eye, on paper, in every language."""

# ruff: noqa: F401, F811 - fixtures of the package are imported by name

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from preference_center.integrations.base.contract import PushOutcome, PushResult
from tests.browser.axe import violations
from tests.browser.pressing import press
from tests.browser.test_accessibility import LOOKS
from tests.clock import Clock
from tests.destinations.connected import connect, push
from tests.destinations.tool import Hook, Tool
from tests.ledger.tables import Ledger
from tests.web.pages.demo import put_in_force
from tests.web.pages.fixtures import MakeToken, app, ledger, make_token
from tests.web.pages.visits import proof

if TYPE_CHECKING:
    from flask import Flask
    from playwright.sync_api import Browser, Locator, Page


TOPIC = "cascina.newsletter"
TABS = 40


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of the narrowest phone, without JavaScript."""
    context = browser.new_context(
        java_script_enabled=False,
        viewport={"width": 320, "height": 640},
        locale="en-GB",
        accept_downloads=True,
    )
    yield context.new_page()
    context.close()


@pytest.fixture
def mailed(app: Flask, clock: Clock, tmp_path: Path) -> str:
    """The path of the unsubscribe link in a mail of the demo, captured."""
    from dev.demo import mails
    from dev.demo.files import Files

    put_in_force(app, clock)
    with app.app_context():
        return urlsplit(mails.capture(Files(tmp_path)).unsubscribe_url).path


def tab_to(page: Page, wanted: Locator) -> None:
    """Press Tab until this has the focus, as who uses no mouse does."""
    handle = wanted.element_handle()
    for _ in range(TABS):
        page.keyboard.press("Tab")
        if page.locator("*:focus").count() and handle.evaluate("e => e.matches(':focus')"):
            return
    pytest.fail("no press of Tab gets there")


def test_the_whole_way_by_keyboard_alone(
    app: Flask, page: Page, site: str, mailed: str, ledger: Ledger
) -> None:  # C8: 2.1.1
    from playwright.sync_api import expect

    number = connect(app, "email-tool", {TOPIC})
    page.goto(f"{site}{mailed}")
    tab_to(page, page.get_by_role("button", name="Unsubscribe"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("You are unsubscribed")
    page.wait_for_load_state()  # the result takes the focus
    push(app, number, Tool())
    tab_to(page, page.get_by_role("link", name="Track my unsubscribe request"))
    page.keyboard.press("Enter")
    page.wait_for_url(f"{site}/w/**")
    expect(page.locator("main")).to_contain_text("The farm journal")
    steps = page.locator(".timeline").get_by_role("listitem")
    expect(steps.first).to_contain_text("Received")
    expect(steps.last).to_contain_text("Done in every system that sends it.")
    reference = page.locator("code").inner_text()
    tab_to(page, page.get_by_role("link", name="Download the receipt"))
    with page.expect_download() as downloading:
        page.keyboard.press("Enter")
    assert downloading.value.suggested_filename == f"opt-out-{reference}.json"
    receipt = json.loads(Path(downloading.value.path()).read_text(encoding="utf-8"))
    assert receipt["opt_outs"][0]["reference"] == reference
    assert receipt["completion"]["state"] == "done"
    assert ledger.kinds()[-1] == ("opted_out", TOPIC)


def show_all_paces(app: Flask, clock: Clock, token: str, page: Page, site: str) -> None:
    """Opt out where tools confirm, refuse, are paused, unknowing, late and unconcerned."""
    put_in_force(app, clock)
    done = connect(app, "crm", {TOPIC})
    refusing = connect(app, "email-tool", {TOPIC})
    unknowing = connect(app, "shop", {TOPIC})
    connect(app, "old-crm", {TOPIC}, status="paused")
    connect(app, "slow", {TOPIC})
    connect(app, "elsewhere", {"bottega.similar_products"})
    page.goto(f"{site}/u/{token}")
    press(page.locator("main button[value=this]"))
    press(page.locator("main button[value=all]"))
    push(app, done, Tool())
    for number, result in ((refusing, PushResult.REFUSED), (unknowing, PushResult.ABSENT)):
        push(app, number, Tool(before=answering(result)))


def answering(result: PushResult) -> Hook:
    return lambda batch: {item.ref: PushOutcome(result) for item in batch}


@pytest.mark.parametrize("scheme, language", LOOKS)
def test_the_page_has_no_violation_in_any_language(
    browser: Browser, site: str, app: Flask, clock: Clock, make_token: MakeToken, scheme: str,
    language: str,
) -> None:  # C8  # fmt: skip
    context = browser.new_context(
        color_scheme="dark" if scheme == "dark" else "light",
        viewport={"width": 320, "height": 640},
    )
    page = context.new_page()
    token = make_token(scope=TOPIC)
    empty = make_token("nobody@example.com", scope=TOPIC)
    show_all_paces(app, clock, token, page, site)
    every = {"forwarded": token, "proven": proof(app, clock()), "nothing": empty}
    found: dict[str, list[str]] = {}
    for name, shown in every.items():
        page.goto(f"{site}/w/{shown}?lang={language}")
        found[name] = violations(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 320  # 1.4.10 reflow
    context.close()
    assert {name: rules for name, rules in found.items() if rules} == {}


def test_on_paper_it_is_a_receipt_and_no_more(
    app: Flask, page: Page, site: str, clock: Clock, make_token: MakeToken
) -> None:
    from playwright.sync_api import expect

    token = make_token(scope=TOPIC)
    show_all_paces(app, clock, token, page, site)
    page.goto(f"{site}/w/{proof(app, clock())}")
    page.emulate_media(media="print", color_scheme="dark")
    expect(page.locator("code").first).to_be_visible()
    expect(page.get_by_text("Done on").first).to_be_visible()
    for hidden in ("nav", ".screen"):
        expect(page.locator(hidden).first).to_be_hidden()
    assert page.locator("body").evaluate("e => getComputedStyle(e).color") == "rgb(0, 0, 0)"
    paper = page.locator(".sheet").evaluate("e => getComputedStyle(e).backgroundColor")
    assert paper == "rgb(255, 255, 255)"
