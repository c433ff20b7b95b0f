"""How often, with Back, Forward, Reload and another language at each step."""

# ruff: noqa: F401, F811 - fixtures of the package are imported by name

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from preference_center.catalogue.store import current_catalogue
from preference_center.contacts.rules.preferences import compute_preferences
from preference_center.core.addresses import Channel, parse_address
from preference_center.ledger.store.lookup import load_exact_facts
from tests.browser.pressing import press, press_twice
from tests.browser.revisiting import assert_holds, posting_nothing
from tests.browser.test_pages import over_http
from tests.clock import Clock
from tests.infra.mailing import give_mail_server, link_in, queued_emails
from tests.ledger.tables import Ledger
from tests.recipients.pages.test_frequencies import app
from tests.web.pages.fixtures import ledger, make_token, proven, token

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask
    from playwright.sync_api import Page


CHOSEN = "input[name='frequency:digest']:checked"
JANE = parse_address("jane.doe@example.com", Channel.EMAIL)


@pytest.fixture
def recorded(app: Flask, clock: Clock) -> Callable[[], str | None]:
    """How often the ledger says that the digest is wanted."""

    def ask() -> str | None:
        with app.app_context():
            facts = load_exact_facts([JANE])[0]
            found = compute_preferences(current_catalogue(), JANE, facts, clock())
        return found.topics["digest"].frequency

    return ask


def shown(page: Page) -> str | None:
    return page.locator(CHOSEN).get_attribute("value")


def result(page: Page) -> str:
    return page.locator("#result p").first.inner_text()


def choose(page: Page, name: str) -> None:
    """Mark it, and press Save. A second press records nothing, but says that nothing changed."""
    group = page.get_by_role("group", name="How often: Weekly digest", exact=True)
    group.get_by_label(name).check()
    press(page.get_by_role("button", name="Save"))


def test_less_often_and_undone(
    page: Page, site: str, token: str, ledger: Ledger, clock: Clock,
    recorded: Callable[[], str | None],
) -> None:  # I7  # fmt: skip
    page.goto(f"{site}/p/{token}")
    clock.advance(timedelta(minutes=1))
    choose(page, "Every month")
    assert_holds(
        page, result, "How often: Weekly digest: Every month", "Frequenza: Riassunto: Ogni mese"
    )
    assert shown(page) == recorded() == "monthly"
    assert ledger.acts() == [("frequency_chosen", "digest")]
    with posting_nothing(page):
        page.go_back()  # to the form, which is read again
        assert shown(page) == "monthly"
        page.go_forward()
    clock.advance(timedelta(minutes=1))
    press_twice(page.get_by_role("button", name="Undo"))
    assert_holds(page, result, "As before: Weekly digest", "Come prima: Riassunto")
    assert shown(page) == recorded() == "weekly"
    assert [kind for kind, _ in ledger.acts()] == ["frequency_chosen", "retracted"]
    with posting_nothing(page):
        page.go_back()  # to the result, which is not true any more
        page.reload()
    assert "Every month" not in page.locator("#result").inner_text()
    assert shown(page) == "weekly"


def test_more_often_with_proof(
    page: Page, site: str, proven: str, ledger: Ledger, clock: Clock, over_http: None,
    recorded: Callable[[], str | None],
) -> None:  # I7  # fmt: skip
    page.goto(f"{site}/p/{proven}")
    clock.advance(timedelta(minutes=1))
    choose(page, "Every day")
    assert_holds(
        page, result, "How often: Weekly digest: Every day", "Frequenza: Riassunto: Ogni giorno"
    )
    assert shown(page) == recorded() == "daily"
    assert ledger.acts() == [("frequency_chosen", "digest")]


def test_more_often_is_asked_for_by_one_email_and_confirmed_once(
    page: Page, site: str, app: Flask, token: str, ledger: Ledger, clock: Clock,
    recorded: Callable[[], str | None], monkeypatch: pytest.MonkeyPatch,
) -> None:  # I7  # fmt: skip
    give_mail_server(app, monkeypatch)
    page.goto(f"{site}/p/{token}")
    clock.advance(timedelta(minutes=1))
    choose(page, "Every day")
    with posting_nothing(page):
        page.reload()
        page.go_back()
        assert shown(page) == "weekly"
        page.go_forward()
    assert "To get more, press the button in that email" in result(page)
    assert shown(page) == recorded() == "weekly"
    (email,) = queued_emails(app)

    clock.advance(timedelta(minutes=1))
    page.goto(site + link_in(email))
    assert ledger.events() == []
    press_twice(page.get_by_role("button", name="Confirm"))
    with posting_nothing(page):
        page.reload()
        page.go_back()
        page.go_forward()
    assert page.title().startswith("Confirmed")
    assert recorded() == "daily"
    assert ledger.acts() == [("frequency_chosen", "digest")]
    press(page.get_by_role("link", name="See and change"))
    assert shown(page) == "daily"
