"""SendGrid's unsubscribe groups as its description has them, with memory."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

from werkzeug.wrappers import Request, Response

from tests.connectors.tools.stand_in import StandIn, Watch
from workers.connectors.sendgrid import RIGHTS

KEY = "SG.stand-in"


class SendGridStandIn(StandIn):
    def __init__(self, watch: Watch | None = None) -> None:
        super().__init__(watch)
        self.key = KEY
        self.groups = {11: "News", 12: "Offers", 99: "Events"}
        self.held: dict[int, set[str]] = {group: set() for group in self.groups}
        self.everywhere: set[str] = set()
        self.rights = list(RIGHTS)
        self.invalid: set[str] = set()
        self.echoes_old = True
        self.drops: set[str] = set()

    def handle(self, request: Request) -> Response:
        if request.headers.get("Authorization") != f"Bearer {self.key}":
            return _json({"errors": [{"message": "authorization required"}]}, 401)
        # The path before unquoting: an address may hold a slash.
        path = request.environ["RAW_URI"].partition("?")[0]
        match path.strip("/").split("/"):
            case ["v3", "scopes"]:
                return _json({"scopes": self.rights})
            case ["v3", "asm", "groups"]:
                return _json([self._group(i) for i in self.groups])
            case ["v3", "asm", "groups", group, "suppressions"]:
                return self._add(int(group), request.get_json()["recipient_emails"])
            case ["v3", "asm", "groups", group, "suppressions", "search"]:
                emails = request.get_json()["recipient_emails"]
                return _json([e for e in emails if e.lower() in self.held[int(group)]])
            case ["v3", "asm", "groups", group, "suppressions", email]:
                self.held[int(group)].discard(unquote(email).lower())
                return Response(status=204)
        return _json({"errors": [{"message": "not found"}]}, 404)

    def _group(self, group: int) -> dict[str, Any]:
        return {
            "id": group,
            "name": self.groups[group],
            "description": self.groups[group],
            "is_default": False,
            "unsubscribes": len(self.held[group]),
        }

    def _add(self, group: int, emails: list[str]) -> Response:
        if self.invalid & set(emails):
            return _json({"errors": [{"message": "invalid email"}]}, 400)
        if group not in self.groups:
            self.everywhere |= {email.lower() for email in emails}  # as documented
            return _json({"recipient_emails": emails}, 201)
        emails = [email for email in emails if email not in self.drops]
        shown = [e for e in emails if self.echoes_old or e.lower() not in self.held[group]]
        self.held[group] |= {email.lower() for email in emails}
        return _json({"recipient_emails": shown}, 201)


def _json(body: Any, status: int = 200) -> Response:
    return Response(json.dumps(body), status, mimetype="application/json")
