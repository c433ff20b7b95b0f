"""Mailchimp's Marketing API 3.0: the calls for one audience.

https://mailchimp.com/developer/marketing/api/lists/
https://mailchimp.com/developer/marketing/docs/errors/
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

from pydantic import Field

from preference_center.integrations.base import runtime

SUBSCRIBED, UNSUBSCRIBED, ARCHIVED = "subscribed", "unsubscribed", "archived"
OPTED_OUT_STATUSES = frozenset({UNSUBSCRIBED, "cleaned"})
"""Statuses of an opt-out. "pending", "transactional" and "archived" members get no campaigns
either, but a form or an import can make them subscribed."""

COMPLIANCE_STATE = "Member In Compliance State"
"""Title of the error for a member whom only the person can subscribe again."""
THROTTLE_DELAY = timedelta(seconds=30)
PAGE_SIZE, PAGE_STEP = 1_000, 900
"""Pages overlap: a member who changes meanwhile moves to the end, and all behind move up."""
OVERLAP = timedelta(minutes=10)
_ONE_SECOND = timedelta(seconds=1)
_AUDIENCE = "/3.0/lists/{audience}"
_MEMBER = f"{_AUDIENCE}/members/{{member}}"
_CATEGORIES = f"{_AUDIENCE}/interest-categories"


class MailchimpMember(runtime.LenientModel):
    """One address in the audience. `interests` has every group of the audience."""

    status: str
    interests: dict[str, bool] = Field(default_factory=dict)
    merge_fields: dict[str, Any] = Field(default_factory=dict)


class ListedMember(MailchimpMember):
    """A member as listed; one who only has a phone number has no email address."""

    email_address: str = ""
    status: str = ""
    last_changed: runtime.IsoDatetime = None


class _BatchMember(runtime.LenientModel):
    email_address: str = ""
    status: str = ""
    error_code: str = ""


class _BatchResponse(runtime.LenientModel):
    new_members: list[_BatchMember] = Field(default_factory=list)
    updated_members: list[_BatchMember] = Field(default_factory=list)
    errors: list[_BatchMember] = Field(default_factory=list)


class _Problem(runtime.LenientModel):
    """An error: `title` is its name in Mailchimp's glossary, never an address."""

    title: str = ""


class _Account(runtime.LenientModel):
    role: str = ""


class _NamedObject(runtime.LenientModel):
    id: str = ""
    name: str = ""


class _MergeField(runtime.LenientModel):
    tag: str = ""
    type: str = ""


