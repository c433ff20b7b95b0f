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
from preference_center.domain.sync.contract import Page
from preference_center.domain.vendor_events import News, NewsKind
from preference_center.integrations.base.http import Session
from preference_center.integrations.base.payload import moment
from preference_center.integrations.base.pydantic_types import Lenient

PAGE = 500
"""The most that SendGrid gives of a list at a time."""
REQUESTS_PER_PAGE = 10
ROWS_AT_ONCE = 10_000
"""Rows taken at a time of an answer that has all there is, whatever `limit` said."""
LONGEST_LIST = 500_000_000
"""Bytes; some four million suppressions."""
OVERLAP = timedelta(hours=1)
"""How far a pass reaches back before the last one began."""
WHOLE_EVERY = timedelta(days=1)

_OF_GROUPS = "asm/suppressions"
_LISTS = {
    _OF_GROUPS: NewsKind.OPTED_OUT,
    "suppression/unsubscribes": NewsKind.OPTED_OUT,
    "suppression/spam_reports": NewsKind.COMPLAINED,
    "suppression/bounces": NewsKind.BOUNCED,
}


class _Row(Lenient):
    email: str = ""
    group_id: int | None = None
    created_at: int | None = None
    """What the list of groups calls `created`."""
    created: int | None = None
    status: str = ""
    reason: str = ""

    @property
    def at(self) -> int | None:
        return self.created if self.created_at is None else self.created_at


_ROWS = TypeAdapter(list[_Row])


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a pass is: which list, and how many of its rows were read. Seconds since 1970."""

    until: int
    """When the pass began."""
    whole_at: int
    """When the last whole pass began; 0 for never."""
    since: int
    """What came before it is not asked for; 0 for a whole pass."""
    list: int = 0
    offset: int = 0
    all_at_once: bool = False
    last: str = ""
    """Fingerprint of the page before, by a key: a cursor reveals nothing of an address."""

    @classmethod
    def read(cls, cursor: str | None, now: datetime) -> _Place:
        """Where to go on. A cursor of the time before they had this form starts again."""
        try:
            place = cls(*json.loads(cursor or ""))
        except (ValueError, TypeError):
            return cls(int(now.timestamp()), 0, 0)
        return place if place.list < len(_LISTS) else place.again(int(now.timestamp()))

    def again(self, now: int) -> _Place:
        """The next pass: a whole one once a day."""
        if now - self.whole_at >= WHOLE_EVERY.total_seconds():
            return _Place(now, self.whole_at, 0)
        return _Place(now, self.whole_at, self.until - int(OVERLAP.total_seconds()))

    def next_list(self) -> _Place:
        """The beginning of the next list."""
        whole_at = self.whole_at if self.since else self.until
        return _Place(self.until, whole_at, self.since, self.list + 1)

    def cursor(self) -> str:
        """As text."""
        return json.dumps(astuple(self), separators=(",", ":"))


def pull_page(
    session: Session, cursor: str | None, groups: Collection[str], now: datetime, secret: str
) -> Page[News]:
    """The next of them; see Pullable. `groups` are those that topics are mapped to."""
    place, rows = _Place.read(cursor, now), list[News]()
    for _ in range(REQUESTS_PER_PAGE):
        found, place = _ask(session, place, secret)
        rows += [news for row in found.rows for news in _news(found.list, row, groups)]
        if place.list == len(_LISTS) or place.all_at_once:
            break
    return Page(tuple(rows), place.cursor(), done=place.list == len(_LISTS))


@dataclass(frozen=True, slots=True)
class _Found:
    list: str
    rows: Sequence[_Row]


def _ask(session: Session, place: _Place, secret: str) -> tuple[_Found, _Place]:
    """The next rows, and where to go on."""
    name = list(_LISTS)[place.list]
    start = 0 if place.all_at_once else place.offset
    query = {"limit": str(PAGE), "offset": str(start)}
    if place.since:
        query["start_time"] = str(place.since)
    rows = session.send("GET", f"/v3/{name}", query=query, most=LONGEST_LIST).parse(_ROWS)
    if len(rows) > PAGE:
        return _part(name, rows, place)
    mark = _fingerprint(rows, secret)
    if not rows or mark == place.last:
        return _Found(name, ()), place.next_list()
    if any(row.at is not None and row.at < place.since for row in rows):
        return _Found(name, rows), place.next_list()
    return _Found(name, rows), replace(place, offset=place.offset + len(rows), last=mark)


def _part(name: str, rows: Sequence[_Row], place: _Place) -> tuple[_Found, _Place]:
    """Some of an answer that has them all; sorted, so that places in it mean the same again."""
    start = place.offset if place.all_at_once else 0
    known = sorted(rows, key=lambda row: (row.at or 0, row.email, row.group_id or 0))
    part = known[start : start + ROWS_AT_ONCE]
    following = start + ROWS_AT_ONCE
    if following >= len(known):
        return _Found(name, part), place.next_list()
    return _Found(name, part), replace(place, offset=following, all_at_once=True)


def _fingerprint(rows: Sequence[_Row], secret: str) -> str:
    text = "\n".join(f"{row.email} {row.group_id} {row.at}" for row in rows)
    return hmac.digest(secret.encode(), text.encode(), "sha256").hex()[:16]


def _news(name: str, row: _Row, groups: Collection[str]) -> Iterator[News]:
    """Nothing of a row without an address, or of a group that no topic is mapped to."""
    kind, of_groups = _LISTS[name], name == _OF_GROUPS
    if row.email and (not of_groups or str(row.group_id) in groups):
        thing = str(row.group_id) if of_groups else None
        bounce = Bounce(row.status, text=row.reason) if kind is NewsKind.BOUNCED else None
        yield News(kind, row.email, thing, moment(row.at), bounce=bounce)
