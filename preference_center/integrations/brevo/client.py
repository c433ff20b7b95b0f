"""`BrevoClient` calls Brevo's API v3 for contacts, their lists and their SMS switch.

https://developers.brevo.com/reference/get-contacts
https://developers.brevo.com/reference/get-transac-blocked-contacts
https://developers.brevo.com/docs/limit-headers

By SMS a contact is blocklisted or not, whatever lists the contact is on (I10):
https://developers.brevo.com/reference/update-contact
When and by whom is not reported: no later than the contact was changed last.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from http import HTTPStatus
from typing import Any

from pydantic import Field

from preference_center.integrations.base import runtime

LISTS_PER_PAGE = 50


BLOCKED_PAGE_SIZE = 100


_CONTACT_PATH = "/v3/contacts/{address}"


_BY_EMAIL, _BY_PHONE = {"identifierType": "email_id"}, {"identifierType": "phone_id"}


_PHONE_ATTRIBUTE = "SMS"
"""The attribute that holds the phone number, of 6 to 15 digits, mostly without its `+`."""


WITHOUT_PHONE: Mapping[str, object] = {"attributes": {_PHONE_ATTRIBUTE: ""}}
"""The change of a contact that takes its phone number away."""


class BrevoContactEvent(runtime.CamelModel):
    """Something that happened to a contact."""

    event_time: runtime.IsoDatetime = None


class _UnsubscriptionEvents(runtime.CamelModel):
    user_unsubscription: list[BrevoContactEvent] = Field(default_factory=list)
    admin_unsubscription: list[BrevoContactEvent] = Field(default_factory=list)


class _ContactStatistics(runtime.CamelModel):
    hard_bounces: list[BrevoContactEvent] = Field(default_factory=list)
    complaints: list[BrevoContactEvent] = Field(default_factory=list)
    unsubscriptions: _UnsubscriptionEvents = _UnsubscriptionEvents()


class BrevoContact(runtime.CamelModel):
    """One contact. `statistics`, of its last 90 days, come with a single one only."""

    email: str = ""
    """"" for one who is known by a phone number only."""
    email_blacklisted: bool = False
    sms_blacklisted: bool = False
    list_ids: list[int] = Field(default_factory=list)
    list_unsubscribed: list[int] = Field(default_factory=list)
    modified_at: runtime.IsoDatetime = None
    attributes: dict[str, Any] = Field(default_factory=dict)
    statistics: _ContactStatistics = _ContactStatistics()

    @property
    def phone(self) -> str:
        """The phone number with its `+`; "" if there is none."""
        digits = re.sub(r"\D", "", str(self.attributes.get(_PHONE_ATTRIBUTE) or ""))
        digits = digits.removeprefix("00")
        return f"+{digits}" if digits else ""


class _BlockReason(runtime.CamelModel):
    code: str = ""


class BlockedAddress(runtime.CamelModel):
    """An address that no transactional mail goes to."""

    email: str = ""
    reason: _BlockReason = _BlockReason()
    blocked_at: runtime.IsoDatetime = None


class _ListUpdateResult(runtime.CamelModel):
    success: list[str] = Field(default_factory=list)


class _BrevoLists(runtime.CamelModel):
    class Row(runtime.CamelModel):
        id: int
        name: str

    count: int
    lists: list[Row] = Field(default_factory=list)


class _ContactAttribute(runtime.CamelModel):
    name: str
    type: str = ""


def parse_rate_limit_headers(
    status: int,
    headers: Mapping[str, str],
    now: datetime,  # noqa: ARG001 - the protocol's
) -> timedelta | None:
    """How long Brevo accepts no request: the rest of a window that is used up."""
    left, reset = headers.get("x-sib-ratelimit-remaining"), headers.get("x-sib-ratelimit-reset", "")
    used_up = left == "0" or status == HTTPStatus.TOO_MANY_REQUESTS
    return timedelta(seconds=int(reset)) if used_up and reset.isdigit() else None


@dataclass
class BrevoClient:
    """One Brevo account, for one push, read or page."""

    session: runtime.Session
    _contacts: dict[str, BrevoContact | int] = field(default_factory=dict)

    def list_lists(self, offset: str) -> tuple[list[runtime.Target], str]:
        """A page of the lists, and the offset of the next."""
        query = {"limit": str(LISTS_PER_PAGE), "offset": offset or "0", "sort": "asc"}
        page = self.session.send("GET", "/v3/contacts/lists", query=query).parse(_BrevoLists)
        following = int(offset or 0) + LISTS_PER_PAGE
        targets = [runtime.Target(str(row.id), row.name) for row in page.lists]
        return targets, str(following) if page.lists and following < page.count else ""

    def list_text_attributes(self) -> set[str]:
        """Names of the contact attributes that can hold a link."""
        answer = self.session.send("GET", "/v3/contacts/attributes")
        attributes = answer.parse_member(list[_ContactAttribute], "attributes")
        return {attribute.name for attribute in attributes if attribute.type == "text"}

    def get_contact(self, address: str, *, by_phone: bool = False) -> BrevoContact | int:
        """One contact, or the status that states why not: 404 unknown, 400 no address.

        Requested once: writes to lists rely on it for what they did not change.
        """
        if address not in self._contacts:
            answer = self.session.send(
                "GET",
                _CONTACT_PATH,
                path_params={"address": address},
                query=_BY_PHONE if by_phone else _BY_EMAIL,
                allowed_statuses={HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND},
            )
            is_error = answer.status >= HTTPStatus.BAD_REQUEST
            self._contacts[address] = answer.status if is_error else answer.parse(BrevoContact)
        return self._contacts[address]

    def update_list_members(self, list_id: str, action: str, addresses: Sequence[str]) -> set[str]:
        """`add` to a list or `remove` from it at most 150; who was moved, casefolded.

        Raises RequestRejected also when nobody needed to be moved.
        """
        answer = self.session.send(
            "POST",
            f"/v3/contacts/lists/{{list}}/contacts/{action}",
            path_params={"list": list_id},
            body={"emails": list(addresses)},
        )
        moved = answer.parse_member(_ListUpdateResult, "contacts").success
        return {address.casefold() for address in moved}

    def update_contact(
        self, address: str, changes: Mapping[str, object], *, by_phone: bool = False
    ) -> runtime.PushOutcome:
        """Change a contact. Raises RequestRejected for what is no address or number."""
        return self._write("PUT", address, changes, by_phone=by_phone)

    def delete_contact(self, address: str, *, by_phone: bool = False) -> runtime.PushOutcome:
        """Delete a contact. Raises RequestRejected as `update_contact`."""
        return self._write("DELETE", address, by_phone=by_phone)

    def _write(
        self, method: str, address: str, body: object = None, *, by_phone: bool
    ) -> runtime.PushOutcome:
        answer = self.session.find(
            method,
            _CONTACT_PATH,
            path_params={"address": address},
            query=_BY_PHONE if by_phone else _BY_EMAIL,
            body=body,
        )
        return runtime.outcome_for_status(answer.status) if answer else runtime.absent()

    def list_blocked_addresses(self, offset: str) -> list[BlockedAddress]:
        """A page of the addresses blocked for transactional mail, the newest first."""
        query = {"limit": str(BLOCKED_PAGE_SIZE), "offset": offset or "0", "sort": "desc"}
        answer = self.session.send("GET", "/v3/smtp/blockedContacts", query=query)
        return answer.parse_member(list[BlockedAddress], "contacts", or_empty=True)

    def list_modified_contacts(
        self, since: datetime | None, offset: str, limit: int
    ) -> tuple[list[BrevoContact], str]:
        """A page of the contacts modified since a time, and the offset of the next.

        They come in the order of their making, so new ones go to the end. Only when some are
        deleted do the others move up: pages overlap a little.
        """
        query = {"limit": str(limit), "offset": offset or "0", "sort": "asc"}
        if since:
            query["modifiedSince"] = f"{since:%Y-%m-%dT%H:%M:%S.000Z}"
        answer = self.session.send("GET", "/v3/contacts", query=query)
        rows = answer.parse_member(list[BrevoContact], "contacts", or_empty=True)
        return rows, runtime.next_offset(offset, len(rows), limit, overlap=limit // 10)


PAGE_SIZE = 500


OVERLAP = timedelta(minutes=10)
"""Passes overlap: an index may lag behind, and clocks differ."""


CAPABILITIES = runtime.Capabilities(
    can_lift=True,
    batch_size=150,
    rate_limit=runtime.RateLimit(10, 1),
    can_read=True,
    scans=runtime.ListingMode.CHANGES,
    pulls=runtime.ListingMode.CHANGES,
    can_write_fields=True,
    can_hold_link=True,
    off_means_opt_out=False,
    erase=runtime.EraseMode.FORGETS_OPT_OUT,
    erase_note="The contact is deleted with its lists, attributes and statistics, and with a "
    "blocklisting. The logs of transactional mail stay as long as the account keeps them. A "
    "number is taken from a contact who also has an email address.",
    confirms_erasure=True,
)


RULES = runtime.ConnectorRules(
    target_noun="list",
    credentials_hint="the API key and where it may be used",
    api_url="https://api.brevo.com",
    key_header="api-key",
    rate_limit_headers=parse_rate_limit_headers,
    numeric_ids=True,
    group_size=150,
    by_target=True,
    target_check=runtime.TargetCheck.ON_REJECTION,
)


class BrevoAccount(runtime.ApiConnector[BrevoClient]):
    """A connector of one account and channel."""

    kind = "brevo"
    client_class = BrevoClient

    def list_modified(self, cursor: str | None) -> runtime.ContactPage[BrevoContact]:
        """The next page of the contacts that were modified since the last pass."""
        list_page = partial(BrevoClient.list_modified_contacts, limit=PAGE_SIZE)
        return self.changes_page(cursor, list_page, overlap=OVERLAP)


MAX_NUMBERS_PER_PUSH = 100
"""Numbers of one push: each takes a request, at 10 a second, and the lease is 90 seconds."""


class BrevoSms(
    BrevoAccount, runtime.ListedSmsConnector[BrevoClient], runtime.ErasingConnector[BrevoClient]
):
    """The phone numbers of one Brevo account. One that Brevo doesn't know is answered by 404."""

    capabilities = replace(
        CAPABILITIES,
        channels=frozenset({runtime.Channel.SMS}),
        can_write_fields=False,
        can_hold_link=False,
    )
    rules = replace(
        RULES,
        numeric_ids=False,
        by_target=False,
        group_size=1,
        max_changes=MAX_NUMBERS_PER_PUSH,
        max_reads=MAX_NUMBERS_PER_PUSH,
        target_check=runtime.TargetCheck.NEVER,
    )

    def find_problems(self, client: BrevoClient) -> Iterator[str]:
        """See ApiConnector."""
        client.list_modified_contacts(None, "", 1)
        return iter(())

    def write_change(
        self, client: BrevoClient, change: runtime.TargetChange
    ) -> runtime.PushOutcome:
        """See MappedConnector."""
        changes = {"smsBlacklisted": bool(change.off)}
        return client.update_contact(change.address, changes, by_phone=True)

    def fetch_contact(
        self,
        client: BrevoClient,
        address: str,
        target_ids: Collection[str],  # noqa: ARG002 - there is one
    ) -> runtime.RemoteContact | None:
        """See MappedConnector."""
        contact = client.get_contact(address, by_phone=True)
        if not isinstance(contact, BrevoContact):
            return None
        return runtime.sms_contact("blocklisted" if contact.sms_blacklisted else None)

    def erase_contact(self, client: BrevoClient, item: runtime.EraseItem) -> runtime.PushOutcome:
        """See ErasingConnector. One with an email address too may be somebody else."""
        contact = client.get_contact(item.address, by_phone=True)
        if not isinstance(contact, BrevoContact):
            return runtime.absent(contact)
        if contact.email:
            return client.update_contact(item.address, WITHOUT_PHONE, by_phone=True)
        return client.delete_contact(item.address, by_phone=True)

    def holds_contact(self, client: BrevoClient, item: runtime.EraseItem) -> bool:
        """See ErasingConnector."""
        return isinstance(client.get_contact(item.address, by_phone=True), BrevoContact)

    def list_numbers(self, cursor: str | None) -> runtime.ContactPage[runtime.ListedNumber]:
        """See ListedSmsConnector."""
        return self.list_modified(cursor).expand(_to_listed_numbers)


def _to_listed_numbers(contact: BrevoContact) -> Iterator[runtime.ListedNumber]:
    is_off = contact.sms_blacklisted
    yield runtime.ListedNumber(contact.phone, is_off, is_off, contact.modified_at)
