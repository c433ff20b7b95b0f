"""Paging of listings and their cursors, with sources in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from preference_center.integrations.base.contract import ContactPage, RequestRejected
from preference_center.integrations.base.paging import (
    ListingCursor,
    TimeWindow,
    decode_cursor,
    encode_cursor,
    list_all,
    next_changes_page,
    next_offset,
    next_window_page,
)

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
EXPIRED = "expired"


@dataclass
class Changes:
    """Two pages of changes; remembers what it was asked for."""

    asked: list[tuple[datetime | None, str]]

    def list_page(self, since: datetime | None, token: str) -> tuple[Sequence[int], str]:
        self.asked.append((since, token))
        if token == EXPIRED:
            raise RequestRejected("the token is too old", 400)
        return ([1], "2") if not token else ([2], "")


def next_page(cursor: str | None, *sources: Changes, restarts: bool = False) -> ContactPage[int]:
    return next_changes_page(
        cursor,
        [source.list_page for source in sources],
        now=NOW,
        overlap=HOUR,
        restart_on_rejection=restarts,
    )


def test_the_next_pass_lists_what_changed_since_the_last_one_began() -> None:
    first, second = Changes([]), Changes([])
    cursor, rows = None, list[int]()
    for is_last in (False, False, False, True):
        page = next_page(cursor, first, second)
        cursor, rows = page.cursor, [*rows, *page.rows]
        assert page.done is is_last
    assert rows == [1, 2, 1, 2]
    assert first.asked == second.asked == [(None, ""), (None, "2")]
    next_page(cursor, first, second)
    assert first.asked[-1] == (NOW - HOUR, "")


def test_a_token_that_is_too_old_begins_the_pass_again() -> None:
    changes = Changes([])
    cursor = encode_cursor(ListingCursor(token=EXPIRED, since=NOW - DAY, started_at=NOW - HOUR))
    with pytest.raises(RequestRejected):
        next_page(cursor, changes)
    page = next_page(cursor, changes, restarts=True)
    assert (page.rows, page.done) == ((1,), False)
    assert changes.asked[-1] == (NOW - DAY, "")


def windows(cursor: str | None, *names: str) -> ContactPage[tuple[str, datetime, datetime]]:
    def list_window(name: str, window: TimeWindow) -> list[tuple[str, datetime, datetime]]:
        return [(name, window.since, window.until)]

    sources = {name: lambda window, name=name: list_window(name, window) for name in names}
    return next_window_page(cursor, sources, now=NOW, first=NOW - 3 * DAY, width=2 * DAY, lag=HOUR)


def test_each_source_is_asked_about_a_window_before_the_next_one_begins() -> None:
    cursor, rows, done = None, list[tuple[str, datetime, datetime]](), False
    while not done:
        page = windows(cursor, "b", "a")
        cursor, done = page.cursor, page.done
        rows += page.rows
    first, second = (NOW - 3 * DAY, NOW - DAY), (NOW - DAY, NOW)
    assert rows == [("a", *first), ("b", *first), ("a", *second), ("b", *second)]
    assert windows(cursor, "a", "b").rows == (("a", NOW - HOUR, NOW),)


def test_windows_begin_again_when_another_source_is_mapped() -> None:
    cursor = windows(windows(None, "a").cursor, "a").cursor
    assert windows(cursor, "a", "new").rows == (("a", NOW - 3 * DAY, NOW - DAY),)
    assert windows(cursor).done, "nothing is mapped"


def test_pages_by_offset_end_with_a_short_one_and_may_overlap() -> None:
    assert next_offset("", 10, 10) == "10"
    assert next_offset("10", 10, 10, overlap=2) == "18"
    assert next_offset("18", 9, 10) == ""
    assert list(list_all(lambda token: ([1], "x") if not token else ([2], ""))) == [1, 2]


def test_a_cursor_of_another_form_begins_its_listing_again() -> None:
    cursor = ListingCursor(1, "a|b", NOW, names=("x",))
    assert decode_cursor(ListingCursor, encode_cursor(cursor)) == cursor
    for text in ("0|token", "2026-11-25T12:00:00+00:00", "[1]", ""):
        assert decode_cursor(ListingCursor, text) is None
    assert encode_cursor(ListingCursor()) == "{}"
