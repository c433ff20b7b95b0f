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

from preference_center.integrations.base.contract import Setup
from preference_center.integrations.base.http import Answer, Http, Rejected, Session, Unreadable
from preference_center.integrations.base.pydantic_types import Lenient
from preference_center.integrations.base.rate_limit import reset_headers

VERSION = "2.15"
VALUES = 15
"""The most values that one group of filters may have."""
PAGE = 150
LAG = timedelta(minutes=30)
"""A new contact may be missing from searches for a few minutes."""
DAYS = timedelta(days=2)
"""Searches compare days only, in the workspace's own time zone, and begin a day after."""
_CONTACT = "/contacts/{contact}"
_SUBSCRIPTIONS = f"{_CONTACT}/subscriptions"


def _moment(value: object) -> datetime | None:
    """Seconds since 1970, or nothing."""
    try:
        return datetime.fromtimestamp(float(str(value)), UTC)
    except (ValueError, OverflowError):
        return None


class _Translation(Lenient):
    name: str = ""


class SubscriptionType(Lenient):
    """One type; attaching a contact means "no" if the type is opt_out, else "yes"."""

    id: str
    state: str = "live"
    consent_type: str = ""
    content_types: tuple[str, ...] = ()
    default_translation: _Translation = _Translation()

    @property
    def is_known(self) -> bool:
        """Whether it is clear what attaching a contact means."""
        return self.consent_type in {"opt_in", "opt_out"}

    @property
    def is_opt_out(self) -> bool:
        """Whether people get it until they say no."""
        return self.consent_type == "opt_out"


class Contact(Lenient):
    """One user or lead; several may have one address. One without an id can't be changed."""

    id: str = ""
    email: str = ""
    unsubscribed_from_emails: bool = False
    marked_email_as_spam: bool = False
    has_hard_bounced: bool = False
    updated_at: Annotated[datetime | None, BeforeValidator(_moment)] = None
    custom_attributes: dict[str, Any] = Field(default_factory=dict)


class _Attribute(Lenient):
    name: str = ""
    data_type: str = ""
    custom: bool = False
    archived: bool = False


class _Types(Lenient):
    data: list[SubscriptionType]


class _Attached(Lenient):
    """A type that a contact is attached to, or is no longer."""

    id: Annotated[str, Field(min_length=1)]


class _AllAttached(Lenient):
    data: list[_Attached]


class _Attributes(Lenient):
    data: list[_Attribute]


class _Next(Lenient):
    starting_after: str | None = None


class _Pages(Lenient):
    next: _Next | None = None


class _Found(Lenient):
    data: list[Contact]
    pages: _Pages | None = None

    @property
    def following(self) -> str | None:
        """The token of the next page, if there is one."""
        return self.pages.next.starting_after if self.pages and self.pages.next else None


