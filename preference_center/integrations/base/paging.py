"""This module reads listings page by page, and writes the cursors at which a page ended.

A cursor is a frozen dataclass, a `ListingCursor`. It is stored and logged as text, so it holds no
address: the JSON of what differs from its defaults, at most 2,000 characters. No other codec
exists.

The loops go over tokens, offsets, windows of time and several sources. A vendor gives the requests
as sources, functions that return the rows of one page; offsets and numbers of pages are tokens,
too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Self, TypeVar

from pydantic import ValidationError

from preference_center.integrations.base.contract import (
    ContactPage,
    RequestRejected,
    UnexpectedResponse,
)
from preference_center.integrations.base.http import make_type_adapter

CursorType = TypeVar("CursorType")


def encode_cursor(cursor: object) -> str:
    """A dataclass of texts, numbers, times, tuples and the like as text."""
    return make_type_adapter(type(cursor)).dump_json(cursor, exclude_defaults=True).decode()


def decode_cursor(shape: type[CursorType], text: str | None) -> CursorType | None:
    """What `encode_cursor` wrote; None for None and for text that is no `shape`.

    So a listing whose cursor was written by another version begins again.
    """
    if text is None:
        return None
    try:
        decoded: CursorType = make_type_adapter(shape).validate_json(text)
    except ValidationError:
        return None
    return decoded


@dataclass(frozen=True, slots=True)
class ListingCursor:
    """Where a listing of one or several sources is."""

    source: int = 0
    """Index of the source that is read."""
    token: str = ""
    """The vendor's own token of the next page, an offset or a number; "" for the first page."""
    since: datetime | None = None
    """What changed before it (UTC) is not asked for."""
    started_at: datetime | None = None
    """When the pass began (UTC): the next one lists what changed since."""
    names: tuple[str, ...] = ()
    """The sources; a cursor made for others begins again."""


@dataclass(frozen=True, slots=True)
class TimeWindow:
    """A span of a listing by time (UTC): from `since`, included, until `until`, excluded.

    For a ListingMode.CHANGES: windows follow one another up to the present, and the next pass
    begins a `lag` before it, by which the vendor's index may be late.
    """

    since: datetime
    until: datetime

    @classmethod
    def parse(cls, cursor: str | None, now: datetime, *, first: datetime, width: timedelta) -> Self:
        """The window at a cursor of `next_cursor`; the one that begins at `first` for None."""
        decoded = decode_cursor(ListingCursor, cursor)
        since = (decoded.since if decoded else None) or first
        return cls(since, min(since + width, now))

    def next_cursor(self, now: datetime, lag: timedelta) -> tuple[str, bool]:
        """The cursor after this window, and whether all up to the present has been read."""
        since, done = self.following(now, lag)
        return encode_cursor(ListingCursor(since=since)), done

    def following(self, now: datetime, lag: timedelta) -> tuple[datetime, bool]:
        """Where the next window begins, and whether all up to the present has been read."""
        if self.until < now:
            return self.until, False
        return max(self.since, now - lag), True


T = TypeVar("T")


PageSource = Callable[[str], tuple[Sequence[T], str]]
"""Token of a page, "" for the first, to its rows and the token of the next, "" for none."""


ChangeSource = Callable[[datetime | None, str], tuple[Sequence[T], str]]
"""The same of what changed since a time (UTC); None for all there are."""


WindowSource = Callable[[TimeWindow], Sequence[T]]
"""All rows of a span of time."""


def list_all(source: PageSource[T]) -> Iterator[T]:
    """The rows of all pages, for listings that are short: lists, groups, fields."""
    token = ""
    while True:
        rows, token = source(token)
        yield from rows
        if not token:
            return


