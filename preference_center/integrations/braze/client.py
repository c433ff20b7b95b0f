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

from preference_center.integrations.base.contract import DeliveryError, Setup
from preference_center.integrations.base.http import Answer, Http, Session
from preference_center.integrations.base.pydantic_types import Lenient
from preference_center.integrations.base.rate_limit import reset_headers

PER_CALL = 50
USERS = 100
"""The most users of one answer."""
URL = 6_000
"""Bytes of the addresses in one URL."""
EMAIL, PHONE = "email", "phone"
OFF, ON = "unsubscribed", "subscribed"
PAGE, STRIDE = 500, 450
"""Pages overlap: who leaves the list in the meantime moves all after him up."""
FIRST = date(2011, 1, 1)
"""Before Braze there was no opt-out in it."""
LAG = timedelta(days=2)
"""Days begin at midnight UTC; those that were not over are read again."""


def _moment(text: object) -> datetime | None:
    """Braze writes "2016-08-25 15:24:32 +0000"."""
    try:
        return datetime.strptime(text, "%Y-%m-%d %H:%M:%S %z") if isinstance(text, str) else None
    except ValueError:
        return None


_Moment = Annotated[datetime | None, BeforeValidator(_moment)]


class _Done(Lenient):
    message: str


class _Group(Lenient):
    id: str = ""
    status: str = ""


class _User(Lenient):
    email: str = ""
    phone: str = ""
    subscription_groups: tuple[_Group, ...] = ()

    def name(self, by: str) -> str:
        """The address that the user goes by, in lower case; "" if that can't be read."""
        if by == EMAIL:
            return self.email.casefold()
        return f"+{self.phone.lstrip('+')}" if self.phone else ""

    def off(self) -> frozenset[str]:
        """Ids of the groups that the user is out of; those never set are not listed."""
        groups = self.subscription_groups
        return frozenset(group.id for group in groups if group.status.casefold() == OFF)


class _Users(_Done):
    users: list[_User]


class _Status(_Done):
    status: dict[str, str]


class Row(Lenient):
    """An address that unsubscribed from all, or bounced for good."""

    email: str = ""
    unsubscribed_at: _Moment = None
    hard_bounced_at: _Moment = None

    @property
    def at(self) -> datetime | None:
        """When."""
        return self.unsubscribed_at or self.hard_bounced_at


class _Rows(_Done):
    emails: list[Row]


_DONE = TypeAdapter(_Done)
_USERS = TypeAdapter(_Users)
_STATUS = TypeAdapter(_Status)
_ROWS = TypeAdapter(_Rows)


@dataclass(frozen=True, slots=True)
class Place:
    """Where pulling stands: in one of several lists, of what happened from a day on."""

    since: date = FIRST
    list: int = 0
    offset: int = 0
    began: date | None = None

    @classmethod
    def read(cls, cursor: str | None) -> Place:
        """The place that `str` wrote; the beginning for None."""
        if cursor is None:
            return cls()
        since, number, offset, began = cursor.split("|")
        return cls(
            date.fromisoformat(since),
            int(number),
            int(offset),
            date.fromisoformat(began) if began else None,
        )

    def __str__(self) -> str:
        return f"{self.since}|{self.list}|{self.offset}|{self.began or ''}"

    def after(self, rows: int, lists: int, today: date) -> tuple[Place, bool]:
        """The place after so many rows, and whether they were the last of all lists."""
        began = self.began or today
        if rows >= PAGE:
            return Place(self.since, self.list, self.offset + STRIDE, began), False
        if self.list + 1 < lists:
            return Place(self.since, self.list + 1, 0, began), False
        return Place(began - LAG), True


@contextmanager
def open_workspace(setup: Setup, http: Http) -> Iterator[Workspace]:
    """The workspace of a destination, for a `with` block."""
    headers = {"Authorization": f"Bearer {setup.settings['api_key']}"}
    heard = reset_headers("x-ratelimit-remaining", "x-ratelimit-reset", epoch=True)
    url = setup.settings["url"]
    with http.session(setup.name, url, headers=headers, heard=heard) as session:
        yield Workspace(setup.name, session)


class Workspace:
    """One workspace, made by `open_workspace`."""

    def __init__(self, name: str, session: Session) -> None:
        self._name = name
        self._session = session

    def users(self, by: str, values: Sequence[str]) -> dict[str, frozenset[str] | None]:
        """Address -> ids of the groups that all who have it are out of; None if nobody has it.

        `by` EMAIL or PHONE, for up to 50 of them, by as few requests as their length allows.
        Who is not in the answer is left out when it has a user by none of the addresses that
        were asked for, who may be the one. Raises Rejected where one of the addresses can't
        be asked for.
        """
        found: dict[str, list[frozenset[str]]] = {value.casefold(): [] for value in values}
        is_clear = True
        for part in _in_urls(values):
            for user in self._users(by, part):
                held = found.get(user.name(by))
                is_clear &= held is not None
                if held is not None:
                    held.append(user.off())
        return {
            value: frozenset.intersection(*held) if held else None
            for value in values
            if (held := found[value.casefold()]) or is_clear
        }

    def _users(self, by: str, values: Sequence[str]) -> Iterator[_User]:
        """All users of these: several may share an address."""
        for offset in count(0, USERS):
            query = {f"{by}[]": values, "limit": str(USERS), "offset": str(offset)}
            answer = self._session.send("GET", "/subscription/user/status", query=query)
            users = answer.parse(_USERS).users
            yield from users
            if len(users) < USERS:
                return

    def set_group(self, group: str, state: str, by: str, values: Sequence[str]) -> None:
        """Set up to 50 addresses' state in a subscription group; all who share one get it."""
        change = {"subscription_group_id": group, "subscription_state": state}
        body = {"subscription_groups": [{**change, f"{by}s": list(values)}]}
        self._done(self._session.send("POST", "/v2/subscription/status/set", body=body))

    def set_global(self, state: str, addresses: Sequence[str]) -> None:
        """Set up to 50 addresses' state for all email, also of those that nobody there has."""
        body = {"email": list(addresses), "subscription_state": state}
        self._done(self._session.send("POST", "/email/status", body=body))

    def ensure_group(self, group: str, by: str, probe: str) -> None:
        """Raise Rejected when Braze takes `group` for no subscription group."""
        query = {"subscription_group_id": group, by: probe}
        self._session.send("GET", "/subscription/status/get", query=query).parse(_STATUS)

    def is_off_everywhere(self, address: str, today: date) -> bool:
        """Whether an address is unsubscribed from all email."""
        query = {"email": address, "end_date": str(today + LAG)}
        answer = self._session.send("GET", "/email/unsubscribes", query=query)
        return any(row.email.casefold() == address.casefold() for row in answer.parse(_ROWS).emails)

    def rows(self, route: str, place: Place, until: date) -> list[Row]:
        """A page of the unsubscribes or hard bounces since a day."""
        query = {
            "start_date": str(place.since),
            "end_date": str(until),
            "limit": str(PAGE),
            "offset": str(place.offset),
        }
        return self._session.send("GET", route, query=query).parse(_ROWS).emails

    def _done(self, answer: Answer) -> None:
        if answer.parse(_DONE).message != "success":
            raise DeliveryError(f"{self._name}: Braze answered without success")


def _in_urls(addresses: Sequence[str]) -> Iterator[list[str]]:
    """`addresses` in parts that fit a URL, which servers and proxies limit to 8,000 bytes."""
    part: list[str] = []
    for address in addresses:
        if part and sum(len(quote(other)) + 12 for other in (*part, address)) > URL:
            yield part
            part = []
        part.append(address)
    if part:
        yield part
