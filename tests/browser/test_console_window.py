"""An operator adds a destination in a real browser, observes, resumes and pauses it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from preference_center.core.events import EventKind
from preference_center.core.staff import Role
from preference_center.destinations.store import samples
from preference_center.infra.db.transactions import run_in_transaction
from tests.browser.axe import violations
from tests.clock import START
from tests.destinations.commands import say
from tests.in_force import put_in_force
from tests.integrations.tools.sendgrid import KEY, SendGridStandIn
from tests.web.console.staff import CSRF, cookie_of, staff

if TYPE_CHECKING:
    from flask import Flask
    from playwright.sync_api import Page


@pytest.fixture
def operator(app: Flask, page: Page, site: str, monkeypatch: pytest.MonkeyPatch) -> Page:
    """The page of somebody who is signed in."""
    monkeypatch.setenv("CONNECTORS_ALLOW_PRIVATE", "1")
    monkeypatch.setattr("preference_center.destinations.console.add.BACKFILL_SECONDS", 60.0)
    monkeypatch.setenv("STAFF_NAME", "grace")
    put_in_force(app)
    content = {"csrf_token": CSRF, "staff": staff(app, Role.OPERATOR).token}
    cookie = {"name": "console", "value": cookie_of(app, content), "url": f"{site}/console"}
    page.context.add_cookies([cookie])  # type: ignore[list-item]
    page.set_viewport_size({"width": 390, "height": 844})
    return page


def test_a_destination_is_added_observed_resumed_and_paused(
    app: Flask, operator: Page, site: str
) -> None:
    from playwright.sync_api import expect

    page = operator
    say(app, EventKind.OPTED_OUT, "jane@example.com")
    with SendGridStandIn() as sendgrid:
        page.goto(f"{site}/console/window")
        page.get_by_role("link", name="Add a destination").click()
        page.get_by_role("link", name="SendGrid").click()
        assert violations(page) == []
        page.get_by_label("Name").fill("mailer")
        page.get_by_label("api_key").fill(KEY)
        page.get_by_text("Optional settings").click()
        page.get_by_label("base_url").fill(sendgrid.url)
        page.get_by_role("button", name="Check, and choose topics").click()
        assert violations(page) == []
        page.get_by_label("Offers").fill("12")
        page.get_by_role("button", name="Check, and preview").click()
        expect(page.get_by_text("Addresses that would be turned off there: 1.")).to_be_visible()
        assert violations(page) == []
        page.get_by_role("button", name="Add mailer").click()
        page.get_by_role("button", name="Preview").click()
        expect(page.get_by_text("Addresses that would be pushed: 1.")).to_be_visible()
        assert violations(page) == []
        for action, state in (("Resume", "running"), ("Pause", "paused")):
            page.get_by_role("link", name=action).click()
            assert violations(page) == []
            page.get_by_role("button", name=action).click()
            expect(page.locator("#state .badge")).to_have_text(state)


def test_the_board_refreshes_itself_and_keeps_the_focus_and_what_is_open(
    app: Flask, operator: Page, site: str
) -> None:
    from playwright.sync_api import expect

    page = operator
    page.clock.install()
    with SendGridStandIn() as sendgrid:
        settings = ["--set", f"api_key={KEY}", "--set", f"base_url={sendgrid.url}"]
        kind = ["--kind", "sendgrid", *settings, "--topic", "acme.offers=12"]
        app.test_cli_runner().invoke(args=["destinations", "add", "mailer", *kind])
    with app.app_context():
        run_in_transaction(lambda c: samples.insert_samples(c, START - samples.INTERVAL))
    page.goto(f"{site}/console/window")
    page.locator("#plot-age summary").click()
    assert violations(page) == []
    page.get_by_role("link", name="mailer").focus()
    say(app, EventKind.OPTED_OUT, "jane@example.com")
    page.clock.run_for(10_500)
    expect(page.locator("#board td").nth(1)).to_have_text("1")
    expect(page.get_by_role("link", name="mailer")).to_be_focused()
    expect(page.locator("#plot-age details")).to_have_attribute("open", "")
    expect(page.locator("#promise")).to_have_text(re.compile("older than a minute"))
