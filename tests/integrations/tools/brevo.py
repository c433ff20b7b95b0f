"""Brevo's contacts and lists as its documentation has them, with memory.

Anyone who is asked for is a contact on every list, unless `strict`.
"""

from __future__ import annotations

import json
from datetime import datetime
from itertools import count
from typing import Any
from urllib.parse import unquote

from werkzeug.wrappers import Request, Response

from tests.integrations.tools.stand_in import StandIn, Watch

KEY = "xkeysib-stand-in"
WHEN = "2026-11-25T12:00:00.000+00:00"


class BrevoStandIn(StandIn):
    def __init__(self, watch: Watch | None = None) -> None:
        super().__init__(watch)
        self.lists = {11: "News", 12: "Offers", 99: "Events"}
        self.attributes = {"CHOICES": "text", "AGE": "float"}
        self._ids = count(1)
        self.contacts: dict[str, dict[str, Any]] = {}
        """By email address, or for who has none by phone number."""
        self.blocks: list[dict[str, Any]] = []
        """Of transactional mail, the newest first."""
        self.strict = False
        self.invalid: set[str] = set()
        self.no_address: set[str] = set()

    def add(self, address: str, **changes: Any) -> dict[str, Any]:
        """A contact on every list."""
        contact = self.contacts.setdefault(
            address,
            {
                "id": next(self._ids),
                "email": address,
                "emailBlacklisted": False,
                "modifiedAt": WHEN,
                "listIds": list(self.lists),
                "listUnsubscribed": None,
                "attributes": {},
            },
        )
        contact |= changes
        return contact

    def add_phone(self, number: str, **changes: Any) -> dict[str, Any]:
        """A contact without an email address."""
        held: dict[str, Any] = {
            "email": None,
            "smsBlacklisted": False,
            "attributes": {"SMS": number[1:]},
        }
        return self.add(number, **(held | changes))

    def block(self, address: str, code: str, at: str) -> None:
        """What happens when transactional mail is unsubscribed from, or doesn't arrive."""
        reason = {"code": code, "message": code}
        block = {"email": address, "senderEmail": "us@example.com", "reason": reason}
        self.blocks.insert(0, block | {"blockedAt": at})

    def handle(self, request: Request) -> Response:
        if request.headers.get("api-key") != KEY:
            return _error("unauthorized", 401)
        # The path before unquoting: an address may hold a slash.
        path = request.environ["RAW_URI"].partition("?")[0].strip("/").split("/")[1:]
        match path:
            case ["smtp", "blockedContacts"]:
                start, size = (int(request.args[name]) for name in ("offset", "limit"))
                blocks = self.blocks[start : start + size]
                return _json({"count": len(self.blocks), "contacts": blocks})
            case ["contacts", *rest]:
                return self._of_contacts(request, rest)
        return _error("document_not_found", 404)

    def _of_contacts(self, request: Request, path: list[str]) -> Response:
        match path:
            case []:
                return self._listing(request)
            case ["attributes"]:
                found = [
                    {"name": name, "category": "normal", "type": type_}
                    for name, type_ in self.attributes.items()
                ]
                return _json({"attributes": found})
            case ["lists"]:
                lists = [{"id": id_, "name": name} for id_, name in self.lists.items()]
                return _json({"count": len(lists), "lists": lists})
            case ["lists", list_, "contacts", action] if int(list_) in self.lists:
                return self._move(int(list_), action, request.get_json()["emails"])
            case [address]:
                return self._contact(request, unquote(address))
        return _error("document_not_found", 404)

    def _contact(self, request: Request, address: str) -> Response:
        by_phone = request.args.get("identifierType") == "phone_id"
        if address in self.no_address or by_phone != address.startswith("+"):
            return _error("invalid_parameter", 400)
        if by_phone:
            address = self._holder(address)
        elif not self.strict:
            self.add(address)
        if address not in self.contacts:
            return _error("document_not_found", 404)
        if request.method == "GET":
            return _json(self.contacts[address])
        if request.method == "DELETE":
            del self.contacts[address]
            return Response(status=204)
        body = request.get_json()
        self.contacts[address]["attributes"] |= body.pop("attributes", {})
        self.contacts[address] |= body | {"modifiedAt": WHEN}
        return Response(status=204)

    def _holder(self, number: str) -> str:
        """How the contact with this number is known here."""
        held = (a for a, c in self.contacts.items() if f"+{c['attributes'].get('SMS')}" == number)
        return next(held, number)

    def _move(self, list_: int, action: str, emails: list[str]) -> Response:
        if len(emails) > 150 or (self.invalid | self.no_address) & set(emails):
            return _error("invalid_parameter", 400)
        success = []
        for address in emails:
            if not self.strict:
                self.add(address)
            lists = self.contacts[address]["listIds"] if address in self.contacts else None
            if lists is not None and (list_ in lists) == (action == "remove"):
                (lists.remove if action == "remove" else lists.append)(list_)
                success.append(address)
        if not success:
            return _error("invalid_parameter", 400)
        failure = [address for address in emails if address not in success]
        return _json({"contacts": {"success": success, "failure": failure}}, 201)

    def _listing(self, request: Request) -> Response:
        found = list(self.contacts.values())
        if since := request.args.get("modifiedSince"):
            after = datetime.fromisoformat(since)
            found = [c for c in found if datetime.fromisoformat(c["modifiedAt"]) > after]
        start = int(request.args["offset"])
        page = found[start : start + int(request.args["limit"])]
        # A listing has no statistics.
        page = [{k: v for k, v in contact.items() if k != "statistics"} for contact in page]
        return _json({"contacts": page, "count": len(found)})


def _error(code: str, status: int) -> Response:
    return _json({"code": code, "message": code}, status)


def _json(body: Any, status: int = 200) -> Response:
    return Response(json.dumps(body), status, mimetype="application/json")
