"""Mailman's REST API 3.1, as far as memberships, their delivery and bans are called.

https://docs.mailman3.org/projects/mailman/en/latest/src/mailman/rest/docs/rest.html
Addresses travel in bodies where the API has such a way: Mailman logs its paths.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, TypeAdapter

from preference_center.domain.sync.contract import Outcome, Result
from preference_center.integrations.base.contract import DeliveryError, Setup
from preference_center.integrations.base.http import Answer, Http, Session, basic

PAGE, TAIL = 250, 25
"""Rows of a page, and how many of those before it are asked for again: when somebody leaves,
all after him move up. A divisor of PAGE, since pages are numbered by their size."""
SEVERAL = 100
"""More memberships than one address has lists mapped."""
_LIST = "/3.1/lists/{list_id}"
_MEMBER = "/3.1/members/{member}"
_BAN = f"{_LIST}/bans/{{email}}"


class _List(BaseModel):
    list_id: str
    display_name: str


class _Lists(BaseModel):
    entries: list[_List] = []
    total_size: int


class Membership(BaseModel):
    """One address in one list; with its preferred address, a user may be in it twice."""

    email: str
    list_id: str
    member_id: str


class _Memberships(BaseModel):
    entries: list[Membership] = []
    start: int
    total_size: int


class _Effective(BaseModel):
    delivery_status: str


_LISTS = TypeAdapter(_Lists)
_MEMBERSHIPS = TypeAdapter(_Memberships)
_EFFECTIVE = TypeAdapter(_Effective)
_OWN = TypeAdapter(dict[str, Any])


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sweep stands: a list, and a page of it from 1."""

    list_id: str
    page: int = 1

    @classmethod
    def read(cls, cursor: str | None, lists: Sequence[str]) -> Place | None:
        """The place that `str` wrote; else the first of `lists`, or the first after it."""
        if cursor is not None:
            list_id, page = cursor.split("|")
            if list_id in lists:
                return cls(list_id, int(page))
            lists = [each for each in lists if each > list_id]
        return cls(lists[0]) if lists else None

    def __str__(self) -> str:
        return f"{self.list_id}|{self.page}"

    def next_page(self) -> Place:
        """The same list further on."""
        return replace(self, page=self.page + 1)

    def next_of(self, lists: Sequence[str]) -> Place | None:
        """The next of `lists`; None after the last."""
        following = lists.index(self.list_id) + 1
        return Place(lists[following]) if following < len(lists) else None


@contextmanager
def open_core(setup: Setup, http: Http) -> Iterator[Core]:
    """The API of a destination's core, for a `with` block."""
    settings = setup.settings
    headers = basic(settings["user"], settings["password"])
    base_url = settings["base_url"]
    with http.session(setup.name, base_url, headers=headers, guarded=False) as session:
        yield Core(setup.name, session)


