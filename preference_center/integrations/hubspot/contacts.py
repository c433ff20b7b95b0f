"""HubSpot's contacts: listing them and their opt-outs, and writing their permanent links.

https://developers.hubspot.com/docs/api-reference/2026-03/crm/search-the-crm
https://developers.hubspot.com/docs/api-reference/2026-03/crm/objects/contacts/guide
Searches are sorted by time of change and continue from the last contact's time, since one
search shows at most 10,000. An opt-out shows in a contact's properties, without a date.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import Field, TypeAdapter

from preference_center.domain.sync.capabilities import RateLimit
from preference_center.domain.sync.contract import (
    ContactPage,
    ContactSnapshot,
    LinkItem,
    PushOutcome,
    PushResult,
)
from preference_center.domain.vendor_events import VendorEvent, VendorEventKind
from preference_center.integrations.base.http import HttpSession
from preference_center.integrations.base.pydantic_types import LenientModel
from preference_center.integrations.base.rate_limit import EndpointRateLimit
from preference_center.integrations.hubspot.client import API_VERSION

SCAN_PAGE_SIZE = 100
PULL_PAGE_SIZE = 50
"""Contacts on a page of opt-outs: the time of each may take two more requests."""
OVERLAP = timedelta(minutes=15)
"""How far the next pass looks back: the search index lags behind changes."""
FILTER_GROUPS_PER_SEARCH = 5
"""Alternatives (filter groups) that one search may have."""
# Five a second are documented now, four were before.
_SEARCH_LIMIT = EndpointRateLimit("search", RateLimit(4, 1))
_CONTACTS_PATH = f"/crm/objects/{API_VERSION}/contacts"
_MODIFIED_PROPERTY = "lastmodifieddate"
_OPT_OUT_PROPERTY = "hs_email_optout"


class _HubSpotContact(LenientModel):
    id: str
    properties: dict[str, str | None] = Field(default_factory=dict)


class _Next(LenientModel):
    after: str


class _Paging(LenientModel):
    next: _Next | None = None


class _ContactsResponse(LenientModel):
    results: tuple[_HubSpotContact, ...] = ()
    paging: _Paging = _Paging()


_CONTACTS_RESPONSE = TypeAdapter(_ContactsResponse)


@dataclass(frozen=True, slots=True)
class _HubSpotCursor:
    """Contacts changed since `since` (milliseconds since 1970), without the first `after`.

    `search_index` numbers the searches that a pull takes for its many alternatives.
    """

    since: int = 0
    after: int = 0
    search_index: int = 0
    started_at: int = 0
    pass_since: int = 0
    """`since` at the start of the pass."""

    @classmethod
    def parse(cls, text: str | None, now: datetime) -> _HubSpotCursor:
        if text is None:
            return cls(started_at=_to_milliseconds(now))
        parsed = cls(*map(int, text.split(":")))
        if parsed.started_at:
            return parsed
        return cls(parsed.since, started_at=_to_milliseconds(now), pass_since=parsed.since)

    def serialize(self) -> str:
        """As text."""
        return f"{self.since}:{self.after}:{self.search_index}:{self.started_at}:{self.pass_since}"

    def next_cursor(self, response: _ContactsResponse) -> _HubSpotCursor | None:
        """The next page of the same search; None if this is the last."""
        if response.paging.next is None or not response.results:
            return None
        last = _modified_at(response.results[-1])
        if last > self.since:
            return replace(self, since=last, after=0)
        return replace(self, after=int(response.paging.next.after))

    def next_pass_cursor(self) -> str:
        """The cursor of a pass that begins once this one is over."""
        return _HubSpotCursor(
            max(0, self.started_at - int(OVERLAP.total_seconds() * 1000))
        ).serialize()


def scan_page(
    session: HttpSession, cursor: str | None, now: datetime, link_field: str | None
) -> ContactPage[ContactSnapshot]:
    """The next contacts that were added or changed; see SupportsScan."""
    position = _HubSpotCursor.parse(cursor, now)
    found = _search(session, position, [[]], [link_field] if link_field else [], SCAN_PAGE_SIZE)
    rows = tuple(
        ContactSnapshot(
            email, link=(contact.properties.get(link_field) or "") if link_field else None
        )
        for contact in found.results
        if (email := contact.properties.get("email"))
    )
    following = position.next_cursor(found)
    if following is None:
        return ContactPage(rows, position.next_pass_cursor(), done=True)
    return ContactPage(rows, following.serialize(), done=False)


def pull_page(
    session: HttpSession, cursor: str | None, now: datetime, type_ids: Collection[int]
) -> ContactPage[VendorEvent]:
    """The next contacts that opted out of all or of one of these types; see SupportsPull."""
    position = _HubSpotCursor.parse(cursor, now)
    names = [_OPT_OUT_PROPERTY, *(f"{_OPT_OUT_PROPERTY}_{type_}" for type_ in sorted(type_ids))]
    some = names[position.search_index * FILTER_GROUPS_PER_SEARCH :][:FILTER_GROUPS_PER_SEARCH]
    wanted = [[{"propertyName": name, "operator": "EQ", "value": "true"}] for name in some]
    found = _search(session, position, wanted, some, PULL_PAGE_SIZE)
    rows = tuple(event for contact in found.results for event in _to_vendor_events(contact, some))
    following = position.next_cursor(found)
    if following is None and (position.search_index + 1) * FILTER_GROUPS_PER_SEARCH < len(names):
        following = replace(
            position, since=position.pass_since, after=0, search_index=position.search_index + 1
        )
    if following is None:
        return ContactPage(rows, position.next_pass_cursor(), done=True)
    return ContactPage(rows, following.serialize(), done=False)


def find_addresses(session: HttpSession, contact_ids: Sequence[str]) -> dict[str, str]:
    """Contact id -> address; see SupportsFind."""
    inputs = [{"id": contact} for contact in contact_ids]
    body = {"properties": ["email"], "propertiesWithHistory": [], "inputs": inputs}
    found = session.send("POST", f"{_CONTACTS_PATH}/batch/read", body=body).parse(
        _CONTACTS_RESPONSE
    )
    return {
        contact.id: email for contact in found.results if (email := contact.properties.get("email"))
    }


def write_links(
    session: HttpSession, batch: Sequence[LinkItem], link_field: str
) -> Mapping[int, PushOutcome]:
    """Write links into existing contacts; see SupportsLinkField."""
    inputs = [
        {"idProperty": "email", "id": item.address, "properties": {link_field: item.link}}
        for item in batch
    ]
    body = {"inputs": inputs}
    found = session.send("POST", f"{_CONTACTS_PATH}/batch/update", body=body).parse(
        _CONTACTS_RESPONSE
    )
    there = {(contact.properties.get("email") or "").casefold() for contact in found.results}
    return {
        item.ref: PushOutcome(PushResult.REFLECTED, "updated")
        if item.address.casefold() in there
        else PushOutcome(PushResult.ABSENT, "no contact")
        for item in batch
    }


def _search(
    session: HttpSession,
    cursor: _HubSpotCursor,
    filter_groups: Sequence[Sequence[Mapping[str, str]]],
    properties: Sequence[str],
    page_size: int,
) -> _ContactsResponse:
    since = {"propertyName": _MODIFIED_PROPERTY, "operator": "GTE", "value": str(cursor.since)}
    body: dict[str, Any] = {
        "filterGroups": [{"filters": [since, *each]} for each in filter_groups],
        "sorts": [{"propertyName": _MODIFIED_PROPERTY, "direction": "ASCENDING"}],
        "properties": ["email", _MODIFIED_PROPERTY, *properties],
        "limit": page_size,
        "after": str(cursor.after),
    }
    response = session.send("POST", f"{_CONTACTS_PATH}/search", body=body, limit=_SEARCH_LIMIT)
    return response.parse(_CONTACTS_RESPONSE)


def _to_vendor_events(
    contact: _HubSpotContact, property_names: Sequence[str]
) -> Iterator[VendorEvent]:
    email = contact.properties.get("email")
    for name in property_names if email else ():
        if (contact.properties.get(name) or "").casefold() == "true":
            type_id = name.removeprefix(_OPT_OUT_PROPERTY).removeprefix("_") or None
            yield VendorEvent(VendorEventKind.OPTED_OUT, email or "", type_id)


def _modified_at(contact: _HubSpotContact) -> int:
    text = contact.properties.get(_MODIFIED_PROPERTY) or ""
    try:
        return _to_milliseconds(datetime.fromisoformat(text).astimezone(UTC))
    except ValueError:
        return 0


def _to_milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)
