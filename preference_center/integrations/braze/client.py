"""Braze's REST API, as far as people's subscriptions are read and set by it.

https://www.braze.com/docs/api/endpoints/subscription_groups/post_update_user_subscription_group_status_v2/
https://www.braze.com/docs/api/endpoints/subscription_groups/get_list_user_subscription_group_status/
https://www.braze.com/docs/api/endpoints/subscription_groups/get_list_user_subscription_groups/
https://www.braze.com/docs/api/endpoints/email/get_query_unsubscribed_email_addresses/
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import count
from typing import Annotated
from urllib.parse import quote

from pydantic import BeforeValidator, TypeAdapter

from preference_center.integrations.base.contract import DeliveryError, DestinationConfig
from preference_center.integrations.base.http import HttpContext, HttpSession, Response
from preference_center.integrations.base.pydantic_types import LenientModel
from preference_center.integrations.base.rate_limit import parse_reset_headers

MAX_ADDRESSES_PER_CALL = 50
USERS_PER_PAGE = 100
"""The most users of one answer."""
MAX_URL_BYTES = 6_000
"""Bytes of the addresses in one URL."""
EMAIL, PHONE = "email", "phone"
UNSUBSCRIBED, SUBSCRIBED = "unsubscribed", "subscribed"
PAGE_SIZE, PAGE_STRIDE = 500, 450
"""Pages overlap: who leaves the list in the meantime moves all after him up."""
EARLIEST_DATE = date(2011, 1, 1)
"""Before Braze there was no opt-out in it."""
OVERLAP = timedelta(days=2)
"""Days begin at midnight UTC; those that were not over are read again."""


def _parse_timestamp(text: object) -> datetime | None:
    """Braze writes "2016-08-25 15:24:32 +0000"."""
    try:
        return datetime.strptime(text, "%Y-%m-%d %H:%M:%S %z") if isinstance(text, str) else None
    except ValueError:
        return None


_BrazeTimestamp = Annotated[datetime | None, BeforeValidator(_parse_timestamp)]


class _MessageResponse(LenientModel):
    message: str


class _SubscriptionGroup(LenientModel):
    id: str = ""
    status: str = ""


class _BrazeUser(LenientModel):
    email: str = ""
    phone: str = ""
    subscription_groups: tuple[_SubscriptionGroup, ...] = ()

    def identifier(self, id_type: str) -> str:
        """The address that the user goes by, in lower case; "" if that can't be read."""
        if id_type == EMAIL:
            return self.email.casefold()
        return f"+{self.phone.lstrip('+')}" if self.phone else ""

    def unsubscribed_group_ids(self) -> frozenset[str]:
        """Ids of the groups that the user is out of; those never set are not listed."""
        groups = self.subscription_groups
        return frozenset(group.id for group in groups if group.status.casefold() == UNSUBSCRIBED)


class _UsersResponse(_MessageResponse):
    users: list[_BrazeUser]


class _GroupStatusResponse(_MessageResponse):
    status: dict[str, str]


class BrazeEmailEvent(LenientModel):
    """An address that unsubscribed from all, or bounced for good."""

    email: str = ""
    unsubscribed_at: _BrazeTimestamp = None
    hard_bounced_at: _BrazeTimestamp = None

    @property
    def occurred_at(self) -> datetime | None:
        """When."""
        return self.unsubscribed_at or self.hard_bounced_at


class _EmailEventsResponse(_MessageResponse):
    emails: list[BrazeEmailEvent]


_MESSAGE_RESPONSE = TypeAdapter(_MessageResponse)
_USERS_RESPONSE = TypeAdapter(_UsersResponse)
_GROUP_STATUS_RESPONSE = TypeAdapter(_GroupStatusResponse)
_EMAIL_EVENTS_RESPONSE = TypeAdapter(_EmailEventsResponse)


@dataclass(frozen=True, slots=True)
class BrazeCursor:
    """Where pulling stands: in one of several lists, of what happened from a day on."""

    since: date = EARLIEST_DATE
    list_index: int = 0
    offset: int = 0
    started_on: date | None = None

    @classmethod
    def parse(cls, text: str | None) -> BrazeCursor:
        """The place that `str` wrote; the beginning for None."""
        if text is None:
            return cls()
        since, number, offset, began = text.split("|")
        return cls(
            date.fromisoformat(since),
            int(number),
            int(offset),
            date.fromisoformat(began) if began else None,
        )

    def __str__(self) -> str:
        return f"{self.since}|{self.list_index}|{self.offset}|{self.started_on or ''}"

    def advance(self, row_count: int, list_count: int, today: date) -> tuple[BrazeCursor, bool]:
        """The place after so many rows, and whether they were the last of all lists."""
        began = self.started_on or today
        if row_count >= PAGE_SIZE:
            return BrazeCursor(self.since, self.list_index, self.offset + PAGE_STRIDE, began), False
        if self.list_index + 1 < list_count:
            return BrazeCursor(self.since, self.list_index + 1, 0, began), False
        return BrazeCursor(began - OVERLAP), True


