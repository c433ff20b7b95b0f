"""HubSpot's communication preferences 2026-03 as its documentation has them, with memory."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

from werkzeug.wrappers import Request, Response

from tests.integrations.tools.stand_in import StandIn, Watch

TOKEN = "pat-stand-in"
ROOT = "/communication-preferences/2026-03"
CONTACTS = "/crm/objects/2026-03/contacts"
TOKEN_INFO = "/oauth/v2/private-apps/get/access-token-info"
WHEN = "2026-11-25T00:00:00Z"
BATCH_READ = "communication_preferences.statuses.batch.read"
BATCH_WRITE = "communication_preferences.statuses.batch.write"
SCOPES = (
    "communication_preferences.read",
    "communication_preferences.write",
    BATCH_READ,
    BATCH_WRITE,
    "crm.objects.contacts.read",
    "crm.objects.contacts.write",
)


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
        self.scopes: set[str] = set(SCOPES)
        self.tells_scopes = True
        self.limits: dict[str, str] = {}
        self.now = datetime(2026, 11, 20, tzinfo=UTC)
        self.stamps: dict[tuple[str, int | None], datetime] = {}
        self.contacts: dict[str, dict[str, str]] = {}
        self.ids: list[str] = []
        """Addresses of the contacts by their ids; empty for one that was deleted."""
        self.barred: set[str] = set()

    def handle(self, request: Request) -> Response:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return _json({"status": "error", "category": "INVALID_AUTHENTICATION"}, 401)
        if request.path == TOKEN_INFO:
            if not self.tells_scopes:
                return _json({"status": "error", "category": "NOT_FOUND"}, 404)
            return _json({"userId": 1, "hubId": 2, "appId": 3, "scopes": sorted(self.scopes)})
        if request.path.startswith(CONTACTS):
            return self._contacts(request.path.removeprefix(CONTACTS), request.get_json())
        if request.path == f"{ROOT}/definitions":
            if not self._may("communication_preferences.read"):
                return _missing("communication_preferences.read")
            return _batch([self._definition(i) for i in self.types], headers=self.limits)
        # The path before unquoting: an address may hold a slash.
        path = request.environ["RAW_URI"].partition("?")[0].removeprefix(f"{ROOT}/statuses/")
        if path.startswith("batch/"):
            return self._in_batches(path, request)
        return self._single(request, *map(unquote, path.split("/")))

    def _may(self, *scopes: str) -> bool:
        return bool(self.scopes & {*scopes, "communication_preferences.read_write"})

    def _in_batches(self, path: str, request: Request) -> Response:
        scope = BATCH_READ if path.endswith("/read") else BATCH_WRITE
        if scope not in self.scopes:
            return _missing(scope)
        inputs = request.get_json()["inputs"]
        if len(inputs) > 100:
            return _json({"status": "error", "category": "VALIDATION_ERROR"}, 400)
        if path == "batch/write":
            return self._write(inputs)
        if path == "batch/unsubscribe-all":
            return self._unsubscribe_all(inputs)
        known = [a for a in inputs if a not in self.unknown]
        if path == "batch/read":
            return _batch([self._subscriber(address) for address in known])
        return _batch([{"subscriberIdString": a, "wideStatuses": self._wide(a)} for a in known])

    def _single(self, request: Request, address: str, what: str = "") -> Response:
        verb = "read" if request.method == "GET" else "write"
        if not self._may(f"communication_preferences.{verb}"):
            return _missing(f"communication_preferences.{verb}")
        if address in self.unknown:
            return _json({"status": "error", "category": "OBJECT_NOT_FOUND"}, 404)
        if address in self.poison | self.invalid:
            return _json({"status": "error", "category": "VALIDATION_ERROR"}, 400)
        match verb, what:
            case "read", "":
                return _batch(self._subscriber(address)["statuses"])
            case "read", _:
                return _batch(self._wide(address))
            case _, "":
                return self._write([request.get_json() | {"subscriberIdString": address}])
        self._unsubscribe_all([address])
        return _batch(self._subscriber(address)["statuses"])

    def _wide(self, address: str) -> list[dict[str, Any]]:
        if address.lower() not in self.opted_out_of_all:
            return []
        return [
            {
                "channel": "EMAIL",
                "status": "UNSUBSCRIBED",
                "subscriberIdString": address,
                "timestamp": self._when(address, None),
                "wideStatusType": "PORTAL_WIDE",
            }
        ]

    def leave(self, address: str, type_: int | None = None) -> datetime:
        """What a person does on HubSpot's own page; all types without `type_`."""
        email = address.lower()
        self.now += timedelta(seconds=1)
        if type_ is None:
            self.opted_out_of_all.add(email)
        else:
            self.statuses.setdefault(email, {})[type_] = "UNSUBSCRIBED"
        self.stamps[email, type_] = self.now
        return self.now

    def _when(self, address: str, type_: int | None) -> str:
        stamp = self.stamps.get((address.lower(), type_))
        return stamp.isoformat() if stamp else WHEN

    def add(self, email: str, at: datetime) -> None:
        """Make a contact, or change it."""
        contact = self.contacts.setdefault(email.lower(), {"email": email.lower()})
        contact["lastmodifieddate"] = at.isoformat()
        if email.lower() not in self.ids:
            self.ids.append(email.lower())

    def _contacts(self, path: str, body: dict[str, Any]) -> Response:
        if path == "/search":
            return self._search(body)
        if path == "/gdpr-delete":
            assert body["idProperty"] == "email"
            email = body["objectId"].lower()
            self.barred.add(email)
            self.contacts.pop(email, None)
            self.ids = ["" if each == email else each for each in self.ids]
            return Response(status=204)
        if path == "/batch/read" and body.get("idProperty") == "email":
            asked = [i["id"].lower() for i in body["inputs"]]
            return _batch([self._contact(email) for email in asked if email in self.contacts])
        if path == "/batch/read":
            found = [self.ids[int(i["id"])] for i in body["inputs"] if int(i["id"]) < len(self.ids)]
            return _batch([self._contact(email) for email in found])
        known = [i for i in body["inputs"] if i["id"].lower() in self.contacts]
        for i in known:
            self.contacts[i["id"].lower()] |= i["properties"]
        errors = [_error("OBJECT_NOT_FOUND")] * (len(body["inputs"]) - len(known))
        return _batch([self._contact(i["id"].lower()) for i in known], errors)

    def _search(self, body: dict[str, Any]) -> Response:
        groups = [group["filters"] for group in body["filterGroups"]]
        found = [
            email
            for email in sorted(
                filter(None, self.ids), key=lambda e: self.contacts[e]["lastmodifieddate"]
            )
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
        return {
            "id": str(self.ids.index(email)),
            "properties": self.contacts[email] | opted,
            "createdAt": WHEN,
            "updatedAt": WHEN,
            "archived": False,
        }

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
        return _batch(results, errors, status=200)

    def _unsubscribe_all(self, inputs: list[str]) -> Response:
        good = [address for address in inputs if not self._fault(address)]
        for address in good:
            self.opted_out_of_all.add(address.lower())
            self.statuses[address.lower()] = dict.fromkeys(self.types, "UNSUBSCRIBED")
        errors = [fault for address in inputs if (fault := self._fault(address))]
        return _batch([self._subscriber(address) for address in good], errors, status=200)

    def _fault(self, address: str) -> dict[str, Any] | None:
        # How an error names its input is our guess: the documentation leaves it open.
        category = "OBJECT_NOT_FOUND" if address in self.unknown else "VALIDATION_ERROR"
        if address not in self.unknown | self.invalid:
            return None
        return _error(category) | {"context": {"subscriberIdString": [address]}}

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
            "timestamp": self._when(address, type_),
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


def _batch(
    results: list[Any],
    errors: list[Any] | None = None,
    *,
    status: int = 207,
    headers: dict[str, str] | None = None,
) -> Response:
    body = {"status": "COMPLETE", "startedAt": WHEN, "completedAt": WHEN, "results": results}
    if errors:
        return _json(body | {"errors": errors, "numErrors": len(errors)}, status)
    return _json(body, headers=headers)


def _error(category: str) -> dict[str, Any]:
    error = {"status": "error", "category": category, "message": category}
    return {**error, "context": {}, "errors": [], "links": {}}


def _missing(scope: str) -> Response:
    detail = {
        "message": "One or more of these scopes are required.",
        "context": {"scopes": [scope]},
    }
    return _json(_error("MISSING_SCOPES") | {"errors": [detail]}, 403)


def _json(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(json.dumps(body), status, headers, mimetype="application/json")
