"""Cursors of listings: where a page ended, as text that is stored and logged (no address)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self, TypeVar

from preference_center.domain.sync.contract import ContactPage
from preference_center.integrations.base.http import UnexpectedResponse

T = TypeVar("T")

PageSource = Callable[[str], tuple[Sequence[T], str]]
"""Token of a page, "" for the first, to its rows and the token of the next, "" for none."""


def next_full_page(cursor: str | None, sources: Sequence[PageSource[T]]) -> ContactPage[T]:
    """The next page of all that `sources` list, one after another.

    Each is paged by tokens of the vendor's own, which hold no address. The last cursor is
    None, as of a Listing.SWEEP.
    """
    index, _, token = (cursor or "0|").partition("|")
    number = int(index)
    if number >= len(sources):  # there were more of them when the cursor was made
        return ContactPage((), None, done=True)
    rows, following = sources[number](token)
    if following:
        return ContactPage(tuple(rows), f"{number}|{following}", done=False)
    is_last = number + 1 == len(sources)
    return ContactPage(tuple(rows), None if is_last else f"{number + 1}|", done=is_last)


def last_row_id(ids: Iterable[str | None]) -> str:
    """Where a page ends that is not the last, of a tool that pages by the ids of rows.

    Rows without one at its end are listed again. Raises Unreadable if no row has one: an empty
    token would end the listing, and the rows behind would be lost.
    """
    known = [id_ for id_ in ids if id_]
    if not known:
        raise UnexpectedResponse("a page without ids, which more rows follow")
    return known[-1]


@dataclass(frozen=True, slots=True)
class TimeWindow:
    """A span of a listing by time (UTC): from `since`, included, until `until`, excluded.

    For a Listing.CHANGES: windows follow one another up to the present, and the next pass
    begins a `lag` before it, by which the vendor's index may be late.
    """

    since: datetime
    until: datetime

    @classmethod
    def parse(cls, cursor: str | None, now: datetime, *, first: datetime, width: timedelta) -> Self:
        """The window at a cursor that `after` wrote; the one that begins at `first` for None."""
        since = first if cursor is None else datetime.fromisoformat(cursor)
        return cls(since, min(since + width, now))

    def next_cursor(self, now: datetime, lag: timedelta) -> tuple[str, bool]:
        """The cursor after this window, and whether all up to the present has been read."""
        if self.until < now:
            return self.until.isoformat(), False
        return max(self.since, now - lag).isoformat(), True
