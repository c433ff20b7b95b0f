"""Long lists, page by page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import BaseModel
from werkzeug.http import parse_options_header

from preference_center.web.api.endpoint import (
    PageBody,
    PageQuery,
    Position,
    cursor_position,
    page_response,
)
from preference_center.web.api.problems import ApiError

if TYPE_CHECKING:
    from flask import Flask

ROWS = list(range(1, 8))


class Numbers(PageQuery):
    odd: bool = False


class NumbersBody(PageBody):
    odd: bool = False


class Shown(BaseModel):
    rows: list[int]
    next: str | None


@contextmanager
def asking(app: Flask, url: str, method: str = "GET") -> Iterator[None]:
    with app.test_request_context(url, method=method):
        yield


def page(asked: Numbers | NumbersBody) -> tuple[Shown, str | None]:
    after: Position = cursor_position(asked) or [0]
    wanted = [row for row in ROWS if row > int(after[0]) and (not asked.odd or row % 2)]
    response = page_response(
        asked,
        wanted[: asked.limit + 1],
        lambda row: [row],
        lambda rows, following: Shown(rows=list(rows), next=following),
    )
    shown = Shown.model_validate({"next": None} | response.get_json())
    return shown, response.headers.get("Link")


def test_pages_join_without_a_gap(app: Flask) -> None:
    seen: list[int] = []
    cursor = None
    with asking(app, "/v1/numbers"):
        while True:
            shown, link = page(Numbers(limit=3, cursor=cursor))
            seen += shown.rows
            cursor = shown.next
            if cursor is None:
                break
    assert seen == ROWS
    assert link is None


def test_a_page_that_is_just_full_has_no_next(app: Flask) -> None:
    with asking(app, "/v1/numbers"):
        shown, _ = page(Numbers(limit=len(ROWS)))
    assert (shown.rows, shown.next) == (ROWS, None)


def test_the_link_leads_to_the_next_page_with_the_same_filter(app: Flask) -> None:  # RFC 8288
    with asking(app, "/v1/numbers?odd=true&limit=2"):
        shown, link = page(Numbers(limit=2, odd=True))
    assert link is not None
    target, options = parse_options_header(link)
    url = urlsplit(target.strip("<>"))
    assert options == {"rel": "next"}
    assert f"{url.scheme}://{url.netloc}{url.path}" == "https://preferences.example.com/v1/numbers"
    assert parse_qs(url.query) == {"odd": ["true"], "limit": ["2"], "cursor": [shown.next]}


def test_a_post_has_a_cursor_and_no_link(app: Flask) -> None:
    with asking(app, "/v1/numbers/query", "POST"):
        shown, link = page(NumbersBody(limit=2))
        assert link is None
        assert page(NumbersBody(limit=2, cursor=shown.next))[0].rows == [3, 4]


@pytest.mark.parametrize("made", ["", "A", "!", "AAAA", "é", "A" * 1000, "AAAA====", " "])
def test_what_is_no_cursor_is_refused(app: Flask, made: str) -> None:
    with asking(app, "/v1/numbers"), pytest.raises(ApiError) as refused:
        page(Numbers(cursor=made))
    assert refused.value.problem.slug == "invalid-cursor"


def test_a_cursor_is_good_for_its_own_list_only(app: Flask) -> None:
    with asking(app, "/v1/numbers"):
        cursor = page(Numbers(limit=2))[0].next
        assert cursor is not None
        assert page(Numbers(limit=5, cursor=cursor))[0].rows == [3, 4, 5, 6, 7]
        for other in (
            Numbers(limit=2, cursor=cursor, odd=True),
            Numbers(limit=2, cursor=cursor[:-2] + ("AA" if cursor[-2:] != "AA" else "BB")),
        ):
            with pytest.raises(ApiError):
                page(other)
    with asking(app, "/v1/others"), pytest.raises(ApiError):
        page(Numbers(limit=2, cursor=cursor))
