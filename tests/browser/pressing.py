"""Pressing a button that leads to another page."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Locator


def press(button: Locator) -> None:
    """Click it, and wait for the page that answers: a click alone returns before its styles."""
    with button.page.expect_navigation(wait_until="load"):
        button.click()
