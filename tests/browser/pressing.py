"""Pressing a button that leads to another page, once or twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page, Request


def press(button: Locator) -> None:
    """Click it, and wait for the page that answers: a click alone returns before its styles."""
    with button.page.expect_navigation(wait_until="load"):
        button.click()


def press_twice(button: Locator) -> None:
    """Double-click it, and wait until the answers to both presses have arrived.

    The first answer may be shown already when the second form is submitted.
    """
    page = button.page
    with posts_of(page) as posts:
        with page.expect_event("framenavigated"):  # the page before may have a result, too
            button.dblclick(no_wait_after=True)
        page.locator("#result").wait_for()
    for post in posts:
        post.response()
    page.wait_for_load_state("networkidle")


@contextmanager
def posts_of(page: Page) -> Iterator[list[Request]]:
    """The POST requests that the page makes inside, as they are made."""
    posts: list[Request] = []

    def note(request: Request) -> None:
        if request.method == "POST":
            posts.append(request)

    page.on("request", note)
    yield posts
    page.remove_listener("request", note)
