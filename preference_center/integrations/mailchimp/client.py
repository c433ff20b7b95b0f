"""Mailchimp's Marketing API 3.0: the calls for one audience.

https://mailchimp.com/developer/marketing/api/lists/
https://mailchimp.com/developer/marketing/docs/errors/
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

from preference_center.domain.sync.contract import PushOutcome, PushResult
from preference_center.integrations.base.contract import DeliveryError, DestinationConfig
from preference_center.integrations.base.http import (
    HttpContext,
    HttpSession,
    Response,
    basic_auth_headers,
)
from preference_center.integrations.mailchimp.models import (
    ACCOUNT,
    BATCH,
    CATEGORIES,
    INTERESTS,
    MEMBER,
    MEMBERS,
    MERGE_FIELDS,
    PROBLEM,
    ListedMember,
    MailchimpMember,
)

SUBSCRIBED, UNSUBSCRIBED, ARCHIVED = "subscribed", "unsubscribed", "archived"
OPTED_OUT_STATUSES = frozenset({UNSUBSCRIBED, "cleaned"})
"""Statuses of an opt-out. "pending", "transactional" and "archived" members get no campaigns
either, but a form or an import can make them subscribed."""

COMPLIANCE_STATE = "Member In Compliance State"
"""Title of the error for a member whom only the person can subscribe again."""
INVALID_ACK = "400"
THROTTLE_DELAY = timedelta(seconds=30)
PAGE_SIZE, PAGE_STEP = 1_000, 900
"""Pages overlap: a member who changes meanwhile moves to the end, and all behind move up."""
OVERLAP = timedelta(minutes=10)
_ONE_SECOND = timedelta(seconds=1)
_AUDIENCE = "/3.0/lists/{audience}"
_MEMBER = f"{_AUDIENCE}/members/{{member}}"
_CATEGORIES = f"{_AUDIENCE}/interest-categories"


@dataclass(frozen=True, slots=True)
class MailchimpCursor:
    """The position in a listing.

    A pass lists what changed after `since`, oldest change first, from `position` on; `offset`
    counts rows with the same time as `position`.
    """

    since: datetime | None = None
    position: datetime | None = None
    offset: int = 0
    started_at: datetime | None = None

    @classmethod
    def parse(cls, text: str | None) -> MailchimpCursor:
        """The cursor that `str` wrote; the beginning for None."""
        if text is None:
            return cls()
        since, position, offset, began = text.split("|")
        return cls(_parse_time(since), _parse_time(position), int(offset), _parse_time(began))

    def __str__(self) -> str:
        times = [t.isoformat() if t else "" for t in (self.since, self.position, self.started_at)]
        return f"{times[0]}|{times[1]}|{self.offset}|{times[2]}"

    def advance(self, rows: Sequence[ListedMember], now: datetime) -> tuple[MailchimpCursor, bool]:
        """The cursor after `rows`, and whether they were the last."""
        began = self.started_at or now
        if len(rows) < PAGE_SIZE:
            start = began - OVERLAP
            return MailchimpCursor(start, start), True
        times = [row.last_changed for row in rows if row.last_changed]
        newest = times[-1] - _ONE_SECOND if times else None
        if newest and (self.position is None or newest > self.position):
            return MailchimpCursor(self.since, newest, 0, began), False
        return MailchimpCursor(self.since, self.position, self.offset + PAGE_STEP, began), False


def _parse_time(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


@contextmanager
def open_client(config: DestinationConfig, http: HttpContext) -> Iterator[MailchimpClient]:
    """A client of a destination's audience, for a `with` block.

    Raises DeliveryError (permanent) for a key that doesn't name the account's data centre.
    """
    settings = config.settings
    centre = re.search(r"-([a-z]{2,4}\d{1,4})\Z", settings["api_key"])
    if centre is None and "base_url" not in settings:
        raise DeliveryError(
            f"{config.name}: the API key must end with a data centre, as in -us21", permanent=True
        )
    base_url = settings.get("base_url") or f"https://{centre and centre[1]}.api.mailchimp.com"
    headers = basic_auth_headers("any", settings["api_key"])
    with http.session(config.name, base_url, headers=headers) as session:
        yield MailchimpClient(config, http, session)


class MailchimpClient:
    """One audience of one account, made by `open_client`."""

    def __init__(self, config: DestinationConfig, http: HttpContext, session: HttpSession) -> None:
        self._name = config.name
        self._audience_id = config.settings["audience"]
        self._http = http
        self._session = session

    def role(self) -> str:
        """The role of the API key's user in the account."""
        return self.send("GET", "/3.0/", query={"fields": "role"}).parse(ACCOUNT).role

    def ensure_exists(self) -> None:
        """Raise DeliveryError (permanent) when the audience is gone.

        Its members are answered with the same 404 as unknown addresses.
        """
        if (
            self.send(
                "GET", _AUDIENCE, query={"fields": "id"}, allowed_statuses={HTTPStatus.NOT_FOUND}
            ).status
            == HTTPStatus.NOT_FOUND
        ):
            raise DeliveryError(
                f"{self._name}: the audience is gone: name one that exists", permanent=True
            )

    def groups(self) -> dict[str, str]:
        """Group id -> its name, of all categories."""
        query = {"count": str(PAGE_SIZE)}
        found = self.send("GET", _CATEGORIES, query=query).parse(CATEGORIES)
        return {
            interest.id: interest.name
            for category in found.categories
            if category.id
            for interest in self.send(
                "GET", f"{_CATEGORIES}/{{category}}/interests", query=query, category=category.id
            )
            .parse(INTERESTS)
            .interests
        }

    def link_fields(self) -> set[str]:
        """Tags of the custom fields that can hold a link."""
        response = self.send("GET", f"{_AUDIENCE}/merge-fields", query={"count": str(PAGE_SIZE)})
        return {
            f.tag for f in response.parse(MERGE_FIELDS).merge_fields if f.type in {"text", "url"}
        }

    def member(self, address: str) -> MailchimpMember | None:
        """One member; None if the audience does not know the address."""
        response = self.send(
            "GET",
            _MEMBER,
            query={"fields": "id,status,interests"},
            allowed_statuses={HTTPStatus.NOT_FOUND},
            member=member_id(address),
        )
        return None if response.status == HTTPStatus.NOT_FOUND else response.parse(MEMBER)

    def ensure_groups(self, topics: Mapping[str, str]) -> None:
        """Raise DeliveryError (permanent) when the group of a topic is gone."""
        there = self.groups()
        if gone := sorted(topic for topic, group in topics.items() if group not in there):
            raise DeliveryError(
                f"{self._name}: the groups of {', '.join(gone)} are gone: map them again",
                permanent=True,
            )

    def update_member(
        self,
        address: str,
        changes: Mapping[str, Any],
        is_applied: Callable[[MailchimpMember], bool],
    ) -> PushOutcome:
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
            return PushOutcome(PushResult.ABSENT, "404")
        if response.status == HTTPStatus.BAD_REQUEST:
            title = response.parse(PROBLEM).title
            # A person who unsubscribed can only resubscribe by one of Mailchimp's own forms.
            return PushOutcome(
                PushResult.REFUSED, title if title == COMPLIANCE_STATE else INVALID_ACK
            )
        after = response.parse(MEMBER)
        if not is_applied(after):
            return PushOutcome(PushResult.RETRY_LATER, "not acknowledged")
        return PushOutcome(PushResult.REFLECTED, after.status)

    def unsubscribe(self, addresses: Sequence[str]) -> dict[str, PushOutcome]:
        """Unsubscribe up to 500, adding unknown ones unsubscribed. By casefolded address."""
        members = [{"email_address": address, "status": UNSUBSCRIBED} for address in addresses]
        batch = self.send(
            "POST",
            _AUDIENCE,
            query={"skip_merge_validation": "true"},
            body={"members": members, "update_existing": True},
        ).parse(BATCH)
        return {
            fault.email_address.casefold(): PushOutcome(PushResult.REFUSED, fault.error_code)
            for fault in batch.errors
        } | {
            member.email_address.casefold(): PushOutcome(PushResult.REFLECTED, member.status)
            for member in batch.new_members + batch.updated_members
            if member.status in OPTED_OUT_STATUSES
        }

    def list_members(
        self, cursor: str | None, *, unsubscribed: bool = False
    ) -> tuple[list[ListedMember], str, bool]:
        """A page of members by time of change, the next cursor, and whether it was the last.

        `unsubscribed`: only members who unsubscribed since the start of the pass's time span.
        """
        position = MailchimpCursor.parse(cursor)
        query = {
            "fields": ",".join(f"members.{name}" for name in ListedMember.model_fields),
            "count": str(PAGE_SIZE),
            "offset": str(position.offset),
            "sort_field": "last_changed",
            "sort_dir": "ASC",
        }
        if position.position:
            query["since_last_changed"] = position.position.isoformat()
        if unsubscribed:
            query["status"] = UNSUBSCRIBED
            if position.since:
                query["unsubscribed_since"] = position.since.isoformat()
        now = self._http.now()
        rows = self.send("GET", f"{_AUDIENCE}/members", query=query).parse(MEMBERS).members
        following, done = position.advance(rows, now)
        return rows, str(following), done

    def send(
        self,
        method: str,
        route: str,
        *,
        query: Mapping[str, str],
        body: Any = None,
        allowed_statuses: Collection[int] = (),
        **path_params: str,
    ) -> Response:
        """Send one request about the audience. Raises like `HttpSession.send`."""
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

    def _explain_403(self, response: Response) -> None:
        """Raise DeliveryError: a 403 without a problem body is how an account is throttled."""
        try:
            response.parse(PROBLEM)
        except DeliveryError:
            message = f"{self._name}: HTTP 403 without a reason, throttled"
            raise DeliveryError(message, retry_after=THROTTLE_DELAY) from None
        raise DeliveryError(f"{self._name}: HTTP 403, rights refused", permanent=True)


def member_id(address: str) -> str:
    """MD5 of the address in lower case: Mailchimp's id of the member, not a protection."""
    return hashlib.md5(address.lower().encode(), usedforsecurity=False).hexdigest()
