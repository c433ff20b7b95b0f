"""Ghost's Admin API, as far as members and their newsletters go.

https://docs.ghost.org/admin-api
Its source answers what the pages leave open (5.130.6): core/server/services/members/members-api
(MemberBREADService, MemberRepository, EventRepository), core/server/services/auth/api-key.
Filters are in NQL: https://github.com/TryGhost/NQL.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from typing import TypeVar

from preference_center.integrations.base import runtime

PAGE_SIZE = 100
"""Rows of a page: the most that Ghost returns of members, and Ghost 6 of anything."""
NEWSLETTER_EVENT, COMPLAINT_EVENT = "newsletter_event", "email_complained_event"
"""Types of events, as a filter names them."""
_API_PATH = "/ghost/api/admin"
_TOKEN_LIFETIME = timedelta(minutes=5)
_QUOTES = re.compile(r"""(['"])""")


class GhostNewsletter(runtime.LenientModel):
    """A newsletter. Of a member, Ghost lists only those that are active."""

    id: str = ""
    name: str = ""
    status: str = ""

    @property
    def unusable_reason(self) -> str:
        """Why no topic may be mapped to it."""
        return "" if self.status == "active" else "is not active: reactivate it or map another"


class _SuppressionInfo(runtime.LenientModel):
    reason: str = ""


class _EmailSuppression(runtime.LenientModel):
    info: _SuppressionInfo = _SuppressionInfo()


class GhostMember(runtime.LenientModel):
    """A member."""

    id: str = ""
    email: str = ""
    status: str = ""
    subscribed: bool | None = None
    newsletters: list[GhostNewsletter] | None = None
    email_suppression: _EmailSuppression = _EmailSuppression()

    @property
    def newsletter_ids(self) -> frozenset[str] | None:
        """The active newsletters that the member gets; None where the response has none.

        `subscribed` states whether there are some.
        """
        ids = frozenset(each.id for each in self.newsletters or ())
        is_odd = "" in ids or (self.subscribed is not None and self.subscribed != bool(ids))
        return None if self.newsletters is None or is_odd else ids

    @property
    def may_pay(self) -> bool:
        """Whether the member may be paying for a subscription."""
        return self.status not in {"free", "comped", "gift"}

    @property
    def has_complained(self) -> bool:
        """Whether Ghost sends nothing more because the member reported an email as spam."""
        return self.email_suppression.info.reason == "spam"


class _EventData(runtime.LenientModel):
    id: str = ""
    member_id: str = ""
    newsletter_id: str = ""
    subscribed: bool | None = None
    source: str = ""
    created_at: runtime.IsoDatetime = None


class GhostEvent(runtime.LenientModel):
    """An event of a member. Its own type of a complaint is not that of the filter."""

    type: str = ""
    data: _EventData


Row = TypeVar("Row")


def make_authorization_header(admin_key: str, now: datetime) -> str:
    """The value of the header Authorization by an Admin API key, `ID:SECRET`.

    A JSON Web Token (RFC 7519) with HMAC-SHA-256, which Ghost accepts for five minutes. Raises
    ValueError for a malformed key.
    """
    id_, _, secret = admin_key.partition(":")
    secret_bytes = bytes.fromhex(secret)
    if not id_ or not secret_bytes:
        raise ValueError("not ID:SECRET")
    issued = int(now.timestamp())
    header = {"alg": "HS256", "typ": "JWT", "kid": id_}
    claims = {"iat": issued, "exp": issued + int(_TOKEN_LIFETIME.total_seconds()), "aud": "/admin/"}
    signed = b".".join(_base64url(json.dumps(part).encode()) for part in (header, claims))
    signature = hmac.new(secret_bytes, signed, hashlib.sha256).digest()
    return f"Ghost {(signed + b'.' + _base64url(signature)).decode()}"


def _base64url(value: bytes) -> bytes:
    return urlsafe_b64encode(value).rstrip(b"=")


def nql_string(text: str) -> str:
    """A string of NQL."""
    return "'" + _QUOTES.sub(r"\\\1", text) + "'"


def nql_list(values: Iterable[str]) -> str:
    """A list of NQL, which must not be empty."""
    return f"[{','.join(nql_string(value) for value in sorted(values))}]"


def _nql_timestamp(time: datetime) -> str:
    """A time as Ghost's databases store it: SQLite compares strings."""
    return nql_string(time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S"))


@dataclass(frozen=True, slots=True)
class EventPosition:
    """A position in the list of events, which Ghost sorts newest first and by id."""

    at: datetime
    id: str


@dataclass(frozen=True, slots=True)
class GhostClient:
    """One site of Ghost, for one push or listing."""

    session: runtime.Session
    admin_key: str
    now: Callable[[], datetime]

    def list_newsletters(self) -> Iterator[GhostNewsletter]:
        """All newsletters, also those that are archived."""
        return runtime.list_all(partial(self._list_after, list[GhostNewsletter], "newsletters"))

    def list_members(self, after: str) -> tuple[list[GhostMember], str]:
        """A page of members by id, which begins with the time of making, and the next token."""
        return self._list_after(list[GhostMember], "members", after)

    def find_members_by_address(self, addresses: Collection[str]) -> Sequence[GhostMember]:
        """Members with these addresses in any case: there may be several of one address.

        `:` is case-sensitive on SQLite; starting and ending with a text is not, but lowers
        ASCII only, so the text itself is in the filter, too.
        """
        each = (
            f"email:{text},(email:~^{text}+email:~${text})"
            for text in map(nql_string, sorted(addresses))
        )
        return self._fetch_page(list[GhostMember], "members", ",".join(each))

    def find_members(self, ids: Collection[str]) -> Sequence[GhostMember]:
        """The members with these ids, at most PAGE_SIZE; deleted ones are left out."""
        return self._fetch_page(list[GhostMember], "members", f"id:{nql_list(ids)}") if ids else ()

    def set_newsletters(self, member: GhostMember, ids: Collection[str]) -> GhostMember | None:
        """Replace the active newsletters of a member; archived ones stay. None if it is gone."""
        answer = self.session.find(
            "PUT",
            f"{_API_PATH}/members/{{id}}/",
            path_params={"id": member.id},
            headers=self._headers(),
            body={"members": [{"newsletters": [{"id": id_} for id_ in sorted(ids)]}]},
        )
        if answer is None:
            return None
        rows = answer.parse_member(list[GhostMember], "members")
        return rows[0] if rows else GhostMember()

    def delete_member(self, member: GhostMember) -> int:
        """Delete a member; the HTTP status. A subscription that is paid for would go on."""
        return self.session.send(
            "DELETE",
            f"{_API_PATH}/members/{{id}}/",
            path_params={"id": member.id},
            headers=self._headers(),
            allowed_statuses={HTTPStatus.NOT_FOUND},
        ).status

    def list_events(
        self,
        event_types: Collection[str],
        *,
        member_ids: Collection[str] = (),
        since: datetime | None = None,
        before: EventPosition | None = None,
    ) -> Sequence[GhostEvent]:
        """The newest PAGE_SIZE events, of `member_ids` if any, from `since` on and before `before`.

        There are no numbered pages, and several events may share a second.
        """
        where = [f"type:[{','.join(event_types)}]"]
        if member_ids:
            where.append(f"data.member_id:{nql_list(member_ids)}")
        if since:
            where.append(f"data.created_at:>={_nql_timestamp(since)}")
        if before:
            at = _nql_timestamp(before.at)
            later = f"(data.created_at:{at}+id:<{nql_string(before.id)})"
            where.append(f"(data.created_at:<{at},{later})")
        query = {"limit": str(PAGE_SIZE), "filter": "+".join(where)}
        answer = self.session.send(
            "GET", f"{_API_PATH}/members/events/", query=query, headers=self._headers()
        )
        return answer.parse_member(list[GhostEvent], "events")

    def find_last_events(
        self, newsletter_ids_by_member: Mapping[str, Collection[str]]
    ) -> Mapping[tuple[str, str], GhostEvent]:
        """Ids of member and newsletter -> the last event of the two."""
        open_ = {(member, each) for member, ids in newsletter_ids_by_member.items() for each in ids}
        found: dict[tuple[str, str], GhostEvent] = {}
        before = None
        while open_:
            rows = self.list_events(
                [NEWSLETTER_EVENT], member_ids=newsletter_ids_by_member, before=before
            )
            for event in rows:
                pair = event.data.member_id, event.data.newsletter_id
                if pair in open_:
                    found[pair] = event
                    open_.remove(pair)
            if len(rows) < PAGE_SIZE:
                return found
            before = last_position(rows)
        return found

    def _list_after(self, shape: type[list[Row]], name: str, after: str) -> tuple[list[Row], str]:
        rows = self._fetch_page(shape, name, f"id:>{nql_string(after)}" if after else "")
        ids = (getattr(row, "id", "") for row in rows)
        return rows, runtime.last_row_id(ids) if len(rows) >= PAGE_SIZE else ""

    def _fetch_page(self, shape: type[list[Row]], name: str, nql_filter: str) -> list[Row]:
        query = {"limit": str(PAGE_SIZE), "order": "id asc"} | (
            {"filter": nql_filter} if nql_filter else {}
        )
        answer = self.session.send(
            "GET", f"{_API_PATH}/{name}/", query=query, headers=self._headers()
        )
        return answer.parse_member(shape, name)

    def _headers(self) -> Mapping[str, str]:
        """Made for each request: a push may take longer than a token is valid."""
        try:
            signed = make_authorization_header(self.admin_key, self.now())
        except ValueError:
            raise runtime.DeliveryError(
                "admin_key is not ID:SECRET, as Ghost shows an Admin API key", permanent=True
            ) from None
        return {"Authorization": signed, "Accept-Version": "v5.0"}


def last_position(events: Sequence[GhostEvent]) -> EventPosition:
    """Where a page of events ends. Raises UnexpectedResponse if its last event is incomplete."""
    last = events[-1].data
    if last.created_at is None or not last.id:
        raise runtime.UnexpectedResponse("an event without a time or an id")
    return EventPosition(last.created_at, last.id)


def group_by_address(members: Iterable[GhostMember]) -> Mapping[str, Sequence[GhostMember]]:
    """Address, casefolded -> the members who have it, in any case."""
    found: dict[str, list[GhostMember]] = {}
    for member in members:
        found.setdefault(member.email.casefold(), []).append(member)
    return found
