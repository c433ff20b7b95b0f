"""A webhook's receiver: checks the signature and keeps what is pushed to it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from standardwebhooks.webhooks import Webhook
from werkzeug.wrappers import Request, Response

from tests.integrations.tools.stand_in import StandIn

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Receiver(StandIn):
    def __init__(self) -> None:
        super().__init__()
        self.secret = SECRET
        self.off: dict[str, set[str]] = {}
        self.persons: set[str] = set()
        self.ids: list[str] = []
        self.payloads: list[dict[str, Any]] = []
        self.targets: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.bodies: list[str] = []

    def handle(self, request: Request) -> Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        body = request.get_data(as_text=True)
        # Not `verify`: it holds the timestamp against the machine's clock.
        sent_at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
        signature = Webhook(self.secret).sign(headers["webhook-id"], sent_at, body)
        if signature not in headers["webhook-signature"].split(" "):
            return Response(status=400)
        payload = json.loads(body)
        self.headers.append(headers)
        self.bodies.append(body)
        self.ids.append(headers["webhook-id"])
        self.payloads.append(payload)
        self.targets.append(request.full_path)
        if payload["type"] == "contact.erased":
            for item in payload["data"]["items"]:
                self.persons.discard(item["address"])
            return Response(status=204)
        for item in payload["data"]["items"]:
            held = self.off.setdefault(item["address"], set())
            held |= set(item["off"])
            held -= set(item["lift"])
        return Response(status=204)
