"""HubSpot's contacts: listing them and their opt-outs, and writing their properties.

https://developers.hubspot.com/docs/api-reference/2026-03/crm/search-the-crm
https://developers.hubspot.com/docs/api-reference/2026-03/crm/objects/contacts/guide
Searches are sorted by time of change and continue from the last contact's time, since one
search shows at most 10,000. An opt-out shows in a contact's properties, without a date.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

from pydantic import Field

from preference_center.integrations.base import runtime
from preference_center.integrations.hubspot.client import API_VERSION, HubSpotClient

SCAN_PAGE_SIZE = 100
PULL_PAGE_SIZE = 50
"""Contacts on a page of opt-outs: the time of each may take two more requests."""
OVERLAP = timedelta(minutes=15)
"""How far the next pass looks back: the search index lags behind changes."""
FILTER_GROUPS_PER_SEARCH = 5
"""Alternatives (filter groups) that one search may have."""
# Five a second are documented now, four were before.
_SEARCH_LIMIT = runtime.EndpointRateLimit("search", runtime.RateLimit(4, 1))
_CONTACTS_PATH = f"/crm/objects/{API_VERSION}/contacts"
_MODIFIED_PROPERTY = "lastmodifieddate"
_OPT_OUT_PROPERTY = "hs_email_optout"


class _HubSpotContact(runtime.LenientModel):
    id: str
    properties: dict[str, str | None] = Field(default_factory=dict)


class _Next(runtime.LenientModel):
    after: str


class _Paging(runtime.LenientModel):
    next: _Next | None = None


class _ContactsResponse(runtime.LenientModel):
    results: tuple[_HubSpotContact, ...] = ()
    paging: _Paging = _Paging()


def list_contacts(
    client: HubSpotClient, since: datetime | None, token: str, *, link_field: str | None
) -> tuple[list[runtime.ContactSnapshot], str]:
    """A page of contacts that were added or changed since a time, and the token of the next."""
    found, token = _search(
        client, [[]], [link_field] if link_field else [], SCAN_PAGE_SIZE, since, token
    )
    return [
        runtime.ContactSnapshot(
            email, link=(contact.properties.get(link_field) or "") if link_field else None
        )
        for contact in found
        if (email := contact.properties.get("email"))
    ], token


def opt_out_searches(type_ids: Iterable[str]) -> Iterator[Sequence[str]]:
    """The properties of opt-outs from all and from these types, as many as a search may name."""
    names = [_OPT_OUT_PROPERTY, *(f"{_OPT_OUT_PROPERTY}_{id_}" for id_ in sorted(set(type_ids)))]
    return runtime.chunked(names, FILTER_GROUPS_PER_SEARCH)


def list_opt_outs(
    client: HubSpotClient, since: datetime | None, token: str, *, properties: Sequence[str]
) -> tuple[list[runtime.VendorEvent], str]:
    """A page of opt-outs, by these properties, of contacts that changed since a time."""
    filters = [[{"propertyName": name, "operator": "EQ", "value": "true"}] for name in properties]
    found, token = _search(client, filters, properties, PULL_PAGE_SIZE, since, token)
    return [event for contact in found for event in _to_vendor_events(contact, properties)], token


def find_addresses(client: HubSpotClient, contact_ids: Sequence[str]) -> dict[str, str]:
    """Contact id -> address; see SupportsFind."""
    inputs = [{"id": contact} for contact in contact_ids]
    body = {"properties": ["email"], "propertiesWithHistory": [], "inputs": inputs}
    response = client.session.send("POST", f"{_CONTACTS_PATH}/batch/read", body=body)
    contacts = response.parse(_ContactsResponse).results
    return {each.id: email for each in contacts if (email := each.properties.get("email"))}


def write_field(client: HubSpotClient, field: str, batch: runtime.FieldItems) -> runtime.Outcomes:
    """Write a property of existing contacts; see SupportsContactFields."""
    inputs = [
        {"idProperty": "email", "id": item.address, "properties": {field: item.value}}
        for item in batch
    ]
    response = client.session.send(
        "POST", f"{_CONTACTS_PATH}/batch/update", body={"inputs": inputs}
    )
    contacts = response.parse(_ContactsResponse).results
    updated = {(each.properties.get("email") or "").casefold() for each in contacts}
    return {
        item.ref: runtime.reflected("updated")
        if item.address.casefold() in updated
        else runtime.absent("no contact")
        for item in batch
    }


def erase(client: HubSpotClient, address: str) -> runtime.PushOutcome:
    """Delete a contact for good; its address is barred from the account, also if it has none.

    https://developers.hubspot.com/docs/api-reference/2026-03/crm/objects/contacts/guide
    """
    response = client.session.send(
        "POST",
        f"{_CONTACTS_PATH}/gdpr-delete",
        body={"idProperty": "email", "objectId": address},
        allowed_statuses={HTTPStatus.NOT_FOUND},
    )
    return runtime.outcome_for_status(response.status)


def has_contact(client: HubSpotClient, address: str) -> bool:
    """Whether there is a contact with this address, also as an additional one."""
    body = {
        "idProperty": "email",
        "inputs": [{"id": address}],
        "properties": ["email"],
        "propertiesWithHistory": [],
    }
    response = client.session.send("POST", f"{_CONTACTS_PATH}/batch/read", body=body)
    return bool(response.parse(_ContactsResponse).results)


def _search(
    client: HubSpotClient,
    filter_groups: Sequence[Sequence[Mapping[str, str]]],
    properties: Sequence[str],
    page_size: int,
    since: datetime | None,
    token: str,
) -> tuple[Sequence[_HubSpotContact], str]:
    """A token is a time (milliseconds since 1970), and how many contacts after it to skip."""
    start, _, after = token.partition(":")
    modified_since = int(start) if start else _to_milliseconds(since) if since else 0
    condition = {
        "propertyName": _MODIFIED_PROPERTY,
        "operator": "GTE",
        "value": str(modified_since),
    }
    body: dict[str, Any] = {
        "filterGroups": [{"filters": [condition, *each]} for each in filter_groups],
        "sorts": [{"propertyName": _MODIFIED_PROPERTY, "direction": "ASCENDING"}],
        "properties": ["email", _MODIFIED_PROPERTY, *properties],
        "limit": page_size,
        "after": after or "0",
    }
    response = client.session.send(
        "POST", f"{_CONTACTS_PATH}/search", body=body, limit=_SEARCH_LIMIT
    )
    page = response.parse(_ContactsResponse)
    if page.paging.next is None or not page.results:
        return page.results, ""
    last = _modified_at(page.results[-1])
    if last > modified_since:
        return page.results, f"{last}:0"
    return page.results, f"{modified_since}:{page.paging.next.after}"


def _to_vendor_events(
    contact: _HubSpotContact, property_names: Sequence[str]
) -> Iterator[runtime.VendorEvent]:
    email = contact.properties.get("email")
    for name in property_names if email else ():
        if (contact.properties.get(name) or "").casefold() == "true":
            type_id = name.removeprefix(_OPT_OUT_PROPERTY).removeprefix("_") or None
            yield runtime.VendorEvent(runtime.VendorEventKind.OPTED_OUT, email or "", type_id)


def _modified_at(contact: _HubSpotContact) -> int:
    text = contact.properties.get(_MODIFIED_PROPERTY) or ""
    try:
        return _to_milliseconds(datetime.fromisoformat(text).astimezone(UTC))
    except ValueError:
        return 0


def _to_milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)
