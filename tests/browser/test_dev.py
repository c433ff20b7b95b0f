"""The page of `make run` in a real browser."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from dev.accounts import data_folder, server_account
from dev.engines import at
from tests.dev.running import TOOLS, Run, running

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from tests.browser.both import Start

MINUTE = 60_000  # milliseconds


@pytest.fixture(scope="module")
def run(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A run that tests share. Starts only where there is a browser."""
    start("chromium")
    checkout = tmp_path_factory.mktemp("checkout")
    with running(checkout) as run:
        yield run
    folder = data_folder(checkout, server_account())
    at(folder / "run", durable=True, environ={}).stop()
    shutil.rmtree(folder)


@pytest.fixture(params=[(320, "dark"), (1280, "light")], ids=["narrow", "wide"])
def page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    """A page that must not meet a fault of script or policy."""
    width, scheme = request.param
    context = browser.new_context(
        color_scheme=scheme, viewport={"width": width, "height": 900}, reduced_motion="reduce"
    )
    page = context.new_page()
    messages: list[str] = []
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    yield page
    context.close()
    # On a busy machine a request may be refused, and the page repeats it.
    assert [each for each in messages if "a status of 503" not in each] == []


def test_one_click_flips_both_tools_while_one_watches(page: Page, run: Run) -> None:
    from playwright.sync_api import expect

    page.goto(f"{run.site}/dev")
    page.get_by_role("button", name="New recipient").click()
    cells = [page.locator(f'[data-tool="{tool}"]').first for tool in TOOLS]
    for cell in cells:
        expect(cell).to_have_text("on")
    page.get_by_role("button", name="Unsubscribe").click()
    expect(page.get_by_role("status")).to_have_text(re.compile(r"answered 20[02] in \d+ ms"))
    for cell in cells:  # with no reload
        expect(cell).to_have_text(re.compile("^off"), timeout=MINUTE)
    marks = page.locator("#ledger tbody tr").first.locator("td").last.locator("span")
    expect(marks).to_have_text(["CRM", "Email tool"])
    for mark in marks.all():
        expect(mark).to_have_css("font-weight", "600")


def test_with_redis_stopped_the_ledger_has_it_and_the_tools_wait(page: Page, run: Run) -> None:
    from playwright.sync_api import expect

    page.goto(f"{run.site}/dev")
    page.get_by_role("button", name="New recipient").click()
    page.get_by_role("button", name="Stop Redis").click()
    page.get_by_role("button", name="Unsubscribe").click()
    newest = page.locator("#ledger tbody tr").first
    expect(newest).to_contain_text("opted out")  # I1
    expect(newest).to_contain_text("CRM: waiting")
    page.get_by_role("button", name="Start Redis").click()
    for tool in TOOLS:
        cell = page.locator(f'[data-tool="{tool}"]').first
        expect(cell).to_have_text(re.compile("^off"), timeout=MINUTE)
    expect(newest).not_to_contain_text("waiting")


def test_the_links_of_the_mail_open_the_pages_for_people(page: Page, run: Run) -> None:
    from playwright.sync_api import expect

    page.goto(f"{run.site}/dev")
    page.get_by_role("button", name="New recipient").click()
    expect(page.locator(f'[data-tool="{TOOLS[0]}"]').first).to_have_text("on")
    for link, button in (("Unsubscribe", "Unsubscribe"), ("Choose what you receive", "Save")):
        with page.expect_popup() as opened:
            page.get_by_role("link", name=link).click()
        expect(opened.value.get_by_role("button", name=re.compile(button)).first).to_be_visible()


def test_one_click_opens_the_console_on_its_own_port(page: Page, run: Run) -> None:
    from playwright.sync_api import expect

    page.goto(f"{run.site}/dev")
    page.get_by_role("button", name="All roles").click()
    expect(page).to_have_url(re.compile(f"^{run.console}/console/"))
    expect(page.get_by_role("link", name="Requests")).to_be_visible()


def test_nothing_is_wider_than_the_screen(page: Page, run: Run) -> None:  # C8: 1.4.10 reflow
    page.goto(f"{run.site}/dev")
    width = page.evaluate("document.documentElement.scrollWidth")
    assert page.viewport_size
    assert width <= page.viewport_size["width"]
