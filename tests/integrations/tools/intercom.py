"""Intercom's contacts and subscription types as its description has them, with memory.

Anyone who is searched for by address is a user, until `add` makes the workspace a real one.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from werkzeug.wrappers import Request, Response

from tests.integrations.tools.stand_in import StandIn, Watch

TOKEN = "dG9rOnN0YW5kLWlu"
LINK = "choices"


class IntercomStandIn(StandIn):
    def __init__(self, watch: Watch | None = None) -> None:
        super().__init__(watch)
        self.everybody = True
        self.types = {"11": "News", "12": "Offers", "99": "Events"}
        self.consent = dict.fromkeys(self.types, "opt_out")
        self.content = dict.fromkeys(self.types, "email")
        self.archived: set[str] = set()
        self._ids = count()
        self.contacts: dict[str, dict[str, Any]] = {}
        self.attached: dict[str, set[str]] = {}
        self.poison: set[str] = set()
        self.page = 150
        self.writes = 0
        self.clock = datetime(2026, 11, 25, 12, tzinfo=UTC)

    def add(self, address: str, role: str = "user", **fields: Any) -> dict[str, Any]:
        contact = {
            "type": "contact",
            "id": f"6762f0{next(self._ids):018}",
            "role": role,
            "email": address.lower(),
            "unsubscribed_from_emails": False,
            "marked_email_as_spam": False,
            "has_hard_bounced": False,
            "custom_attributes": {},
            **fields,
        }
        self.contacts[contact["id"]] = contact
        self.attached[contact["id"]] = set()
        self.touch(contact)
        return contact

    def touch(self, contact: dict[str, Any]) -> None:
        self.clock += timedelta(seconds=1)
        contact["updated_at"] = int(self.clock.timestamp())

    def of(self, address: str) -> list[dict[str, Any]]:
        return [c for c in self.contacts.values() if c["email"] == address.lower()]

    def handle(self, request: Request) -> Response:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return _error(401)
        match [request.method, *request.path.strip("/").split("/")]:
            case ["GET", "subscription_types"]:
                return _list([self._type(id_) for id_ in self.types])
            case ["GET", "data_attributes"]:
                return _list([_attribute(LINK), _attribute("age", "integer")])
            case ["POST", "contacts", "search"]:
                return self._search(request.get_json())
            case [_, "contacts", contact, *rest] if contact in self.contacts:
                return self._contact(self.contacts[contact], rest, request)
        return _error(404)

    def _contact(self, contact: dict[str, Any], rest: list[str], request: Request) -> Response:
        attached = self.attached[contact["id"]]
        if request.method == "GET":
            return _list([self._type(id_) for id_ in sorted(attached)])
        if contact["email"] in self.poison:
            return _error(400)
        self.writes += 1
        self.touch(contact)
        if request.method == "DELETE" and not rest:
            del self.contacts[contact["id"]]
            return _json({"type": "contact", "id": contact["id"], "deleted": True})
        if request.method == "PUT":
            body = request.get_json()
            contact["custom_attributes"] |= body.pop("custom_attributes", {})
            contact.update(body)
            return _json(contact)
        type_ = rest[1] if request.method == "DELETE" else request.get_json()["id"]
        if type_ not in self.types or (request.method == "DELETE" and type_ not in attached):
            return _error(404)
        (attached.remove if request.method == "DELETE" else attached.add)(type_)
        return _json(self._type(type_))

    def _type(self, id_: str) -> dict[str, Any]:
        name = {"name": self.types[id_], "description": "", "locale": "en"}
        return {
            "type": "subscription",
            "id": id_,
            "state": "archived" if id_ in self.archived else "live",
            "consent_type": self.consent[id_],
            "default_translation": name,
            "translations": [name],
            "content_types": [self.content[id_]],
        }

    def _search(self, body: dict[str, Any]) -> Response:
        query = body["query"]
        if query.get("field") == "email":
            if len(query["value"]) > 15:
                return _error(400)
            known = {c["email"] for c in self.contacts.values()}
            for address in {a.lower() for a in query["value"]} - known if self.everybody else ():
                self.add(address)
        rows = [c for c in self.contacts.values() if _matches(c, query)]
        if sort := body.get("sort"):
            rows.sort(key=lambda c: c[sort["field"]], reverse=sort["order"] == "descending")
        start = int(body["pagination"].get("starting_after", "after:0").removeprefix("after:"))
        following = start + self.page
        pages: dict[str, Any] = {"type": "pages", "page": 1, "per_page": self.page}
        if following < len(rows):
            pages["next"] = {"per_page": self.page, "starting_after": f"after:{following}"}
        return _json(
            {
                "type": "list",
                "data": rows[start:following],
                "total_count": len(rows),
                "pages": pages,
            }
        )


def _matches(contact: dict[str, Any], query: dict[str, Any]) -> bool:
    match query["operator"]:
        case "AND":
            return all(_matches(contact, each) for each in query["value"])
        case "OR":
            return any(_matches(contact, each) for each in query["value"])
        case "IN":
            return bool(contact[query["field"]] in query["value"])
        case "=":
            return bool(contact[query["field"]] == query["value"])
    # Days only, and from the next one on.
    day: int = query["value"] // 86_400
    return int(contact[query["field"]]) // 86_400 > day


def _attribute(name: str, type_: str = "string") -> dict[str, Any]:
    return {"name": name, "data_type": type_, "custom": True, "archived": False, "model": "contact"}


def _list(data: list[Any]) -> Response:
    return _json({"type": "list", "data": data})


def _error(status: int) -> Response:
    return _json({"type": "error.list", "errors": [{"message": "anna@example.com"}]}, status)


def _json(body: Any, status: int = 200) -> Response:
    return Response(json.dumps(body), status, mimetype="application/json")
