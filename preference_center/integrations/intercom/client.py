"""Intercom's REST API 2.15, as far as contacts and their subscriptions go.

https://developers.intercom.com/docs/references/2.15/rest-api/api.intercom.io/contacts/searchcontacts
https://developers.intercom.com/docs/references/2.15/rest-api/api.intercom.io/subscription-types
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, TypeAdapter

from preference_center.integrations.base.contract import DestinationConfig
from preference_center.integrations.base.http import (
    HttpContext,
    HttpSession,
    RequestRejected,
    Response,
    UnexpectedResponse,
)
from preference_center.integrations.base.pydantic_types import LenientModel
from preference_center.integrations.base.rate_limit import parse_reset_headers

API_VERSION = "2.15"
MAX_FILTER_VALUES = 15
"""The most values that one group of filters may have."""
PAGE_SIZE = 150
OVERLAP = timedelta(minutes=30)
"""A new contact may be missing from searches for a few minutes."""
SEARCH_DAY_MARGIN = timedelta(days=2)
"""Searches compare days only, in the workspace's own time zone, and begin a day after."""
_CONTACT_PATH = "/contacts/{contact}"
_SUBSCRIPTIONS_PATH = f"{_CONTACT_PATH}/subscriptions"


def _parse_timestamp(value: object) -> datetime | None:
    """Seconds since 1970, or nothing."""
    try:
        return datetime.fromtimestamp(float(str(value)), UTC)
    except (ValueError, OverflowError):
        return None


class _Translation(LenientModel):
    name: str = ""


class SubscriptionType(LenientModel):
    """One type; attaching a contact means "no" if the type is opt_out, else "yes"."""

    id: str
    state: str = "live"
    consent_type: str = ""
    content_types: tuple[str, ...] = ()
    default_translation: _Translation = _Translation()

    @property
    def has_known_consent_type(self) -> bool:
        """Whether it is clear what attaching a contact means."""
        return self.consent_type in {"opt_in", "opt_out"}

    @property
    def is_opt_out(self) -> bool:
        """Whether people get it until they say no."""
        return self.consent_type == "opt_out"


class IntercomContact(LenientModel):
    """One user or lead; several may have one address. One without an id can't be changed."""

    id: str = ""
    email: str = ""
    unsubscribed_from_emails: bool = False
    marked_email_as_spam: bool = False
    has_hard_bounced: bool = False
    updated_at: Annotated[datetime | None, BeforeValidator(_parse_timestamp)] = None
    custom_attributes: dict[str, Any] = Field(default_factory=dict)


class _DataAttribute(LenientModel):
    name: str = ""
    data_type: str = ""
    custom: bool = False
    archived: bool = False


class _SubscriptionTypesResponse(LenientModel):
    data: list[SubscriptionType]


class _AttachedType(LenientModel):
    """A type that a contact is attached to, or is no longer."""

    id: Annotated[str, Field(min_length=1)]


class _AttachedTypesResponse(LenientModel):
    data: list[_AttachedType]


class _DataAttributesResponse(LenientModel):
    data: list[_DataAttribute]


class _NextPage(LenientModel):
    starting_after: str | None = None


class _Pagination(LenientModel):
    next: _NextPage | None = None


class _ContactSearchResponse(LenientModel):
    data: list[IntercomContact]
    pages: _Pagination | None = None

    @property
    def next_token(self) -> str | None:
        """The token of the next page, if there is one."""
        return self.pages.next.starting_after if self.pages and self.pages.next else None


_ATTACHED_TYPE_RESPONSE = TypeAdapter(_AttachedType)
_ATTACHED_TYPES_RESPONSE = TypeAdapter(_AttachedTypesResponse)
_SUBSCRIPTION_TYPES_RESPONSE = TypeAdapter(_SubscriptionTypesResponse)
_DATA_ATTRIBUTES_RESPONSE = TypeAdapter(_DataAttributesResponse)
_CONTACT_RESPONSE = TypeAdapter(IntercomContact)
_CONTACT_SEARCH_RESPONSE = TypeAdapter(_ContactSearchResponse)


