"""listmonk as its documentation has it, with memory; reads the few queries that we make."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from werkzeug.wrappers import Request, Response

from tests.integrations.tools.stand_in import StandIn, Watch

USER, TOKEN = "preferences", "listmonk-token"
_PAGE = re.compile(
    r"subscribers\.id IN \(SELECT id FROM subscribers WHERE subscribers\.id > (\d+)"
    r"(?P<no> AND .*)? ORDER BY id LIMIT (\d+)\)"
)
GRANTED = {
    "lists:get_all",
    "lists:manage_all",
    "subscribers:get_all",
    "subscribers:sql_query",
    "subscribers:manage",
}
START = datetime(2026, 11, 20, 10, tzinfo=UTC)
_NAMES = re.compile(r"LOWER\(subscribers\.email\) IN \((.*)\)")


class ListmonkStandIn(StandIn):
    """`everybody`: anyone who is asked for is subscribed to every list.

    `granted` are the permissions of the user's role, `on_lists` those of its list role. They
    are asked for as v6.2.0 does (cmd/handlers.go, cmd/subscribers.go).
    """

    def __init__(self, watch: Watch | None = None) -> None:
        super().__init__(watch)
        self.everybody = True
        self.lists = {11: "News", 12: "Offers", 99: "Events"}
        self.double: set[int] = set()
        self.subscribers: dict[str, dict[str, Any]] = {}
        self.bounced: set[str] = set()
        self.invalid: set[str] = set()
        self.granted = set(GRANTED)
        self.on_lists: dict[int, set[str]] = {}
        self.now = START
        self._numbers = count()

    def tick(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now

    def join(self, email: str, *lists: int) -> dict[str, Any]:
        row = self.subscribers.setdefault(
            email.lower(),
            {
                "id": 1_001 + next(self._numbers),  # no number of a list
                "email": email.lower(),
                "name": "",
                "status": "enabled",
                "lists": {},
                "made": {},
                "stamped": {},
                "updated_at": self.tick(),
            },
        )
        for list_id in lists or self.lists:
            if list_id not in row["lists"]:
                row["lists"][list_id] = "confirmed"
                row["made"][list_id] = row["stamped"][list_id] = self.tick()
        return row

    def leave(self, email: str, list_id: int) -> datetime:
        """What listmonk does when a person unsubscribes, or an API call with `unsubscribe`."""
        row = self.join(email, list_id)
        row["lists"][list_id] = "unsubscribed"
        row["stamped"][list_id] = self.tick()
        return self.now

    def _may(self, *permissions: str) -> bool:
        return any(permission in self.granted for permission in permissions)

    def _of_list(self, permission: str) -> set[int]:
        return {id_ for id_, held in self.on_lists.items() if permission in held}

    def _profile(self) -> dict[str, Any]:
        lists = [
            {"id": id_, "name": self.lists.get(id_, ""), "permissions": sorted(held)}
            for id_, held in self.on_lists.items()
        ]
        return {
            "id": 2,
            "username": USER,
            "type": "api",
            "user_role": {"id": 2, "name": "Sync", "permissions": sorted(self.granted)},
            "list_role": {"id": 3, "name": "Lists", "lists": lists} if lists else None,
        }

    def handle(self, request: Request) -> Response:  # noqa: PLR0911 - a route each
        auth = request.authorization
        if auth is None or (auth.username, auth.password) != (USER, TOKEN):
            return _json({"message": "invalid session"}, 401)
        match request.method, request.path:
            case "GET", "/api/profile":
                return _json({"data": self._profile()})
            case "GET", "/api/lists":
                every = self._may("lists:get_all")
                shown = [i for i in self.lists if every or i in self._of_list("list:get")]
                return _json({"data": {"results": [self._list(i) for i in shown]}})
            case "GET", "/api/subscribers":
                assert request.args["per_page"] == "all"
                if not self._may("subscribers:get_all", "subscribers:get"):
                    return _denied()
                if not self._may("subscribers:sql_query"):
                    return _denied()
                rows = [self._shown(row) for row in self._seen(request.args["query"])]
                return _json({"data": {"results": rows, "total": len(rows), "page": 1}})
            case "DELETE", "/api/subscribers":
                return self._delete([int(id_) for id_ in request.args.getlist("id")])
            case "PUT", "/api/subscribers/lists":
                return self._change(request.get_json())
        return _json({"message": "not found"}, 404)

    def _delete(self, ids: list[int]) -> Response:
        if not self._may("subscribers:manage"):
            return _denied()
        for email in [row["email"] for row in self.subscribers.values() if row["id"] in ids]:
            del self.subscribers[email]
        return _json({"data": True})

    def _seen(self, query: str) -> Iterator[dict[str, Any]]:
        mine = self._of_list("list:get")
        for row in self._query(query):
            if self._may("subscribers:get_all") or mine & row["lists"].keys():
                yield row

    def _list(self, list_id: int) -> dict[str, Any]:
        optin = "double" if list_id in self.double else "single"
        return {"id": list_id, "name": self.lists[list_id], "optin": optin}

    def _shown(self, row: dict[str, Any]) -> dict[str, Any]:
        lists = [
            self._list(id_)
            | {
                "subscription_status": status,
                "subscription_created_at": row["made"][id_].isoformat(),
                "subscription_updated_at": row["stamped"][id_].isoformat(),
            }
            for id_, status in row["lists"].items()
        ]
        shown = {name: row[name] for name in ("id", "email", "name", "status")}
        return shown | {"updated_at": row["updated_at"].isoformat(), "lists": lists}

    def _query(self, query: str) -> Iterator[dict[str, Any]]:
        if page := _PAGE.fullmatch(query):
            rows = [r for r in self.subscribers.values() if r["id"] > int(page[1])]
            if page["no"]:
                assert "NOT (" in page["no"]
                rows = [row for row in rows if self._opted_out(row)]
            yield from rows[: int(page[3])]
            return
        names = _NAMES.fullmatch(query)
        assert names is not None, query
        for literal in re.findall(r"'((?:[^']|'')*)'", names[1]):
            email = literal.replace("''", "'")
            if self.everybody:
                self.join(email)
            if email in self.subscribers:
                yield self.subscribers[email]

    def _opted_out(self, row: dict[str, Any]) -> bool:
        blocked = row["status"] == "blocklisted"
        left = "unsubscribed" in row["lists"].values()
        return (blocked or left) and not (blocked and row["email"] in self.bounced)

    def _change(self, body: dict[str, Any]) -> Response:
        targets = [
            id_
            for id_ in body["target_list_ids"]
            if self._may("lists:manage_all") or id_ in self._of_list("list:manage")
        ]
        if not (self._may("subscribers:manage") and targets):
            return _denied()
        rows = [row for row in self.subscribers.values() if row["id"] in body["ids"]]
        if self.invalid & {row["email"] for row in rows}:
            return _json({"message": "invalid"}, 400)
        for row in rows:
            for list_id in targets:
                if body["action"] == "add":  # stamps nothing (queries/subscribers.sql)
                    row["lists"][list_id] = body["status"]
                elif list_id in row["lists"]:
                    self.leave(row["email"], list_id)
        return _json({"data": True})


def _denied() -> Response:
    return _json({"message": "Permission denied: lists"}, 403)


def _json(body: Any, status: int = 200) -> Response:
    return Response(json.dumps(body), status, mimetype="application/json")
