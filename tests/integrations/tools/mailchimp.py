"""One Mailchimp audience as the documentation has it, with memory.

Members are known by the MD5 of their address only, so anyone who is asked for is a subscribed
member of every group, unless `unknown` or `strict`.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import Any

from werkzeug.wrappers import Request, Response

from tests.integrations.tools.stand_in import StandIn, Watch

KEY = "0123456789abcdef-us21"
AUDIENCE = "a1b2c3d4e5"
WHEN = "2026-11-25T10:00:00+00:00"


def member_id(address: str) -> str:
    return hashlib.md5(address.lower().encode(), usedforsecurity=False).hexdigest()


class MailchimpStandIn(StandIn):
    def __init__(self, watch: Watch | None = None) -> None:
        super().__init__(watch)
        self.role = "manager"
        self.audiences = {AUDIENCE}
        self.groups = {"11": "News", "12": "Offers", "99": "Events"}
        self.fields = {"PREFS": "url", "AGE": "number"}
        self.members: dict[str, dict[str, Any]] = {}
        self.unknown: set[str] = set()
        self.strict = False
        self.invalid: set[str] = set()
        self.in_person: set[str] = set()
        self.ignored: set[str] = set()
        """Members whose status stays, though a change of it is answered as if it were made."""
        self.written: list[dict[str, Any]] = []
        self.texts: dict[str, dict[str, Any]] = {}
        """Phone number -> contact, whose consent to text messages it has."""
        self.forgotten: set[str] = set()
        """Members that were permanently deleted: none of them can be added again."""
        self.double_optin = False

    def member(self, id_: str) -> dict[str, Any]:
        if id_ not in self.members:
            self.members[id_] = {
                "id": id_,
                "email_address": "",
                "status": "subscribed",
                "interests": dict.fromkeys(self.groups, True),
                "merge_fields": {"PREFS": ""},
                "last_changed": WHEN,
            }
        return self.members[id_]

    def add_phone(self, number: str, value: str = "subscribed", changed: str = WHEN) -> None:
        """A contact without an email address."""
        sms = {
            "sms_phone": number,
            "hashed_sms_phone": hashlib.sha256(number.encode()).hexdigest(),
            "effective_subscription_status": {"value": value},
        }
        id_ = self.texts.get(number, {}).get("id") or f"C{len(self.texts)}"
        contact = {"id": id_, "audience_id": AUDIENCE, "status": "active", "sms_channel": sms}
        self.texts[number] = contact | {"email_channel": {}, "last_updated_at": changed}

    def _knows(self, id_: str) -> bool:
        return id_ not in self.unknown | self.forgotten and (not self.strict or id_ in self.members)

    def of(self, address: str) -> dict[str, Any]:
        return self.member(member_id(address))

    def add(self, address: str, status: str, changed: str = WHEN) -> None:
        self.of(address).update(email_address=address, status=status, last_changed=changed)

    def handle(self, request: Request) -> Response:
        auth = request.authorization
        if auth is None or auth.type != "basic" or auth.password != KEY:
            return _problem(401, "API Key Invalid")
        match request.path.strip("/").split("/"):
            case ["3.0"]:
                return _json({"role": self.role})
            case ["3.0", "lists", audience, *rest] if audience in self.audiences:
                return self._in_audience(rest, request)
            case ["3.0", "audiences", audience, "contacts", *rest] if audience in self.audiences:
                return self._contacts(rest, request)
        return _problem(404, "Resource Not Found")

    def _contacts(self, path: list[str], request: Request) -> Response:
        if not path:
            return self._listed_contacts(request.args)
        name, *action = path
        for number, contact in [*self.texts.items()]:
            sms = contact["sms_channel"]
            if name in {contact["id"], f"sms:{sms['hashed_sms_phone']}"}:
                if action == ["actions", "forget"]:
                    del self.texts[number]
                    return Response(status=204)
                if request.method == "PATCH":
                    if member_id(number) in self.invalid:
                        return _problem(400, "Invalid Resource")
                    self._consent(contact, request.get_json()["sms_channel"])
                return _json(contact)
        return _problem(404, "Resource Not Found")

    def _consent(self, contact: dict[str, Any], asked: dict[str, Any]) -> None:
        consent = asked["marketing_consent"]["status"]
        granted = {"consented": "pending" if self.double_optin else "subscribed"}
        value = granted | {"denied": "unsubscribed", "confirmed": "subscribed"}
        contact["sms_channel"]["effective_subscription_status"] = {"value": value[consent]}
        contact["last_updated_at"] = WHEN

    def _listed_contacts(self, query: Any) -> Response:
        found = sorted(self.texts.values(), key=lambda contact: contact["last_updated_at"])
        if since := query.get("updated_since"):
            after = datetime.fromisoformat(since)
            found = [c for c in found if datetime.fromisoformat(c["last_updated_at"]) > after]
        start, count = int(query.get("cursor", 0)), min(int(query["count"]), 100)
        page = {"contacts": found[start : start + count]}
        more = {"next_cursor": str(start + count)} if start + count < len(found) else {}
        return _json(page | more)

    def _in_audience(self, path: list[str], request: Request) -> Response:
        match request.method, path:
            case "POST", []:
                return self._batch(request.get_json())
            case "POST", ["members", id_, "actions", "delete-permanent"] if self._knows(id_):
                self.members.pop(id_, None)
                self.forgotten.add(id_)
                return Response(status=204)
            case "PATCH", ["members", id_] if self._knows(id_):
                return self._change(id_, request.get_json())
            case "GET", path:
                found = self._found(path, request)
                return _json(found) if found else _problem(404, "Resource Not Found")
        return _problem(404, "Resource Not Found")

    def _found(self, path: list[str], request: Request) -> dict[str, Any] | None:
        match path:
            case []:
                return {"id": AUDIENCE, "double_optin": self.double_optin}
            case ["interest-categories"]:
                return {"categories": [{"id": "c1", "title": "Topics"}]}
            case ["interest-categories", "c1", "interests"]:
                return {"interests": [{"id": i, "name": n} for i, n in self.groups.items()]}
            case ["merge-fields"]:
                fields = self.fields.items()
                return {"merge_fields": [{"tag": tag, "type": type_} for tag, type_ in fields]}
            case ["members"]:
                return {"members": self._listed(request)}
            case ["members", id_] if self._knows(id_):
                return self.member(id_)
        return None

    def _change(self, id_: str, body: dict[str, Any]) -> Response:
        member = self.member(id_)
        if body.get("status") == "subscribed" and id_ in self.in_person:
            return _problem(400, "Member In Compliance State")
        if id_ in self.invalid or not body.get("interests", {}).keys() <= self.groups.keys():
            return _problem(400, "Invalid Resource")
        self.written.append(body)
        if id_ in self.ignored:
            return _json(member | body)
        member["status"] = body.get("status", member["status"])
        for part in ("interests", "merge_fields"):
            member[part] |= body.get(part, {})
        return _json(member)

    def _batch(self, body: dict[str, Any]) -> Response:
        if len(body["members"]) > 500:
            return _problem(400, "Invalid Resource")
        answer: dict[str, list[Any]] = {"new_members": [], "updated_members": [], "errors": []}
        for change in body["members"]:
            id_, address = member_id(change["email_address"]), change["email_address"]
            if id_ in self.invalid | self.forgotten:
                error = {"email_address": address, "error": "", "error_code": "ERROR_GENERIC"}
                answer["errors"].append(error)
                continue
            known = self._knows(id_)
            self.unknown.discard(id_)
            self.member(id_).update(change)
            answer["updated_members" if known else "new_members"].append(self.member(id_))
        return _json(answer)

    def _listed(self, request: Request) -> list[dict[str, Any]]:
        query = request.args
        found = [m for m in self.members.values() if m["email_address"]]
        if "status" in query:
            found = [m for m in found if m["status"] == query["status"]]
        for since in ("since_last_changed", "unsubscribed_since"):
            if since in query:
                after = datetime.fromisoformat(query[since])
                found = [m for m in found if datetime.fromisoformat(m["last_changed"]) > after]
        found.sort(key=lambda m: m["last_changed"])
        start = int(query["offset"])
        return found[start : start + int(query["count"])]


def _problem(status: int, title: str) -> Response:
    body = {"type": "https://mailchimp.com/developer/marketing/docs/errors/", "title": title}
    return _json(body | {"status": status, "detail": "", "instance": ""}, status)


def _json(body: Any, status: int = 200) -> Response:
    return Response(json.dumps(body), status, mimetype="application/json")
