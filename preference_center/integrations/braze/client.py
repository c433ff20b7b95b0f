"""Braze's REST API, as far as people's subscriptions are read and set by it.

https://www.braze.com/docs/api/endpoints/subscription_groups/post_update_user_subscription_group_status_v2/
https://www.braze.com/docs/api/endpoints/subscription_groups/get_list_user_subscription_group_status/
https://www.braze.com/docs/api/endpoints/subscription_groups/get_list_user_subscription_groups/
https://www.braze.com/docs/api/endpoints/email/get_query_unsubscribed_email_addresses/
https://www.braze.com/docs/api/endpoints/user_data/post_user_delete/
https://www.braze.com/docs/api/endpoints/user_data/post_user_track/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from http import HTTPStatus
from itertools import count
from typing import Annotated
from urllib.parse import quote

from pydantic import BeforeValidator

from preference_center.integrations.base import runtime

MAX_ADDRESSES_PER_CALL = 50
USERS_PER_PAGE = 100
"""The most users of one answer."""
MAX_UPDATES_PER_CALL = 50
"""The most users that one request may change: 75, but 50 where active users are paid for."""
MAX_URL_BYTES = 6_000
"""Bytes of the addresses in one URL."""
EMAIL, PHONE = "email", "phone"
UNSUBSCRIBED, SUBSCRIBED = "unsubscribed", "subscribed"
PAGE_SIZE, PAGE_OVERLAP = 500, 50
"""Pages overlap: an address that leaves the list meanwhile moves all after it up."""
EARLIEST_DATE = date(2011, 1, 1)
"""Before Braze was founded."""
OVERLAP = timedelta(days=2)
"""Days begin at midnight UTC; days that were not over are read again."""


def _parse_timestamp(text: object) -> datetime | None:
    """Braze writes "2016-08-25 15:24:32 +0000"."""
    try:
        return datetime.strptime(text, "%Y-%m-%d %H:%M:%S %z") if isinstance(text, str) else None
    except ValueError:
        return None


_BrazeTimestamp = Annotated[datetime | None, BeforeValidator(_parse_timestamp)]


class _SubscriptionGroup(runtime.LenientModel):
    id: str = ""
    status: str = ""


class BrazeUser(runtime.LenientModel):
    """One user; several may share an address."""

    external_id: str = ""
    email: str = ""
    phone: str = ""
    subscription_groups: tuple[_SubscriptionGroup, ...] = ()

    def identifier(self, id_type: str) -> str:
        """The user's address, in lower case; "" if it can't be read."""
        if id_type == EMAIL:
            return self.email.casefold()
        return f"+{self.phone.lstrip('+')}" if self.phone else ""

    def unsubscribed_group_ids(self) -> frozenset[str]:
        """Ids of the groups that the user left; groups never set are not listed."""
        groups = self.subscription_groups
        return frozenset(group.id for group in groups if group.status.casefold() == UNSUBSCRIBED)


class BrazeEmailEvent(runtime.LenientModel):
    """An address that unsubscribed from all, or bounced permanently."""

    email: str = ""
    unsubscribed_at: _BrazeTimestamp = None
    hard_bounced_at: _BrazeTimestamp = None

    @property
    def occurred_at(self) -> datetime | None:
        """When that was (UTC)."""
        return self.unsubscribed_at or self.hard_bounced_at


class BrazeClient:
    """One workspace, for one push or listing."""

    def __init__(self, session: runtime.Session) -> None:
        self._session = session

    def find_unsubscribed_groups(
        self, id_type: str, values: Sequence[str]
    ) -> dict[str, frozenset[str] | None]:
        """Address -> ids of the groups that all users with it left; None if there is no user.

        `id_type` is EMAIL or PHONE; up to 50 values, in as few requests as their length allows.
        A value without a user is left out when the response has a user with none of the values,
        who may be the one. Raises RequestRejected where a value can't be looked up.
        """
        return {
            value: frozenset.intersection(*(user.unsubscribed_group_ids() for user in users))
            if users
            else None
            for value, users in self.find_users(id_type, values).items()
        }

    def find_users(self, id_type: str, values: Sequence[str]) -> dict[str, list[BrazeUser]]:
        """Address -> all users with it, as `find_unsubscribed_groups`."""
        found: dict[str, list[BrazeUser]] = {value.casefold(): [] for value in values}
        is_clear = True
        for part in _split_by_url_length(values):
            for user in self._list_users(id_type, part):
                held = found.get(user.identifier(id_type))
                is_clear &= held is not None
                if held is not None:
                    held.append(user)
        return {value: held for value in values if (held := found[value.casefold()]) or is_clear}

    def _list_users(self, id_type: str, values: Sequence[str]) -> Iterator[BrazeUser]:
        """All users of these: several may share an address."""
        for offset in count(0, USERS_PER_PAGE):
            query = {f"{id_type}[]": values, "limit": str(USERS_PER_PAGE), "offset": str(offset)}
            answer = self._session.send("GET", "/subscription/user/status", query=query)
            users = answer.parse_member(list[BrazeUser], "users")
            yield from users
            if len(users) < USERS_PER_PAGE:
                return

    def set_group_state(self, group: str, state: str, id_type: str, values: Sequence[str]) -> None:
        """Set up to 50 addresses' state in a subscription group; all who share one get it."""
        change = {"subscription_group_id": group, "subscription_state": state}
        body = {"subscription_groups": [{**change, f"{id_type}s": list(values)}]}
        self._ensure_success(self._session.send("POST", "/v2/subscription/status/set", body=body))

    def set_email_state(self, state: str, addresses: Sequence[str]) -> None:
        """Set up to 50 addresses' state for all email, also of unknown ones."""
        body = {"email": list(addresses), "subscription_state": state}
        self._ensure_success(self._session.send("POST", "/email/status", body=body))

    def delete_users(self, id_type: str, values: Sequence[str]) -> None:
        """Have one user of each of up to 50 addresses deleted; Braze queues it."""
        name = {EMAIL: "email_addresses", PHONE: "phone_numbers"}[id_type]
        users = [{id_type: value, "prioritization": ["most_recently_updated"]} for value in values]
        answer = self._session.send("POST", "/users/delete", body={name: users})
        answer.parse_member(int, "deleted")

    def update_users(self, updates: Sequence[Mapping[str, object]]) -> None:
        """Change attributes of users; Braze queues it.

        Raises RequestRejected where one of them is rejected; the others may be changed then.
        """
        for start in range(0, len(updates), MAX_UPDATES_PER_CALL):
            body = {"attributes": updates[start : start + MAX_UPDATES_PER_CALL]}
            answer = self._session.send("POST", "/users/track", body=body)
            if answer.parse_member(list[object], "errors", or_empty=True):
                raise runtime.RequestRejected("some were rejected", HTTPStatus.BAD_REQUEST)
            self._ensure_success(answer)

    def ensure_group_exists(self, group: str, id_type: str, probe_identifier: str) -> None:
        """Raise RequestRejected when Braze takes `group` for no subscription group."""
        query = {"subscription_group_id": group, id_type: probe_identifier}
        answer = self._session.send("GET", "/subscription/status/get", query=query)
        answer.parse_member(dict[str, str], "status")

    def is_unsubscribed_from_all(self, address: str, today: date) -> bool:
        """Whether an address is unsubscribed from all email."""
        query = {"email": address, "end_date": str(today + OVERLAP)}
        answer = self._session.send("GET", "/email/unsubscribes", query=query)
        rows = answer.parse_member(list[BrazeEmailEvent], "emails")
        return any(row.email.casefold() == address.casefold() for row in rows)

    def list_email_events(
        self, route: str, *, since: date, until: date, offset: str = ""
    ) -> tuple[list[BrazeEmailEvent], str]:
        """A page of the unsubscribes or hard bounces of these days, and the next one's offset."""
        query = {
            "start_date": str(since),
            "end_date": str(until),
            "limit": str(PAGE_SIZE),
            "offset": offset or "0",
        }
        answer = self._session.send("GET", route, query=query)
        rows = answer.parse_member(list[BrazeEmailEvent], "emails")
        return rows, runtime.next_offset(offset, len(rows), PAGE_SIZE, overlap=PAGE_OVERLAP)

    def _ensure_success(self, response: runtime.Response) -> None:
        if response.parse_member(str, "message") != "success":
            raise runtime.UnexpectedResponse("Braze answered without success")


def _split_by_url_length(addresses: Sequence[str]) -> Iterator[list[str]]:
    """`addresses` in parts that fit a URL, which servers and proxies limit to 8,000 bytes."""
    part: list[str] = []
    for address in addresses:
        if part and sum(len(quote(other)) + 12 for other in (*part, address)) > MAX_URL_BYTES:
            yield part
            part = []
        part.append(address)
    if part:
        yield part