@dataclass(frozen=True, slots=True)
class IntercomCursor:
    """Where a listing stands: at what changed at or after `since`, newest first."""

    since: datetime | None = None
    started_at: datetime | None = None
    page_token: str = ""

    @classmethod
    def parse(cls, text: str | None) -> IntercomCursor:
        """The place that `str` wrote; the beginning for None."""
        if text is None:
            return cls()
        since, began, token = text.split("|", 2)
        return cls(_parse_time(since), _parse_time(began), token)

    def __str__(self) -> str:
        times = [time.isoformat() if time else "" for time in (self.since, self.started_at)]
        return f"{times[0]}|{times[1]}|{self.page_token}"

    def advance(
        self, contacts: Sequence[IntercomContact], next_token: str | None, now: datetime
    ) -> tuple[IntercomCursor, bool]:
        """The place after a page, and whether all that changed has been seen.

        What changes in the meantime goes to the front, and is seen by the next run.
        """
        began = self.started_at or now
        times = [contact.updated_at for contact in contacts if contact.updated_at]
        is_past = (
            self.since is not None
            and bool(times)
            and times == sorted(times, reverse=True)
            and times[-1] < self.since
        )
        if next_token and not is_past:
            return IntercomCursor(self.since, began, next_token), False
        return IntercomCursor(began - OVERLAP), True


