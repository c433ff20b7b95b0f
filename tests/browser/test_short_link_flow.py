"""The link of a text message, with Back, Forward, Reload, a double press and another language."""

# ruff: noqa: F401, F811 - fixtures of the package are imported by name

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.pressing import press, press_twice
from tests.browser.revisiting import assert_holds, posting_nothing
from tests.browser.test_unsubscribe_flow import heading
from tests.ledger.tables import Ledger
from tests.recipients.pages.test_short_link import code
from tests.web.pages.fixtures import app, ledger

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


def test_out_and_undone_and_opened_again(
    page: Page, site: str, code: str, ledger: Ledger
) -> None:  # I7
    page.goto(f"{site}/s/{code}")
    question = page.url
    assert "/u/" in question
    asked = "Unsubscribe from “Text alerts”?"
    assert_holds(page, heading, asked, "Disiscriversi da «Avvisi»?")
    press_twice(page.get_by_role("button", name="Unsubscribe", exact=True))
    assert_holds(page, heading, "You are unsubscribed", "Disiscrizione completata")
    assert ledger.kinds() == [("opted_out", "alerts")]

    with posting_nothing(page):
        page.goto(f"{site}/s/{code}")  # the same text message, later
        assert heading(page) == "You are already unsubscribed"
        page.go_back()
        assert heading(page) == "You are unsubscribed"
    press_twice(page.get_by_role("button", name="Undo"))
    assert_holds(page, heading, "Undone", "Ripristinato")
    assert [kind for kind, _ in ledger.acts()] == ["opted_out", "retracted"]
    with posting_nothing(page):
        page.goto(f"{site}/s/{code}")
    assert heading(page) == asked
    press(page.get_by_role("button", name="Stop all marketing"))
    assert ledger.kinds()[-1] == ("opted_out", "all_marketing")
