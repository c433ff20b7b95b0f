"""MailerSend's domains and suppressions as its reference has them, with memory.

That an address is accepted again, and that an invalid one has the whole request rejected, are
assumptions.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from werkzeug.wrappers import Request, Response

from tests.integrations.tools.stand_in import StandIn, Watch

TOKEN = "mlsn.stand-in"
OPTED_OUT_AT = datetime(2026, 11, 25, 10, tzinfo=UTC)
_WHEN = "2026-11-25T10:00:00.000000Z"
LISTS = ("unsubscribes", "spam-complaints", "hard-bounces")


class MailerSendStandIn(StandIn):
    def __init__(self, watch: Watch | None = None) -> None:
        super().__init__(watch)
        self.domains = {"11": "news.example.com", "12": "offers.example.com", "99": "Events"}
        self.suppressed: dict[tuple[str, str], list[str]] = {}
        self.recipients: dict[str, list[str]] = {id_: [] for id_ in self.domains}
        self.deleted: set[str] = set()
        self.invalid: set[str] = set()
        self.most = 100

    def suppress(self, domain: str, address: str, list_: str = LISTS[0]) -> None:
        held = self.suppressed.setdefault((domain, list_), [])
        if address not in held:
            held.append(address)

    def is_off(self, domain: str, address: str) -> bool:
        return address in self.suppressed.get((domain, LISTS[0]), [])

    def handle(self, request: Request) -> Response:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return _json({"message": "Unauthenticated."}, 401)
        domain = request.args.get("domain_id", "")
        match request.method, request.path.strip("/").split("/")[1:]:
            case "GET", ["domains"]:
                return self._rows(request, [self._domain(id_) for id_ in self.domains])
            case "GET", ["recipients"]:
                rows = [self._recipient(address) for address in self.recipients.get(domain, [])]
                return self._rows(request, rows)
            case "GET", ["suppressions", list_]:
                held = self.suppressed.get((domain, list_), [])
                return self._rows(request, [self._entry(address) for address in held])
            case "POST", ["suppressions", list_]:
                return self._add(request.get_json(), list_)
        return _json({"message": "Not found"}, 404)

    def _domain(self, id_: str) -> dict[str, Any]:
        return {"id": id_, "name": self.domains[id_], "created_at": _WHEN, "updated_at": _WHEN}

    def _recipient(self, address: str) -> dict[str, Any]:
        deleted_at = _WHEN if address in self.deleted else ""
        times = {"created_at": _WHEN, "updated_at": _WHEN, "deleted_at": deleted_at}
        return {"id": f"r-{address}", "email": address, **times}

    def _entry(self, address: str) -> dict[str, Any]:
        who = self._recipient(address)
        return {"id": f"s-{address}", "reason": None, "created_at": _WHEN, "recipient": who}

    def _add(self, body: dict[str, Any], list_: str) -> Response:
        named, domain = body["recipients"], body["domain_id"]
        if domain not in self.domains:
            return _invalid("domain_id", "The selected domain id is invalid.")
        if len(named) > self.most or self.invalid & set(named):
            return _invalid("recipients.0", "anna@example.com is invalid.")
        added = [address for address in named if not self.is_off(domain, address)]
        for address in named:
            self.suppress(domain, address, list_)
        return _json({"data": [self._entry(address) for address in added]}, 201)

    def _rows(self, request: Request, rows: Sequence[dict[str, Any]]) -> Response:
        page, limit = int(request.args.get("page", "1")), int(request.args.get("limit", "25"))
        start = (page - 1) * limit
        url = f"https://api.mailersend.com{request.path}?page="
        following = f"{url}{page + 1}" if start + limit < len(rows) else None
        return _json(
            {
                "data": rows[start : start + limit],
                "links": {"first": f"{url}1", "last": None, "prev": None, "next": following},
                "meta": {"current_page": page, "per_page": limit, "from": None, "to": None},
            }
        )


def _invalid(field: str, why: str) -> Response:
    return _json({"message": why, "errors": {field: [why]}}, 422)


def _json(body: Any, status: int = 200) -> Response:
    return Response(json.dumps(body), status, mimetype="application/json")
