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

from preference_center.integrations.base.contract import DestinationConfig
from preference_center.integrations.base.http import HttpContext, HttpSession
from preference_center.integrations.base.pydantic_types import IsoDatetime, LenientModel

PAGE_SIZE = 500
LISTS_PER_PAGE = 50
OVERLAP = timedelta(minutes=10)
"""Runs overlap: an index may lag behind, and clocks differ."""
_CONTACT_PATH = "/v3/contacts/{address}"
_BY_EMAIL = {"identifierType": "email_id"}
_BY_PHONE = {"identifierType": "phone_id"}
BLOCKED_PAGE_SIZE = 100
_PHONE_ATTRIBUTE = "SMS"
"""The attribute that holds the phone number, of 6 to 15 digits, mostly without its `+`."""


class _BrevoModel(LenientModel):
    model_config = ConfigDict(alias_generator=to_camel)


class BrevoContactEvent(_BrevoModel):
    """Something that happened to a contact."""

    event_time: IsoDatetime = None


class _UnsubscriptionEvents(_BrevoModel):
    user_unsubscription: list[BrevoContactEvent] = Field(default_factory=list)
    admin_unsubscription: list[BrevoContactEvent] = Field(default_factory=list)


class _ContactStatistics(_BrevoModel):
    hard_bounces: list[BrevoContactEvent] = Field(default_factory=list)
    complaints: list[BrevoContactEvent] = Field(default_factory=list)
    unsubscriptions: _UnsubscriptionEvents = _UnsubscriptionEvents()


class BrevoContact(_BrevoModel):
    """One contact. `statistics`, of its last 90 days, come with a single one only."""

    email: str = ""
    """"" for one who is known by a phone number only."""
    email_blacklisted: bool = False
    sms_blacklisted: bool = False
    list_ids: list[int] = Field(default_factory=list)
    list_unsubscribed: list[int] = Field(default_factory=list)
    modified_at: IsoDatetime = None
    attributes: dict[str, Any] = Field(default_factory=dict)
    statistics: _ContactStatistics = _ContactStatistics()

    @property
    def phone(self) -> str:
        """The phone number with its `+`; "" if there is none."""
        digits = re.sub(r"\D", "", str(self.attributes.get(_PHONE_ATTRIBUTE) or "")).removeprefix(
            "00"
        )
        return f"+{digits}" if digits else ""


class _ContactsResponse(_BrevoModel):
    contacts: list[BrevoContact] = Field(default_factory=list)


class _BlockReason(_BrevoModel):
    code: str = ""


class BlockedAddress(_BrevoModel):
    """An address that no transactional mail goes to."""

    email: str = ""
    reason: _BlockReason = _BlockReason()
    blocked_at: IsoDatetime = None


class _BlockedAddressesResponse(_BrevoModel):
    contacts: list[BlockedAddress] = Field(default_factory=list)


class _ListUpdateResult(_BrevoModel):
    success: list[str] = Field(default_factory=list)
    failure: list[str] = Field(default_factory=list)


class _ListUpdateResponse(_BrevoModel):
    contacts: _ListUpdateResult


class _BrevoList(_BrevoModel):
    id: int
    name: str


class _BrevoListsResponse(_BrevoModel):
    count: int
    lists: list[_BrevoList] = Field(default_factory=list)


class _ContactAttribute(_BrevoModel):
    name: str
    type: str = ""


class _ContactAttributesResponse(_BrevoModel):
    attributes: list[_ContactAttribute]


_CONTACT_RESPONSE = TypeAdapter(BrevoContact)
_CONTACTS_RESPONSE = TypeAdapter(_ContactsResponse)
_BLOCKED_ADDRESSES_RESPONSE = TypeAdapter(_BlockedAddressesResponse)
_LIST_UPDATE_RESPONSE = TypeAdapter(_ListUpdateResponse)
_LISTS_RESPONSE = TypeAdapter(_BrevoListsResponse)
_CONTACT_ATTRIBUTES_RESPONSE = TypeAdapter(_ContactAttributesResponse)


