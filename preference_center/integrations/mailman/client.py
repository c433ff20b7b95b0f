"""Mailman's REST API 3.1, as far as memberships, their delivery and bans are called.

https://docs.mailman3.org/projects/mailman/en/latest/src/mailman/rest/docs/rest.html
Addresses travel in bodies where the API has such a way: Mailman logs its paths.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel

from preference_center.integrations.base import runtime

PAGE_SIZE, OVERLAP_ROWS = 250, 25
"""Rows of a page, and how many of those before it are listed again: when a member leaves, all
after it move up. A divisor of PAGE_SIZE, since pages are numbered by their size."""
MAX_MEMBERSHIPS = 100
"""More memberships than an address has mapped lists."""
_LIST = "/3.1/lists/{list_id}"
_MEMBER = "/3.1/members/{member}"
_BAN = f"{_LIST}/bans/{{email}}"
_ADDRESS, _USER = "/3.1/addresses/{key}", "/3.1/users/{key}"
_USER_ADDRESSES = f"{_USER}/addresses"
_EXCLUDED_PREFERENCES = frozenset({"delivery_status", "self_link", "http_etag"})


class _MailmanList(BaseModel):
    list_id: str
    display_name: str


class MailmanMembership(BaseModel):
    """One address in one list; with its preferred address, a user may be in it twice."""

    email: str
    list_id: str
    member_id: str


class _Memberships(BaseModel):
    entries: list[MailmanMembership] = []
    start: int
    total_size: int


@dataclass(frozen=True, slots=True)
class MailmanCursor:
    """The position of a sweep: a list, and a page of it from 1."""

    list_id: str
    page: int = 1

    @classmethod
    def parse(cls, text: str | None, lists: Sequence[str]) -> MailmanCursor | None:
        """The position of a cursor; else the first of `lists`, or the first after it."""
        position = runtime.decode_cursor(cls, text)
        if position is not None:
            if position.list_id in lists:
                return position
            lists = [each for each in lists if each > position.list_id]
        return cls(lists[0]) if lists else None

    def next_page(self) -> MailmanCursor:
        """The next page of the same list."""
        return replace(self, page=self.page + 1)

    def next_list(self, lists: Sequence[str]) -> MailmanCursor | None:
        """The next of `lists`; None after the last."""
        following = lists.index(self.list_id) + 1
        return MailmanCursor(lists[following]) if following < len(lists) else None


class MailmanClient:
    """One Mailman core."""

    def __init__(self, name: str, session: runtime.HttpSession) -> None:
        self._name = name
        self._session = session
        self._existing_lists: set[str] = set()

    def lists(self) -> dict[str, str]:
        """List id -> its name."""
        answer = self._session.send("GET", "/3.1/lists")
        entries = answer.parse_member(list[_MailmanList], "entries", or_empty=True)
        return {entry.list_id: entry.display_name for entry in entries}

    def ensure_list(self, list_id: str) -> None:
        """Raise DeliveryError (permanent) when the list is gone.

        A search in a list that isn't there finds nobody, by the same answer as any other.
        """
        if list_id in self._existing_lists:
            return
        if self._session.find("GET", _LIST, path_params={"list_id": list_id}) is None:
            raise runtime.DeliveryError(
                f"{self._name}: list {list_id} is gone: map its topic again", permanent=True
            )
        self._existing_lists.add(list_id)

    def memberships(self, address: str) -> list[MailmanMembership]:
        """The memberships of an address. An asterisk in it is a wild card to Mailman."""
        found = self._find_members({"subscriber": address}, count=MAX_MEMBERSHIPS, page=1).entries
        return [member for member in found if member.email.lower() == address.lower()]

    def list_members(self, cursor: MailmanCursor) -> tuple[list[MailmanMembership], bool]:
        """A page of a list's members by address, and whether there are more.

        Includes the end of the page before, listed afterwards: so a member who moved up to it
        meanwhile is found.
        """
        wanted = {"list_id": cursor.list_id}
        if cursor.page == 1:
            self.ensure_list(cursor.list_id)
        found = self._find_members(wanted, count=PAGE_SIZE, page=cursor.page)
        more = found.start + len(found.entries) < found.total_size
        before = (cursor.page - 1) * PAGE_SIZE // OVERLAP_ROWS
        tail = self._find_members(wanted, count=OVERLAP_ROWS, page=before).entries if before else []
        return tail + found.entries, more

    def _find_members(self, criteria: Mapping[str, str], *, count: int, page: int) -> _Memberships:
        return self._session.send(
            "POST",
            "/3.1/members/find",
            query={"count": str(count), "page": str(page)},
            body={**criteria, "role": "member", "fields": ["email", "list_id", "member_id"]},
        ).parse(_Memberships)

    def delivery_status(self, member_id: str) -> str:
        """The effective delivery status of a membership, its own or its user's; "" if it ended."""
        route = f"{_MEMBER}/all/preferences"
        answer = self._session.find("GET", route, path_params={"member": member_id})
        return answer.parse_member(str, "delivery_status") if answer else ""

    def set_delivery_status(self, member_id: str, status: str) -> None:
        """Set the delivery of one membership."""
        self._update_preferences("PATCH", member_id, {"delivery_status": status})

    def reset_delivery_status(self, member_id: str, status: str) -> None:
        """Remove `status` from the membership itself, where it has it.

        "enabled" would override what the person set for all lists. Mailman can only delete all
        settings of a membership, so the others are written again.
        """
        answer = self._send("GET", f"{_MEMBER}/preferences", member_id=member_id)
        own = answer.parse(dict[str, Any])
        if own.get("delivery_status") != status:
            return
        others = {k: v for k, v in own.items() if k not in _EXCLUDED_PREFERENCES}
        self._update_preferences("DELETE", member_id)
        if others:
            self._update_preferences("PATCH", member_id, others)

    def ban(self, list_id: str, address: str) -> runtime.PushOutcome:
        """Prevent that an address is subscribed that is not a member."""
        if address.startswith("^"):
            return runtime.refused("it would be a pattern")
        answer = self._session.send(
            "POST",
            f"{_LIST}/bans",
            path_params={"list_id": list_id},
            body={"email": address},
            allowed_statuses={HTTPStatus.BAD_REQUEST},
        )
        if answer.status == HTTPStatus.CREATED or self.is_banned(list_id, address):
            return runtime.reflected("banned")
        return runtime.refused("can't be banned")

    def unban(self, list_id: str, address: str) -> None:
        """Let an address subscribe again, if it was banned."""
        holes = {"list_id": list_id, "email": address}
        self._session.find("DELETE", _BAN, path_params=holes)

    def is_banned(self, list_id: str, address: str) -> bool:
        """Whether an address is banned from a list, by itself, by a pattern or everywhere."""
        holes = {"list_id": list_id, "email": address}
        return self._session.find("GET", _BAN, path_params=holes) is not None

    def erase(self, address: str) -> runtime.PushOutcome:
        """Delete an address with its memberships, and its user if they have no other.

        Nobody is informed: Mailman mails its farewell to who leaves by other ways only. An
        address with a slash can't be named in a path, so its user is found by a membership.
        """
        user = self._find_user_id(address) if "/" in address else address
        if user is None:
            return runtime.refused("Mailman's API can't name an address with a slash")
        known = self._send_about(_USER_ADDRESSES, user)
        if known.status == HTTPStatus.OK and known.parse_member(int, "total_size") == 1:
            return runtime.outcome_for_status(self._send_about(_USER, user, "DELETE").status)
        if "/" in address:
            return runtime.refused("Mailman's API can't name an address with a slash")
        return runtime.outcome_for_status(self._send_about(_ADDRESS, address, "DELETE").status)

    def has_address(self, address: str) -> bool:
        """Whether Mailman knows an address; one with a slash, whether it is in a list."""
        if "/" in address:
            return bool(self.memberships(address))
        return self._send_about(_ADDRESS, address).status == HTTPStatus.OK

    def _find_user_id(self, address: str) -> str | None:
        memberships = self.memberships(address)
        if not memberships:
            return None
        member = self._send("GET", _MEMBER, member_id=memberships[0].member_id)
        return member.parse_member(str, "user").rstrip("/").rpartition("/")[2]

    def _send_about(self, route: str, key: str, method: str = "GET") -> runtime.Response:
        """Send a request about a user or an address; a 404 is returned."""
        return self._session.send(
            method,
            route,
            path_params={"key": key},
            allowed_statuses={HTTPStatus.NOT_FOUND},
        )

    def _update_preferences(
        self, method: str, member_id: str, body: Mapping[str, Any] | None = None
    ) -> None:
        answer = self._send(method, f"{_MEMBER}/preferences", member_id=member_id, body=body)
        if answer.status != HTTPStatus.NO_CONTENT:
            raise runtime.DeliveryError("the answer is not what the tool's API promises")

    def _send(
        self,
        method: str,
        route: str,
        *,
        member_id: str,
        body: Mapping[str, Any] | None = None,
    ) -> runtime.Response:
        return self._session.send(method, route, path_params={"member": member_id}, body=body)
