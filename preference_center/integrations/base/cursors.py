"""Cursors of listings: where a page ended, as text that is stored and logged (no address).

The only codec: a cursor is a frozen dataclass, and is written as the JSON of what differs from
its defaults. At most 2,000 characters.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self, TypeVar

from pydantic import ValidationError

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
    """Where a listing of one or several sources is; see `paging`."""

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
