"""SendGrid's exports of contacts: begun, then ready, then gone; files on a host of their own."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from typing import Any

from werkzeug.wrappers import Request, Response

EXPIRES = "2026-11-28T12:00:00Z"


class Exports:
    def __init__(self) -> None:
        self.polls = 2
        """How often one is pending before it is ready."""
        self.rows_per_file = 1_000
        self.fails = 0
        """How many of the next exports fail."""
        self.expires_at = EXPIRES
        self.as_array = False
        self.packed = True
        self.members = 1
        """Gzip members that a file is made of (RFC 1952, 2.2)."""
        self.without_urls = False
        """Whether what is ready names no files."""
        self.allowed = True
        self.hidden = False
        """Whether a file's host responds that the files are not there."""
        self.damage = ""
        self.bodies: list[Mapping[str, Any]] = []
        self.credentials: list[str | None] = []
        """What a file's host was sent as Authorization."""
        self._polled: dict[str, int] = {}
        self._failed: set[str] = set()
        self._rows: dict[str, Sequence[Mapping[str, Any]]] = {}

    def forget(self) -> None:
        """As SendGrid does with old ones."""
        self._rows.clear()

    def fail_all(self) -> None:
        self._failed |= set(self._rows)

    def handle(
        self, request: Request, ids: Sequence[str], rows: Sequence[Mapping[str, Any]], url: str
    ) -> Response:
        if not self.allowed:
            return _json({"errors": [{"message": "access forbidden"}]}, 403)
        if request.method == "POST":
            return self._begin(request.get_json(), rows)
        if ids[0] not in self._rows:
            return _json({"errors": [{"message": "not found"}]}, 404)
        return _json(self._status(ids[0], url))

    def _begin(self, body: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Response:
        self.bodies.append(body)
        name = f"export-{len(self.bodies)}"
        self._rows[name] = [_exported(row) for row in rows]
        if self.fails:
            self.fails -= 1
            self._failed.add(name)
        return _json({"_metadata": {}, "id": name}, 202)

    def _status(self, name: str, url: str) -> dict[str, Any]:
        self._polled[name] = self._polled.get(name, 0) + 1
        status = "pending" if self._polled[name] <= self.polls else "ready"
        if name in self._failed:
            status = "failure"
        moments = dict.fromkeys(("created_at", "updated_at"), "2026-11-25T12:00:00Z")
        found: dict[str, Any] = {
            "id": name,
            "status": status,
            "expires_at": self.expires_at,
        } | moments
        if status == "ready":
            count = -(-len(self._rows[name]) // self.rows_per_file)
            # In no order, and signed for each answer.
            signed = [
                f"{url}/files/{name}/{n:04}.json.gz?s=%2B{len(self._polled)}" for n in range(count)
            ]
            urls = [] if self.without_urls else signed[::-1]
            found |= {"urls": urls, "contact_count": len(self._rows[name])}
        return found

    def file(self, request: Request) -> Response:
        self.credentials.append(request.headers.get("Authorization"))
        _, _, name, file = request.path.split("/")
        if self.hidden or name not in self._rows or request.args["s"][0] != "+":
            return Response("<Error><Code>AccessDenied</Code></Error>", 403)
        start = int(file.split(".")[0]) * self.rows_per_file
        rows = self._rows[name][start : start + self.rows_per_file]
        text = (
            json.dumps(rows) if self.as_array else "".join(json.dumps(row) + "\n" for row in rows)
        )
        text = "<html>" if self.damage == "no JSON" else text
        body = self._pack(text.encode()) if self.packed else text.encode()
        body = body[:-20] if self.damage == "cut" else body
        return Response(body, mimetype="binary/octet-stream")

    def _pack(self, text: bytes) -> bytes:
        size = -(-len(text) // self.members)
        parts = (text[start : start + size] for start in range(0, len(text), size))
        return b"".join(gzip.compress(part, 1) for part in parts)


def _exported(contact: Mapping[str, Any]) -> dict[str, Any]:
    """As the file has it: the id is called `contact_id` there."""
    return {"contact_id" if k == "id" else k: v for k, v in contact.items() if k != "_metadata"}


def _json(body: Any, status: int = 200) -> Response:
    return Response(json.dumps(body), status, mimetype="application/json")
