"""HubSpot's contacts: who is there, who opted out, and their standing links.

https://developers.hubspot.com/docs/api-reference/2026-03/crm/search-the-crm
https://developers.hubspot.com/docs/api-reference/2026-03/crm/objects/contacts/guide
Searches are sorted by when contacts were changed, and go on from the last one's moment, since
one search shows 10,000 at most. Opting out shows in a contact's properties, without a date.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import Field, TypeAdapter

from preference_center.domain.sync.capabilities import Rate
from preference_center.domain.sync.contract import LinkItem, Outcome, Page, Result, Seen
from preference_center.domain.vendor_events import News, NewsKind
from preference_center.integrations.base.http import Session
from preference_center.integrations.base.pydantic_types import Lenient
from preference_center.integrations.base.rate_limit import Limit
from preference_center.integrations.hubspot.client import VERSION

SHOWN = 100
PULLED = 50
"""Opt-outs on a page: the time of each may take two requests more."""
OVERLAP = timedelta(minutes=15)
"""How far a later search looks back: what is new can be searched for after a while only."""
GROUPS_PER_SEARCH = 5
"""Alternatives that one search may name."""
# Five a second are documented now, four were before.
_SEARCHES = Limit("search", Rate(4, 1))
_CONTACTS = f"/crm/objects/{VERSION}/contacts"
_CHANGED = "lastmodifieddate"
_OPTED_OUT = "hs_email_optout"


class _Contact(Lenient):
    id: str
    properties: dict[str, str | None] = Field(default_factory=dict)


class _Next(Lenient):
    after: str


class _Paging(Lenient):
    next: _Next | None = None


class _Found(Lenient):
    results: tuple[_Contact, ...] = ()
    paging: _Paging = _Paging()


_FOUND = TypeAdapter(_Found)


@dataclass(frozen=True, slots=True)
class _Place:
    """Contacts changed since `since` (milliseconds since 1970), less the first `after`.

    `part` counts the searches that a pull takes for its many alternatives.
    """

    since: int = 0
    after: int = 0
    part: int = 0
    began: int = 0
    first: int = 0
    """`since` as the pass began."""

    @classmethod
    def read(cls, cursor: str | None, now: datetime) -> _Place:
        if cursor is None:
            return cls(began=_milliseconds(now))
        place = cls(*map(int, cursor.split(":")))
        if place.began:
            return place
        return cls(place.since, began=_milliseconds(now), first=place.since)

    def cursor(self) -> str:
        """As text."""
        return f"{self.since}:{self.after}:{self.part}:{self.began}:{self.first}"

    def following(self, found: _Found) -> _Place | None:
        """Where the same search goes on, if it does."""
        if found.paging.next is None or not found.results:
            return None
        last = _changed_at(found.results[-1])
        if last > self.since:
            return replace(self, since=last, after=0)
        return replace(self, after=int(found.paging.next.after))

    def later(self) -> str:
        """The cursor of a pass that begins once this one is over."""
        return _Place(max(0, self.began - int(OVERLAP.total_seconds() * 1000))).cursor()


def scan_page(session: Session, cursor: str | None, now: datetime, field: str | None) -> Page[Seen]:
    """The next contacts that were added or changed; see Scannable."""
    place = _Place.read(cursor, now)
    found = _search(session, place, [[]], [field] if field else [], SHOWN)
    rows = tuple(
        Seen(email, link=(contact.properties.get(field) or "") if field else None)
        for contact in found.results
        if (email := contact.properties.get("email"))
    )
    following = place.following(found)
    if following is None:
        return Page(rows, place.later(), done=True)
    return Page(rows, following.cursor(), done=False)


def pull_page(
    session: Session, cursor: str | None, now: datetime, types: Collection[int]
) -> Page[News]:
    """The next contacts that opted out of all or of one of these types; see Pullable."""
    place = _Place.read(cursor, now)
    names = [_OPTED_OUT, *(f"{_OPTED_OUT}_{type_}" for type_ in sorted(types))]
    some = names[place.part * GROUPS_PER_SEARCH :][:GROUPS_PER_SEARCH]
    wanted = [[{"propertyName": name, "operator": "EQ", "value": "true"}] for name in some]
    found = _search(session, place, wanted, some, PULLED)
    rows = tuple(news for contact in found.results for news in _news(contact, some))
    following = place.following(found)
    if following is None and (place.part + 1) * GROUPS_PER_SEARCH < len(names):
        following = replace(place, since=place.first, after=0, part=place.part + 1)
    if following is None:
        return Page(rows, place.later(), done=True)
    return Page(rows, following.cursor(), done=False)


def find(session: Session, contacts: Sequence[str]) -> dict[str, str]:
    """Contact id -> address; see Findable."""
    inputs = [{"id": contact} for contact in contacts]
    body = {"properties": ["email"], "propertiesWithHistory": [], "inputs": inputs}
    found = session.send("POST", f"{_CONTACTS}/batch/read", body=body).parse(_FOUND)
    return {
        contact.id: email for contact in found.results if (email := contact.properties.get("email"))
    }


def write_links(session: Session, batch: Sequence[LinkItem], field: str) -> Mapping[int, Outcome]:
    """Write links into the contacts that there are; see Fieldable."""
    inputs = [
        {"idProperty": "email", "id": item.address, "properties": {field: item.link}}
        for item in batch
    ]
    body = {"inputs": inputs}
    found = session.send("POST", f"{_CONTACTS}/batch/update", body=body).parse(_FOUND)
    there = {(contact.properties.get("email") or "").casefold() for contact in found.results}
    return {
        item.ref: Outcome(Result.REFLECTED, "updated")
        if item.address.casefold() in there
        else Outcome(Result.ABSENT, "no contact")
        for item in batch
    }


def _search(
    session: Session,
    place: _Place,
    alternatives: Sequence[Sequence[Mapping[str, str]]],
    properties: Sequence[str],
    most: int,
) -> _Found:
    since = {"propertyName": _CHANGED, "operator": "GTE", "value": str(place.since)}
    body: dict[str, Any] = {
        "filterGroups": [{"filters": [since, *each]} for each in alternatives],
        "sorts": [{"propertyName": _CHANGED, "direction": "ASCENDING"}],
        "properties": ["email", _CHANGED, *properties],
        "limit": most,
        "after": str(place.after),
    }
    answer = session.send("POST", f"{_CONTACTS}/search", body=body, limit=_SEARCHES)
    return answer.parse(_FOUND)


def _news(contact: _Contact, names: Sequence[str]) -> Iterator[News]:
    email = contact.properties.get("email")
    for name in names if email else ():
        if (contact.properties.get(name) or "").casefold() == "true":
            thing = name.removeprefix(_OPTED_OUT).removeprefix("_") or None
            yield News(NewsKind.OPTED_OUT, email or "", thing)


def _changed_at(contact: _Contact) -> int:
    text = contact.properties.get(_CHANGED) or ""
    try:
        return _milliseconds(datetime.fromisoformat(text).astimezone(UTC))
    except ValueError:
        return 0


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)
