"""What a browser does with a page besides pressing its buttons: reload, go back, change language.

Each must repeat nothing: a page that answers a press is read by GET (docs/decisions/0069).
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.browser.pressing import posts_of, press

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Page


def switch_to(page: Page, language: str) -> None:
    """Choose another language by the switch of the page."""
    page.locator("details.languages summary").click()
    press(page.locator(f"details.languages :is(a, button)[lang={language}]"))


def assert_holds(page: Page, read: Callable[[Page], str], expected: str, italian: str) -> None:
    """The page says the same after Reload, and after a switch of language and back."""
    with posting_nothing(page):
        assert read(page) == expected
        page.reload()
        assert read(page) == expected
    switch_to(page, "it")
    with posting_nothing(page):
        assert read(page) == italian
        page.go_back()
        assert read(page) == expected
        page.go_forward()
        assert read(page) == italian
        page.go_back()


@contextmanager
def posting_nothing(page: Page) -> Iterator[None]:
    """No form is submitted within, so that no browser asks whether to submit one again."""
    with posts_of(page) as posts:
        yield
    assert posts == []
