"""SendGrid's unsubscribe groups as its description has them, with memory."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from werkzeug.wrappers import Request, Response

from preference_center.integrations.sendgrid.connector import (
    ERASE_PERMISSION,
    FIELD_PERMISSION,
    PERMISSIONS,
    READ_PERMISSIONS,
)
from tests.integrations.tools.sendgrid_exports import Exports
from tests.integrations.tools.stand_in import StandIn, Watch

KEY = "SG.stand-in"
_EMPTY: dict[str, Any] = {"list_ids": [], "segment_ids": [], "custom_fields": {}}


class SendGridStandIn(StandIn):
    def __init__(self, watch: Watch | None = None) -> None:
        super().__init__(watch)
        self.key = KEY
        self.groups = {11: "News", 12: "Offers", 99: "Events"}
        self.held: dict[int, set[str]] = {group: set() for group in self.groups}
        self.everywhere: set[str] = set()
        self.rights = [*PERMISSIONS, *READ_PERMISSIONS, FIELD_PERMISSION, ERASE_PERMISSION]
        self.contacts: dict[str, dict[str, Any]] = {}
        self.created = 1_700_000_000
        """When whatever is held was suppressed, and reported."""
        self.pages_groups = True
        """Whether the list of groups heeds `limit`, `offset` and `start_time`."""
        self.reported: dict[str, list[dict[str, Any]]] = {"spam_reports": [], "bounces": []}
        self.exports = Exports()
        self.erase_jobs: list[list[str]] = []
        self._stamps: dict[tuple[str | int, str], int] = {}
        self.odd_groups: list[dict[str, Any]] = []
        self.invalid: set[str] = set()
        self.echoes_old = True
        self.drops: set[str] = set()

    def handle(self, request: Request) -> Response:  # noqa: C901, PLR0911 - a route each
        if request.path.startswith("/files/"):
            return self.exports.file(request)
        if request.headers.get("Authorization") != f"Bearer {self.key}":
            return _json({"errors": [{"message": "authorization required"}]}, 401)
        # The path before unquoting: an address may hold a slash.
        path = request.environ["RAW_URI"].partition("?")[0]
        match path.strip("/").split("/"):
            case ["v3", "scopes"]:
                return _json({"scopes": self.rights})
            case ["v3", "asm", "groups"]:
                return _json([self._group(i) for i in self.groups])
            case ["v3", "asm", "suppressions"]:
                return _json(self._part(self._all(), request) if self.pages_groups else self._all())
            case ["v3", "recipients", "erasejob"]:
                return self._start_erasing(request.get_json()["email_addresses"])
            case ["v3", "suppression", name]:
                return self._listed(name, request)
            case ["v3", "marketing", *rest]:
                return self._market(rest, request)
            case ["v3", "asm", "groups", group, "suppressions"]:
                return self._add(int(group), request.get_json()["recipient_emails"])
            case ["v3", "asm", "groups", group, "suppressions", "search"]:
                emails = request.get_json()["recipient_emails"]
                return _json([e for e in emails if e.lower() in self.held[int(group)]])
            case ["v3", "asm", "groups", group, "suppressions", email]:
                self.held[int(group)].discard(unquote(email).lower())
                return Response(status=204)
        return _json({"errors": [{"message": "not found"}]}, 404)

    def _start_erasing(self, emails: list[str]) -> Response:
        if ERASE_PERMISSION not in self.rights:
            return _json({"errors": [{"message": "Not authorized", "field": ""}]}, 403)
        if self.invalid & set(emails):
            return _json({"errors": [{"message": "not valid", "field": "email_addresses"}]}, 400)
        self.erase_jobs.append(emails)
        return _json({"job_id": f"job-{len(self.erase_jobs)}"}, 202)

    def finish_erasing(self) -> None:
        """End all jobs; they take the suppressions, too, which nothing rules out."""
        for email in (email.lower() for job in self.erase_jobs for email in job):
            self.contacts.pop(email, None)
            for held in self.held.values():
                held.discard(email)

    def _group(self, group: int) -> dict[str, Any]:
        return {
            "id": group,
            "name": self.groups[group],
            "description": self.groups[group],
            "is_default": False,
            "unsubscribes": len(self.held[group]),
        }

    def _add(self, group: int, emails: list[str]) -> Response:
        if "asm.groups.suppressions.create" not in self.rights:
            return _json({"errors": [{"message": "access forbidden"}]}, 403)
        if self.invalid & set(emails):
            return _json({"errors": [{"message": "invalid email"}]}, 400)
        if group not in self.groups:
            self.everywhere |= {email.lower() for email in emails}  # as documented
            return _json({"recipient_emails": emails}, 201)
        emails = [email for email in emails if email not in self.drops]
        shown = [e for e in emails if self.echoes_old or e.lower() not in self.held[group]]
        self.held[group] |= {email.lower() for email in emails}
        return _json({"recipient_emails": shown}, 201)

    def _market(self, rest: list[str], request: Request) -> Response:
        match rest:
            case ["contacts", "count"]:
                return _json({"contact_count": len(self.contacts), "billable_count": 0})
            case ["contacts", "exports", *ids]:
                return self.exports.handle(request, ids, [*self.contacts.values()], self.url)
            case ["field_definitions"]:
                return _json({"custom_fields": [{"id": "e1_T", "name": "choices"}]})
            case ["contacts", "search"]:
                return self._search(request.get_json()["query"])
            case ["contacts", "search", "emails"]:
                return self._look_up(request.get_json()["emails"])
        return self._upsert(request.get_json()["contacts"])

    def add(self, email: str, at: datetime) -> None:
        """Make a contact, or change it."""
        digest = hashlib.sha256(email.encode()).hexdigest()
        contact = self.contacts.setdefault(email.lower(), dict(_EMPTY))
        moments = {"created_at": at.isoformat(), "updated_at": at.isoformat()}
        contact |= moments | {"id": digest[:32], "email": email.lower()}

    def _all(self) -> list[dict[str, Any]]:
        return [
            {
                "email": e,
                "group_id": g,
                "group_name": self.groups[g],
                "created_at": self._stamp(g, e),
            }
            for g, held in self.held.items()
            for e in sorted(held)
        ] + self.odd_groups

    def _listed(self, name: str, request: Request) -> Response:
        rows = self.reported.get(name) or (
            [{"email": e, "created": self._stamp(name, e)} for e in sorted(self.everywhere)]
            if name == "unsubscribes"
            else []
        )
        return _json(self._part(rows, request))

    def _stamp(self, what: str | int, email: str) -> int:
        """When it was suppressed: `created` of when it was first listed."""
        return self._stamps.setdefault((what, email), self.created)

    def _part(self, rows: list[dict[str, Any]], request: Request) -> list[dict[str, Any]]:
        since = int(request.args.get("start_time", 0))
        later = [
            row for row in rows if (row.get("created", row.get("created_at")) or since) >= since
        ]
        start, limit = int(request.args["offset"]), int(request.args["limit"])
        return later[start : start + min(limit, 500)]

    def _search(self, query: str) -> Response:
        since, until = (
            datetime.fromisoformat(text) for text in re.findall(r"TIMESTAMP '([^']+)'", query)
        )
        ids = re.search(r"contact_id LIKE '([0-9a-f]+)%'", query)
        found = [
            contact
            for contact in self.contacts.values()
            if since < datetime.fromisoformat(contact["updated_at"]).astimezone(UTC) <= until
            and contact["id"].startswith(ids[1] if ids else "")
        ]
        return _json({"result": found[:50], "contact_count": len(found)})

    def _look_up(self, emails: list[str]) -> Response:
        found = {
            e: {"contact": self.contacts[e.lower()]} for e in emails if e.lower() in self.contacts
        }
        missing = {
            e: {"error": "contact not found"} for e in emails if e.lower() not in self.contacts
        }
        return _json({"result": found | missing}, 200 if found else 404)

    def _upsert(self, contacts: list[dict[str, Any]]) -> Response:
        for contact in contacts:
            there = self.contacts.setdefault(contact["email"].lower(), {"custom_fields": {}})
            there["custom_fields"] = {"choices": contact["custom_fields"]["e1_T"]}
        return _json({"job_id": "1"}, 202)


def _json(body: Any, status: int = 200) -> Response:
    return Response(json.dumps(body), status, mimetype="application/json")
