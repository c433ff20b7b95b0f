"""Reading several of Klaviyo's listings one after another, one page a call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from preference_center.domain.vendor_events import VendorEvent, VendorEventKind
from preference_center.integrations.base.http import RequestRejected
from preference_center.integrations.klaviyo.models import KlaviyoProfile, ProfilesPage


class KlaviyoSuppressionReason(StrEnum):
    """Klaviyo's reasons for a suppression of all marketing."""

    UNSUBSCRIBE = "UNSUBSCRIBE"
    SPAM_COMPLAINT = "SPAM_COMPLAINT"
    HARD_BOUNCE = "HARD_BOUNCE"
    INVALID_EMAIL = "INVALID_EMAIL"
    USER_SUPPRESSED = "USER_SUPPRESSED"
    """An API call or an import did it."""


EVENT_KIND_BY_REASON = {
    KlaviyoSuppressionReason.UNSUBSCRIBE: VendorEventKind.OPTED_OUT,
    KlaviyoSuppressionReason.USER_SUPPRESSED: VendorEventKind.OPTED_OUT,
    KlaviyoSuppressionReason.SPAM_COMPLAINT: VendorEventKind.COMPLAINED,
    KlaviyoSuppressionReason.HARD_BOUNCE: VendorEventKind.BOUNCED,
    KlaviyoSuppressionReason.INVALID_EMAIL: VendorEventKind.BOUNCED,
}
OVERLAP = timedelta(minutes=10)
"""Passes overlap: an index may lag behind, and clocks differ."""
_EPOCH = "1970-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class KlaviyoCursor:
    """The position of a pass: a listing, and a page of what changed after `since`.

    `page_cursor` is Klaviyo's own cursor, which holds a time and an id. `started_at` is the
    start of the pass.
    """

    listing_index: int = 0
    since: str = _EPOCH
    started_at: str = ""
    page_cursor: str = ""

    @classmethod
    def parse(cls, text: str | None) -> KlaviyoCursor:
        """The position that `str` wrote; the beginning for None."""
        if text is None:
            return cls()
        source, since, started_at, page = text.split("|", 3)
        return cls(int(source), since, started_at, page)

    def __str__(self) -> str:
        return f"{self.listing_index}|{self.since}|{self.started_at}|{self.page_cursor}"


def next_listing_page(
    cursor: str | None,
    listing_count: int,
    now: datetime,
    fetch: Callable[[int, str, str], ProfilesPage],
) -> tuple[list[tuple[int, KlaviyoProfile]], str, bool]:
    """A page of one of `listing_count` listings: rows, next cursor, whether it was the last.

    `fetch` is given the number of the listing, a time and Klaviyo's cursor.
    """
    position = KlaviyoCursor.parse(cursor)
    started_at = position.started_at or f"{now - OVERLAP:%Y-%m-%dT%H:%M:%SZ}"
    try:
        found = fetch(position.listing_index, position.since, position.page_cursor)
    except RequestRejected:
        if not position.page_cursor:
            raise
        # How long a cursor stays valid is not documented: begin this listing again.
        found = fetch(position.listing_index, position.since, "")
    rows = [(position.listing_index, profile) for profile in found.rows]
    if found.next_cursor:
        return (
            rows,
            str(
                KlaviyoCursor(position.listing_index, position.since, started_at, found.next_cursor)
            ),
            False,
        )
    if position.listing_index + 1 < listing_count:
        return (
            rows,
            str(KlaviyoCursor(position.listing_index + 1, position.since, started_at)),
            False,
        )
    return rows, str(KlaviyoCursor(since=started_at)), True


def to_vendor_events(profile: KlaviyoProfile, list_id: str | None) -> Iterator[VendorEvent]:
    """A profile's suppressions: those of one list, or those of all marketing."""
    if not profile.email:
        return
    if list_id is None:
        for suppression in profile.suppressions:
            if suppression.reason in set(KlaviyoSuppressionReason):
                yield VendorEvent(
                    EVENT_KIND_BY_REASON[KlaviyoSuppressionReason(suppression.reason)],
                    profile.email,
                    occurred_at=suppression.timestamp,
                )
    for held in profile.list_suppressions:
        if held.list_id == list_id:
            yield VendorEvent(VendorEventKind.OPTED_OUT, profile.email, list_id, held.timestamp)
