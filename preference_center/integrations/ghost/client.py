"""Ghost's Admin API, as far as members and their newsletters go.

https://docs.ghost.org/admin-api
Its source says what the pages leave open (5.130.6): core/server/services/members/members-api
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
from http import HTTPStatus
from typing import TypeVar

from pydantic import TypeAdapter

from preference_center.integrations.base.contract import DeliveryError
from preference_center.integrations.base.cursors import last_id
from preference_center.integrations.base.http import Session, Unreadable
from preference_center.integrations.base.pydantic_types import Lenient, Moment

PAGE = 100
"""Rows of a page: Ghost gives no more of members, and Ghost 6 of nothing."""
OPTED, COMPLAINED = "newsletter_event", "email_complained_event"
"""Types of events, as a filter names them."""
_API = "/ghost/api/admin"
_LIFETIME = timedelta(minutes=5)
_QUOTES = re.compile(r"""(['"])""")


class Newsletter(Lenient):
    """A newsletter. Of a member, Ghost lists only those that are active."""

    id: str = ""
    name: str = ""
    status: str = ""

    @property
    def fault(self) -> str:
        """Why no topic may be mapped to it."""
        return "" if self.status == "active" else "is not active: reactivate it or map another"


class _Info(Lenient):
    reason: str = ""


class _Suppression(Lenient):
    info: _Info | None = None


class Member(Lenient):
    """A member."""

    id: str = ""
    email: str = ""
    subscribed: bool | None = None
    newsletters: list[Newsletter] | None = None
    email_suppression: _Suppression | None = None

    @property
    def newsletter_ids(self) -> frozenset[str] | None:
        """The active newsletters that the member gets; None where the answer does not say.

        `subscribed` says that there are some.
        """
        ids = frozenset(each.id for each in self.newsletters or ())
        is_odd = "" in ids or (self.subscribed is not None and self.subscribed != bool(ids))
        return None if self.newsletters is None or is_odd else ids

    @property
    def has_complained(self) -> bool:
        """Whether Ghost sends nothing more because the member reported an email as spam."""
        info = self.email_suppression and self.email_suppression.info
        return bool(info and info.reason == "spam")


class _Data(Lenient):
    id: str = ""
    member_id: str = ""
    newsletter_id: str = ""
    subscribed: bool | None = None
    source: str = ""
    created_at: Moment = None


class Event(Lenient):
    """An event of a member. Its own type of a complaint is not that of the filter."""

    type: str = ""
    data: _Data


class _Members(Lenient):
    members: list[Member]


class _Newsletters(Lenient):
    newsletters: list[Newsletter]


class _Events(Lenient):
    events: list[Event]


_MEMBERS, _NEWSLETTERS = TypeAdapter(_Members), TypeAdapter(_Newsletters)
_EVENTS = TypeAdapter(_Events)
Shape = TypeVar("Shape")


def sign_in(key: str, now: datetime) -> str:
    """The value of the header Authorization by an Admin API key, `ID:SECRET`.

    A JSON Web Token (RFC 7519) of HMAC-SHA-256, which Ghost takes for five minutes. Raises
    ValueError for a key of another form.
    """
    id_, _, secret = key.partition(":")
    secret_bytes = bytes.fromhex(secret)
    if not id_ or not secret_bytes:
        raise ValueError("not ID:SECRET")
    issued = int(now.timestamp())
    header = {"alg": "HS256", "typ": "JWT", "kid": id_}
    claims = {"iat": issued, "exp": issued + int(_LIFETIME.total_seconds()), "aud": "/admin/"}
    signed = b".".join(_base64(json.dumps(part).encode()) for part in (header, claims))
    signature = hmac.new(secret_bytes, signed, hashlib.sha256).digest()
    return f"Ghost {(signed + b'.' + _base64(signature)).decode()}"


def _base64(value: bytes) -> bytes:
    return urlsafe_b64encode(value).rstrip(b"=")


def literal(text: str) -> str:
    """A text of NQL."""
    return "'" + _QUOTES.sub(r"\\\1", text) + "'"


def one_of(values: Iterable[str]) -> str:
    """A list of NQL, which must not be empty."""
    return f"[{','.join(literal(value) for value in sorted(values))}]"


def _when(moment: datetime) -> str:
    """A time as Ghost's databases hold it: SQLite compares texts."""
    return literal(moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S"))


@dataclass(frozen=True, slots=True)
class Spot:
    """A place in the list of events, which Ghost sorts newest first and by id."""

    at: datetime
    id: str


@dataclass(frozen=True, slots=True)
class Site:
    """One site of Ghost, for one push or listing."""

    session: Session
    key: str
    now: Callable[[], datetime]

    def newsletters(self) -> Sequence[Newsletter]:
        """All newsletters, also those that are archived."""
        found: list[Newsletter] = []
        after = ""
        while True:
            rows = self._page("/newsletters/", _NEWSLETTERS, _after(after)).newsletters
            found += rows
            if len(rows) < PAGE:
                return found
            after = last_id(row.id for row in rows)

    def members_of(self, addresses: Collection[str]) -> Sequence[Member]:
        """Members with these addresses in any case: there may be several of one address.

        `=` minds the case on SQLite; starting and ending with a text does not, but lowers
        ASCII only, so that the text itself is asked for, too.
        """
        each = (
            f"email:{text},(email:~^{text}+email:~${text})"
            for text in map(literal, sorted(addresses))
        )
        return self._page("/members/", _MEMBERS, ",".join(each)).members

    def members(self, ids: Collection[str]) -> Sequence[Member]:
        """Those of at most PAGE members that there are."""
        return self._page("/members/", _MEMBERS, f"id:{one_of(ids)}").members if ids else ()

    def members_after(self, id_: str) -> Sequence[Member]:
        """The next members by their id, which begins with the time of making; "" is the start."""
        return self._page("/members/", _MEMBERS, _after(id_)).members

    def set_newsletters(self, member: Member, ids: Collection[str]) -> Member | None:
        """Replace the active newsletters of a member; archived ones stay. None if it is gone."""
        answer = self.session.send(
            "PUT",
            f"{_API}/members/{{id}}/",
            holes={"id": member.id},
            headers=self._headers(),
            body={"members": [{"newsletters": [{"id": id_} for id_ in sorted(ids)]}]},
            allow={HTTPStatus.NOT_FOUND},
        )
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        rows = answer.parse(_MEMBERS).members
        return rows[0] if rows else Member()

    def events(
        self,
        types: Collection[str],
        *,
        members: Collection[str] = (),
        since: datetime | None = None,
        before: Spot | None = None,
    ) -> Sequence[Event]:
        """The newest PAGE events, of these members if any, `since` included, and `before` a spot.

        There are no numbered pages, and several events may share a second.
        """
        where = [f"type:[{','.join(types)}]"]
        if members:
            where.append(f"data.member_id:{one_of(members)}")
        if since:
            where.append(f"data.created_at:>={_when(since)}")
        if before:
            at = _when(before.at)
            later = f"(data.created_at:{at}+id:<{literal(before.id)})"
            where.append(f"(data.created_at:<{at},{later})")
        query = {"limit": str(PAGE), "filter": "+".join(where)}
        answer = self.session.send(
            "GET", f"{_API}/members/events/", query=query, headers=self._headers()
        )
        return answer.parse(_EVENTS).events

    def last_choices(
        self, wanted: Mapping[str, Collection[str]]
    ) -> Mapping[tuple[str, str], Event]:
        """Member and newsletter -> the last event of the two, for ids of members -> newsletters."""
        open_ = {(member, each) for member, ids in wanted.items() for each in ids}
        found: dict[tuple[str, str], Event] = {}
        before = None
        while open_:
            rows = self.events([OPTED], members=wanted, before=before)
            for event in rows:
                pair = event.data.member_id, event.data.newsletter_id
                if pair in open_:
                    found[pair] = event
                    open_.remove(pair)
            if len(rows) < PAGE:
                return found
            before = spot(rows)
        return found

    def _page(self, path: str, shape: TypeAdapter[Shape], where: str) -> Shape:
        query = {"limit": str(PAGE), "order": "id asc"} | ({"filter": where} if where else {})
        answer = self.session.send("GET", _API + path, query=query, headers=self._headers())
        return answer.parse(shape)

    def _headers(self) -> Mapping[str, str]:
        """Made for each request: a push may take longer than a token lives."""
        try:
            signed = sign_in(self.key, self.now())
        except ValueError:
            raise DeliveryError(
                "admin_key is not ID:SECRET, as Ghost shows an Admin API key", permanent=True
            ) from None
        return {"Authorization": signed, "Accept-Version": "v5.0"}


def spot(events: Sequence[Event]) -> Spot:
    """Where a page of events ends. Raises Unreadable if it is not said."""
    last = events[-1].data
    if last.created_at is None or not last.id:
        raise Unreadable("an event without a time or an id")
    return Spot(last.created_at, last.id)


def _after(id_: str) -> str:
    return f"id:>{literal(id_)}" if id_ else ""


def by_address(members: Iterable[Member]) -> Mapping[str, Sequence[Member]]:
    """Address, casefolded -> the members who have it in whatever case."""
    found: dict[str, list[Member]] = {}
    for member in members:
        found.setdefault(member.email.casefold(), []).append(member)
    return found


def active(newsletters: Iterable[Newsletter]) -> Iterator[str]:
    """Ids of those that are sent."""
    return (each.id for each in newsletters if not each.fault)
