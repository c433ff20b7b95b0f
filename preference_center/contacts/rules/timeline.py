"""The order of everything about one person on one page, and where its next page begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum

from preference_center.core.errors import InvalidInput

_MAX_ID = 2**63 - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class EntryKind(IntEnum):
    """What an entry is; of one instant, the greater is the newer."""

    REQUEST = 0
    BOUNCE = 1
    LOOK = 2
    EVENT = 3
    DELIVERY = 4


@dataclass(frozen=True, slots=True, order=True)
class TimelineKey:
    """The place of an entry: its time (UTC), its kind, and its number among those of its kind."""

    at: datetime
    kind: EntryKind
    number: int

    def bound(self, kind: EntryKind) -> tuple[datetime, int]:
        """The time and number that entries of this kind must be less than, to be older."""
        if kind == self.kind:
            return self.at, self.number
        return self.at, _MAX_ID if kind < self.kind else -1

    def to_text(self) -> str:
        """For a URL; nothing personal."""
        return f"{(self.at - _EPOCH) // _MICROSECOND}-{self.kind:d}-{self.number}"


@dataclass(frozen=True, slots=True)
class RequestEntry:
    """A data-subject request in words, in the language of the page."""

    received_at: datetime
    title: str
    state: str
    notes: Sequence[tuple[str, str]]
    """Pairs of a term and a text."""
    reference: str


NEWEST = TimelineKey(datetime(9999, 1, 1, tzinfo=UTC), EntryKind.DELIVERY, _MAX_ID)
"""Newer than every entry."""


def parse_timeline_key(text: str) -> TimelineKey:
    """The key of `to_text`; NEWEST for an empty text. Raises InvalidInput for another one."""
    if not text:
        return NEWEST
    try:
        microseconds, kind, number = (int(part) for part in text.split("-"))
        key = TimelineKey(_EPOCH + microseconds * _MICROSECOND, EntryKind(kind), number)
    except (ValueError, OverflowError):
        raise InvalidInput("this is no place in a timeline: open the person's page again") from None
    if not 0 <= key.number <= _MAX_ID:
        raise InvalidInput("this is no place in a timeline: open the person's page again")
    return key
