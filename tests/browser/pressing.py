"""Pressing a button that leads to another page, once or twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page, Request, Route


def press(button: Locator) -> None:
    """Click it, and wait for the page that answers: a click alone returns before its styles."""
    with button.page.expect_navigation(wait_until="load"):
        button.click()


def press_twice(button: Locator) -> None:
    """Click it twice before an answer is there, and wait for the answer to the second press.

    The server gets both, one after the other. A double click doesn't always do that: its second
    click may come too early, or on the page that answers the first.
    """
    posts: list[Route] = []

    def hold(route: Route) -> None:
        if route.request.method == "POST":
            posts.append(route)
        else:
            route.fallback()

    page = button.page
    button.scroll_into_view_if_needed()
    box = button.bounding_box()
    assert box
    page.route("**/*", hold)
    for count in (1, 2):
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        while len(posts) < count:
            page.wait_for_timeout(10)
    first, second = posts
    first.fetch(max_redirects=0)
    with page.expect_navigation(wait_until="networkidle"):
        second.continue_()
    page.unroute("**/*", hold)


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