@contextmanager
def open_client(config: DestinationConfig, http: HttpContext) -> Iterator[BrazeClient]:
    """The workspace of a destination, for a `with` block."""
    headers = {"Authorization": f"Bearer {config.settings['api_key']}"}
    heard = parse_reset_headers("x-ratelimit-remaining", "x-ratelimit-reset", epoch=True)
    url = config.settings["url"]
    with http.session(config.name, url, headers=headers, rate_limit_headers=heard) as session:
        yield BrazeClient(config.name, session)


class BrazeClient:
    """One workspace, made by `open_workspace`."""

    def __init__(self, name: str, session: HttpSession) -> None:
        self._name = name
        self._session = session

    def find_unsubscribed_groups(
        self, id_type: str, values: Sequence[str]
    ) -> dict[str, frozenset[str] | None]:
        """Address -> ids of the groups that all who have it are out of; None if nobody has it.

        `by` EMAIL or PHONE, for up to 50 of them, by as few requests as their length allows.
        Who is not in the answer is left out when it has a user by none of the addresses that
        were asked for, who may be the one. Raises Rejected where one of the addresses can't
        be asked for.
        """
        found: dict[str, list[frozenset[str]]] = {value.casefold(): [] for value in values}
        is_clear = True
        for part in _split_by_url_length(values):
            for user in self._list_users(id_type, part):
                held = found.get(user.identifier(id_type))
                is_clear &= held is not None
                if held is not None:
                    held.append(user.unsubscribed_group_ids())
        return {
            value: frozenset.intersection(*held) if held else None
            for value in values
            if (held := found[value.casefold()]) or is_clear
        }

    def _list_users(self, id_type: str, values: Sequence[str]) -> Iterator[_BrazeUser]:
        """All users of these: several may share an address."""
        for offset in count(0, USERS_PER_PAGE):
            query = {f"{id_type}[]": values, "limit": str(USERS_PER_PAGE), "offset": str(offset)}
            answer = self._session.send("GET", "/subscription/user/status", query=query)
            users = answer.parse(_USERS_RESPONSE).users
            yield from users
            if len(users) < USERS_PER_PAGE:
                return

    def set_group_state(self, group: str, state: str, id_type: str, values: Sequence[str]) -> None:
        """Set up to 50 addresses' state in a subscription group; all who share one get it."""
        change = {"subscription_group_id": group, "subscription_state": state}
        body = {"subscription_groups": [{**change, f"{id_type}s": list(values)}]}
        self._ensure_success(self._session.send("POST", "/v2/subscription/status/set", body=body))

    def set_email_state(self, state: str, addresses: Sequence[str]) -> None:
        """Set up to 50 addresses' state for all email, also of those that nobody there has."""
        body = {"email": list(addresses), "subscription_state": state}
        self._ensure_success(self._session.send("POST", "/email/status", body=body))

    def ensure_group_exists(self, group: str, id_type: str, probe_identifier: str) -> None:
        """Raise Rejected when Braze takes `group` for no subscription group."""
        query = {"subscription_group_id": group, id_type: probe_identifier}
        self._session.send("GET", "/subscription/status/get", query=query).parse(
            _GROUP_STATUS_RESPONSE
        )

    def is_unsubscribed_from_all(self, address: str, today: date) -> bool:
        """Whether an address is unsubscribed from all email."""
        query = {"email": address, "end_date": str(today + OVERLAP)}
        answer = self._session.send("GET", "/email/unsubscribes", query=query)
        return any(
            row.email.casefold() == address.casefold()
            for row in answer.parse(_EMAIL_EVENTS_RESPONSE).emails
        )

    def list_email_events(
        self, route: str, cursor: BrazeCursor, until: date
    ) -> list[BrazeEmailEvent]:
        """A page of the unsubscribes or hard bounces since a day."""
        query = {
            "start_date": str(cursor.since),
            "end_date": str(until),
            "limit": str(PAGE_SIZE),
            "offset": str(cursor.offset),
        }
        return self._session.send("GET", route, query=query).parse(_EMAIL_EVENTS_RESPONSE).emails

    def _ensure_success(self, response: Response) -> None:
        if response.parse(_MESSAGE_RESPONSE).message != "success":
            raise DeliveryError(f"{self._name}: Braze answered without success")


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