_ATTACHED = TypeAdapter(_Attached)
_ALL_ATTACHED = TypeAdapter(_AllAttached)
_TYPES = TypeAdapter(_Types)
_ATTRIBUTES = TypeAdapter(_Attributes)
_ONE = TypeAdapter(Contact)
_FOUND = TypeAdapter(_Found)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a listing stands: at what changed at or after `since`, newest first."""

    since: datetime | None = None
    began: datetime | None = None
    token: str = ""

    @classmethod
    def read(cls, cursor: str | None) -> Place:
        """The place that `str` wrote; the beginning for None."""
        if cursor is None:
            return cls()
        since, began, token = cursor.split("|", 2)
        return cls(_time(since), _time(began), token)

    def __str__(self) -> str:
        times = [time.isoformat() if time else "" for time in (self.since, self.began)]
        return f"{times[0]}|{times[1]}|{self.token}"

    def after(
        self, found: Sequence[Contact], token: str | None, now: datetime
    ) -> tuple[Place, bool]:
        """The place after a page, and whether all that changed has been seen.

        What changes in the meantime goes to the front, and is seen by the next run.
        """
        began = self.began or now
        times = [contact.updated_at for contact in found if contact.updated_at]
        is_past = (
            self.since is not None
            and bool(times)
            and times == sorted(times, reverse=True)
            and times[-1] < self.since
        )
        if token and not is_past:
            return Place(self.since, began, token), False
        return Place(began - LAG), True


def _time(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


@contextmanager
def open_workspace(setup: Setup, http: Http) -> Iterator[Workspace]:
    """The workspace of a destination, for a `with` block."""
    headers = {
        "Authorization": f"Bearer {setup.settings['access_token']}",
        "Intercom-Version": VERSION,
    }
    url = setup.settings.get("base_url") or "https://api.intercom.io"
    heard = reset_headers("x-ratelimit-remaining", "x-ratelimit-reset", epoch=True)
    with http.session(setup.name, url, headers=headers, heard=heard) as session:
        yield Workspace(http, session)


class Workspace:
    """One workspace, made by `open_workspace`."""

    def __init__(self, http: Http, session: Session) -> None:
        self._http = http
        self._session = session

    def types(self) -> dict[str, SubscriptionType]:
        """Id -> subscription type, of those that are not archived."""
        found = self._session.send("GET", "/subscription_types").parse(_TYPES).data
        return {type_.id: type_ for type_ in found if type_.state != "archived"}

    def text_attributes(self) -> set[str]:
        """Names of the custom attributes of contacts that can hold a link."""
        answer = self._session.send("GET", "/data_attributes", query={"model": "contact"})
        return {
            attribute.name
            for attribute in answer.parse(_ATTRIBUTES).data
            if attribute.custom and attribute.data_type == "string" and not attribute.archived
        }

    def known(self, addresses: Collection[str]) -> dict[str, list[Contact]]:
        """Casefolded address -> its contacts. Intercom keeps addresses in lower case.

        An address without contacts is left out when a contact by none of them was found, who
        may be the one that was asked for.
        """
        values = sorted({*addresses, *(address.lower() for address in addresses)})
        found: dict[str, list[Contact]] = {address.casefold(): [] for address in addresses}
        is_clear = True
        for start in range(0, len(values), VALUES):
            query = {"field": "email", "operator": "IN", "value": values[start : start + VALUES]}
            token: str | None = ""
            while token is not None:
                page = self._search(query, token)
                for contact in page.data:
                    held = found.get(contact.email.casefold())
                    is_clear &= held is not None
                    if held is not None:
                        held.append(contact)
                token = page.following
        return {address: held for address, held in found.items() if held or is_clear}

    def listing(self, flags: Sequence[str], cursor: str | None) -> tuple[list[Contact], str, bool]:
        """A page of contacts, newest change first, the next cursor, and whether that was all.

        `flags`: only those of whom one is true.
        """
        place, now = Place.read(cursor), self._http.now()
        groups = [{"operator": "OR", "value": [_filter(flag, "=", True) for flag in flags]}]
        day = int((place.since - DAYS).timestamp()) if place.since else 0
        groups.append({"operator": "AND", "value": [_filter("updated_at", ">", day)]})
        query = {"operator": "AND", "value": groups if flags else groups[1:]}
        try:
            page = self._search(query, place.token, newest_first=True)
        except Rejected:
            if not place.token:
                raise
            return [], str(Place(place.since)), False  # the token is too old: begin anew
        following, done = place.after(page.data, page.following, now)
        return page.data, str(following), done

    def attached(self, contact: Contact) -> set[str] | None:
        """Ids of the types that a contact is attached to; None if it is gone."""
        answer = self._send("GET", _SUBSCRIPTIONS, contact)
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        return {type_.id for type_ in answer.parse(_ALL_ATTACHED).data}

    def attach(self, contact: Contact, type_: SubscriptionType) -> bool:
        """Attach a contact to a type; whether that was acknowledged."""
        body = {"id": type_.id, "consent_type": type_.consent_type}
        return _names(self._send("POST", _SUBSCRIPTIONS, contact, body), type_)

    def detach(self, contact: Contact, type_: SubscriptionType) -> bool:
        """Detach a contact from a type; whether that was acknowledged."""
        route = f"{_SUBSCRIPTIONS}/{{type}}"
        return _names(self._send("DELETE", route, contact, type=type_.id), type_)

    def change(self, contact: Contact, changes: Mapping[str, Any]) -> Contact | None:
        """Change a contact; what it is like then, None if it is gone."""
        answer = self._send("PUT", _CONTACT, contact, changes)
        return None if answer.status == HTTPStatus.NOT_FOUND else answer.parse(_ONE)

    def _search(
        self, query: Mapping[str, Any], token: str | None, *, newest_first: bool = False
    ) -> _Found:
        body: dict[str, Any] = {"query": query, "pagination": {"per_page": PAGE}}
        if token:
            body["pagination"]["starting_after"] = token
        if newest_first:
            body["sort"] = {"field": "updated_at", "order": "descending"}
        return self._session.send("POST", "/contacts/search", body=body).parse(_FOUND)

    def _send(
        self,
        method: str,
        route: str,
        contact: Contact,
        body: Mapping[str, Any] | None = None,
        **holes: str,
    ) -> Answer:
        if not contact.id:
            raise Unreadable("a contact came without an id")
        return self._session.send(
            method,
            route,
            holes={"contact": contact.id, **holes},
            body=body,
            allow={HTTPStatus.NOT_FOUND},
        )


def _names(answer: Answer, type_: SubscriptionType) -> bool:
    return answer.status != HTTPStatus.NOT_FOUND and answer.parse(_ATTACHED).id == type_.id


def _filter(field: str, operator: str, value: bool | int) -> dict[str, Any]:  # noqa: FBT001
    return {"field": field, "operator": operator, "value": value}