class Core:
    """One Mailman core, made by `open_core`."""

    def __init__(self, name: str, session: Session) -> None:
        self._name = name
        self._session = session
        self._there: set[str] = set()

    def lists(self) -> dict[str, str]:
        """List id -> its name."""
        found = self._session.send("GET", "/3.1/lists").parse(_LISTS)
        return {entry.list_id: entry.display_name for entry in found.entries}

    def ensure_list(self, list_id: str) -> None:
        """Raise DeliveryError (permanent) when the list is gone.

        A search in a list that isn't there finds nobody, by the same answer as any other.
        """
        if list_id in self._there:
            return
        holes = {"list_id": list_id}
        answer = self._session.send("GET", _LIST, holes=holes, allow={HTTPStatus.NOT_FOUND})
        if answer.status == HTTPStatus.NOT_FOUND:
            raise DeliveryError(
                f"{self._name}: list {list_id} is gone: map its topic again", permanent=True
            )
        self._there.add(list_id)

    def memberships(self, address: str) -> list[Membership]:
        """In which lists an address is. An asterisk in it is a wild card to Mailman."""
        found = self._find({"subscriber": address}, count=SEVERAL, page=1).entries
        return [member for member in found if member.email.lower() == address.lower()]

    def page(self, place: Place) -> tuple[list[Membership], bool]:
        """A page of a list's members by address, and whether there are more.

        Includes the end of the page before, asked for afterwards: so whoever moved up to it
        in the meantime is seen.
        """
        wanted = {"list_id": place.list_id}
        if place.page == 1:
            self.ensure_list(place.list_id)
        found = self._find(wanted, count=PAGE, page=place.page)
        more = found.start + len(found.entries) < found.total_size
        before = (place.page - 1) * PAGE // TAIL
        tail = self._find(wanted, count=TAIL, page=before).entries if before else []
        return tail + found.entries, more

    def _find(self, wanted: Mapping[str, str], *, count: int, page: int) -> _Memberships:
        return self._session.send(
            "POST",
            "/3.1/members/find",
            query={"count": str(count), "page": str(page)},
            body={**wanted, "role": "member", "fields": ["email", "list_id", "member_id"]},
        ).parse(_MEMBERSHIPS)

    def status(self, member: str) -> str:
        """The delivery that a membership has in effect, its own or its user's; "" if it ended."""
        route = f"{_MEMBER}/all/preferences"
        answer = self._send("GET", route, member=member, allow={HTTPStatus.NOT_FOUND})
        if answer.status == HTTPStatus.NOT_FOUND:
            return ""
        return answer.parse(_EFFECTIVE).delivery_status

    def set_status(self, member: str, status: str) -> None:
        """Set the delivery of one membership."""
        self._change("PATCH", member, {"delivery_status": status})

    def forget_status(self, member: str, status: str) -> None:
        """Take back `status` where the membership itself has it, to what it had before.

        "enabled" would outrank what the person may say for all lists. Mailman can only forget
        all of a membership's settings, so the others are written again.
        """
        own = self._send("GET", f"{_MEMBER}/preferences", member=member).parse(_OWN)
        if own.get("delivery_status") != status:
            return
        others = {k: v for k, v in own.items() if k not in _NO_SETTINGS}
        self._change("DELETE", member)
        if others:
            self._change("PATCH", member, others)

    def ban(self, list_id: str, address: str) -> Outcome:
        """Let nobody subscribe an address that is not a member."""
        if address.startswith("^"):
            return Outcome(Result.REFUSED, "it would be a pattern")
        answer = self._session.send(
            "POST",
            f"{_LIST}/bans",
            holes={"list_id": list_id},
            body={"email": address},
            allow={HTTPStatus.BAD_REQUEST},
        )
        if answer.status == HTTPStatus.CREATED or self.is_banned(list_id, address):
            return Outcome(Result.REFLECTED, "banned")
        return Outcome(Result.REFUSED, "can't be banned")

    def unban(self, list_id: str, address: str) -> None:
        """Let an address subscribe again, if it was banned."""
        holes = {"list_id": list_id, "email": address}
        self._session.send("DELETE", _BAN, holes=holes, allow={HTTPStatus.NOT_FOUND})

    def is_banned(self, list_id: str, address: str) -> bool:
        """Whether an address is banned from a list, by itself, by a pattern or everywhere."""
        holes = {"list_id": list_id, "email": address}
        answer = self._session.send("GET", _BAN, holes=holes, allow={HTTPStatus.NOT_FOUND})
        return answer.status == HTTPStatus.OK

    def _change(self, method: str, member: str, body: Mapping[str, Any] | None = None) -> None:
        answer = self._send(method, f"{_MEMBER}/preferences", member=member, body=body)
        if answer.status != HTTPStatus.NO_CONTENT:
            raise DeliveryError("the answer is not what the tool's API promises")

    def _send(
        self,
        method: str,
        route: str,
        *,
        member: str,
        body: Mapping[str, Any] | None = None,
        allow: Collection[int] = (),
    ) -> Answer:
        return self._session.send(method, route, holes={"member": member}, body=body, allow=allow)


_NO_SETTINGS = frozenset({"delivery_status", "self_link", "http_etag"})
