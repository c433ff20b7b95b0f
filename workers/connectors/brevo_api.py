"""Brevo's API v3, as far as contacts and their lists are called.

https://developers.brevo.com/reference/get-contacts
https://developers.brevo.com/docs/limit-headers
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, TypeAdapter
from pydantic.alias_generators import to_camel

from workers.connectors.base import Setup
from workers.connectors.http import Http, Session

PAGE = 500
LISTS_A_PAGE = 50
OVERLAP = timedelta(minutes=10)
"""Runs overlap: an index may lag behind, and clocks differ."""
_CONTACT = "/v3/contacts/{address}"
_BY_EMAIL = {"identifierType": "email_id"}


class _Camel(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)


class Event(_Camel):
    """Something that happened to a contact."""

    event_time: datetime


class _Unsubscriptions(_Camel):
    user_unsubscription: list[Event] = []
    admin_unsubscription: list[Event] = []


class _Statistics(_Camel):
    hard_bounces: list[Event] = []
    complaints: list[Event] = []
    unsubscriptions: _Unsubscriptions = _Unsubscriptions()


class Contact(_Camel):
    """One contact. `statistics`, of its last 90 days, come with a single one only."""

    email: Annotated[str, BeforeValidator(lambda email: email or "")] = ""
    """"" for one who is known by a phone number only."""
    email_blacklisted: bool = False
    list_ids: list[int] = []
    list_unsubscribed: list[int] | None = None
    modified_at: datetime
    attributes: dict[str, Any] = {}
    statistics: _Statistics = _Statistics()


class _Contacts(_Camel):
    contacts: list[Contact]


class _Moved(_Camel):
    success: list[str] = []
    failure: list[str] = []


class _MovedContacts(_Camel):
    contacts: _Moved


class _List(_Camel):
    id: int
    name: str


class _Lists(_Camel):
    count: int
    lists: list[_List] = []


class _Attribute(_Camel):
    name: str
    type: str = ""


class _Attributes(_Camel):
    attributes: list[_Attribute]


_CONTACT_SHAPE = TypeAdapter(Contact)
_CONTACTS = TypeAdapter(_Contacts)
_MOVED = TypeAdapter(_MovedContacts)
_LISTS = TypeAdapter(_Lists)
_ATTRIBUTES = TypeAdapter(_Attributes)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a listing of what was modified after `since` stands; `began` is when it did.

    Contacts come in the order of their making, so new ones go to the end. Only when some
    are deleted do the others move up: pages overlap a little.
    """

    since: str = ""
    offset: int = 0
    began: str = ""

    @classmethod
    def read(cls, cursor: str | None) -> Place:
        """The place that `str` wrote; the beginning for None."""
        if cursor is None:
            return cls()
        since, offset, began = cursor.split("|")
        return cls(since, int(offset), began)

    def __str__(self) -> str:
        return f"{self.since}|{self.offset}|{self.began}"

    def after(self, rows: int, limit: int, now: datetime) -> tuple[Place, bool]:
        """The place after a page of `rows`, and whether it was the last."""
        began = self.began or f"{now - OVERLAP:%Y-%m-%dT%H:%M:%S.000Z}"
        if rows < limit:
            return Place(began), True
        return Place(self.since, self.offset + limit - limit // 10, began), False


@contextmanager
def open_account(setup: Setup, http: Http) -> Iterator[Account]:
    """The account of a destination, for a `with` block."""
    settings = setup.settings
    base_url = settings.get("base_url", "https://api.brevo.com")
    headers = {"api-key": settings["api_key"]}
    with http.session(setup.name, base_url, headers=headers, heard=heard) as session:
        yield Account(session)


def heard(status: int, headers: Mapping[str, str], now: datetime) -> timedelta | None:  # noqa: ARG001
    """How long Brevo wants nothing: the rest of a window that is used up."""
    left, reset = headers.get("x-sib-ratelimit-remaining"), headers.get("x-sib-ratelimit-reset", "")
    used_up = left == "0" or status == HTTPStatus.TOO_MANY_REQUESTS
    return timedelta(seconds=int(reset)) if used_up and reset.isdigit() else None


class Account:
    """One Brevo account, made by `open_account`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def lists(self) -> dict[int, str]:
        """List id -> its name."""
        found: dict[int, str] = {}
        offset = 0
        while True:
            query = {"limit": str(LISTS_A_PAGE), "offset": str(offset), "sort": "asc"}
            page = self._session.send("GET", "/v3/contacts/lists", query=query).parse(_LISTS)
            found |= {row.id: row.name for row in page.lists}
            offset += LISTS_A_PAGE
            if not page.lists or offset >= page.count:
                return found

    def text_attributes(self) -> set[str]:
        """Names of the contact attributes that can hold a link."""
        answer = self._session.send("GET", "/v3/contacts/attributes")
        return {a.name for a in answer.parse(_ATTRIBUTES).attributes if a.type == "text"}

    def contact(self, address: str) -> Contact | int:
        """One contact, or the status that says why not: 404 unknown, 400 no address."""
        answer = self._session.send(
            "GET",
            _CONTACT,
            holes={"address": address},
            query=_BY_EMAIL,
            allow={HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND},
        )
        if answer.status >= HTTPStatus.BAD_REQUEST:
            return answer.status
        return answer.parse(_CONTACT_SHAPE)

    def move(self, list_: str, action: str, addresses: Sequence[str]) -> set[str]:
        """`add` to a list or `remove` from it at most 150; who was moved, casefolded.

        Raises Rejected also when nobody needed to be moved.
        """
        answer = self._session.send(
            "POST",
            f"/v3/contacts/lists/{{list}}/contacts/{action}",
            holes={"list": list_},
            body={"emails": list(addresses)},
        )
        return {address.casefold() for address in answer.parse(_MOVED).contacts.success}

    def set_attribute(self, address: str, name: str, value: str) -> int:
        """Set a contact's attribute; the status of the answer."""
        return self._session.send(
            "PUT",
            _CONTACT,
            holes={"address": address},
            query=_BY_EMAIL,
            body={"attributes": {name: value}},
            allow={HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND},
        ).status

    def modified(self, place: Place, limit: int) -> list[Contact]:
        """A page of contacts, oldest first."""
        query = {"limit": str(limit), "offset": str(place.offset), "sort": "asc"}
        if place.since:
            query["modifiedSince"] = place.since
        return self._session.send("GET", "/v3/contacts", query=query).parse(_CONTACTS).contacts
