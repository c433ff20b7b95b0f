"""HubSpot's communication preferences v4 as its documentation has them, with memory."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from werkzeug.wrappers import Request, Response

from tests.connectors.tools.stand_in import StandIn, Watch

TOKEN = "pat-stand-in"
ROOT = "/communication-preferences/v4"
CONTACTS = "/crm/v3/objects/contacts"
WHEN = "2026-11-25T00:00:00Z"


class HubSpotStandIn(StandIn):
    def __init__(self, watch: Watch | None = None) -> None:
        super().__init__(watch)
        self.types = {11: "News", 12: "Offers", 99: "Events"}
        self.inactive: set[int] = set()
        self.statuses: dict[str, dict[int, str]] = {}
        self.opted_out_of_all: set[str] = set()
        self.unknown: set[str] = set()
        self.invalid: set[str] = set()
        self.poison: set[str] = set()
        self.bases: list[str | None] = []
        self.written: list[tuple[int, str]] = []
        self.contacts: dict[str, dict[str, str]] = {}
        self.ids: list[str] = []

    def handle(self, request: Request) -> Response:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return _json({"status": "error", "category": "INVALID_AUTHENTICATION"}, 401)
        if request.path == f"{ROOT}/definitions":
            return _batch([self._definition(i) for i in self.types])
        if request.path.startswith(CONTACTS):
            return self._contacts(request.path.removeprefix(CONTACTS), request.get_json())
        inputs = request.get_json()["inputs"]
        if len(inputs) > 100:
            return _json({"status": "error", "category": "VALIDATION_ERROR"}, 400)
        if request.path == f"{ROOT}/statuses/batch/read":
            known = [a for a in inputs if a not in self.unknown]
            return _batch([self._subscriber(address) for address in known])
        if request.path == f"{ROOT}/statuses/batch/write":
            return self._write(inputs)
        if request.path == f"{ROOT}/statuses/batch/unsubscribe-all":
            return self._unsubscribe_all(inputs)
        return _json({"status": "error"}, 404)

    def add(self, email: str, at: datetime) -> None:
        """Make a contact, or change it."""
        contact = self.contacts.setdefault(email.lower(), {"email": email.lower()})
        contact["lastmodifieddate"] = at.isoformat()
        if email.lower() not in self.ids:
            self.ids.append(email.lower())

    def _contacts(self, path: str, body: dict[str, Any]) -> Response:
        if path == "/search":
            return self._search(body)
        if path == "/batch/read":
            found = [self.ids[int(i["id"])] for i in body["inputs"] if int(i["id"]) < len(self.ids)]
            return _batch([self._contact(email) for email in found])
        known = [i for i in body["inputs"] if i["id"].lower() in self.contacts]
        for i in known:
            self.contacts[i["id"].lower()] |= i["properties"]
        errors = [{"category": "OBJECT_NOT_FOUND"}] * (len(body["inputs"]) - len(known))
        return _batch([self._contact(i["id"].lower()) for i in known], errors)

    def _search(self, body: dict[str, Any]) -> Response:
        groups = [group["filters"] for group in body["filterGroups"]]
        found = [
            email
            for email in sorted(self.ids, key=lambda e: self.contacts[e]["lastmodifieddate"])
            if any(all(self._fits(email, each) for each in filters) for filters in groups)
        ]
        start = int(body.get("after", 0))
        end = start + body["limit"]
        results = [self._contact(email) for email in found[start:end]]
        answer: dict[str, Any] = {"total": len(found), "results": results}
        if end < len(found):
            answer["paging"] = {"next": {"after": str(end)}}
        return _json(answer)

    def _fits(self, email: str, wanted: dict[str, str]) -> bool:
        value = self._contact(email)["properties"].get(wanted["propertyName"], "")
        if wanted["operator"] == "EQ":
            return bool(value == wanted["value"])
        return datetime.fromisoformat(value).timestamp() * 1000 >= int(wanted["value"])

    def _contact(self, email: str) -> dict[str, Any]:
        opted = {
            f"hs_email_optout_{type_}": "true"
            for type_, state in self.statuses.get(email, {}).items()
            if state == "UNSUBSCRIBED"
        }
        if email in self.opted_out_of_all:
            opted["hs_email_optout"] = "true"
        return {"id": str(self.ids.index(email)), "properties": self.contacts[email] | opted}

    def _write(self, inputs: list[dict[str, Any]]) -> Response:
        if self.poison & {i["subscriberIdString"] for i in inputs}:
            return _json({"status": "error", "category": "VALIDATION_ERROR"}, 400)
        results, errors = [], []
        for i in inputs:
            address, type_, state = i["subscriberIdString"], i["subscriptionId"], i["statusState"]
            if fault := self._fault(address):
                errors.append(fault)
                continue
            self.bases.append(i.get("legalBasis"))
            self.written.append((type_, state))
            before = self.statuses.setdefault(address.lower(), {}).get(type_)
            self.statuses[address.lower()][type_] = state
            reason = "NO_STATUS_CHANGE" if before == state else "REQUESTED_CHANGE_OCCURRED"
            results.append(self._status(address, type_, state) | {"setStatusSuccessReason": reason})
        return _batch(results, errors)

    def _unsubscribe_all(self, inputs: list[str]) -> Response:
        good = [address for address in inputs if not self._fault(address)]
        for address in good:
            self.opted_out_of_all.add(address.lower())
            self.statuses[address.lower()] = dict.fromkeys(self.types, "UNSUBSCRIBED")
        errors = [fault for address in inputs if (fault := self._fault(address))]
        return _batch([self._subscriber(address) for address in good], errors)

    def _fault(self, address: str) -> dict[str, Any] | None:
        # How an error names its input is our guess: the documentation leaves it open.
        category = "OBJECT_NOT_FOUND" if address in self.unknown else "VALIDATION_ERROR"
        if address not in self.unknown | self.invalid:
            return None
        return {
            "status": "error",
            "category": category,
            "message": category,
            "context": {"subscriberIdString": [address]},
        }

    def _subscriber(self, address: str) -> dict[str, Any]:
        states = self.statuses.get(address.lower(), {})
        return {
            "subscriberIdString": address,
            "statuses": [
                self._status(address, type_, states.get(type_, "NOT_SPECIFIED"))
                for type_ in self.types
            ],
        }

    def _status(self, address: str, type_: int, state: str) -> dict[str, Any]:
        return {
            "channel": "EMAIL",
            "source": "API",
            "status": state,
            "subscriberIdString": address,
            "subscriptionId": type_,
            "timestamp": WHEN,
        }

    def _definition(self, type_: int) -> dict[str, Any]:
        return {
            "id": str(type_),
            "name": self.types[type_],
            "description": self.types[type_],
            "isActive": type_ not in self.inactive,
            "isDefault": False,
            "isInternal": False,
            "createdAt": WHEN,
            "updatedAt": WHEN,
        }


def _batch(results: list[Any], errors: list[Any] | None = None) -> Response:
    body = {"status": "COMPLETE", "startedAt": WHEN, "completedAt": WHEN, "results": results}
    if errors:
        return _json(body | {"errors": errors, "numErrors": len(errors)}, 207)
    return _json(body)


def _json(body: Any, status: int = 200) -> Response:
    return Response(json.dumps(body), status, mimetype="application/json")
