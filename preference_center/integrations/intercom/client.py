"""Intercom's REST API 2.15, as far as contacts and their subscriptions go.

https://developers.intercom.com/docs/references/2.15/rest-api/api.intercom.io/contacts/searchcontacts
https://developers.intercom.com/docs/references/2.15/rest-api/api.intercom.io/subscription-types
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from preference_center.integrations.base import runtime

MAX_FILTER_VALUES = 15
"""The most values that one group of filters may have."""
PAGE_SIZE = 150
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


class SubscriptionType(runtime.LenientModel):
    """One type; attaching a contact opts it out if the type is opt_out, else in."""

    class Translation(runtime.LenientModel):
        """Its texts in one language."""

        name: str = ""

    id: str
    state: str = "live"
    consent_type: str = ""
    content_types: tuple[str, ...] = ()
    default_translation: Translation = Translation()

    @property
    def has_known_consent_type(self) -> bool:
        """Whether it is clear what attaching a contact means."""
        return self.consent_type in {"opt_in", "opt_out"}

    @property
    def is_opt_out(self) -> bool:
        """Whether people get it until they opt out."""
        return self.consent_type == "opt_out"


class IntercomContact(runtime.LenientModel):
    """One user or lead; several may have one address. One without an id can't be changed."""

    id: str = ""
    email: str = ""
    unsubscribed_from_emails: bool = False
    marked_email_as_spam: bool = False
    has_hard_bounced: bool = False
    updated_at: Annotated[datetime | None, BeforeValidator(_parse_timestamp)] = None
    custom_attributes: dict[str, Any] = Field(default_factory=dict)


class _DataAttribute(runtime.LenientModel):
    name: str = ""
    data_type: str = ""
    custom: bool = False
    archived: bool = False


class _AttachedType(runtime.LenientModel):
    """A type that a contact is attached to, or is no longer."""

    id: Annotated[str, Field(min_length=1)]


class _SearchResponse(runtime.LenientModel):
    class Pagination(runtime.LenientModel):
        class NextPage(runtime.LenientModel):
            starting_after: str = ""

        next: NextPage = NextPage()

    data: list[IntercomContact]
    pages: Pagination = Pagination()


