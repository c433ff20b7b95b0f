"""Resend's contacts and topics as its description has them, with memory.

Anyone who is asked for is a contact, unless `strict`. That a topic which is gone is answered like
an unknown contact (404) is an assumption, and the worst case.
"""

from __future__ import annotations

import json
from itertools import count
from typing import Any
from urllib.parse import unquote

from werkzeug.wrappers import Request, Response

from tests.integrations.tools.stand_in import StandIn, Watch

KEY = "re_stand_in"
WHEN = "2026-11-25 11:00:00.678+00"


class ResendStandIn(StandIn):
    def __init__(self, watch: Watch | None = None) -> None:
        super().__init__(watch)
        self.topics = {
            "11": ("News", "opt_in"),
            "12": ("Offers", "opt_in"),
            "99": ("Events", "opt_in"),
        }
        self._ids = count()
        self.contacts: dict[str, dict[str, Any]] = {}
        self.chosen: dict[str, dict[str, str]] = {}
        self.suppressions: list[dict[str, Any]] = []
        self.has_suppressions = True
        self.strict = False
        self.invalid: set[str] = set()
        self.answers_states = True

    def add(self, address: str, **changes: Any) -> dict[str, Any]:
        contact = self.contacts.setdefault(
            address,
            {
                "id": f"c{next(self._ids):05}",
                "email": address,
                "first_name": "",
                "last_name": "",
                "created_at": WHEN,
                "unsubscribed": False,
            },
        )
        contact |= changes
        self.chosen.setdefault(address, {})
        return contact

    def subscription(self, address: str, topic: str) -> str:
        return self.chosen.get(address, {}).get(topic, self.topics[topic][1])

    def suppress(self, address: str, origin: str) -> None:
        row = {"id": f"s{len(self.suppressions)}", "email": address, "origin": origin}
        self.suppressions.append(row | {"source_id": None, "created_at": WHEN})

    def handle(self, request: Request) -> Response:
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            return _error(403, "invalid_api_key")
        # The path before unquoting: an address may hold a slash.
        path = request.environ["RAW_URI"].partition("?")[0].strip("/").split("/")
        match request.method, path:
            case "GET", ["topics"]:
                return self._rows(request, [self._topic(id_) for id_ in self.topics])
            case "GET", ["contacts"]:
                return self._rows(request, list(self.contacts.values()))
            case "GET", ["suppressions"]:
                if not self.has_suppressions:
                    return _error(403, "restricted")
                return self._rows(request, self.suppressions)
            case "POST", ["contacts"]:
                return self._create(request.get_json())
            case method, ["contacts", address, *rest]:
                return self._contact(request, method, unquote(address), rest)
        return _error(404, "not_found")

    def _topic(self, id_: str) -> dict[str, Any]:
        name, default = self.topics[id_]
        return {"id": id_, "name": name, "default_subscription": default}

    def _create(self, body: dict[str, Any]) -> Response:
        if body["email"] in self.invalid:
            return _error(422, "validation_error")
        contact = self.add(body["email"])
        self._choose(body["email"], body.get("topics", []))
        return _json({"object": "contact", "id": contact["id"]}, 201)

    def _contact(self, request: Request, method: str, address: str, rest: list[str]) -> Response:
        if address in self.invalid:
            return _error(422, "validation_error")
        if not self.strict:
            self.add(address)
        if address not in self.contacts:
            return _error(404, "not_found")
        if method == "DELETE":
            del self.chosen[address]
            id_ = self.contacts.pop(address)["id"]
            return _json({"object": "contact", "id": id_, "deleted": True})
        if method == "GET" and not rest:
            return _json({"object": "contact", **self.contacts[address], "properties": {}})
        if method == "GET":
            states = [
                self._topic(id_) | {"subscription": self.subscription(address, id_)}
                for id_ in self.topics
            ]
            return self._rows(request, states)
        wanted = request.get_json()["topics"]
        if any(topic["id"] not in self.topics for topic in wanted):
            return _error(404, "not_found")
        self._choose(address, wanted)
        answer = {"object": "contact_topics", "contact_id": self.contacts[address]["id"]}
        return _json(answer | ({"topics": wanted} if self.answers_states else {}))

    def _choose(self, address: str, topics: list[dict[str, str]]) -> None:
        for topic in topics:
            self.chosen[address][topic["id"]] = topic["subscription"]

    def _rows(self, request: Request, rows: list[dict[str, Any]]) -> Response:
        ids = [row["id"] for row in rows]
        after = request.args.get("after")
        if after is not None and after not in ids:
            return _error(422, "validation_error")
        start = ids.index(after) + 1 if after else 0
        limit = int(request.args.get("limit", "20"))
        page = rows[start : start + limit]
        return _json({"object": "list", "has_more": start + limit < len(rows), "data": page})


def _error(status: int, name: str) -> Response:
    return _json({"statusCode": status, "name": name, "message": "anna@example.com"}, status)


def _json(body: Any, status: int = 200) -> Response:
    return Response(json.dumps(body), status, mimetype="application/json")
