"""Meta's custom audiences as its reference has them, with memory. Everybody is in each at first."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qsl

from werkzeug.wrappers import Request, Response

from tests.integrations.tools.stand_in import StandIn, Watch

TOKEN = "EAAstand-in"
ACCOUNT = "120200000000000001"
MOST = 10_000
_HASH = re.compile(r"[0-9a-f]{64}")


class MetaStandIn(StandIn):
    def __init__(self, watch: Watch | None = None) -> None:
        super().__init__(watch)
        self.audiences = {"11": "Customers", "12": "Visitors", "99": "Events"}
        self.subtypes = dict.fromkeys(self.audiences, "CUSTOM")
        self.statuses = dict.fromkeys(self.audiences, 200)
        self.removed: dict[str, set[str]] = {id_: set() for id_ in self.audiences}
        self.invalid: set[str] = set()
        """Hashes that it calls invalid."""
        self.page_size = 2

    def handle(self, request: Request) -> Response:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return error(190, "Invalid OAuth access token.", kind="OAuthException")
        match request.method, request.path.strip("/").split("/")[1:]:
            case "GET", [account, "customaudiences"] if account == f"act_{ACCOUNT}":
                return self._list(request)
            case "DELETE", [id_, "users"] if id_ in self.audiences:
                form = dict(parse_qsl(request.get_data(as_text=True)))
                return self._remove(id_, json.loads(form["payload"]))
        return error(100, "Unsupported delete request.", subcode=33)

    def _list(self, request: Request) -> Response:
        start = int(request.args.get("after", "0"))
        ids = list(self.audiences)[start : start + self.page_size]
        end = start + len(ids)
        paging: dict[str, Any] = {"cursors": {"before": str(start), "after": str(end)}}
        if end < len(self.audiences):
            paging["next"] = "https://graph.facebook.com/next"
        return _json({"data": [self._audience(id_) for id_ in ids], "paging": paging})

    def _audience(self, id_: str) -> dict[str, Any]:
        status = {"code": self.statuses[id_], "description": "Normal"}
        return {
            "id": id_,
            "name": self.audiences[id_],
            "subtype": self.subtypes[id_],
            "operation_status": status,
        }

    def _remove(self, id_: str, payload: dict[str, Any]) -> Response:
        hashes = [row[0] for row in payload["data"]]
        if payload["schema"] != ["EMAIL_SHA256"] or len(hashes) > MOST:
            return error(100, "Invalid parameter")
        if self.statuses[id_] == 471:
            return error(100, "Invalid parameter", subcode=1_713_230)
        good = [each for each in hashes if _HASH.fullmatch(each) and each not in self.invalid]
        self.removed[id_] |= set(good)
        return _json(
            {
                "audience_id": id_,
                "session_id": "7219",
                "num_received": len(hashes),
                "num_invalid_entries": len(hashes) - len(good),
                "invalid_entry_samples": {},
            }
        )


def error(code: int, message: str, *, subcode: int = 0, kind: str = "GraphMethod") -> Response:
    body = {"message": message, "type": kind, "code": code, "error_subcode": subcode}
    return _json({"error": body | {"fbtrace_id": "A1"}}, 400)


def _json(body: Any, status: int = 200) -> Response:
    return Response(json.dumps(body), status, mimetype="application/json")
