"""listmonk as its documentation has it, with memory; reads the few queries that we make."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from werkzeug.wrappers import Request, Response

from tests.connectors.tools.stand_in import StandIn, Watch

USER, TOKEN = "preferences", "listmonk-token"
_PAGE = re.compile(
    r"subscribers\.id IN \(SELECT id FROM subscribers WHERE subscribers\.id > (\d+)"
    r"(?P<no> AND .*)? ORDER BY id LIMIT (\d+)\)"
)
_NAMES = re.compile(r"LOWER\(subscribers\.email\) IN \((.*)\)")


class ListmonkStandIn(StandIn):
    """`everybody`: whoever is asked for is subscribed to every list."""

    def __init__(self, watch: Watch | None = None) -> None:
        super().__init__(watch)
        self.everybody = True
        self.lists = {11: "News", 12: "Offers", 99: "Events"}
        self.double: set[int] = set()
        self.subscribers: dict[str, dict[str, Any]] = {}
        self.bounced: set[str] = set()
        self.invalid: set[str] = set()

    def join(self, email: str, *lists: int) -> dict[str, Any]:
        row = self.subscribers.setdefault(
            email.lower(),
            {
                "id": len(self.subscribers) + 1,
                "email": email.lower(),
                "name": "",
                "status": "enabled",
                "lists": {},
            },
        )
        for list_id in lists or self.lists:
            row["lists"].setdefault(list_id, "confirmed")
        return row

    def handle(self, request: Request) -> Response:
        auth = request.authorization
        if auth is None or (auth.username, auth.password) != (USER, TOKEN):
            return _json({"message": "invalid session"}, 401)
        match request.method, request.path:
            case "GET", "/api/lists":
                return _json({"data": {"results": [self._list(i) for i in self.lists]}})
            case "GET", "/api/subscribers":
                assert request.args["per_page"] == "all"
                rows = [self._shown(row) for row in self._query(request.args["query"])]
                return _json({"data": {"results": rows, "total": len(rows), "page": 1}})
            case "PUT", "/api/subscribers/lists":
                return self._change(request.get_json())
        return _json({"message": "not found"}, 404)

    def _list(self, list_id: int) -> dict[str, Any]:
        optin = "double" if list_id in self.double else "single"
        return {"id": list_id, "name": self.lists[list_id], "optin": optin}

    def _shown(self, row: dict[str, Any]) -> dict[str, Any]:
        lists = [
            self._list(id_) | {"subscription_status": status}
            for id_, status in row["lists"].items()
        ]
        return row | {"lists": lists}

    def _query(self, query: str) -> Iterator[dict[str, Any]]:
        if page := _PAGE.fullmatch(query):
            rows = [r for r in self.subscribers.values() if r["id"] > int(page[1])]
            if page["no"]:
                assert "NOT (" in page["no"]
                rows = [row for row in rows if self._said_no(row)]
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

    def _said_no(self, row: dict[str, Any]) -> bool:
        blocked = row["status"] == "blocklisted"
        left = "unsubscribed" in row["lists"].values()
        return (blocked or left) and not (blocked and row["email"] in self.bounced)

    def _change(self, body: dict[str, Any]) -> Response:
        rows = [row for row in self.subscribers.values() if row["id"] in body["ids"]]
        if self.invalid & {row["email"] for row in rows}:
            return _json({"message": "invalid"}, 400)
        for row in rows:
            for list_id in body["target_list_ids"]:
                if body["action"] == "add":
                    row["lists"][list_id] = body["status"]
                elif list_id in row["lists"]:
                    row["lists"][list_id] = "unsubscribed"
        return _json({"data": True})


def _json(body: Any, status: int = 200) -> Response:
    return Response(json.dumps(body), status, mimetype="application/json")
