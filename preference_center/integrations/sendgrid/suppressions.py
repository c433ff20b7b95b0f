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
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import astuple, dataclass, replace
from datetime import datetime, timedelta

from pydantic import TypeAdapter

from preference_center.domain.bounces.bounce import Bounce
from preference_center.domain.sync.contract import ContactPage
from preference_center.domain.vendor_events import VendorEvent, VendorEventKind
from preference_center.integrations.base.http import HttpSession
from preference_center.integrations.base.payload import parse_epoch
from preference_center.integrations.base.pydantic_types import LenientModel

PAGE_SIZE = 500
"""The most that SendGrid gives of a list at a time."""
REQUESTS_PER_PAGE = 10
MAX_ROWS_PER_PAGE = 10_000
"""Rows taken at a time of an answer that has all there is, whatever `limit` said."""
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


class _SuppressionRow(LenientModel):
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


_ROWS = TypeAdapter(list[_SuppressionRow])


@dataclass(frozen=True, slots=True)
class _SuppressionCursor:
    """Where a pass is: which list, and how many of its rows were read. Seconds since 1970."""

    until: int
    """When the pass began."""
    full_pass_at: int
    """When the last whole pass began; 0 for never."""
    since: int
    """What came before it is not asked for; 0 for a whole pass."""
    list_index: int = 0
    offset: int = 0
    is_unpaged: bool = False
    last_fingerprint: str = ""
    """Fingerprint of the page before, by a key: a cursor reveals nothing of an address."""

    @classmethod
    def parse(cls, text: str | None, now: datetime) -> _SuppressionCursor:
        """Where to go on. A cursor of the time before they had this form starts again."""
        try:
            place = cls(*json.loads(text or ""))
        except (ValueError, TypeError):
            return cls(int(now.timestamp()), 0, 0)
        return (
            place
            if place.list_index < len(_EVENT_KIND_BY_LIST)
            else place.next_pass(int(now.timestamp()))
        )

    def next_pass(self, now: int) -> _SuppressionCursor:
        """The next pass: a whole one once a day."""
        if now - self.full_pass_at >= FULL_PASS_INTERVAL.total_seconds():
            return _SuppressionCursor(now, self.full_pass_at, 0)
        return _SuppressionCursor(now, self.full_pass_at, self.until - int(OVERLAP.total_seconds()))

    def next_list(self) -> _SuppressionCursor:
        """The beginning of the next list."""
        whole_at = self.full_pass_at if self.since else self.until
        return _SuppressionCursor(self.until, whole_at, self.since, self.list_index + 1)

    def serialize(self) -> str:
        """As text."""
        return json.dumps(astuple(self), separators=(",", ":"))


def pull_page(
    session: HttpSession, cursor: str | None, groups: Collection[str], now: datetime, secret: str
) -> ContactPage[VendorEvent]:
    """The next of them; see Pullable. `groups` are those that topics are mapped to."""
    place, rows = _SuppressionCursor.parse(cursor, now), list[VendorEvent]()
    for _ in range(REQUESTS_PER_PAGE):
        found, place = _fetch_rows(session, place, secret)
        rows += [
            news for row in found.rows for news in _to_vendor_events(found.list_name, row, groups)
        ]
        if place.list_index == len(_EVENT_KIND_BY_LIST) or place.is_unpaged:
            break
    return ContactPage(
        tuple(rows), place.serialize(), done=place.list_index == len(_EVENT_KIND_BY_LIST)
    )


@dataclass(frozen=True, slots=True)
class _SuppressionRows:
    list_name: str
    rows: Sequence[_SuppressionRow]


def _fetch_rows(
    session: HttpSession, cursor: _SuppressionCursor, secret: str
) -> tuple[_SuppressionRows, _SuppressionCursor]:
    """The next rows, and where to go on."""
    name = list(_EVENT_KIND_BY_LIST)[cursor.list_index]
    start = 0 if cursor.is_unpaged else cursor.offset
    query = {"limit": str(PAGE_SIZE), "offset": str(start)}
    if cursor.since:
        query["start_time"] = str(cursor.since)
    rows = session.send("GET", f"/v3/{name}", query=query, max_bytes=MAX_LIST_BYTES).parse(_ROWS)
    if len(rows) > PAGE_SIZE:
        return _slice_rows(name, rows, cursor)
    mark = _fingerprint(rows, secret)
    if not rows or mark == cursor.last_fingerprint:
        return _SuppressionRows(name, ()), cursor.next_list()
    if any(row.timestamp is not None and row.timestamp < cursor.since for row in rows):
        return _SuppressionRows(name, rows), cursor.next_list()
    return _SuppressionRows(name, rows), replace(
        cursor, offset=cursor.offset + len(rows), last_fingerprint=mark
    )


def _slice_rows(
    list_name: str, rows: Sequence[_SuppressionRow], cursor: _SuppressionCursor
) -> tuple[_SuppressionRows, _SuppressionCursor]:
    """Some of an answer that has them all; sorted, so that places in it mean the same again."""
    start = cursor.offset if cursor.is_unpaged else 0
    known = sorted(rows, key=lambda row: (row.timestamp or 0, row.email, row.group_id or 0))
    part = known[start : start + MAX_ROWS_PER_PAGE]
    following = start + MAX_ROWS_PER_PAGE
    if following >= len(known):
        return _SuppressionRows(list_name, part), cursor.next_list()
    return _SuppressionRows(list_name, part), replace(cursor, offset=following, is_unpaged=True)


def _fingerprint(rows: Sequence[_SuppressionRow], secret: str) -> str:
    text = "\n".join(f"{row.email} {row.group_id} {row.timestamp}" for row in rows)
    return hmac.digest(secret.encode(), text.encode(), "sha256").hex()[:16]


def _to_vendor_events(
    list_name: str, row: _SuppressionRow, groups: Collection[str]
) -> Iterator[VendorEvent]:
    """Nothing of a row without an address, or of a group that no topic is mapped to."""
    kind, of_groups = _EVENT_KIND_BY_LIST[list_name], list_name == _GROUP_SUPPRESSIONS
    if row.email and (not of_groups or str(row.group_id) in groups):
        thing = str(row.group_id) if of_groups else None
        bounce = (
            Bounce(row.status, diagnostic=row.reason) if kind is VendorEventKind.BOUNCED else None
        )
        yield VendorEvent(kind, row.email, thing, parse_epoch(row.timestamp), bounce=bounce)