def next_full_page(cursor: str | None, sources: Sequence[PageSource[T]]) -> ContactPage[T]:
    """The next page of all that `sources` list, one after another.

    The last cursor is None, as of a ListingMode.FULL.
    """
    position = decode_cursor(ListingCursor, cursor) or ListingCursor()
    if position.source >= len(sources):  # there were more of them when the cursor was made
        return ContactPage((), None, done=True)
    rows, token = sources[position.source](position.token)
    following = _following(position, token, len(sources))
    if following is None:
        return ContactPage(tuple(rows), None, done=True)
    return ContactPage(tuple(rows), encode_cursor(following), done=False)


def next_changes_page(
    cursor: str | None,
    sources: Sequence[ChangeSource[T]],
    *,
    now: datetime,
    overlap: timedelta,
    restart_on_rejection: bool = False,
) -> ContactPage[T]:
    """The next page of what changed since the pass before, of each source in turn.

    For a ListingMode.CHANGES without an end of its span: what changes during a pass may be
    listed or not, so the next one looks back to its beginning, and `overlap` further, by which
    the vendor's index may be late. `restart_on_rejection`: the vendor's tokens expire, so a page
    that is rejected for its token begins the listing of its source again.
    """
    position = decode_cursor(ListingCursor, cursor) or ListingCursor()
    if position.source >= len(sources):
        position = ListingCursor(since=position.since)
    position = replace(position, started_at=position.started_at or now)
    try:
        rows, token = sources[position.source](position.since, position.token)
    except RequestRejected:
        if not (restart_on_rejection and position.token):
            raise
        rows, token = sources[position.source](position.since, "")
    following = _following(position, token, len(sources))
    if following is None:
        next_pass = ListingCursor(since=(position.started_at or now) - overlap)
        return ContactPage(tuple(rows), encode_cursor(next_pass), done=True)
    return ContactPage(tuple(rows), encode_cursor(following), done=False)


def next_window_page(
    cursor: str | None,
    sources: Mapping[str, WindowSource[T]],
    *,
    now: datetime,
    first: datetime,
    width: timedelta,
    lag: timedelta,
) -> ContactPage[T]:
    """The next page of listings by time: one window of each source, then the next window.

    The first window begins at `first`; see TimeWindow. When other sources are named than when
    the cursor was made, the listing begins again: a new one has a history.
    """
    names = tuple(sorted(sources))
    position = decode_cursor(ListingCursor, cursor) or ListingCursor(names=names)
    if position.names != names:
        position = ListingCursor(names=names)
    if not names:
        return ContactPage((), cursor, done=True)
    since = position.since or first
    window = TimeWindow(since, min(since + width, now))
    rows = tuple(sources[names[position.source]](window))
    if position.source + 1 < len(names):
        following = replace(position, source=position.source + 1)
        return ContactPage(rows, encode_cursor(following), done=False)
    since, done = window.following(now, lag)
    return ContactPage(rows, encode_cursor(ListingCursor(since=since, names=names)), done=done)


def _following(position: ListingCursor, token: str, source_count: int) -> ListingCursor | None:
    """The position of the next page of the same source or the next one, None at the end."""
    if token:
        return replace(position, token=token)
    if position.source + 1 < source_count:
        return replace(position, source=position.source + 1, token="")
    return None


def next_offset(offset: str, row_count: int, page_size: int, *, overlap: int = 0) -> str:
    """The token after a page by offset: "" where it was the last, being shorter than asked for.

    `overlap` rows are listed again, where rows that are deleted move the others up.
    """
    return "" if row_count < page_size else str(int(offset or 0) + page_size - overlap)


def last_row_id(ids: Iterable[str | None]) -> str:
    """Where a page ends that is not the last, of a vendor that pages by the ids of rows.

    Rows without one at its end are listed again. Raises UnexpectedResponse if no row has one: an
    empty token would end the listing, and the rows behind would be lost.
    """
    known = [id_ for id_ in ids if id_]
    if not known:
        raise UnexpectedResponse("a page without ids, which more rows follow")
    return known[-1]
