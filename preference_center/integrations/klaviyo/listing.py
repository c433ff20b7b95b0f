"""Going through several listings of Klaviyo's, one page a call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from preference_center.domain.vendor_events import News, NewsKind
from preference_center.integrations.base.http import Rejected
from preference_center.integrations.klaviyo.models import Profile, Profiles


class Why(StrEnum):
    """Klaviyo's reasons for a suppression of all marketing."""

    UNSUBSCRIBE = "UNSUBSCRIBE"
    SPAM_COMPLAINT = "SPAM_COMPLAINT"
    HARD_BOUNCE = "HARD_BOUNCE"
    INVALID_EMAIL = "INVALID_EMAIL"
    BY_HAND = "USER_SUPPRESSED"
    """An API call or an import did it."""


KINDS = {
    Why.UNSUBSCRIBE: NewsKind.OPTED_OUT,
    Why.BY_HAND: NewsKind.OPTED_OUT,
    Why.SPAM_COMPLAINT: NewsKind.COMPLAINED,
    Why.HARD_BOUNCE: NewsKind.BOUNCED,
    Why.INVALID_EMAIL: NewsKind.BOUNCED,
}
OVERLAP = timedelta(minutes=10)
"""Runs overlap: an index may lag behind, and clocks differ."""
_BEGINNING = "1970-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run stands: in which listing, on which page of what came after `since`.

    `page` is Klaviyo's own cursor, which holds a time and an id. `began` is when the run did.
    """

    source: int = 0
    since: str = _BEGINNING
    began: str = ""
    page: str = ""

    @classmethod
    def read(cls, cursor: str | None) -> Place:
        """The place that `str` wrote; the beginning for None."""
        if cursor is None:
            return cls()
        source, since, began, page = cursor.split("|", 3)
        return cls(int(source), since, began, page)

    def __str__(self) -> str:
        return f"{self.source}|{self.since}|{self.began}|{self.page}"


def walk(
    cursor: str | None, sources: int, now: datetime, ask: Callable[[int, str, str], Profiles]
) -> tuple[list[tuple[int, Profile]], str, bool]:
    """A page of one of `sources` listings: rows, the next cursor, and whether that was all.

    `ask` is given the number of the listing, a time and Klaviyo's cursor.
    """
    place = Place.read(cursor)
    began = place.began or f"{now - OVERLAP:%Y-%m-%dT%H:%M:%SZ}"
    try:
        found = ask(place.source, place.since, place.page)
    except Rejected:
        if not place.page:
            raise
        # How long a cursor stays good is not documented: begin this listing again.
        found = ask(place.source, place.since, "")
    rows = [(place.source, profile) for profile in found.rows]
    if found.cursor:
        return rows, str(Place(place.source, place.since, began, found.cursor)), False
    if place.source + 1 < sources:
        return rows, str(Place(place.source + 1, place.since, began)), False
    return rows, str(Place(since=began)), True


def news_of(profile: Profile, list_: str | None) -> Iterator[News]:
    """What a profile's suppressions tell: those of one list, or those of all marketing."""
    if not profile.email:
        return
    if list_ is None:
        for one in profile.suppressions:
            if one.reason in set(Why):
                yield News(KINDS[Why(one.reason)], profile.email, at=one.timestamp)
    for held in profile.list_suppressions:
        if held.list_id == list_:
            yield News(NewsKind.OPTED_OUT, profile.email, list_, held.timestamp)
