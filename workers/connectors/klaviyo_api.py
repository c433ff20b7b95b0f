"""Klaviyo's API (JSON:API), as far as lists and their profiles are called.

https://developers.klaviyo.com/en/reference/api_overview
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pydantic import BaseModel, TypeAdapter

from workers.connectors.base import DeliveryError, Setup
from workers.connectors.http import Answer, Http, Session

REVISION = "2026-07-15"
PAGE = 100
ASKED_AT_ONCE = 50
"""Addresses go in the URL, which must not get too long."""
_TYPE = "application/vnd.api+json"
_PROFILES = "/api/profiles"
_MEMBERS = "/api/lists/{list}/profiles"
_RELATED = "/api/lists/{list}/relationships/profiles"
_EMAIL_ONLY = {"fields[profile]": "email"}


class Suppression(BaseModel):
    """Why a profile gets no marketing at all."""

    reason: str
    timestamp: datetime


class ListSuppression(BaseModel):
    """Why a profile gets nothing from one list."""

    list_id: str
    timestamp: datetime


class _Marketing(BaseModel):
    consent: str = ""
    suppression: list[Suppression] | None = None
    list_suppressions: list[ListSuppression] | None = None


class _Email(BaseModel):
    marketing: _Marketing = _Marketing()


class _Subscriptions(BaseModel):
    email: _Email = _Email()


class _Attributes(BaseModel):
    email: str | None = None
    subscriptions: _Subscriptions | None = None
    properties: dict[str, Any] = {}


class Profile(BaseModel):
    """One person in Klaviyo."""

    id: str
    attributes: _Attributes

    @property
    def email(self) -> str:
        """The address; "" for one who is known by a phone number only."""
        return self.attributes.email or ""

    @property
    def _marketing(self) -> _Marketing:
        found = self.attributes.subscriptions
        return found.email.marketing if found else _Marketing()

    @property
    def suppressions(self) -> Sequence[Suppression]:
        """What stops all marketing to them."""
        return self._marketing.suppression or ()

    @property
    def list_suppressions(self) -> Sequence[ListSuppression]:
        """What stops single lists."""
        return self._marketing.list_suppressions or ()

    @property
    def gets_nothing(self) -> bool:
        """Whether no marketing goes to them at all."""
        return bool(self.suppressions) or self._marketing.consent == "UNSUBSCRIBED"


class _Links(BaseModel):
    next: str | None = None


class _ProfilesPage(BaseModel):
    data: list[Profile]
    links: _Links = _Links()


class _One(BaseModel):
    data: Profile


class _Name(BaseModel):
    name: str


class _List(BaseModel):
    id: str
    attributes: _Name


class _Lists(BaseModel):
    data: list[_List]
    links: _Links = _Links()


class _Job(BaseModel):
    id: str


class _JobMade(BaseModel):
    data: _Job


_PROFILES_PAGE = TypeAdapter(_ProfilesPage)
_ONE = TypeAdapter(_One)
_LISTS = TypeAdapter(_Lists)
_JOB = TypeAdapter(_JobMade)


@dataclass(frozen=True, slots=True)
class Profiles:
    """A page of profiles, and where the next one begins; "" if this is the last."""

    rows: tuple[Profile, ...]
    cursor: str


@contextmanager
def open_account(setup: Setup, http: Http) -> Iterator[Account]:
    """The account of a destination, for a `with` block."""
    settings = setup.settings
    headers = {
        "Authorization": f"Klaviyo-API-Key {settings['api_key']}",
        "revision": REVISION,
        "Accept": _TYPE,
    }
    base_url = settings.get("base_url", "https://a.klaviyo.com")
    with http.session(setup.name, base_url, headers=headers) as session:
        yield Account(session)


class Account:
    """One Klaviyo account, made by `open_account`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def lists(self) -> dict[str, str]:
        """List id -> its name."""
        found: dict[str, str] = {}
        cursor: str | None = ""
        while cursor is not None:
            query = {"fields[list]": "name"} | ({"page[cursor]": cursor} if cursor else {})
            page = self._session.send("GET", "/api/lists", query=query).parse(_LISTS)
            found |= {row.id: row.attributes.name for row in page.data}
            cursor = _cursor(page.links) or None
        return found

    def profiles(self, addresses: Sequence[str]) -> dict[str, Profile]:
        """Address -> profile of those that are known, with what they are subscribed to."""
        query = {"additional-fields[profile]": "subscriptions"}
        return self._by_address(addresses, _PROFILES, query)

    def addresses(self, ids: Sequence[str]) -> dict[str, str]:
        """Profile id -> address of those that there are and that have one."""
        found: dict[str, str] = {}
        for start in range(0, len(ids), ASKED_AT_ONCE):
            asked = f"any(id,{json.dumps(ids[start : start + ASKED_AT_ONCE])})"
            page = self.page(_PROFILES, {**_EMAIL_ONLY, "filter": asked})
            found |= {profile.id: profile.email for profile in page.rows if profile.email}
        return found

    def members(self, list_: str, addresses: Sequence[str]) -> dict[str, Profile]:
        """Address -> profile of those on a list."""
        return self._by_address(addresses, _MEMBERS, _EMAIL_ONLY, list=list_)

    def _by_address(
        self, addresses: Sequence[str], route: str, query: Mapping[str, str], **holes: str
    ) -> dict[str, Profile]:
        found: dict[str, Profile] = {}
        for start in range(0, len(addresses), ASKED_AT_ONCE):
            part = addresses[start : start + ASKED_AT_ONCE]
            asked = f"any(email,{json.dumps(part, ensure_ascii=False)})"
            page = self.page(route, {**query, "filter": asked}, **holes)
            found |= {profile.email.casefold(): profile for profile in page.rows}
        return {a: found[a.casefold()] for a in addresses if a.casefold() in found}

    def joined(self, list_: str, since: str, cursor: str) -> Profiles:
        """Who joined a list after `since`, in that order."""
        query = {
            "fields[profile]": "email,properties",
            "sort": "joined_group_at",
            "filter": f"greater-than(joined_group_at,{since})",
        }
        return self.page(_MEMBERS, query, cursor, list=list_)

    def suppressed(self, since: str, cursor: str, *, list_: str | None = None) -> Profiles:
        """Who was suppressed after `since`, for one list or for all marketing."""
        field = "list_suppressions" if list_ else "suppression"
        field = f"subscriptions.email.marketing.{field}"
        asked = f"greater-than({field}.timestamp,{since})"
        if list_:
            asked = f'and(equals({field}.list_id,"{list_}"),{asked})'
        query = {
            "additional-fields[profile]": "subscriptions",
            "sort": f"{field}.timestamp",
            "filter": asked,
        }
        return self.page(_PROFILES, query, cursor)

    def page(
        self, route: str, query: Mapping[str, str], cursor: str = "", **holes: str
    ) -> Profiles:
        """A page of any listing of profiles."""
        query = {**query, "page[size]": str(PAGE)} | ({"page[cursor]": cursor} if cursor else {})
        found = self._session.send("GET", route, holes=holes, query=query).parse(_PROFILES_PAGE)
        return Profiles(tuple(found.data), _cursor(found.links))

    def remove(self, list_: str, profiles: Iterable[Profile]) -> None:
        """Take profiles off a list. Their consent is not touched."""
        self._relate("DELETE", list_, profiles)

    def add(self, list_: str, profiles: Iterable[Profile]) -> None:
        """Put profiles on a list. Their consent is not touched."""
        self._relate("POST", list_, profiles)

    def _relate(self, method: str, list_: str, profiles: Iterable[Profile]) -> None:
        body = {"data": [{"type": "profile", "id": profile.id} for profile in profiles]}
        answer = self._write(method, _RELATED, body, list=list_)
        if answer.status != HTTPStatus.NO_CONTENT:
            raise DeliveryError("the answer is not what the tool's API promises")

    def job(self, kind: str, addresses: Iterable[str]) -> str:
        """Ask for a bulk job about at most 100 addresses; its id. It is done later."""
        rows = [{"type": "profile", "attributes": {"email": address}} for address in addresses]
        body = {"data": {"type": kind, "attributes": {"profiles": {"data": rows}}}}
        return self._write("POST", f"/api/{kind}s", body).parse(_JOB).data.id

    def set_property(self, profile: Profile, name: str, value: str) -> bool:
        """Set a custom property; whether it then has the value."""
        body = {
            "data": {
                "type": "profile",
                "id": profile.id,
                "attributes": {"properties": {name: value}},
            }
        }
        answer = self._write("PATCH", f"{_PROFILES}/{{profile}}", body, profile=profile.id)
        return bool(answer.parse(_ONE).data.attributes.properties.get(name) == value)

    def _write(self, method: str, route: str, body: object, **holes: str) -> Answer:
        return self._session.send(
            method, route, holes=holes, body=body, headers={"Content-Type": _TYPE}
        )


def _cursor(links: _Links) -> str:
    """The `page[cursor]` of the link to the next page."""
    if not links.next:
        return ""
    return "".join(parse_qs(urlsplit(links.next).query).get("page[cursor]", []))
