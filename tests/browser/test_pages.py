"""The pages for people in a real browser, without JavaScript."""

# ruff: noqa: F401, F811 - fixtures of the package are imported by name

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.browser.pressing import press
from tests.clock import Clock
from tests.infra.mailing import give_mail_server, link_in, queued_emails
from tests.ledger.tables import Ledger
from tests.web.pages.fixtures import MakeToken, app, ledger, make_token, proven, token

if TYPE_CHECKING:
    from flask import Flask
    from playwright.sync_api import Browser, Page

SIZES = [(320, "dark"), (1024, "light")]


@pytest.fixture(params=SIZES, ids=lambda size: f"{size[0]} px, {size[1]}")
def page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    """A page of a narrow or a wide screen, without JavaScript."""
    width, scheme = request.param
    context = browser.new_context(
        java_script_enabled=False,
        color_scheme=scheme,
        viewport={"width": width, "height": 640},
        locale="en-US",  # else that of the machine, or none
    )
    yield context.new_page()
    context.close()


@pytest.fixture
def over_http(app: Flask) -> Iterator[None]:
    """The test's site has no TLS, and a secure cookie would not come back."""
    secure = app.config["SESSION_COOKIE_SECURE"]
    app.config["SESSION_COOKIE_SECURE"] = False
    yield
    app.config["SESSION_COOKIE_SECURE"] = secure


def test_a_person_unsubscribes_and_undoes(
    page: Page, site: str, token: str, ledger: Ledger
) -> None:
    page.goto(f"{site}/u/{token}")
    press(page.get_by_role("button", name="Unsubscribe"))
    assert page.get_by_role("status").inner_text().startswith("You are unsubscribed")
    press(page.get_by_role("button", name="Undo"))
    assert page.get_by_role("status").inner_text().startswith("Undone")
    assert ledger.kinds() == [("opted_out", "digest"), ("retracted", "digest")]


def test_a_person_chooses_by_keyboard(
    page: Page, site: str, proven: str, ledger: Ledger, clock: Clock, over_http: None
) -> None:  # C8: 2.1.1
    from playwright.sync_api import expect

    page.goto(f"{site}/p/{proven}")
    clock.advance(timedelta(minutes=1))
    page.get_by_role("checkbox", name="Weekly digest").focus()
    page.keyboard.press("Space")
    page.get_by_role("checkbox", name="Offers").focus()
    page.keyboard.press("Space")
    for _ in ("the pause of everything", "single topics", "save"):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Turned on: Offers")
    expect(page.get_by_role("checkbox", name="Weekly digest")).not_to_be_checked()
    expect(page.get_by_role("checkbox", name="Offers")).to_be_checked()
    assert ledger.kinds() == [("opted_out", "digest"), ("opted_in", "offers")]


def test_a_person_pauses_and_goes_on(
    page: Page, site: str, proven: str, ledger: Ledger, clock: Clock, over_http: None
) -> None:
    from playwright.sync_api import expect

    page.goto(f"{site}/p/{proven}")
    clock.advance(timedelta(minutes=1))
    page.get_by_text("Individual topics").click()
    page.get_by_role("group", name="Weekly digest").get_by_label("30 days").check()
    press(page.get_by_role("button", name="Save"))
    assert "Paused until December 24, 2026: Weekly" in page.get_by_role("status").inner_text()
    expect(page.get_by_text("Paused until December 24, 2026.")).to_be_visible()
    assert page.get_by_role("checkbox", name="Weekly digest").is_checked()
    clock.advance(timedelta(minutes=1))
    page.get_by_role("group", name="Weekly digest").get_by_label("End now").check()
    press(page.get_by_role("button", name="Save"))
    page.get_by_role("status").wait_for()
    expect(page.get_by_text("Paused until")).to_have_count(0)
    assert [kind for kind, _ in ledger.kinds()] == ["paused", "paused"]


def test_a_person_opts_in_by_a_mail(
    page: Page, site: str, app: Flask, token: str, ledger: Ledger, clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    give_mail_server(app, monkeypatch)
    page.goto(f"{site}/p/{token}")
    page.get_by_role("checkbox", name="Offers").check()
    press(page.get_by_role("button", name="Save"))
    assert "Please confirm" in page.get_by_role("status").inner_text()
    (email,) = queued_emails(app)
    clock.advance(timedelta(days=1))
    page.goto(site + link_in(email))
    assert ledger.events() == []  # I7
    press(page.get_by_role("button", name="Confirm"))
    assert page.get_by_role("status").inner_text().startswith("Confirmed")
    assert ledger.kinds() == [("opted_in", "offers")]
    press(page.get_by_role("link", name="See and change"))
    assert page.get_by_role("checkbox", name="Offers").is_checked()


def test_a_person_stops_everything_at_once(
    page: Page, site: str, token: str, ledger: Ledger
) -> None:  # C2
    page.goto(f"{site}/p/{token}")
    stop = page.get_by_role("button", name="Stop all marketing")
    box = stop.bounding_box()
    assert box
    assert box["y"] + box["height"] < 640  # seen without scrolling
    press(stop)
    assert "all marketing" in page.get_by_role("status").inner_text()
    assert ledger.kinds() == [("opted_out", "all_marketing")]


@pytest.mark.parametrize("path", ["/u/{}", "/p/{}", "/u/broken"])
def test_every_page_fits_its_screen_and_its_controls_a_finger(
    page: Page, site: str, token: str, path: str
) -> None:  # C8: 1.4.10 reflow, 2.5.8 target size
    page.goto(site + path.format(token))
    viewport = page.viewport_size
    assert viewport
    assert max(right for right, _ in boxes_of(page, "body *")) <= viewport["width"]
    for _, least in boxes_of(page, "button, input[type=checkbox]"):
        assert least >= 24


def test_the_style_sheet_is_ours_and_passes_the_policy(
    page: Page, site: str, token: str
) -> None:  # C7
    answers: list[tuple[str, int]] = []
    page.on("response", lambda response: answers.append((response.url, response.status)))
    page.goto(f"{site}/u/{token}")
    assert answers == [(f"{site}/u/{token}", 200), (f"{site}/static/pages.css", 200)]


def boxes_of(page: Page, selector: str) -> list[tuple[float, float]]:
    """Of each element that has a box: its right edge, and the shorter of its sides."""
    found: list[tuple[float, float]] = page.locator(f":is({selector})").evaluate_all(
        "all => all.filter(element => element.getClientRects().length)"
        ".map(element => element.getBoundingClientRect())"
        ".map(box => [box.right, Math.min(box.width, box.height)])"
    )
    return found
