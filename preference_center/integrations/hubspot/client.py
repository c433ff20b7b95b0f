"""`HubSpotClient` calls HubSpot's API for statuses of subscriptions and for contacts.

Only the fields of the responses that are needed are read. HubSpot's published description promises
more than its own pages show: whatever isn't needed to know whom and what a row is about may be
missing or null here.

Communication preferences are called in batches or one address at a time:
https://developers.hubspot.com/docs/api-reference/2026-03/communication-preferences/guide
https://developers.hubspot.com/docs/developer-tooling/platform/usage-guidelines
A key can be granted the scopes of the batch calls in a Marketing Hub Enterprise account
only. Where HubSpot reports that a scope is missing, calls for one address are made instead,
and no more batch calls. Both kinds belong to the dated version 2026-03; v4 ends on
30 March 2027, v1 to v3 in September 2027.

Contacts and their opt-outs are listed, and the properties of contacts written:
https://developers.hubspot.com/docs/api-reference/2026-03/crm/search-the-crm
https://developers.hubspot.com/docs/api-reference/2026-03/crm/objects/contacts/guide
Searches are sorted by time of change and continue from the last contact's time, since one
search shows at most 10,000. An opt-out shows in a contact's properties, without a date.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from http import HTTPStatus
from typing import Any

from pydantic import Field

from preference_center.integrations.base import runtime


class SubscriptionStatus(runtime.CamelModel):
    """One address's status for one subscription type."""

    subscriber_id_string: str
    subscription_id: int
    status: str = ""
    set_status_success_reason: str = ""
    timestamp: runtime.IsoDatetime = None
    """When it was last changed (UTC)."""


class UnsubscribeAllStatus(runtime.CamelModel):
    """One address's status for all of an account, or of a brand."""

    subscriber_id_string: str
    status: str = ""
    timestamp: runtime.IsoDatetime = None


class InputError(runtime.CamelModel):
    """Why some input was rejected."""

    category: str = ""
    context: Any = None
    """Documented as a map of lists; in one example it is a string."""


class StatusesResponse(runtime.CamelModel):
    """Response to a change of statuses, and to a query for those of one address."""

    results: tuple[SubscriptionStatus, ...] = ()
    errors: tuple[InputError, ...] = ()


class SubscriberStatuses(runtime.CamelModel):
    """One address's statuses, for single types or for all."""

    subscriber_id_string: str
    statuses: tuple[SubscriptionStatus, ...] = ()
    wide_statuses: tuple[UnsubscribeAllStatus, ...] = ()


class SubscribersResponse(runtime.CamelModel):
    """Response to the batch calls about whole addresses."""

    results: tuple[SubscriberStatuses, ...] = ()
    errors: tuple[InputError, ...] = ()


class SubscriptionDefinition(runtime.CamelModel):
    """One subscription type."""

    id: str
    name: str = ""
    is_active: bool = True


class ErrorResponse(runtime.CamelModel):
    """Why a request was rejected; the message is not read (I12)."""

    category: str = ""


API_VERSION = "2026-03"


PREFERENCES_PATH = f"/communication-preferences/{API_VERSION}"


INPUTS_PER_CALL = 100


UNSUBSCRIBED, SUBSCRIBED = "UNSUBSCRIBED", "SUBSCRIBED"


_DEFAULT_RATE_WINDOW = timedelta(seconds=10)


_DAILY_LIMIT_WAIT = timedelta(hours=1)
"""The day's quota is used up; it is renewed at midnight in the account's time zone."""


_SCOPES_UNAVAILABLE = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.METHOD_NOT_ALLOWED,
    }
)


class MissingScopeError(runtime.DeliveryError):
    """HubSpot reports that the key lacks the scope of a call."""


def parse_rate_limit_headers(
    status: int, headers: Mapping[str, str], _: datetime
) -> timedelta | None:
    """How long to send HubSpot no more requests; see `RateLimitHeaders`.

    A 429 names no time, and responses to searches have none of these headers.
    """
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        used_up = headers.get("x-hubspot-ratelimit-daily-remaining") == "0"
        return _DAILY_LIMIT_WAIT if used_up else _rate_window(headers)
    if headers.get("x-hubspot-ratelimit-remaining") == "0":
        return _rate_window(headers)
    return None


def _rate_window(headers: Mapping[str, str]) -> timedelta:
    text = headers.get("x-hubspot-ratelimit-interval-milliseconds", "")
    return timedelta(milliseconds=int(text[:7])) if text.isdecimal() else _DEFAULT_RATE_WINDOW


