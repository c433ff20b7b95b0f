"""A Mailman core's REST API as the real one answers, with memory; see tests/real."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import unquote

from werkzeug.wrappers import Request, Response

from tests.integrations.tools.stand_in import StandIn, Watch

USER, PASSWORD = "restadmin", "rest-pass"


@dataclass(slots=True)
class Member:
    id: str
    email: str
    list_id: str
    own: dict[str, Any] = field(default_factory=dict)


class MailmanStandIn(StandIn):
    """`everybody`: anyone who is asked for is a member of every list."""

    def __init__(self, watch: Watch | None = None) -> None:
        super().__init__(watch)
        self.everybody = True
        self.lists = {"11": "News", "12": "Offers", "99": "Events"}
        self.members: dict[tuple[str, str], Member] = {}
        self.for_all_lists: dict[str, str] = {}
        self.bans: set[tuple[str, str]] = set()
        self.invalid: set[str] = set()
        self.other_addresses: dict[str, list[str]] = {}

    def join(self, email: str, list_id: str, **own: Any) -> Member:
        key = (email.lower(), list_id)
        if key not in self.members:
            self.members[key] = Member(f"m{len(self.members)}", email, list_id, own)
        return self.members[key]

    def status(self, member: Member) -> str:
        wider = self.for_all_lists.get(member.email.lower(), "enabled")
        return str(member.own.get("delivery_status", wider))

    def handle(self, request: Request) -> Response:
        auth = request.authorization
        if auth is None or (auth.username, auth.password) != (USER, PASSWORD):
            return _problem(401, "401 Unauthorized")
        # The path before unquoting: an address may hold a slash.
        path = request.environ["RAW_URI"].partition("?")[0]
        match path.strip("/").split("/")[1:]:
            case ["lists"]:
                found = [{"list_id": i, "display_name": n} for i, n in self.lists.items()]
                return _page(found, 0, len(found))
            case ["lists", list_id, *rest] if list_id in self.lists:
                return self._list(request, list_id, rest)
            case ["users", key, *rest] if "%2F" not in key:
                return self._user(unquote(key).lower(), rest)
            case ["addresses", email] if "%2F" not in email:  # as WSGI has it: a path of its own
                return self._address(request, unquote(email).lower())
            case ["members", "find"]:
                return self._find(request)
            case ["members", id_, *rest]:
                return self._member(request, id_, rest)
        return _problem(404, "404 Not Found")

    def _known(self, email: str) -> bool:
        return any(address == email for address, _ in self.members)

    def _user(self, key: str, rest: list[str]) -> Response:
        """The user of an address, by that or by id; `other_addresses` are more of theirs."""
        ids = {member.id: member.email.lower() for member in self.members.values()}
        email = ids.get(key.removeprefix("user-"), key)
        if not self._known(email):
            return _problem(404, "404 Not Found")
        addresses = [email, *self.other_addresses.get(email, ())]
        if rest == ["addresses"]:
            return _page([{"email": each} for each in addresses], 0, len(addresses))
        for each in addresses:
            self._forget(each)
        return Response(status=204)

    def _address(self, request: Request, email: str) -> Response:
        if not self._known(email):
            return _problem(404, "404 Not Found")
        if request.method == "DELETE":
            self._forget(email)
            return Response(status=204)
        return _json({"email": email})

    def _forget(self, email: str) -> None:
        self.members = {key: member for key, member in self.members.items() if key[0] != email}

    def _list(self, request: Request, list_id: str, rest: list[str]) -> Response:
        if not rest:
            return _json({"list_id": list_id, "display_name": self.lists[list_id]})
        if rest == ["bans"]:
            email = request.get_json()["email"]
            if (email, list_id) in self.bans or email in self.invalid:
                return _problem(400, "400 Bad Request")
            self.bans.add((email, list_id))
            return Response(status=201)
        ban = (unquote(rest[1]), list_id)
        if ban not in self.bans:
            return _problem(404, "404 Not Found")
        if request.method == "DELETE":
            self.bans.discard(ban)
            return Response(status=204)
        return _json({"email": ban[0], "list_id": list_id})

    def _find(self, request: Request) -> Response:
        wanted = request.get_json()
        assert (wanted["role"], wanted["fields"]) == ("member", ["email", "list_id", "member_id"])
        pattern = wanted.get("subscriber", "").lower()
        if pattern in self.invalid:
            return _problem(400, "400 Bad Request")
        if pattern and self.everybody:
            for list_id in self.lists:
                self.join(wanted["subscriber"], list_id)
        found = [
            member
            for (email, list_id), member in sorted(self.members.items(), key=lambda m: m[0][::-1])
            if (not pattern or fnmatchcase(email, pattern.replace("[", "[[]")))
            and wanted.get("list_id", list_id) == list_id
        ]
        count, page = int(request.args["count"]), int(request.args["page"])
        start = (page - 1) * count
        rows = [
            {"email": m.email, "list_id": m.list_id, "member_id": m.id, "http_etag": ""}
            for m in found[start : start + count]
        ]
        return _page(rows, start, len(found))

    def _member(self, request: Request, id_: str, rest: list[str]) -> Response:
        member = next((m for m in self.members.values() if m.id == id_), None)
        if member is None:
            return _problem(404, "404 Not Found")
        if not rest:
            return _json({"email": member.email, "user": f"{self.url}/3.1/users/user-{id_}"})
        if rest == ["all", "preferences"]:
            return _json({"delivery_mode": "regular", "delivery_status": self.status(member)})
        match request.method:
            case "PATCH":
                member.own |= request.get_json()
            case "DELETE":
                member.own = {}
            case _:
                return _json(member.own | {"self_link": request.url, "http_etag": ""})
        return Response(status=204)


def _page(rows: list[Any], start: int, total: int) -> Response:
    # An empty page has no "entries" at all.
    return _json({"start": start, "total_size": total} | ({"entries": rows} if rows else {}))


def _problem(status: int, title: str) -> Response:
    return _json({"title": title}, status)


def _json(body: Any, status: int = 200) -> Response:
    return Response(json.dumps(body), status, mimetype="application/json")
