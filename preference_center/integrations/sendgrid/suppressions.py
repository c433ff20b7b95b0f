"""The opt-outs, complaints and hard bounces that SendGrid knows of.

https://www.twilio.com/docs/sendgrid/api-reference/suppressions-suppressions/retrieve-all-suppressions
https://www.twilio.com/docs/sendgrid/api-reference/suppressions-global-suppressions/retrieve-all-global-suppressions
All lists are paged by `limit` and `offset`, and asked for what came since the last pass
(`start_time`); once a day they are read from the beginning. For the list of groups neither is
documented, though both are served (github.com/sendgrid/docs/issues/5178), so nothing here
relies on them: a page that repeats the one before ends the list, one that is longer than asked
for is all there is, and an old row in answer to `start_time` leaves the rest to the next whole
pass.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from preference_center.integrations.base import runtime
from preference_center.integrations.base.payload import parse_epoch
from preference_center.integrations.base.runtime import VendorEvent, VendorEventKind

PAGE_SIZE = 500
"""The most that SendGrid gives of a list at a time."""
REQUESTS_PER_PAGE = 10
MAX_ROWS_PER_PAGE = 10_000
"""Rows taken at a time of an answer that has all there is, whatever the `limit`."""
MAX_LIST_BYTES = 500_000_000
"""Bytes; some four million suppressions."""
OVERLAP = timedelta(hours=1)
"""How far a pass reaches back before the last one began."""
FULL_PASS_INTERVAL = timedelta(days=1)

_GROUP_SUPPRESSIONS = "asm/suppressions"
_EVENT_KIND_BY_LIST = {
    _GROUP_SUPPRESSIONS: VendorEventKind.OPTED_OUT,
    "suppression/unsubscribes": VendorEventKind.OPTED_OUT,
    "suppression/spam_reports": VendorEventKind.COMPLAINED,
    "suppression/bounces": VendorEventKind.BOUNCED,
}
_LISTS = tuple(_EVENT_KIND_BY_LIST)


class _SuppressionRow(runtime.LenientModel):
    email: str = ""
    group_id: int | None = None
    created_at: int | None = None
    """What the list of groups calls `created`."""
    created: int | None = None
    status: str = ""
    reason: str = ""

    @property
    def timestamp(self) -> int | None:
        return self.created if self.created_at is None else self.created_at


@dataclass(frozen=True, slots=True)
class _SuppressionCursor:
    """Where a pass is: which list, and how many of its rows were read. Seconds since 1970."""

    until: int
    """When the pass began."""
    full_pass_at: int = 0
    """When the last whole pass began; 0 for never."""
    since: int = 0
    """What came before it is not asked for; 0 for a whole pass."""
    list_index: int = 0
    offset: int = 0
    is_unpaged: bool = False
    last_fingerprint: str = ""
    """Fingerprint of the page before, by a key: a cursor reveals nothing of an address."""

    def next_pass(self, now: int) -> _SuppressionCursor:
        """The next pass: a whole one once a day."""
        if now - self.full_pass_at >= FULL_PASS_INTERVAL.total_seconds():
            return _SuppressionCursor(now, self.full_pass_at, 0)
        return _SuppressionCursor(now, self.full_pass_at, self.until - int(OVERLAP.total_seconds()))

    def next_list(self) -> _SuppressionCursor:
        """The beginning of the next list."""
        whole_at = self.full_pass_at if self.since else self.until
        return _SuppressionCursor(self.until, whole_at, self.since, self.list_index + 1)


def pull_page(
    session: runtime.Session,
    cursor: str | None,
    groups: Collection[str],
    now: datetime,
    secret: str,
) -> runtime.EventPage:
    """The next of them; see SupportsPull. `groups` are those that topics are mapped to."""
    position = _first_position(cursor, int(now.timestamp()))
    events: list[VendorEvent] = []
    done = False
    for _ in range(REQUESTS_PER_PAGE):
        name = _LISTS[position.list_index]
        rows, position = _fetch_rows(session, name, position, secret)
        events += [event for row in rows for event in _to_vendor_events(name, row, groups)]
        done = position.list_index == len(_LISTS)
        if done or position.is_unpaged:
            break
    return runtime.ContactPage(tuple(events), runtime.encode_cursor(position), done=done)


def _first_position(cursor: str | None, now: int) -> _SuppressionCursor:
    position = runtime.decode_cursor(_SuppressionCursor, cursor) or _SuppressionCursor(now)
    return position if position.list_index < len(_LISTS) else position.next_pass(now)


def _fetch_rows(
    session: runtime.Session, list_name: str, cursor: _SuppressionCursor, secret: str
) -> tuple[Sequence[_SuppressionRow], _SuppressionCursor]:
    """The next rows of a list, and where to go on."""
    start = 0 if cursor.is_unpaged else cursor.offset
    query = {"limit": str(PAGE_SIZE), "offset": str(start)}
    if cursor.since:
        query["start_time"] = str(cursor.since)
    answer = session.send("GET", f"/v3/{list_name}", query=query, max_bytes=MAX_LIST_BYTES)
    rows = answer.parse(list[_SuppressionRow])
    if len(rows) > PAGE_SIZE:
        return _slice_rows(rows, cursor)
    fingerprint = _fingerprint(rows, secret)
    if not rows or fingerprint == cursor.last_fingerprint:
        return (), cursor.next_list()
    if any(row.timestamp is not None and row.timestamp < cursor.since for row in rows):
        return rows, cursor.next_list()
    offset = cursor.offset + len(rows)
    return rows, replace(cursor, offset=offset, last_fingerprint=fingerprint)


def _slice_rows(
    rows: Sequence[_SuppressionRow], cursor: _SuppressionCursor
) -> tuple[Sequence[_SuppressionRow], _SuppressionCursor]:
    """Some of a response that has them all; sorted, so that an index means the same again."""
    start = cursor.offset if cursor.is_unpaged else 0
    known = sorted(rows, key=lambda row: (row.timestamp or 0, row.email, row.group_id or 0))
    part, following = known[start : start + MAX_ROWS_PER_PAGE], start + MAX_ROWS_PER_PAGE
    if following >= len(known):
        return part, cursor.next_list()
    return part, replace(cursor, offset=following, is_unpaged=True)


def _fingerprint(rows: Sequence[_SuppressionRow], secret: str) -> str:
    text = "\n".join(f"{row.email} {row.group_id} {row.timestamp}" for row in rows)
    return hmac.digest(secret.encode(), text.encode(), "sha256").hex()[:16]


def _to_vendor_events(
    list_name: str, row: _SuppressionRow, groups: Collection[str]
) -> Iterator[VendorEvent]:
    """Nothing of a row without an address, or of a group that no topic is mapped to."""
    kind, of_groups = _EVENT_KIND_BY_LIST[list_name], list_name == _GROUP_SUPPRESSIONS
    if row.email and (not of_groups or str(row.group_id) in groups):
        target = str(row.group_id) if of_groups else None
        is_bounce = kind is VendorEventKind.BOUNCED
        bounce = runtime.Bounce(row.status, diagnostic=row.reason) if is_bounce else None
        yield VendorEvent(kind, row.email, target, parse_epoch(row.timestamp), bounce=bounce)
