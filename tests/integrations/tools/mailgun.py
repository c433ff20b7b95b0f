"""Mailgun's suppressions of one domain as its description has them, with memory."""

from __future__ import annotations

import heapq
import json
from collections.abc import Collection
from typing import Any
from urllib.parse import unquote

from werkzeug.wrappers import Request, Response

from tests.integrations.tools.stand_in import StandIn, Watch

KEY = "key-stand-in"
DOMAIN = "mg.example.com"
WHEN = "Wed, 25 Nov 2026 10:00:00 UTC"


class MailgunStandIn(StandIn):
    def __init__(self, watch: Watch | None = None) -> None:
        super().__init__(watch)
        self.tags = ["11", "12", "99"]
        self.handles = True
        self.unsubscribed: dict[str, set[str]] = {}
        self.complained: set[str] = set()
        self.bounced: set[str] = set()
        self.odd_rows: dict[str, list[dict[str, Any]]] = {}
        self.invalid: set[str] = set()
        self.mailing_lists: dict[str, set[str]] = {
            f"all@{DOMAIN}": set(),
            f"friends@{DOMAIN}": set(),
            "all@other.example.com": set(),
        }
        self.knows_tag_of_delete = True

    def handle(self, request: Request) -> Response:
        auth = request.authorization
        if auth is None or auth.type != "basic" or (auth.username, auth.password) != ("api", KEY):
            return _json({"message": "Invalid private key"}, 401)
        # The path before unquoting: an address may hold a slash.
        path = request.environ["RAW_URI"].partition("?")[0]
        if path == "/v1/analytics/tags":
            return self._tags(request.get_json())
        match path.strip("/").split("/")[1:]:
            case ["lists"]:
                return self._mailing_lists(request)
            case ["lists", name, "members", address]:
                return self._member(request.method, unquote(name), unquote(address).lower())
            case ["domains", domain, "tracking"] if domain == DOMAIN:
                return _json({"tracking": {"unsubscribe": {"active": self.handles}}})
            case [domain, "unsubscribes", address] if domain == DOMAIN:
                return self._entry(request, unquote(address))
            case [domain, kind] if domain == DOMAIN:
                return self._list(request, kind)
        return _json({"message": "Domain not found"}, 404)

    def _mailing_lists(self, request: Request) -> Response:
        start, limit = int(request.args["skip"]), int(request.args["limit"])
        found = [
            {"address": name, "name": "", "access_level": "readonly"} for name in self.mailing_lists
        ]
        return _json({"items": found[start : start + limit], "total_count": len(found)})

    def _member(self, method: str, name: str, address: str) -> Response:
        members = self.mailing_lists[name]
        if address not in members:
            return _json({"message": f"Member {address} of mailing list {name} not found"}, 404)
        if method == "DELETE":
            members.discard(address)
        return _json({"member": {"address": address}, "message": "Mailing list member"})

    def _tags(self, body: dict[str, Any]) -> Response:
        skip, limit = body["pagination"]["skip"], body["pagination"]["limit"]
        found = [tag for tag in self.tags if tag.lower().startswith(body.get("tag", "").lower())]
        items = [{"tag": tag, "account_id": "1"} for tag in found[skip : skip + limit]]
        return _json({"items": items, "pagination": {"skip": skip, "limit": limit}})

    def _list(self, request: Request, kind: str) -> Response:
        if kind in {"tags", "tag"}:
            return _json({"message": "this API was turned off"}, 410)
        if request.method == "POST":
            return self._add(request.get_json())
        return self._page(request, kind)

    def _add(self, entries: list[dict[str, Any]]) -> Response:
        if len(entries) > 1000 or self.invalid & {entry["address"] for entry in entries}:
            return _json({"message": "Batch size should be less than 1000"}, 400)
        for entry in entries:
            held = self.unsubscribed.setdefault(entry["address"].lower(), set())
            held |= set(entry.get("tags") or ["*"])
        return _json({"message": f"{len(entries)} addresses have been added"})

    def _entry(self, request: Request, address: str) -> Response:
        held = self.unsubscribed.get(address.lower())
        if held is None:
            return _json({"message": "Address not found in unsubscribers table"}, 404)
        if request.method == "GET":
            return _json({"address": address, "tags": sorted(held), "created_at": WHEN})
        tag = request.args.get("tag") if self.knows_tag_of_delete else None
        held -= {tag} if tag else set(held)
        if not held:
            del self.unsubscribed[address.lower()]
        return _json({"message": "Unsubscribe event has been removed", "address": address})

    def _page(self, request: Request, kind: str) -> Response:
        lists: dict[str, Collection[str]] = {
            "unsubscribes": self.unsubscribed,
            "complaints": self.complained,
            "bounces": self.bounced,
        }
        after = request.args.get("address", "")
        # Copied first: other requests add to it. Not sorted: it may be long, and the page short.
        later = (address for address in list(lists[kind]) if address > after)
        found = heapq.nsmallest(int(request.args["limit"]), later)
        items = [{"address": a, "created_at": WHEN} | self._row(kind, a) for a in found]
        items += [] if after else self.odd_rows.get(kind, [])
        return _json({"items": items, "paging": _PAGING})

    def _row(self, kind: str, address: str) -> dict[str, Any]:
        if kind == "unsubscribes":
            return {"tags": sorted(self.unsubscribed.get(address, ()))}
        return {"code": "550", "error": ""} if kind == "bounces" else {}


_PAGING = dict.fromkeys(("previous", "first", "next", "last"), "https://api.mailgun.net/...")


def _json(body: Any, status: int = 200) -> Response:
    return Response(json.dumps(body), status, mimetype="application/json")
