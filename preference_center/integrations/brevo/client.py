"""Brevo's API v3, as far as contacts and their lists are called.

https://developers.brevo.com/reference/get-contacts
https://developers.brevo.com/reference/get-transac-blocked-contacts
https://developers.brevo.com/docs/limit-headers
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

from pydantic import ConfigDict, Field, TypeAdapter
from pydantic.alias_generators import to_camel

from preference_center.integrations.base.contract import Setup
from preference_center.integrations.base.http import Http, Session
from preference_center.integrations.base.pydantic_types import Lenient, Moment

PAGE = 500
LISTS_A_PAGE = 50
OVERLAP = timedelta(minutes=10)
"""Runs overlap: an index may lag behind, and clocks differ."""
_CONTACT = "/v3/contacts/{address}"
_BY_EMAIL = {"identifierType": "email_id"}
_BY_PHONE = {"identifierType": "phone_id"}
BLOCKED_PAGE = 100
_PHONE = "SMS"
"""The attribute that holds the phone number, of 6 to 15 digits, mostly without its `+`."""


class _Camel(Lenient):
    model_config = ConfigDict(alias_generator=to_camel)


class Event(_Camel):
    """Something that happened to a contact."""

    event_time: Moment = None


class _Unsubscriptions(_Camel):
    user_unsubscription: list[Event] = Field(default_factory=list)
    admin_unsubscription: list[Event] = Field(default_factory=list)


class _Statistics(_Camel):
    hard_bounces: list[Event] = Field(default_factory=list)
    complaints: list[Event] = Field(default_factory=list)
    unsubscriptions: _Unsubscriptions = _Unsubscriptions()


class Contact(_Camel):
    """One contact. `statistics`, of its last 90 days, come with a single one only."""

    email: str = ""
    """"" for one who is known by a phone number only."""
    email_blacklisted: bool = False
    sms_blacklisted: bool = False
    list_ids: list[int] = Field(default_factory=list)
    list_unsubscribed: list[int] = Field(default_factory=list)
    modified_at: Moment = None
    attributes: dict[str, Any] = Field(default_factory=dict)
    statistics: _Statistics = _Statistics()

    @property
    def phone(self) -> str:
        """The phone number with its `+`; "" if there is none."""
        digits = re.sub(r"\D", "", str(self.attributes.get(_PHONE) or "")).removeprefix("00")
        return f"+{digits}" if digits else ""


class _Contacts(_Camel):
    contacts: list[Contact] = Field(default_factory=list)


class _Reason(_Camel):
    code: str = ""


class Block(_Camel):
    """An address that no transactional mail goes to."""

    email: str = ""
    reason: _Reason = _Reason()
    blocked_at: Moment = None


class _Blocks(_Camel):
    contacts: list[Block] = Field(default_factory=list)


class _Moved(_Camel):
    success: list[str] = Field(default_factory=list)
    failure: list[str] = Field(default_factory=list)


class _MovedContacts(_Camel):
    contacts: _Moved


class _List(_Camel):
    id: int
    name: str


class _Lists(_Camel):
    count: int
    lists: list[_List] = Field(default_factory=list)


class _Attribute(_Camel):
    name: str
    type: str = ""


class _Attributes(_Camel):
    attributes: list[_Attribute]


_CONTACT_SHAPE = TypeAdapter(Contact)
_CONTACTS = TypeAdapter(_Contacts)
_BLOCKS = TypeAdapter(_Blocks)
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
    blocked: bool = False
    """Whether it stands in the list of blocked addresses, which a pull reads last."""

    @classmethod
    def read(cls, cursor: str | None) -> Place:
        """The place that `str` wrote; the beginning for None."""
        if cursor is None:
            return cls()
        since, offset, began, *more = cursor.split("|")
        return cls(since, int(offset), began, blocked=bool(more))

    def __str__(self) -> str:
        return f"{self.since}|{self.offset}|{self.began}" + "|blocked" * self.blocked

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


def heard(status: int, headers: Mapping[str, str], now: datetime) -> timedelta | None:  # noqa: ARG001 - the protocol's
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

    def contact(self, address: str, *, phone: bool = False) -> Contact | int:
        """One contact, or the status that says why not: 404 unknown, 400 no address."""
        answer = self._session.send(
            "GET",
            _CONTACT,
            holes={"address": address},
            query=_BY_PHONE if phone else _BY_EMAIL,
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

    def blocklist_texts(self, number: str, *, blocked: bool) -> int:
        """Whether campaigns may text a contact; the status: 404 unknown, 400 no number."""
        return self._session.send(
            "PUT",
            _CONTACT,
            holes={"address": number},
            query=_BY_PHONE,
            body={"smsBlacklisted": blocked},
            allow={HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND},
        ).status

    def blocked(self, offset: int) -> list[Block]:
        """A page of the addresses blocked for transactional mail, the newest first."""
        query = {"limit": str(BLOCKED_PAGE), "offset": str(offset), "sort": "desc"}
        answer = self._session.send("GET", "/v3/smtp/blockedContacts", query=query)
        return answer.parse(_BLOCKS).contacts

    def modified(self, place: Place, limit: int) -> list[Contact]:
        """A page of contacts, oldest first."""
        query = {"limit": str(limit), "offset": str(place.offset), "sort": "asc"}
        if place.since:
            query["modifiedSince"] = place.since
        return self._session.send("GET", "/v3/contacts", query=query).parse(_CONTACTS).contacts