def _parse_time(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


@contextmanager
def open_client(config: DestinationConfig, http: HttpContext) -> Iterator[IntercomClient]:
    """The workspace of a destination, for a `with` block."""
    headers = {
        "Authorization": f"Bearer {config.settings['access_token']}",
        "Intercom-Version": API_VERSION,
    }
    url = config.settings.get("base_url") or "https://api.intercom.io"
    heard = parse_reset_headers("x-ratelimit-remaining", "x-ratelimit-reset", epoch=True)
    with http.session(config.name, url, headers=headers, rate_limit_headers=heard) as session:
        yield IntercomClient(http, session)


class IntercomClient:
    """One workspace, made by `open_workspace`."""

    def __init__(self, http: HttpContext, session: HttpSession) -> None:
        self._http = http
        self._session = session

    def list_subscription_types(self) -> dict[str, SubscriptionType]:
        """Id -> subscription type, of those that are not archived."""
        found = (
            self._session.send("GET", "/subscription_types")
            .parse(_SUBSCRIPTION_TYPES_RESPONSE)
            .data
        )
        return {type_.id: type_ for type_ in found if type_.state != "archived"}

    def list_text_attributes(self) -> set[str]:
        """Names of the custom attributes of contacts that can hold a link."""
        answer = self._session.send("GET", "/data_attributes", query={"model": "contact"})
        return {
            attribute.name
            for attribute in answer.parse(_DATA_ATTRIBUTES_RESPONSE).data
            if attribute.custom and attribute.data_type == "string" and not attribute.archived
        }

    def find_contacts(self, addresses: Collection[str]) -> dict[str, list[IntercomContact]]:
        """Casefolded address -> its contacts. Intercom keeps addresses in lower case.

        An address without contacts is left out when a contact by none of them was found, who
        may be the one that was asked for.
        """
        values = sorted({*addresses, *(address.lower() for address in addresses)})
        found: dict[str, list[IntercomContact]] = {address.casefold(): [] for address in addresses}
        is_clear = True
        for start in range(0, len(values), MAX_FILTER_VALUES):
            query = {
                "field": "email",
                "operator": "IN",
                "value": values[start : start + MAX_FILTER_VALUES],
            }
            token: str | None = ""
            while token is not None:
                page = self._search(query, token)
                for contact in page.data:
                    held = found.get(contact.email.casefold())
                    is_clear &= held is not None
                    if held is not None:
                        held.append(contact)
                token = page.next_token
        return {address: held for address, held in found.items() if held or is_clear}

    def list_changed(
        self, flags: Sequence[str], cursor: str | None
    ) -> tuple[list[IntercomContact], str, bool]:
        """A page of contacts, newest change first, the next cursor, and whether that was all.

        `flags`: only those of whom one is true.
        """
        place, now = IntercomCursor.parse(cursor), self._http.now()
        groups = [{"operator": "OR", "value": [_filter(flag, "=", True) for flag in flags]}]
        day = int((place.since - SEARCH_DAY_MARGIN).timestamp()) if place.since else 0
        groups.append({"operator": "AND", "value": [_filter("updated_at", ">", day)]})
        query = {"operator": "AND", "value": groups if flags else groups[1:]}
        try:
            page = self._search(query, place.page_token, newest_first=True)
        except RequestRejected:
            if not place.page_token:
                raise
            return [], str(IntercomCursor(place.since)), False  # the token is too old: begin anew
        following, done = place.advance(page.data, page.next_token, now)
        return page.data, str(following), done

    def list_attached_type_ids(self, contact: IntercomContact) -> set[str] | None:
        """Ids of the types that a contact is attached to; None if it is gone."""
        answer = self._send("GET", _SUBSCRIPTIONS_PATH, contact)
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        return {type_.id for type_ in answer.parse(_ATTACHED_TYPES_RESPONSE).data}

    def attach(self, contact: IntercomContact, type_: SubscriptionType) -> bool:
        """Attach a contact to a type; whether that was acknowledged."""
        body = {"id": type_.id, "consent_type": type_.consent_type}
        return _acknowledges_type(self._send("POST", _SUBSCRIPTIONS_PATH, contact, body), type_)

    def detach(self, contact: IntercomContact, type_: SubscriptionType) -> bool:
        """Detach a contact from a type; whether that was acknowledged."""
        route = f"{_SUBSCRIPTIONS_PATH}/{{type}}"
        return _acknowledges_type(self._send("DELETE", route, contact, type=type_.id), type_)

    def update_contact(
        self, contact: IntercomContact, changes: Mapping[str, Any]
    ) -> IntercomContact | None:
        """Change a contact; what it is like then, None if it is gone."""
        answer = self._send("PUT", _CONTACT_PATH, contact, changes)
        return None if answer.status == HTTPStatus.NOT_FOUND else answer.parse(_CONTACT_RESPONSE)

    def _search(
        self, query: Mapping[str, Any], token: str | None, *, newest_first: bool = False
    ) -> _ContactSearchResponse:
        body: dict[str, Any] = {"query": query, "pagination": {"per_page": PAGE_SIZE}}
        if token:
            body["pagination"]["starting_after"] = token
        if newest_first:
            body["sort"] = {"field": "updated_at", "order": "descending"}
        return self._session.send("POST", "/contacts/search", body=body).parse(
            _CONTACT_SEARCH_RESPONSE
        )

    def _send(
        self,
        method: str,
        route: str,
        contact: IntercomContact,
        body: Mapping[str, Any] | None = None,
        **path_params: str,
    ) -> Response:
        if not contact.id:
            raise UnexpectedResponse("a contact came without an id")
        return self._session.send(
            method,
            route,
            path_params={"contact": contact.id, **path_params},
            body=body,
            allowed_statuses={HTTPStatus.NOT_FOUND},
        )


def _acknowledges_type(response: Response, type_: SubscriptionType) -> bool:
    return (
        response.status != HTTPStatus.NOT_FOUND
        and response.parse(_ATTACHED_TYPE_RESPONSE).id == type_.id
    )


def _filter(field: str, operator: str, value: bool | int) -> dict[str, Any]:  # noqa: FBT001
    return {"field": field, "operator": operator, "value": value}