@dataclass(frozen=True, slots=True)
class BrevoCursor:
    """Where a listing of what was modified after `since` stands; `began` is when it did.

    Contacts come in the order of their making, so new ones go to the end. Only when some
    are deleted do the others move up: pages overlap a little.
    """

    since: str = ""
    offset: int = 0
    started_at: str = ""
    in_blocked_list: bool = False
    """Whether it stands in the list of blocked addresses, which a pull reads last."""

    @classmethod
    def parse(cls, text: str | None) -> BrevoCursor:
        """The place that `str` wrote; the beginning for None."""
        if text is None:
            return cls()
        since, offset, began, *more = text.split("|")
        return cls(since, int(offset), began, in_blocked_list=bool(more))

    def __str__(self) -> str:
        return f"{self.since}|{self.offset}|{self.started_at}" + "|blocked" * self.in_blocked_list

    def advance(self, row_count: int, limit: int, now: datetime) -> tuple[BrevoCursor, bool]:
        """The place after a page of `rows`, and whether it was the last."""
        began = self.started_at or f"{now - OVERLAP:%Y-%m-%dT%H:%M:%S.000Z}"
        if row_count < limit:
            return BrevoCursor(began), True
        return BrevoCursor(self.since, self.offset + limit - limit // 10, began), False


@contextmanager
def open_client(config: DestinationConfig, http: HttpContext) -> Iterator[BrevoClient]:
    """The account of a destination, for a `with` block."""
    settings = config.settings
    base_url = settings.get("base_url", "https://api.brevo.com")
    headers = {"api-key": settings["api_key"]}
    with http.session(
        config.name, base_url, headers=headers, rate_limit_headers=parse_rate_limit_headers
    ) as session:
        yield BrevoClient(session)


def parse_rate_limit_headers(
    status: int,
    headers: Mapping[str, str],
    now: datetime,  # noqa: ARG001 - the protocol's
) -> timedelta | None:
    """How long Brevo wants nothing: the rest of a window that is used up."""
    left, reset = headers.get("x-sib-ratelimit-remaining"), headers.get("x-sib-ratelimit-reset", "")
    used_up = left == "0" or status == HTTPStatus.TOO_MANY_REQUESTS
    return timedelta(seconds=int(reset)) if used_up and reset.isdigit() else None


class BrevoClient:
    """One Brevo account, made by `open_account`."""

    def __init__(self, session: HttpSession) -> None:
        self._session = session

    def list_lists(self) -> dict[int, str]:
        """List id -> its name."""
        found: dict[int, str] = {}
        offset = 0
        while True:
            query = {"limit": str(LISTS_PER_PAGE), "offset": str(offset), "sort": "asc"}
            page = self._session.send("GET", "/v3/contacts/lists", query=query).parse(
                _LISTS_RESPONSE
            )
            found |= {row.id: row.name for row in page.lists}
            offset += LISTS_PER_PAGE
            if not page.lists or offset >= page.count:
                return found

    def list_text_attributes(self) -> set[str]:
        """Names of the contact attributes that can hold a link."""
        answer = self._session.send("GET", "/v3/contacts/attributes")
        return {
            a.name
            for a in answer.parse(_CONTACT_ATTRIBUTES_RESPONSE).attributes
            if a.type == "text"
        }

    def get_contact(self, address: str, *, by_phone: bool = False) -> BrevoContact | int:
        """One contact, or the status that says why not: 404 unknown, 400 no address."""
        answer = self._session.send(
            "GET",
            _CONTACT_PATH,
            path_params={"address": address},
            query=_BY_PHONE if by_phone else _BY_EMAIL,
            allowed_statuses={HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND},
        )
        if answer.status >= HTTPStatus.BAD_REQUEST:
            return answer.status
        return answer.parse(_CONTACT_RESPONSE)

    def update_list_members(self, list_id: str, action: str, addresses: Sequence[str]) -> set[str]:
        """`add` to a list or `remove` from it at most 150; who was moved, casefolded.

        Raises Rejected also when nobody needed to be moved.
        """
        answer = self._session.send(
            "POST",
            f"/v3/contacts/lists/{{list}}/contacts/{action}",
            path_params={"list": list_id},
            body={"emails": list(addresses)},
        )
        return {
            address.casefold() for address in answer.parse(_LIST_UPDATE_RESPONSE).contacts.success
        }

    def set_attribute(self, address: str, name: str, value: str) -> int:
        """Set a contact's attribute; the status of the answer."""
        return self._session.send(
            "PUT",
            _CONTACT_PATH,
            path_params={"address": address},
            query=_BY_EMAIL,
            body={"attributes": {name: value}},
            allowed_statuses={HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND},
        ).status

    def set_sms_blocklisted(self, number: str, *, blocked: bool) -> int:
        """Whether campaigns may text a contact; the status: 404 unknown, 400 no number."""
        return self._session.send(
            "PUT",
            _CONTACT_PATH,
            path_params={"address": number},
            query=_BY_PHONE,
            body={"smsBlacklisted": blocked},
            allowed_statuses={HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND},
        ).status

    def list_blocked_addresses(self, offset: int) -> list[BlockedAddress]:
        """A page of the addresses blocked for transactional mail, the newest first."""
        query = {"limit": str(BLOCKED_PAGE_SIZE), "offset": str(offset), "sort": "desc"}
        answer = self._session.send("GET", "/v3/smtp/blockedContacts", query=query)
        return answer.parse(_BLOCKED_ADDRESSES_RESPONSE).contacts

    def list_modified_contacts(self, cursor: BrevoCursor, limit: int) -> list[BrevoContact]:
        """A page of contacts, oldest first."""
        query = {"limit": str(limit), "offset": str(cursor.offset), "sort": "asc"}
        if cursor.since:
            query["modifiedSince"] = cursor.since
        return (
            self._session.send("GET", "/v3/contacts", query=query)
            .parse(_CONTACTS_RESPONSE)
            .contacts
        )
