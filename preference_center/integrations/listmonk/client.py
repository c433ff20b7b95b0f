"""listmonk's API, as far as subscribers of lists are looked for and changed.

https://listmonk.app/docs/apis/subscribers/
https://listmonk.app/docs/querying-and-segmentation/
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from pydantic import BaseModel, Field, TypeAdapter

from preference_center.integrations.base.contract import DeliveryError, Setup
from preference_center.integrations.base.http import Http, Session, basic
from preference_center.integrations.base.pydantic_types import Lenient, Moment
from preference_center.integrations.listmonk.permissions import Profile

UNSUBSCRIBED, BLOCKLISTED, SINGLE = "unsubscribed", "blocklisted", "single"
LONGEST_QUERY = 3_000
"""Characters of SQL in one URL: proxies stop at 8,000, and some characters become three."""


class _Subscription(Lenient):
    id: int = 0
    subscription_status: str = ""
    subscription_created_at: Moment = None
    subscription_updated_at: Moment = None


class Subscriber(Lenient):
    """One address, and the lists that it is or was in."""

    id: int = 0
    email: str = ""
    status: str = ""
    updated_at: Moment = None
    subscriptions: tuple[_Subscription, ...] | None = Field(default=None, alias="lists")

    @property
    def lists(self) -> tuple[_Subscription, ...]:
        """Those that it is or was in, as far as they are listed."""
        return self.subscriptions or ()

    @property
    def is_blocked(self) -> bool:
        """Whether nothing at all is sent to it."""
        return self.status == BLOCKLISTED

    def gets(self, list_id: str) -> bool:
        """Whether it is in this list and has not left it; it may have to confirm yet.

        Also where that is not known.
        """
        return self.subscriptions is None or any(
            s.id == 0 or (str(s.id) == list_id and s.subscription_status != UNSUBSCRIBED)
            for s in self.subscriptions
        )

    def left(self, list_id: str) -> bool:
        """Whether it was in this list and is unsubscribed."""
        return any(
            str(s.id) == list_id and s.subscription_status == UNSUBSCRIBED for s in self.lists
        )

    def left_at(self, list_id: str) -> datetime | None:
        """When it was unsubscribed from this list (UTC), if that can be known.

        listmonk stamps a subscription when it is unsubscribed, and not when a clerk's form
        or an API call gives it a status: one that was never stamped says nothing.
        """
        for each in self.lists:
            made, changed = each.subscription_created_at, each.subscription_updated_at
            if str(each.id) == list_id and changed and (made is None or changed > made):
                return changed
        return None

    @property
    def blocked_at(self) -> datetime | None:
        """When it was blocklisted (UTC), or later: one of the last changes was it.

        Blocklisting from a campaign stamps the subscriptions, any other the subscriber.
        """
        stamps = [self.updated_at, *(each.subscription_updated_at for each in self.lists)]
        return max((stamp for stamp in stamps if stamp), default=None)


class List(Lenient):
    """A list; `optin` is "single" or "double"."""

    id: int = 0
    name: str = ""
    optin: str = ""


class _Lists(Lenient):
    results: tuple[List, ...] = ()


class _ListsAnswer(BaseModel):
    data: _Lists


class _Subscribers(Lenient):
    results: tuple[Subscriber, ...] = ()


class _SubscribersAnswer(BaseModel):
    data: _Subscribers


class _Done(BaseModel):
    data: bool


class _ProfileAnswer(BaseModel):
    data: Profile


_LISTS = TypeAdapter(_ListsAnswer)
_SUBSCRIBERS = TypeAdapter(_SubscribersAnswer)
_DONE = TypeAdapter(_Done)
_PROFILE = TypeAdapter(_ProfileAnswer)


@contextmanager
def open_account(setup: Setup, http: Http) -> Iterator[Account]:
    """The API of a destination's listmonk, for a `with` block."""
    settings = setup.settings
    headers = basic(settings["user"], settings["token"])
    base_url = settings["base_url"]
    with http.session(setup.name, base_url, headers=headers, guarded=False) as session:
        yield Account(setup.name, session)