class MailchimpClient:
    """One audience of one account."""

    def __init__(self, config: runtime.DestinationConfig, session: runtime.Session) -> None:
        self._name = config.name
        self._audience_id = config.settings["audience"]
        self._session = session

    def role(self) -> str:
        """The role of the API key's user in the account."""
        return self.send("GET", "/3.0/", query={"fields": "role"}).parse(_Account).role

    def ensure_exists(self) -> None:
        """Raise DeliveryError (permanent) when the audience is gone.

        Its members are answered with the same 404 as unknown addresses.
        """
        if self.find(_AUDIENCE, query={"fields": "id"}) is None:
            raise runtime.DeliveryError(
                f"{self._name}: the audience is gone: name one that exists", permanent=True
            )

    def groups(self) -> dict[str, str]:
        """Group id -> its name, of all categories."""
        query = {"count": str(PAGE_SIZE)}
        categories = self.send("GET", _CATEGORIES, query=query)
        route = f"{_CATEGORIES}/{{category}}/interests"
        return {
            interest.id: interest.name
            for category in categories.parse_member(list[_NamedObject], "categories")
            if category.id
            for interest in self.send("GET", route, query=query, category=category.id).parse_member(
                list[_NamedObject], "interests"
            )
        }

    def list_text_fields(self) -> set[str]:
        """Tags of the custom fields that can hold a text."""
        response = self.send("GET", f"{_AUDIENCE}/merge-fields", query={"count": str(PAGE_SIZE)})
        fields = response.parse_member(list[_MergeField], "merge_fields")
        return {field.tag for field in fields if field.type in {"text", "url"}}

    def member(self, address: str) -> MailchimpMember | None:
        """One member; None if the audience does not know the address."""
        query = {"fields": "id,status,interests"}
        response = self.find(_MEMBER, query=query, member=member_id(address))
        return response.parse(MailchimpMember) if response else None

    def update_member(
        self,
        address: str,
        changes: Mapping[str, Any],
        is_applied: Callable[[MailchimpMember], bool],
    ) -> runtime.PushOutcome:
        """Change a member; reflected if the response `is_applied`.

        Merge fields that the audience requires and the member lacks are not validated.
        """
        response = self.send(
            "PATCH",
            _MEMBER,
            query={"skip_merge_validation": "true"},
            body=changes,
            allowed_statuses={HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND},
            member=member_id(address),
        )
        if response.status == HTTPStatus.NOT_FOUND:
            return runtime.absent()
        if response.status == HTTPStatus.BAD_REQUEST:
            title = response.parse(_Problem).title
            # A person who unsubscribed can only resubscribe by one of Mailchimp's own forms.
            if title == COMPLIANCE_STATE:
                return runtime.refused(title)
            raise runtime.RequestRejected(f"{self._name}: HTTP 400", response.status)
        member = response.parse(MailchimpMember)
        return runtime.acknowledged(is_applied(member), member.status)

    def delete_permanently(self, address: str) -> runtime.PushOutcome:
        """Delete a member for good; only one of Mailchimp's own forms can add the address again.

        405 is how Mailchimp answers for a member that it won't delete.
        """
        response = self.send(
            "POST",
            f"{_MEMBER}/actions/delete-permanent",
            query={},
            allowed_statuses={HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED},
            member=member_id(address),
        )
        if response.status == HTTPStatus.METHOD_NOT_ALLOWED:
            return runtime.refused(response.status)
        return runtime.outcome_for_status(response.status)

    def unsubscribe(self, addresses: Sequence[str]) -> dict[str, runtime.PushOutcome]:
        """Unsubscribe up to 500, adding unknown ones unsubscribed. By casefolded address."""
        members = [{"email_address": address, "status": UNSUBSCRIBED} for address in addresses]
        batch = self.send(
            "POST",
            _AUDIENCE,
            query={"skip_merge_validation": "true"},
            body={"members": members, "update_existing": True},
        ).parse(_BatchResponse)
        return {
            each.email_address.casefold(): runtime.refused(each.error_code) for each in batch.errors
        } | {
            each.email_address.casefold(): runtime.reflected(each.status)
            for each in batch.new_members + batch.updated_members
            if each.status in OPTED_OUT_STATUSES
        }

    def list_members(self, since: datetime | None, token: str) -> tuple[list[ListedMember], str]:
        """A page of members that changed since a time, oldest change first, and the next token."""
        return self._list_members(since, token, {})

    def list_unsubscribed(
        self, since: datetime | None, token: str
    ) -> tuple[list[ListedMember], str]:
        """The same of members who unsubscribed since that time."""
        query = {"status": UNSUBSCRIBED}
        if since:
            query["unsubscribed_since"] = since.isoformat()
        return self._list_members(since, token, query)

    def _list_members(
        self, since: datetime | None, token: str, query: Mapping[str, str]
    ) -> tuple[list[ListedMember], str]:
        """A token is the time of the last row, and how many rows with that time to skip."""
        changed_since, _, offset = token.partition("|")
        start = datetime.fromisoformat(changed_since) if changed_since else since
        query = {
            "fields": ",".join(f"members.{name}" for name in ListedMember.model_fields),
            "count": str(PAGE_SIZE),
            "offset": offset or "0",
            "sort_field": "last_changed",
            "sort_dir": "ASC",
            **query,
        }
        if start:
            query["since_last_changed"] = start.isoformat()
        response = self.send("GET", f"{_AUDIENCE}/members", query=query)
        rows = response.parse_member(list[ListedMember], "members")
        if len(rows) < PAGE_SIZE:
            return rows, ""
        times = [row.last_changed for row in rows if row.last_changed]
        newest = times[-1] - _ONE_SECOND if times else None
        if newest and (start is None or newest > start):
            return rows, f"{newest.isoformat()}|0"
        skipped = int(offset or 0) + PAGE_STEP
        return rows, f"{start.isoformat() if start else ''}|{skipped}"

    def find(
        self, route: str, *, query: Mapping[str, str], **path_params: str
    ) -> runtime.Response | None:
        """Get what may not be there: None for a 404."""
        not_found = HTTPStatus.NOT_FOUND
        response = self.send("GET", route, query=query, allowed_statuses={not_found}, **path_params)
        return None if response.status == not_found else response

    def send(
        self,
        method: str,
        route: str,
        *,
        query: Mapping[str, str],
        body: Any = None,
        allowed_statuses: Collection[int] = (),
        **path_params: str,
    ) -> runtime.Response:
        """Send one request about the audience. Raises like `runtime.Session.send`."""
        response = self._session.send(
            method,
            route,
            path_params={"audience": self._audience_id, **path_params},
            query=query,
            body=body,
            allowed_statuses={HTTPStatus.FORBIDDEN, *allowed_statuses},
        )
        if response.status == HTTPStatus.FORBIDDEN:
            self._explain_403(response)
        return response

    def _explain_403(self, response: runtime.Response) -> None:
        """Raise DeliveryError: a 403 without a problem body is how an account is throttled."""
        try:
            response.parse(_Problem)
        except runtime.DeliveryError:
            message = f"{self._name}: HTTP 403 without a reason, throttled"
            raise runtime.DeliveryError(message, retry_after=THROTTLE_DELAY) from None
        raise runtime.DeliveryError(f"{self._name}: HTTP 403, rights refused", permanent=True)


def member_id(address: str) -> str:
    """MD5 of the address in lower case: Mailchimp's id of the member, not a protection."""
    return hashlib.md5(address.lower().encode(), usedforsecurity=False).hexdigest()


class MailchimpAudience(runtime.ApiConnector[runtime.Client]):
    """A connector of one audience and channel."""

    kind = "mailchimp"

    def base_url(self) -> str:
        """See ApiConnector. The key names the account's data centre."""
        settings = self.config.settings
        centre = re.search(r"-([a-z]{2,4}\d{1,4})\Z", settings["api_key"])
        if centre is None and "base_url" not in settings:
            message = f"{self.config.name}: the API key must end with a data centre, as in -us21"
            raise runtime.DeliveryError(message, permanent=True)
        return super().base_url() or f"https://{centre and centre[1]}.api.mailchimp.com"

    def headers(self) -> Mapping[str, str]:
        """See ApiConnector."""
        return runtime.basic_auth_headers("any", self.config.settings["api_key"])
