"""The way out, with Back, Forward, Reload, a double press and a switch of language at each step."""

# ruff: noqa: F401, F811 - fixtures of the package are imported by name

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.browser.pressing import press, press_twice
from tests.browser.revisiting import assert_holds
from tests.clock import Clock
from tests.infra.mailing import give_mail_server, link_in, queued_emails
from tests.ledger.tables import Ledger
from tests.web.pages.fixtures import MakeToken, app, ledger, make_token, subscribed, token

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask
    from playwright.sync_api import Browser, Page


@pytest.fixture(params=[True, False], ids=["script", "no script"])
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    context = browser.new_context(java_script_enabled=request.param, locale="en-GB")
    opened = context.new_page()
    opened.on("dialog", lambda _: pytest.fail("the browser asks whether to post again"))
    yield opened
    context.close()


def heading(page: Page) -> str:
    return page.get_by_role("heading", level=1).inner_text()


def button(page: Page, name: str) -> None:
    press(page.get_by_role("button", name=name, exact=True))


def test_out_and_undone_and_out_again(
    page: Page, site: str, token: str, ledger: Ledger, clock: Clock,
    subscribed: Callable[..., bool],
) -> None:  # I5, I7  # fmt: skip
    page.goto(f"{site}/u/{token}")
    button(page, "Unsubscribe")
    assert page.url.endswith("#result")
    assert page.title() == "Unsubscribed: Weekly digest · Acme"
    assert page.locator(":target").get_attribute("role") == "status"  # takes the focus
    assert_holds(page, heading, "You are unsubscribed", "Disiscrizione completata")
    button(page, "Undo")
    assert page.title() == "Undone: Weekly digest · Acme"
    assert_holds(page, heading, "Undone", "Ripristinato")
    page.go_back()  # to what held before, which holds no more
    assert heading(page) == "Unsubscribe from “Weekly digest”?"
    assert subscribed()
    page.go_forward()
    clock.advance(timedelta(minutes=1))
    button(page, "Unsubscribe after all")
    assert heading(page) == "You are unsubscribed"
    assert [kind for kind, _ in ledger.kinds()] == ["opted_out", "retracted", "opted_out"]


def test_back_to_the_question_and_pressed_again(
    page: Page, site: str, token: str, clock: Clock, subscribed: Callable[..., bool]
) -> None:  # I7
    page.goto(f"{site}/u/{token}")
    other = page.context.new_page()
    other.goto(f"{site}/u/{token}")
    button(page, "Unsubscribe")
    page.go_back()  # not stored, so it is fetched again
    assert heading(page) == "You are already unsubscribed"
    assert page.title() == "Already unsubscribed: Weekly digest · Acme"
    clock.advance(timedelta(minutes=1))
    button(other, "Unsubscribe")  # a page that was left open
    assert heading(other) == "You are unsubscribed"
    button(other, "Undo")  # of both presses
    assert heading(other) == "Undone"
    assert subscribed()


def test_from_an_email_to_all_off_in_two_presses_and_already_out_from_then_on(
    page: Page, site: str, token: str, ledger: Ledger, clock: Clock
) -> None:
    page.goto(f"{site}/u/{token}")
    press_twice(page.get_by_role("button", name="Stop all marketing"))
    assert page.title() == "Unsubscribed: all marketing · Acme"
    assert ledger.kinds() == [("opted_out", "all_marketing")]
    clock.advance(timedelta(minutes=31))
    page.reload()
    assert_holds(page, heading, "You are already unsubscribed", "La disiscrizione è già registrata")
    main = page.locator("main").inner_text()
    assert "We received this on 24 November 2026." in main
    assert page.locator("main button").count() == 0  # neither undo nor anything to turn off
    page.get_by_role("link", name="Track my unsubscribe request").click()
    page.wait_for_url("**/w/**")


def test_a_late_undo_is_refused_in_words_that_stay(
    page: Page, site: str, token: str, clock: Clock, subscribed: Callable[..., bool]
) -> None:
    page.goto(f"{site}/u/{token}")
    button(page, "Unsubscribe")
    clock.advance(timedelta(minutes=31))
    button(page, "Undo")
    assert page.title() == "Error: Too late to undo · Acme"
    assert page.get_by_role("alert").is_visible()
    assert_holds(page, heading, "Too late to undo", "Troppo tardi per ripristinare")
    assert not subscribed()


def test_an_answer_to_the_survey_can_be_reloaded(page: Page, site: str, token: str) -> None:
    page.goto(f"{site}/u/{token}")
    button(page, "Unsubscribe")
    button(page, "Send my answer")
    assert "You are unsubscribed." in page.get_by_role("status").inner_text()
    assert_holds(
        page,
        heading,
        "That’s fine: no reason needed.",
        "Va bene così: il motivo non è obbligatorio.",
    )
    page.go_back()
    page.get_by_label("Why are you leaving? (optional)").select_option("Too many messages")
    button(page, "Send my answer")
    assert_holds(page, heading, "Thank you", "Grazie")


def test_a_mailed_link_stops_all_marketing_without_being_used_up(
    page: Page, site: str, app: Flask, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:  # I7
    give_mail_server(app, monkeypatch)
    app.test_client().post("/form", data={"address": "jane.doe@example.com"})
    (email,) = queued_emails(app)
    page.goto(site + link_in(email))
    button(page, "Stop all marketing")
    assert_holds(page, heading, "You are unsubscribed", "Disiscrizione completata")
    button(page, "Undo")
    assert_holds(page, heading, "Undone", "Ripristinato")
    page.goto(site + link_in(email))
    button(page, "Stop all marketing")
    assert ledger.kinds()[-1] == ("opted_out", "all_marketing")
    page.goto(site + link_in(email))
    assert page.get_by_role("button", name="Stop all marketing").count() == 0
    assert "All our marketing is off." in page.locator("main").inner_text()
    button(page, "Open my choices")
    page.wait_for_url("**/p/**")
