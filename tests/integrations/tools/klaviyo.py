"""Klaviyo's profiles and lists as its description has them, with memory.

Anyone who is asked for has a profile on every list, unless `strict`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import reduce
from typing import Any

from werkzeug.wrappers import Request, Response

from tests.integrations.tools.stand_in import StandIn, Watch

KEY = "pk_stand_in"
WHEN = "2026-11-25T10:00:00+00:00"
BASE = "https://a.klaviyo.com"
PAGE = 100
_LIST_FIELD = "list_suppressions"


class KlaviyoStandIn(StandIn):
    def __init__(self, watch: Watch | None = None) -> None:
        super().__init__(watch)
        self.lists = {"11": "News", "12": "Offers", "99": "Events"}
        self.on: dict[str, list[str]] = {list_: [] for list_ in self.lists}
        self.profiles: dict[str, dict[str, Any]] = {}
        self.phones: dict[str, dict[str, Any]] = {}
        """Number -> SMS consent; all of them are of one profile each, without an address."""
        self.twins: dict[str, dict[str, Any]] = {}
        """Number -> SMS consent of another profile that has it too."""
        self.blank: dict[str, Any] = {}
        """What all profiles that are known by a number have instead."""
        self.strict = False
        self.slow_jobs = False
        self.old_cursors = False
        self.nulls: tuple[str, ...] = ()
        """Path, within a profile, of what is null in each answer about `null_for`."""
        self.null_for = ""
        self.invalid: set[str] = set()
        self.jobs: list[tuple[str, list[str]]] = []
        self.emails: dict[str, str] = {}
        """Number -> the address of the profile that has both."""
        self.may_delete = True
        self.deleting: list[str] = []
        """Whose profile is to be deleted, which takes time."""

    def add(self, address: str) -> dict[str, Any]:
        """A profile on every list."""
        if address not in self.profiles:
            self.profiles[address] = {"suppression": [], _LIST_FIELD: [], "properties": {}}
            for members in self.on.values():
                members.append(address)
        return self.profiles[address]

    def add_phone(self, number: str) -> dict[str, Any]:
        """A profile that is known by its number, and subscribed to texts."""
        if number not in self.phones:
            self.phones[number] = _consent("SUBSCRIBED")
        return self.phones[number]

    def revoke(self, number: str) -> None:
        """What a texted STOP does."""
        self.phones[number] = _consent("UNSUBSCRIBED")

    def suppress(self, address: str, reason: str) -> None:
        self.add(address)["suppression"].append({"reason": reason, "timestamp": WHEN})

    def unsubscribe(self, address: str, list_: str) -> None:
        entry = {"list_id": list_, "reason": "UNSUBSCRIBE", "timestamp": WHEN}
        self.add(address)[_LIST_FIELD].append(entry)
        self.on[list_].remove(address)

    def handle(self, request: Request) -> Response:  # noqa: PLR0911 - one for each route
        if request.headers.get("Authorization") != f"Klaviyo-API-Key {KEY}":
            return _error(401)
        match request.method, *request.path.strip("/").split("/")[1:]:
            case "GET", "lists":
                names = self.lists.items()
                return _json(_document([_named(i, name) for i, name in names], request))
            case "GET", "profiles":
                return self._profiles(request)
            case "GET", "lists", list_, "profiles" if list_ in self.lists:
                return self._listing(request, self.on[list_])
            case method, "lists", list_, "relationships", "profiles" if list_ in self.lists:
                return self._relate(method, list_, request.get_json(force=True)["data"])
            case "POST", "data-privacy-deletion-jobs":
                return self._delete(request.get_json(force=True)["data"]["attributes"])
            case "POST", jobs:
                return self._job(jobs, request.get_json(force=True))
            case "PATCH", "profiles", id_:
                changes = request.get_json(force=True)["data"]["attributes"]
                return self._change(request, id_.removeprefix("id:"), changes)
        return _error(404)

    def _change(self, request: Request, holder: str, changes: dict[str, Any]) -> Response:
        if "phone_number" in changes:
            assert changes["phone_number"] is None
            row = self._known_by_phone(holder)
            del self.phones[holder]
            row["attributes"]["phone_number"] = None
            return _json(_document(row, request))
        self.profiles[holder]["properties"] |= changes["properties"]
        return _json(_document(self._profile(holder), request))

    def _delete(self, attributes: dict[str, Any]) -> Response:
        if not self.may_delete:
            return _error(403)
        self.deleting.append(attributes["profile"]["data"]["id"].removeprefix("id:"))
        return Response(status=202)

    def finish_deleting(self) -> None:
        for holder in self.deleting:
            for held in (self.profiles, self.phones, self.twins):
                held.pop(holder, None)
            for members in self.on.values():
                if holder in members:
                    members.remove(holder)
        self.deleting.clear()

    def _profiles(self, request: Request) -> Response:
        """By phone, or all that were updated; else `_listing`."""
        asked = request.args.get("filter", "")
        if wanted := re.fullmatch(r"any\(phone_number,(.*)\)", asked):
            numbers = json.loads(wanted[1])
            if self.invalid & set(numbers):
                return _error(400)
            rows = [
                self._known_by_phone(n, held[n])
                for n in numbers
                for held in (self.phones, self.twins)
                if n in held
            ]
            return _json(_document(rows, request))
        if named := re.fullmatch(r"any\(id,(.*)\)", asked):
            ids = json.loads(named[1])
            rows = [self._known_by_phone(n) for n in self.phones if f"id:{n}" in ids]
            if rows:
                return _json(_document(rows, request))
        if "updated" in asked:
            rows = [self._known_by_phone(n) for n in self.phones]
            rows += [self._profile(a) for a in self.profiles]
            return self._paged(rows, request)
        return self._listing(request, self.profiles)

    def _known_by_phone(self, number: str, consent: dict[str, Any] | None = None) -> dict[str, Any]:
        attributes = {
            "phone_number": number,
            "email": self.emails.get(number),
            "properties": {},
            "subscriptions": {"sms": {"marketing": consent or self.phones[number]}},
        }
        attributes |= self.blank
        links = {"self": f"{BASE}/api/profiles/x"}
        return {"type": "profile", "id": f"id:{number}", "attributes": attributes, "links": links}

    def _consent_job(self, jobs: str, rows: list[dict[str, Any]]) -> Response:
        numbers = [row["attributes"]["phone_number"] for row in rows]
        if self.invalid & set(numbers):
            return _error(400)
        self.jobs.append((jobs, numbers))
        for row in [] if self.slow_jobs else rows:
            asked = row["attributes"]["subscriptions"]["sms"]["marketing"]["consent"]
            self.phones[row["attributes"]["phone_number"]] = _consent(asked)  # made if it is new
        return Response(status=202)

    def _listing(self, request: Request, among: Iterable[str]) -> Response:
        asked, cursor = request.args.get("filter", ""), request.args.get("page[cursor]", "")
        if cursor and self.old_cursors:
            return _error(400)
        if named := re.fullmatch(r"any\(id,(.*)\)", asked):
            addresses = [a for a in among if f"id:{a}" in json.loads(named[1])]
        elif wanted := re.fullmatch(r"any\(email,(.*)\)", asked):
            wanted_addresses = json.loads(wanted[1])
            if self.invalid & set(wanted_addresses):
                return _error(400)
            if not self.strict:
                for address in wanted_addresses:
                    self.add(address)
            addresses = [a for a in among if a in wanted_addresses]
        elif _LIST_FIELD in asked:
            list_ = asked.split('"')[1]
            addresses = [a for a in among if list_ in self._held(a)]
        elif "suppression" in asked:
            addresses = [a for a in among if self.profiles[a]["suppression"]]
        else:
            addresses = list(among)
        return self._paged([self._profile(address) for address in addresses], request)

    def _paged(self, rows: list[dict[str, Any]], request: Request) -> Response:
        start = int(request.args.get("page[cursor]", 0))
        end = start + int(request.args["page[size]"])
        return _json(_document(rows[start:end], request, str(end) if end < len(rows) else ""))

    def _held(self, address: str) -> set[str]:
        return {held["list_id"] for held in self.profiles[address][_LIST_FIELD]}

    def _relate(self, method: str, list_: str, data: list[dict[str, str]]) -> Response:
        for row in data:
            address = row["id"].removeprefix("id:")
            if method == "DELETE":
                self.on[list_].remove(address)
            elif address not in self.on[list_]:
                self.on[list_].append(address)
        return Response(status=204)

    def _job(self, jobs: str, body: dict[str, Any]) -> Response:
        rows = body["data"]["attributes"]["profiles"]["data"]
        if "subscription" in jobs:
            return self._consent_job(jobs, rows)
        addresses = [row["attributes"]["email"] for row in rows]
        self.jobs.append((jobs, addresses))
        for address in [] if self.slow_jobs else addresses:
            if "create" in jobs:
                self.suppress(address, "USER_SUPPRESSED")
            else:
                kept = self.profiles[address]["suppression"]
                kept[:] = [s for s in kept if s["reason"] != "USER_SUPPRESSED"]
        attributes = {"status": "queued", "created_at": WHEN, "total_count": len(addresses)}
        job = {"type": jobs[:-1], "id": f"job{len(self.jobs)}", "attributes": attributes}
        return _json({"data": job | {"links": {"self": f"{BASE}/api/{jobs}/1"}}}, 202)

    def _profile(self, address: str) -> dict[str, Any]:
        held = self.profiles[address]
        marketing = {
            "can_receive_email_marketing": not held["suppression"],
            "consent": "SUBSCRIBED",
            "suppression": held["suppression"],
            _LIST_FIELD: held[_LIST_FIELD],
        }
        attributes = {
            "email": address,
            "properties": held["properties"],
            "subscriptions": {"email": {"marketing": marketing}},
        }
        links = {"self": f"{BASE}/api/profiles/x"}
        row: dict[str, Any] = {
            "type": "profile",
            "id": f"id:{address}",
            "attributes": attributes,
            "links": links,
        }
        if address == self.null_for:
            *above, last = self.nulls
            reduce(lambda part, name: part[name], above, row)[last] = None
        return row


def _consent(consent: str) -> dict[str, Any]:
    can_receive = consent == "SUBSCRIBED"
    return {
        "can_receive_sms_marketing": can_receive,
        "consent": consent,
        "consent_timestamp": WHEN,
        "method": None,
        "last_updated": WHEN,
    }


def _named(id_: str, name: str) -> dict[str, Any]:
    return {"type": "list", "id": id_, "attributes": {"name": name}}


def _document(data: Any, request: Request, cursor: str = "") -> dict[str, Any]:
    links = {"self": f"{BASE}{request.path}"}
    if cursor:
        links["next"] = f"{BASE}{request.path}?page%5Bcursor%5D={cursor}"
    return {"data": data, "links": links}


def _error(status: int) -> Response:
    return _json({"errors": [{"id": "1", "code": "x", "title": "x", "detail": "x"}]}, status)


def _json(body: Any, status: int = 200) -> Response:
    return Response(json.dumps(body), status, mimetype="application/vnd.api+json")