@dataclass
class IntercomClient:
    """One workspace, for one push, read or page."""

    session: runtime.Session
    addresses: Sequence[str] = ()
    """Whose contacts are searched for, together, at the first `contacts_of`."""

    @cached_property
    def types(self) -> Mapping[str, SubscriptionType]:
        """Id -> subscription type, of those that are not archived."""
        answer = self.session.send("GET", "/subscription_types")
        found = answer.parse_member(list[SubscriptionType], "data")
        return {type_.id: type_ for type_ in found if type_.state != "archived"}

    def list_text_attributes(self) -> set[str]:
        """Names of the custom attributes of contacts that can hold a link."""
        answer = self.session.send("GET", "/data_attributes", query={"model": "contact"})
        return {
            attribute.name
            for attribute in answer.parse_member(list[_DataAttribute], "data")
            if attribute.custom and attribute.data_type == "string" and not attribute.archived
        }

    def contacts_of(self, address: str) -> list[IntercomContact]:
        """The contacts of an address. Raises UnexpectedResponse where the search left it open."""
        try:
            return self._contacts[address.casefold()]
        except KeyError:
            raise runtime.UnexpectedResponse(
                "a contact came without an address that was asked for"
            ) from None

    @cached_property
    def _contacts(self) -> Mapping[str, list[IntercomContact]]:
        """Casefolded address -> its contacts. Intercom keeps addresses in lower case.

        An address without contacts is left out when a contact by none of them was found, who
        may be the one that was asked for.
        """
        values = sorted({*self.addresses, *(address.lower() for address in self.addresses)})
        found: dict[str, list[IntercomContact]] = {a.casefold(): [] for a in self.addresses}
        is_clear = True
        for group in runtime.chunked(values, MAX_FILTER_VALUES):
            query = {"field": "email", "operator": "IN", "value": group}
            for contact in runtime.list_all(partial(self._search, query)):
                held = found.get(contact.email.casefold())
                is_clear &= held is not None
                if held is not None:
                    held.append(contact)
        return {address: held for address, held in found.items() if held or is_clear}

    def list_changed(
        self, since: datetime | None, token: str, *, flags: Sequence[str] = ()
    ) -> tuple[list[IntercomContact], str]:
        """A page of contacts, newest change first, and the token of the next.

        `flags`: only those of whom one is true. What changes in the meantime goes to the front,
        and is listed by the next pass; a pass ends at what changed before `since`.
        """
        day = int((since - SEARCH_DAY_MARGIN).timestamp()) if since else 0
        groups = [
            {"operator": "OR", "value": [_filter(flag, "=", True) for flag in flags]},
            {"operator": "AND", "value": [_filter("updated_at", ">", day)]},
        ]
        query = {"operator": "AND", "value": groups if flags else groups[1:]}
        contacts, following = self._search(query, token, newest_first=True)
        times = [contact.updated_at for contact in contacts if contact.updated_at]
        is_sorted = times == sorted(times, reverse=True)
        is_past = since is not None and bool(times) and is_sorted and times[-1] < since
        return contacts, "" if is_past else following

    def list_attached_type_ids(self, contact: IntercomContact) -> set[str] | None:
        """Ids of the types that a contact is attached to; None if it is gone."""
        answer = self._send("GET", _SUBSCRIPTIONS_PATH, contact)
        if answer is None:
            return None
        return {type_.id for type_ in answer.parse_member(list[_AttachedType], "data")}

    def set_attached(
        self, contact: IntercomContact, type_: SubscriptionType, *, is_attached: bool
    ) -> bool:
        """Attach a contact to a type or detach it; whether that was acknowledged."""
        if is_attached:
            body = {"id": type_.id, "consent_type": type_.consent_type}
            answer = self._send("POST", _SUBSCRIPTIONS_PATH, contact, body)
        else:
            answer = self._send("DELETE", f"{_SUBSCRIPTIONS_PATH}/{{type}}", contact, type=type_.id)
        return answer is not None and answer.parse(_AttachedType).id == type_.id

    def update_contact(
        self, contact: IntercomContact, changes: Mapping[str, Any]
    ) -> IntercomContact | None:
        """Change a contact; what it is like then, None if it is gone."""
        answer = self._send("PUT", _CONTACT_PATH, contact, changes)
        return answer.parse(IntercomContact) if answer else None

    def delete_contact(self, contact: IntercomContact) -> runtime.PushOutcome:
        """Delete a contact; ABSENT if it is gone already."""
        answer = self._send("DELETE", _CONTACT_PATH, contact)
        if answer is None:
            return runtime.absent()
        return runtime.acknowledged(answer.parse_member(bool, "deleted", or_empty=True))

    def _search(
        self, query: Mapping[str, Any], token: str, *, newest_first: bool = False
    ) -> tuple[list[IntercomContact], str]:
        body: dict[str, Any] = {"query": query, "pagination": {"per_page": PAGE_SIZE}}
        if token:
            body["pagination"]["starting_after"] = token
        if newest_first:
            body["sort"] = {"field": "updated_at", "order": "descending"}
        page = self.session.send("POST", "/contacts/search", body=body).parse(_SearchResponse)
        return page.data, page.pages.next.starting_after

    def _send(
        self,
        method: str,
        route: str,
        contact: IntercomContact,
        body: Mapping[str, Any] | None = None,
        **path_params: str,
    ) -> runtime.Response | None:
        """None if the contact is gone."""
        if not contact.id:
            raise runtime.UnexpectedResponse("a contact came without an id")
        path_params["contact"] = contact.id
        return self.session.find(method, route, path_params=path_params, body=body)


def _filter(field: str, operator: str, value: bool | int) -> dict[str, Any]:  # noqa: FBT001
    return {"field": field, "operator": operator, "value": value}
