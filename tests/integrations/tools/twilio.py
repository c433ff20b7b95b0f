"""Twilio's consents as its description has them, with memory."""

from __future__ import annotations

import json
from typing import Any

from werkzeug.wrappers import Request, Response

from tests.integrations.tools.stand_in import StandIn, Watch

KEY, SECRET = "SK00000000000000000000000000000001", "twilio-secret"
MOST = 25


class TwilioStandIn(StandIn):
    def __init__(self, watch: Watch | None = None) -> None:
        super().__init__(watch)
        self.senders = {"+15550100", "MG00000000000000000000000000000001"}
        self.off: dict[str, set[str]] = {}
        """Number -> senders that it has opted out of."""
        self.consents: list[dict[str, str]] = []
        self.invalid: set[str] = set()
        self.code = 0
        """Instead of 0, of an error that is about nothing in particular."""

    def handle(self, request: Request) -> Response:
        given = request.authorization
        if given is None or (given.username, given.password) != (KEY, SECRET):
            return _json({"code": 20003, "message": "Authenticate", "status": 401}, 401)
        if (request.method, request.path) != ("POST", "/v1/Consents/Bulk"):
            return _json({"code": 20404, "message": "not found", "status": 404}, 404)
        request.get_data()  # kept, for who watches
        items = [json.loads(item) for item in request.form.getlist("Items")]
        if not 0 < len(items) <= MOST:
            return _json({"code": 20001, "message": "Items", "status": 400}, 400)
        return _json({"items": [self._take(item) for item in items]}, 201)

    def _take(self, item: dict[str, str]) -> dict[str, Any]:
        self.consents.append(item)
        number, sender = item["contact_id"], item["sender_id"]
        fault = (self.code, "TRY_AGAIN") if self.code else (0, "")
        if number in self.invalid:
            fault = (30646, "INVALID_CONTACT_ID")
        if sender not in self.senders:
            fault = (30647, "INVALID_SENDER_ID")
        if not fault[0]:
            held = self.off.setdefault(number, set())
            (held.add if item["status"] == "opt-out" else held.discard)(sender)
        return {
            "correlation_id": item["correlation_id"],
            "error_code": fault[0],
            "error_messages": [fault[1]] if fault[0] else [],
        }


def _json(body: Any, status: int) -> Response:
    return Response(json.dumps(body), status, mimetype="application/json")
