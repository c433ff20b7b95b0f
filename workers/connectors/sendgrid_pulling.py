"""The opt-outs, complaints and hard bounces that SendGrid knows of.

https://www.twilio.com/docs/sendgrid/api-reference/suppressions-suppressions/retrieve-all-suppressions
https://www.twilio.com/docs/sendgrid/api-reference/suppressions-global-suppressions/retrieve-all-global-suppressions
Those of groups come in one answer, however many; the others in pages.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime

from pydantic import BaseModel, TypeAdapter

from preference_center.domain.bounces import Bounce
from preference_center.domain.news import News, NewsKind
from workers.connectors.base import Page
from workers.connectors.http import Session

GROUP_ROWS = 10_000
"""Rows of the one answer that are taken in at a time."""
PAGE = 500
"""The most that SendGrid gives of the other lists."""
LONGEST_LIST = 500_000_000
"""Octets; some four million suppressions."""

_LISTS = ("groups", "unsubscribes", "spam_reports", "bounces")
_KINDS = {
    "unsubscribes": NewsKind.OPTED_OUT,
    "spam_reports": NewsKind.COMPLAINED,
    "bounces": NewsKind.BOUNCED,
}


class _Suppressed(BaseModel):
    email: str
    group_id: int
    created_at: int


class _Row(BaseModel):
    email: str
    created: int
    status: str = ""
    reason: str = ""


_SUPPRESSED = TypeAdapter(list[_Suppressed])
_ROWS = TypeAdapter(list[_Row])


def pull_page(session: Session, cursor: str | None, groups: Collection[str]) -> Page[News]:
    """The next of them; see Pullable. `groups` are those that topics are mapped to."""
    name, _, place = (cursor or "groups:0").partition(":")
    start = int(place)
    if name == "groups":
        rows, more = _of_groups(session, start, groups)
        step = GROUP_ROWS
    else:
        rows, more = _of_list(session, name, start)
        step = PAGE
    if more:
        return Page(rows, f"{name}:{start + step}", done=False)
    following = _LISTS.index(name) + 1
    if following == len(_LISTS):
        return Page(rows, None, done=True)
    return Page(rows, f"{_LISTS[following]}:0", done=False)


def _of_groups(
    session: Session, start: int, groups: Collection[str]
) -> tuple[tuple[News, ...], bool]:
    answer = session.send("GET", "/v3/asm/suppressions", most=LONGEST_LIST).parse(_SUPPRESSED)
    # Sorted, so that places in it mean the same each time.
    rows = sorted(
        (row for row in answer if str(row.group_id) in groups),
        key=lambda row: (row.created_at, row.email),
    )
    news = tuple(
        News(NewsKind.OPTED_OUT, row.email, str(row.group_id), _moment(row.created_at))
        for row in rows[start : start + GROUP_ROWS]
    )
    return news, start + GROUP_ROWS < len(rows)


def _of_list(session: Session, name: str, start: int) -> tuple[tuple[News, ...], bool]:
    rows = session.send(
        "GET", f"/v3/suppression/{name}", query={"limit": str(PAGE), "offset": str(start)}
    ).parse(_ROWS)
    news = tuple(_news(_KINDS[name], row) for row in rows)
    return news, len(rows) == PAGE


def _news(kind: NewsKind, row: _Row) -> News:
    news = News(kind, row.email, at=_moment(row.created))
    if kind is not NewsKind.BOUNCED:
        return news
    return replace(news, bounce=Bounce(row.status, text=row.reason))


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
