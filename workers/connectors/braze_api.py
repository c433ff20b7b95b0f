"""Braze's REST API, as far as people's subscriptions are read and set by it.

https://www.braze.com/docs/api/endpoints/subscription_groups/post_update_user_subscription_group_status_v2/
https://www.braze.com/docs/api/endpoints/subscription_groups/get_list_user_subscription_group_status/
https://www.braze.com/docs/api/endpoints/subscription_groups/get_list_user_subscription_groups/
https://www.braze.com/docs/api/endpoints/export/user_data/post_users_identifier/
https://www.braze.com/docs/api/endpoints/email/get_query_unsubscribed_email_addresses/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated
from urllib.parse import urlencode

from pydantic import BaseModel, BeforeValidator, Field, TypeAdapter

from workers.connectors.base import DeliveryError, Setup
from workers.connectors.fields import Lenient
from workers.connectors.http import Answer, Http, Session
from workers.connectors.pace import reset_headers

PER_CALL = 50
USERS = 100
"""Users a page: two may share a number."""
OFF, ON = "unsubscribed", "subscribed"
PAGE, STRIDE = 500, 450
"""Pages overlap: who leaves the list in the meantime moves all after him up."""
FIRST = date(2011, 1, 1)
"""Before Braze there was no opt-out in it."""
LAG = timedelta(days=2)
"""Days begin at midnight UTC; those that were not over are read again."""


def _moment(text: object) -> object:
    """Braze writes "2016-08-25 15:24:32 +0000"."""
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S %z") if isinstance(text, str) else text


_Moment = Annotated[datetime, BeforeValidator(_moment)]


class _Done(BaseModel):
    message: str


class _Exported(_Done):
    users: list[dict[str, object]] = []


class _Status(_Done):
    status: dict[str, str]


class Row(BaseModel):
    """An address that unsubscribed from all, or bounced for good."""

    email: str
    unsubscribed_at: _Moment | None = None
    hard_bounced_at: _Moment | None = None

    @property
    def at(self) -> datetime | None:
        """When."""
        return self.unsubscribed_at or self.hard_bounced_at


class _Rows(_Done):
    emails: list[Row]


class _Group(Lenient):
    id: str = ""
    status: str = ""


class _User(Lenient):
    phone: str = ""
    subscription_groups: list[_Group] = Field(default_factory=list)


class _Users(Lenient):
    users: list[_User] = Field(default_factory=list)


_USERS = TypeAdapter(_Users)
_DONE = TypeAdapter(_Done)
_EXPORTED = TypeAdapter(_Exported)
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

    def knows(self, address: str) -> bool:
        """Whether anybody there has this address. Exports no more than their id."""
        body = {"email_address": address, "fields_to_export": ["external_id"]}
        answer = self._session.send("POST", "/users/export/ids", body=body)
        return bool(answer.parse(_EXPORTED).users)

    def set_group(self, group: str, state: str, addresses: Sequence[str]) -> None:
        """Set up to 50 addresses' state in a subscription group; all who share one get it."""
        groups = [
            {
                "subscription_group_id": group,
                "subscription_state": state,
                "emails": list(addresses),
            }
        ]
        self._done(
            self._session.send(
                "POST", "/v2/subscription/status/set", body={"subscription_groups": groups}
            )
        )

    def set_global(self, state: str, addresses: Sequence[str]) -> None:
        """Set up to 50 addresses' state for all email, also of those that nobody there has."""
        body = {"email": list(addresses), "subscription_state": state}
        self._done(self._session.send("POST", "/email/status", body=body))

    def is_off(self, group: str, address: str) -> bool:
        """Whether all who have this address are out of a subscription group.

        One address at a time: how several are told apart in the answer is not documented.
        """
        query = {"subscription_group_id": group, "email": address}
        answer = self._session.send("GET", "/subscription/status/get", query=query)
        states = answer.parse(_STATUS).status.values()
        return bool(states) and all(state.casefold() == OFF for state in states)

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

    def by_phone(self, numbers: Sequence[str]) -> dict[str, frozenset[str]]:
        """Number -> the groups that all who have it left, of the numbers that anybody has.

        At most 50 numbers.
        """
        users: list[_User] = []
        while True:
            asked = [("phone[]", number) for number in numbers]
            asked += [("limit", str(USERS)), ("offset", str(len(users)))]
            route = "/subscription/user/status"
            exact = f"{route}?{urlencode(asked)}"
            page = self._session.send("GET", route, exact=exact).parse(_USERS).users
            users += page
            if len(page) < USERS:
                break
        found: dict[str, frozenset[str]] = {}
        for user in users:
            left = frozenset(g.id for g in user.subscription_groups if g.status.casefold() == OFF)
            number = user.phone if user.phone.startswith("+") else f"+{user.phone}"
            found[number] = found.get(number, left) & left
        return {number: found[number] for number in numbers if number in found}

    def state_by_phone(self, group: str, number: str) -> Mapping[str, str]:
        """The states of all who have this number in a subscription group."""
        query = {"subscription_group_id": group, "phone": number}
        answer = self._session.send("GET", "/subscription/status/get", query=query)
        return answer.parse(_STATUS).status

    def set_group_by_phone(self, group: str, state: str, numbers: Sequence[str]) -> None:
        """Set up to 50 numbers' state in a subscription group; all who share one get it."""
        asked = {"subscription_group_id": group, "subscription_state": state}
        groups = [{**asked, "phones": list(numbers)}]
        body = {"subscription_groups": groups}
        self._done(self._session.send("POST", "/v2/subscription/status/set", body=body))

    def _done(self, answer: Answer) -> None:
        if answer.parse(_DONE).message != "success":
            raise DeliveryError(f"{self._name}: Braze answered without success")
