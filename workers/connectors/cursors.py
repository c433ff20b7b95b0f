"""Cursors of listings: where a page ended, as text that is stored and logged (no address)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from workers.connectors.base import Page

T = TypeVar("T")

Source = Callable[[str], tuple[Sequence[T], str]]
"""Token of a page, "" for the first, to its rows and the token of the next, "" for none."""


def sweep(cursor: str | None, sources: Sequence[Source[T]]) -> Page[T]:
    """The next page of all that `sources` list, one after another.

    Each is paged by tokens of the vendor's own, which hold no address. The last cursor is
    None, as of a Listing.SWEEP.
    """
    index, _, token = (cursor or "0|").partition("|")
    number = int(index)
    if number >= len(sources):  # there were more of them when the cursor was made
        return Page((), None, done=True)
    rows, following = sources[number](token)
    if following:
        return Page(tuple(rows), f"{number}|{following}", done=False)
    is_last = number + 1 == len(sources)
    return Page(tuple(rows), None if is_last else f"{number + 1}|", done=is_last)
