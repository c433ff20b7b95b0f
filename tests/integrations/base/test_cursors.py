from __future__ import annotations

from datetime import UTC, datetime, timedelta

from preference_center.integrations.base.paging import (
    ListingCursor,
    TimeWindow,
    encode_cursor,
    next_full_page,
)
from tests.integrations.both_ways_contract import whole

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def test_sources_are_swept_one_after_another() -> None:
    pages = {"": ([1, 2], "x|y"), "x|y": ([3], "")}

    def listing(cursor: str | None) -> object:
        return next_full_page(cursor, [pages.__getitem__, lambda _: ([], ""), lambda _: ([4], "")])

    rows, cursor = whole(listing)  # type: ignore[arg-type] # a page of numbers
    assert rows == [1, 2, 3, 4]
    assert cursor is None, "a sweep begins again"


def test_a_cursor_of_a_source_that_is_mapped_no_more_ends_the_sweep() -> None:
    assert next_full_page(encode_cursor(ListingCursor(3)), [lambda _: ([1], "")]).done
    assert next_full_page(None, []).done


def test_windows_follow_one_another_up_to_the_present_without_a_gap() -> None:
    cursor, seen, done = None, [], False
    while not done:
        window = TimeWindow.parse(cursor, NOW, first=NOW - 5 * DAY, width=2 * DAY)
        seen.append((window.since, window.until))
        cursor, done = window.next_cursor(NOW, timedelta(hours=1))
    assert seen == [
        (NOW - 5 * DAY, NOW - 3 * DAY),
        (NOW - 3 * DAY, NOW - DAY),
        (NOW - DAY, NOW),
    ]
    later = TimeWindow.parse(cursor, NOW + DAY, first=NOW, width=2 * DAY)
    assert later.since == NOW - timedelta(hours=1), "what came late is listed then"


def test_a_pass_soon_after_another_goes_back_no_further_than_that() -> None:
    cursor = encode_cursor(ListingCursor(since=NOW - timedelta(minutes=5)))
    window = TimeWindow.parse(cursor, NOW, first=NOW, width=DAY)
    assert window.next_cursor(NOW, timedelta(hours=1)) == (cursor, True)