class HubSpotClient:
    """One account, for one check, push or page."""

    def __init__(self, session: runtime.Session, settings: Mapping[str, str]) -> None:
        self.session = session
        self._token = settings["token"]
        self._channel_query = {"channel": "EMAIL"}
        if business_unit := settings.get("business_unit"):
            self._channel_query["businessUnitId"] = business_unit

    @cached_property
    def scopes(self) -> frozenset[str] | None:
        """The scopes of the key; None if HubSpot does not report them for this kind of key."""
        response = self.session.send(
            "POST",
            "/oauth/v2/private-apps/get/access-token-info",
            body={"tokenKey": self._token},
            allowed_statuses=_SCOPES_UNAVAILABLE,
        )
        if response.status in _SCOPES_UNAVAILABLE:
            return None
        return frozenset(response.parse_member(list[str], "scopes", or_empty=True))

    @property
    def definitions(self) -> Sequence[SubscriptionDefinition]:
        """The subscription types."""
        rows = self._definitions.parse_member(
            list[SubscriptionDefinition], "results", or_empty=True
        )
        return [row for row in rows if row.id.isdigit()]

    @property
    def rate_limit_headers(self) -> Mapping[str, str]:
        """HubSpot's headers about the account's rate limit."""
        return self._definitions.headers

    @cached_property
    def _definitions(self) -> runtime.Response:
        return self._send("GET", f"{PREFERENCES_PATH}/definitions")

    def read_statuses_batch(self, addresses: Sequence[str]) -> Sequence[SubscriberStatuses]:
        """The statuses of at most 100 addresses; unknown addresses are left out."""
        query = {"channel": "EMAIL"}
        return self._send_batch("read", addresses, query).parse(SubscribersResponse).results

    def read_statuses(self, address: str) -> Sequence[SubscriptionStatus] | None:
        """The statuses of one address; None if it is unknown."""
        response = self._send_about(address, "GET", query={"channel": "EMAIL"})
        return response.parse(StatusesResponse).results if response else None

    def read_unsubscribe_all_batch(self, addresses: Sequence[str]) -> list[UnsubscribeAllStatus]:
        """Which of at most 100 addresses have unsubscribed from all."""
        response = self._send_batch("unsubscribe-all/read", addresses, self._channel_query)
        found = response.parse(SubscribersResponse).results
        return [status for each in found for status in each.wide_statuses]

    def read_unsubscribe_all(self, address: str) -> Sequence[UnsubscribeAllStatus]:
        """Whether one address has unsubscribed from all."""
        query = self._channel_query | {"verbose": "true"}
        response = self._send_about(address, "GET", "/unsubscribe-all", query=query)
        if response is None:
            return ()
        return response.parse_member(list[UnsubscribeAllStatus], "results", or_empty=True)

    def update_statuses_batch(self, changes: Sequence[Mapping[str, Any]]) -> StatusesResponse:
        """Change at most 100 statuses."""
        return self._send_batch("write", changes).parse(StatusesResponse)

    def update_status(self, change: Mapping[str, Any]) -> StatusesResponse | None:
        """Change one status; None if the address is unknown."""
        body = {k: v for k, v in change.items() if k != "subscriberIdString"}
        response = self._send_about(change["subscriberIdString"], "POST", body=body)
        return response.parse(StatusesResponse) if response else None

    def unsubscribe_all_batch(self, addresses: Sequence[str]) -> SubscribersResponse:
        """Set HubSpot's own unsubscribe-all for at most 100 addresses."""
        query = self._channel_query | {"verbose": "true"}
        return self._send_batch("unsubscribe-all", addresses, query).parse(SubscribersResponse)

    def unsubscribe_all(self, address: str) -> StatusesResponse | None:
        """Set it for one address; None if the address is unknown."""
        query = self._channel_query | {"verbose": "true"}
        response = self._send_about(address, "POST", "/unsubscribe-all", query=query)
        return response.parse(StatusesResponse) if response else None

    def _send_batch(
        self, what: str, inputs: Sequence[object], query: Mapping[str, str] | None = None
    ) -> runtime.Response:
        route = f"{PREFERENCES_PATH}/statuses/batch/{what}"
        return self._send("POST", route, query=query, body={"inputs": list(inputs)})

    def _send_about(
        self, address: str, method: str, what: str = "", **request: Any
    ) -> runtime.Response | None:
        """None if the address is unknown."""
        response = self._send(
            method,
            f"{PREFERENCES_PATH}/statuses/{{address}}{what}",
            path_params={"address": address},
            allowed_statuses={HTTPStatus.NOT_FOUND},
            **request,
        )
        return None if response.status == HTTPStatus.NOT_FOUND else response

    def _send(self, method: str, route: str, **request: Any) -> runtime.Response:
        """Like `HttpSession.send`, but raises MissingScopeError where a scope is missing."""
        allowed = {HTTPStatus.FORBIDDEN, *request.pop("allowed_statuses", ())}
        response = self.session.send(method, route, allowed_statuses=allowed, **request)
        if response.status == HTTPStatus.FORBIDDEN:
            raise _forbidden_error(f"{method} {route}", response)
        return response


def _forbidden_error(request: str, response: runtime.Response) -> runtime.DeliveryError:
    try:
        category = response.parse(ErrorResponse).category
    except runtime.DeliveryError:
        category = ""
    message = f"{request}: HTTP {response.status}"
    if category == "MISSING_SCOPES":
        return MissingScopeError(f"{message}, the key lacks the scope of this call", permanent=True)
    return runtime.DeliveryError(f"{message}, credentials or rights refused", permanent=True)


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
    body = {"idProperty": "email", "objectId": address}
    response = client.session.find("POST", f"{_CONTACTS_PATH}/gdpr-delete", body=body)
    return runtime.outcome_for_status(response.status) if response else runtime.absent()


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
