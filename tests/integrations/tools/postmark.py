"""Postmark's streams and suppressions as its documentation has them, with memory."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

from werkzeug.wrappers import Request, Response

from tests.integrations.tools.stand_in import StandIn, Watch

TOKEN, ACCOUNT_TOKEN = "f1e2d3c4-stand-in", "a9b8c7d6-stand-in"


class PostmarkStandIn(StandIn):
    def __init__(self, watch: Watch | None = None) -> None:
        super().__init__(watch)
        self.streams = {
            "11": ("News", "Broadcasts"),
            "12": ("Offers", "Broadcasts"),
            "99": ("Events", "Broadcasts"),
            "outbound": ("Default", "Transactional"),
            "inbound": ("Default inbound", "Inbound"),
        }
        self.archived: set[str] = set()
        self.held: dict[str, dict[str, dict[str, Any]]] = {id_: {} for id_ in self.streams}
        self.invalid: set[str] = set()
        self.poison: set[str] = set()
        self.recipients: set[str] = set()
        """Those whom something is logged about."""
        self.removals: list[tuple[str, str]] = []
        """Address and status of each data removal."""
        self.removes_suppressions = False
        self.clock = datetime(2026, 11, 25, 11, tzinfo=UTC)

    def suppress(
        self, stream: str, address: str, reason: str = "ManualSuppression", origin: str = "Customer"
    ) -> None:
        self.clock += timedelta(seconds=1)
        row = {
            "EmailAddress": address,
            "SuppressionReason": reason,
            "Origin": origin,
            "CreatedAt": self.clock.isoformat(),
        }
        self.held[stream].setdefault(address.lower(), row)

    def finish_removals(self) -> None:
        for address, _ in self.removals:
            self.recipients.discard(address.lower())
            for held in self.held.values() if self.removes_suppressions else ():
                held.pop(address.lower(), None)
        self.removals = [(address, "Done") for address, _ in self.removals]

    def _removal(self, request: Request, id_: str) -> Response:
        if request.headers.get("X-Postmark-Account-Token") != ACCOUNT_TOKEN:
            return _json({"ErrorCode": 10, "Message": "Bad or missing API token."}, 401)
        if request.method == "POST":
            self.removals.append((request.get_json()["RequestedFor"], "Pending"))
            id_ = str(len(self.removals))
        if int(id_) > len(self.removals):
            return _json({"ErrorCode": 1, "Message": "no such request"}, 404)
        return _json({"ID": int(id_), "Status": self.removals[int(id_) - 1][1]})

    def handle(self, request: Request) -> Response:
        if request.path.startswith("/data-removals"):
            return self._removal(request, request.path.removeprefix("/data-removals").strip("/"))
        if request.headers.get("X-Postmark-Server-Token") != TOKEN:
            return _json({"ErrorCode": 10, "Message": "Bad or missing API token."}, 401)
        match request.path.strip("/").split("/"):
            case ["message-streams"]:
                streams = [self._stream(id_) for id_ in self.streams]
                return _json({"MessageStreams": streams, "TotalCount": len(streams)})
            case ["message-streams", stream, "suppressions", *rest] if stream in self.streams:
                if rest == ["dump"]:
                    return _json({"Suppressions": self._dump(stream, request.args)})
                named = [s["EmailAddress"] for s in request.get_json()["Suppressions"]]
                if len(named) > 50 or self.poison & set(named):
                    return _json({"ErrorCode": 300, "Message": "anna@example.com"}, 422)
                settle = self._reactivate if rest else self._suppress
                return _json({"Suppressions": [settle(stream, address) for address in named]})
        return _json({"ErrorCode": 1226, "Message": "no such stream"}, 422)

    def _stream(self, id_: str) -> dict[str, Any]:
        name, kind = self.streams[id_]
        when = "2026-01-01T00:00:00-05:00"
        return {
            "ID": id_,
            "ServerID": 1,
            "Name": name,
            "Description": None,
            "MessageStreamType": kind,
            "CreatedAt": when,
            "UpdatedAt": None,
            "ArchivedAt": when if id_ in self.archived else None,
        }

    def _dump(self, stream: str, query: Any) -> list[dict[str, Any]]:
        first = date.fromisoformat(query.get("fromdate", "2000-01-01"))
        last = date.fromisoformat(query.get("todate", "2999-01-01"))
        return [
            row
            for address, row in self.held[stream].items()
            if query.get("EmailAddress", address).lower() == address
            and first <= datetime.fromisoformat(row["CreatedAt"]).date() <= last
        ]

    def _suppress(self, stream: str, address: str) -> dict[str, Any]:
        held = self.held[stream].get(address.lower())
        if address in self.invalid or (held and held["SuppressionReason"] == "SpamComplaint"):
            return {"EmailAddress": address, "Status": "Failed", "Message": "No."}
        self.suppress(stream, address)
        return {"EmailAddress": address, "Status": "Suppressed", "Message": None}

    def _reactivate(self, stream: str, address: str) -> dict[str, Any]:
        held = self.held[stream].get(address.lower())
        if held and held["SuppressionReason"] == "SpamComplaint":
            return {"EmailAddress": address, "Status": "Failed", "Message": "No."}
        self.held[stream].pop(address.lower(), None)
        return {"EmailAddress": address, "Status": "Deleted", "Message": None}


def _json(body: Any, status: int = 200) -> Response:
    return Response(json.dumps(body), status, mimetype="application/json")
