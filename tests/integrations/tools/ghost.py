"""Ghost's members and newsletters as its source has them (5.130.6), with memory.

`=` in a filter minds the case, as on SQLite. Unsubscribing in bulk writes no event. A PUT
replaces all active newsletters. A newsletter that is archived is shown for no member. Anyone who is
asked for is a member who signed up, unless `strict`. Tokens are held to `now`.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from werkzeug.wrappers import Request, Response

from tests.integrations.rig import NOW
from tests.integrations.tools.nql import BadFilter, Test, matcher
from tests.integrations.tools.stand_in import StandIn, Watch

SECRET = "5ea1" * 16
KEY = f"5f5f5f5f5f5f5f5f5f5f5f5f:{SECRET}"
NEWS, OFFERS, EVENTS = "11", "12", "99"
MOST = 100
SIGNED_UP = NOW - timedelta(days=100)
_ADDRESSES = re.compile(r"email:'((?:\\['\"]|[^'\"])+?)'")


class GhostStandIn(StandIn):
    def __init__(self, watch: Watch | None = None) -> None:
        super().__init__(watch)
        self.newsletters = {
            NEWS: ("News", "active"),
            OFFERS: ("Offers", "active"),
            EVENTS: ("Events", "active"),
        }
        self.members: dict[str, dict[str, Any]] = {}
        self.events: list[dict[str, Any]] = []
        self.strict = False
        self.paying: set[str] = set()
        self.invalid: set[str] = set()
        self.now = NOW
        self._numbers = count(1)

    def add(
        self, address: str, *, newsletters: Collection[str] | None = None, silently: bool = False
    ) -> dict[str, Any]:
        """Have a member of exactly this address; `silently` writes no events, as some ways do."""
        for member in self.members.values():
            if member["email"] == address:
                return member
        id_ = f"a{next(self._numbers):023x}"
        wanted = set(self.newsletters if newsletters is None else newsletters)
        self.members[id_] = member = {"id": id_, "email": address, "newsletters": wanted}
        for each in sorted(() if silently else wanted):
            self._note(id_, each, "member", SIGNED_UP, subscribed=True)
        return member

    def leave(
        self, address: str, newsletter: str, source: str = "member", at: datetime | None = None
    ) -> None:
        member = self.add(address)
        if newsletter in member["newsletters"]:
            member["newsletters"].discard(newsletter)
            self._note(member["id"], newsletter, source, at or self.now, subscribed=False)

    def join(self, address: str, newsletter: str, source: str = "member") -> None:
        member = self.add(address)
        member["newsletters"].add(newsletter)
        self._note(member["id"], newsletter, source, self.now, subscribed=True)

    def leave_in_bulk(self, newsletter: str, *addresses: str) -> None:
        """As in the list of members in Ghost's admin: no event, no webhook."""
        for address in addresses:
            self.add(address)["newsletters"].discard(newsletter)

    def complain(self, address: str, at: datetime) -> None:
        member = self.add(address)
        member["complained"] = at
        self.events.append(
            {
                "type": "email_complaint_event",
                "data": {
                    "id": f"e{len(self.events) + 1:023x}",
                    "member_id": member["id"],
                    "created_at": _time(at),
                },
            }
        )

    def _note(
        self, member: str, newsletter: str, source: str, at: datetime, *, subscribed: bool
    ) -> None:
        self.events.append(
            {
                "type": "newsletter_event",
                "data": {
                    "id": f"e{len(self.events) + 1:023x}",
                    "member_id": member,
                    "subscribed": subscribed,
                    "created_at": _time(at),
                    "source": source,
                    "newsletter_id": newsletter,
                },
            }
        )

    def handle(self, request: Request) -> Response:
        if not self._may(request.headers.get("Authorization", "")):
            return _error(401, "UnauthorizedError")
        path = request.path.removeprefix("/ghost/api/admin").strip("/").split("/")
        try:
            match request.method, path:
                case "GET", ["newsletters"]:
                    return self._list(request, "newsletters", self._all_newsletters())
                case "GET", ["members"]:
                    return self._members(request)
                case "GET", ["members", "events"]:
                    return self._events(request)
                case "DELETE", ["members", id_] if id_ in self.members:
                    del self.members[id_]
                    return Response(status=204)
                case "PUT", ["members", id_]:
                    return self._edit(id_, request.get_json())
        except BadFilter:
            return _error(400, "BadRequestError")
        return _error(404, "NotFoundError")

    def _may(self, header: str) -> bool:
        scheme, _, token = header.partition(" ")
        head, _, signature = token.rpartition(".")
        if scheme != "Ghost" or head.count(".") != 1:
            return False
        first, claims = (json.loads(_decoded(part)) for part in head.split("."))
        right = hmac.new(bytes.fromhex(SECRET), head.encode(), hashlib.sha256).digest()
        issued, now = claims["iat"], self.now.timestamp()
        return (
            first["alg"] == "HS256"
            and first["kid"] == KEY.partition(":")[0]
            and claims["aud"] == "/admin/"
            and hmac.compare_digest(_decoded(signature), right)
            and issued <= now <= min(claims["exp"], issued + 300)
        )

    def _all_newsletters(self) -> list[dict[str, Any]]:
        rows = self.newsletters.items()
        return [{"id": id_, "name": name, "status": status} for id_, (name, status) in rows]

    def _members(self, request: Request) -> Response:
        asked = _ADDRESSES.findall(request.args.get("filter", ""))
        addresses = [re.sub(r"""\\(['"])""", r"\1", each) for each in asked]
        if self.invalid & set(addresses):
            return _error(400, "BadRequestError")
        if not self.strict:
            for address in addresses:
                self.add(address)
        return self._list(request, "members", [self._member_json(m) for m in self.members.values()])

    def _member_json(self, member: dict[str, Any]) -> dict[str, Any]:
        at = member.get("complained")
        return {
            "id": member["id"],
            "email": member["email"],
            "status": "paid" if member["email"] in self.paying else "free",
            "subscribed": bool(member["newsletters"]),
            "newsletters": [
                each
                for each in self._all_newsletters()
                if each["status"] == "active" and each["id"] in member["newsletters"]
            ],
            "email_suppression": {
                "suppressed": bool(at),
                "info": {"reason": "spam", "timestamp": _time(at)} if at else None,
            },
        }

    def _list(self, request: Request, name: str, rows: Sequence[dict[str, Any]]) -> Response:
        text, limit = request.args.get("filter"), min(int(request.args.get("limit", "15")), MOST)
        test: Test = matcher(text) if text else lambda _: True
        found = [row for row in rows if test({k: str(v) for k, v in row.items()})]
        if request.args.get("order") == "id asc":
            found.sort(key=lambda row: str(row["id"]))
        total, pages = len(found), -(-len(found) // limit)
        about = {"page": 1, "limit": limit, "pages": pages, "total": total}
        return _json({name: found[:limit], "meta": {"pagination": about}})

    def _events(self, request: Request) -> Response:
        test = matcher(request.args["filter"])
        found = [each for each in self.events if test(_flat(each))]
        found.sort(key=lambda each: (each["data"]["created_at"], each["data"]["id"]), reverse=True)
        return _json({"events": found[: min(int(request.args.get("limit", "10")), MOST)]})

    def _edit(self, id_: str, body: dict[str, Any]) -> Response:
        member = self.members.get(id_)
        if member is None:
            return _error(404, "NotFoundError")
        (asked,) = body["members"]
        wanted = {each["id"] for each in asked["newsletters"]}
        sent = {each for each, (_, status) in self.newsletters.items() if status == "active"}
        held = member["newsletters"] & sent
        member["newsletters"] = wanted | (member["newsletters"] - sent)
        for each in sorted(wanted ^ held):
            self._note(id_, each, "api", self.now, subscribed=each in wanted)
        return _json({"members": [self._member_json(member)]})


def _flat(event: dict[str, Any]) -> dict[str, str]:
    """An event as a filter sees it: a complaint's type is another there than in the answer."""
    data, type_ = event["data"], event["type"]
    kept = {
        "type": "email_complained_event" if type_ == "email_complaint_event" else type_,
        "id": data["id"],
        "data.member_id": data["member_id"],
    }
    at = datetime.fromisoformat(data["created_at"])
    return kept | {"data.created_at": at.strftime("%Y-%m-%d %H:%M:%S")}


def _time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _decoded(part: str) -> bytes:
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _error(status: int, kind: str) -> Response:
    row = {"message": "anna@example.com", "type": kind, "code": None}
    return _json({"errors": [row]}, status)


def _json(body: Any, status: int = 200) -> Response:
    return Response(json.dumps(body), status, mimetype="application/json")