class Account:
    """One listmonk as one API user sees it, made by `open_account`."""

    def __init__(self, name: str, session: Session) -> None:
        self._name = name
        self._session = session

    def lists(self) -> list[List]:
        """All lists."""
        answer = self._session.send("GET", "/api/lists", query={"per_page": "all"})
        return [each for each in answer.parse(_LISTS).data.results if each.id]

    def profile(self) -> Profile:
        """The API user itself, with what it may do."""
        return self._session.send("GET", "/api/profile").parse(_PROFILE).data

    def double_opt_in(self, wanted: Collection[str]) -> set[str]:
        """Which of these lists mail only who has confirmed.

        Raises DeliveryError (permanent) when one of them is gone: changes of it would be
        acknowledged all the same.
        """
        lists = {str(each.id): each.optin for each in self.lists()}
        if gone := sorted(wanted - lists.keys()):
            raise DeliveryError(
                f"{self._name}: the lists {', '.join(gone)} are gone: map their topics again",
                permanent=True,
            )
        # What is not known to be single is not turned on again.
        return {list_id for list_id in wanted if lists[list_id] != SINGLE}

    def find(self, addresses: Sequence[str]) -> dict[str, Subscriber]:
        """Address in lower case, as listmonk keeps it -> subscriber."""
        found: dict[str, Subscriber] = {}
        for names in _portions([_literal(address.lower()) for address in addresses]):
            rows = self._query(f"LOWER(subscribers.email) IN ({','.join(names)})")
            found |= {row.email.lower(): row for row in rows if row.id and row.email}
        return found

    def page(
        self, after: int, size: int, condition: str = ""
    ) -> tuple[list[Subscriber], int | None]:
        """The next subscribers by id after `after`, and the last id if there may be more."""
        where = f"subscribers.id > {after}" + (f" AND {condition}" if condition else "")
        # The API can't sort by id, so the page is chosen inside. Numbers and our own text only.
        inner = f"SELECT id FROM subscribers WHERE {where} ORDER BY id LIMIT {size}"  # noqa: S608
        rows = self._query(f"subscribers.id IN ({inner})")
        last = max((row.id for row in rows), default=0)
        return [row for row in rows if row.email], last if len(
            rows
        ) == size and last > after else None

    def _query(self, condition: str) -> Sequence[Subscriber]:
        query = {"query": condition, "per_page": "all"}
        answer = self._session.send("GET", "/api/subscribers", query=query)
        return answer.parse(_SUBSCRIBERS).data.results

    def unsubscribe(self, list_id: str, subscribers: Sequence[int]) -> None:
        """Mark their subscriptions to a list as unsubscribed; makes none."""
        self._change({"action": "unsubscribe"}, list_id, subscribers)

    def subscribe(self, list_id: str, subscribers: Sequence[int]) -> None:
        """Turn a list without double opt-in on again; claims no confirmation."""
        self._change({"action": "add", "status": "unconfirmed"}, list_id, subscribers)

    def _change(self, action: dict[str, str], list_id: str, subscribers: Sequence[int]) -> None:
        body = {**action, "ids": list(subscribers), "target_list_ids": [int(list_id)]}
        answer = self._session.send("PUT", "/api/subscribers/lists", body=body)
        if not answer.parse(_DONE).data:
            raise DeliveryError("the answer is not what the tool's API promises")


def _literal(text: str) -> str:
    """A string in PostgreSQL's SQL, whose settings make a backslash a character."""
    return "'" + text.replace("'", "''") + "'"


def _portions(names: Sequence[str]) -> Iterator[list[str]]:
    portion: list[str] = []
    for name in names:
        if portion and sum(len(n) + 1 for n in portion) + len(name) > LONGEST_QUERY:
            yield portion
            portion = []
        portion.append(name)
    if portion:
        yield portion
