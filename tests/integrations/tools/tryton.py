"""Tryton's JSON-RPC as the real one answers, with memory; see tests/real."""

from __future__ import annotations

import gzip
import json
from base64 import b64decode
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from werkzeug.wrappers import Request, Response

from tests.integrations.tools.stand_in import StandIn, Watch

DATABASE, USER, PASSWORD, KEY = "company", "preferences", "tryton-pass", "session-key"
START = datetime(2026, 11, 25, 10, tzinfo=UTC)


class TrytonStandIn(StandIn):
    """`everybody`: anyone who is asked for is active in every list."""

    def __init__(self, watch: Watch | None = None) -> None:
        super().__init__(watch)
        self.everybody = True
        self.now = START
        self.may = {"read": True, "write": True, "create": True, "delete": True}
        self.lists = {11: "News", 12: "Offers", 99: "Events"}
        self.rows: dict[tuple[str, int], dict[str, Any]] = {}
        self.invalid: set[str] = set()
        self.methods: list[str] = []
        self._numbers = count(1)

    def join(self, email: str, *lists: int, active: bool = True) -> None:
        for list_id in lists or self.lists:
            row = {"id": next(self._numbers), "email": email.lower(), "list_": list_id}
            row |= {"active": active, "create_date": self._tick(), "write_date": None}
            self.rows.setdefault((email.lower(), list_id), row)

    def turn(self, email: str, list_id: int, *, active: bool) -> None:
        self.join(email, list_id)
        self.rows[email.lower(), list_id] |= {"active": active, "write_date": self._tick()}

    def _tick(self) -> datetime:
        self.now += timedelta(milliseconds=1)
        return self.now

    def handle(self, request: Request) -> Response:
        if request.path != f"/{DATABASE}/rpc/":
            return Response("no such database", 404)
        call = request.get_json()
        method, parameters = call["method"], call["params"]
        self.methods.append(method)
        if method == "common.db.login":
            if parameters != [USER, {"password": PASSWORD}]:
                return Response("<h1>Unauthorized</h1>", 401)
            return _result([1, KEY, None])
        kind, _, credentials = request.headers.get("Authorization", "").partition(" ")
        if (kind, b64decode(credentials).decode()) != ("Session", f"{USER}:1:{KEY}"):
            return Response("<h1>Unauthorized</h1>", 401)
        answer = self._call(method, parameters)
        if len(answer.data) > 1400:
            if "gzip" in request.headers.get("Accept-Encoding", ""):
                answer.data = gzip.compress(answer.data)
            answer.headers["Content-Encoding"] = "gzip"  # in any case, as 8.2 does
        return answer

    def _call(self, method: str, parameters: list[Any]) -> Response:
        match method.removeprefix("model."):
            case "ir.model.access.get_access":
                return _result(dict.fromkeys(parameters[0], self.may))
            case "marketing.email.list.search_read":
                return _result([{"id": i, "name": n} for i, n in self.lists.items()])
            case "marketing.email.search_read":
                return _result([_shown(row) for row in self._search(*parameters)])
            case "marketing.email.delete":
                return self._delete(*parameters)
            case "marketing.email.write":
                return self._write(*parameters)
        return _error(["'nope'", "Traceback"])

    def _search(
        self, domain: list[Any], start: int, limit: int | None, order: Any, _: Any, context: Any
    ) -> list[dict[str, Any]]:
        assert (start, order) == (0, [["id", "ASC"]])
        assert context == {"active_test": False}, "else inactive rows would be left out"
        if self.everybody and domain[0][0] == "email":
            for email in domain[0][2]:
                self.join(email)
        rows = [row for row in self.rows.values() if all(_fits(row, c) for c in domain)]
        return sorted(rows, key=lambda row: row["id"])[:limit]

    def _delete(self, ids: list[int], _: Any) -> Response:
        if not self.may["delete"]:
            return _error(["UserError", ["You are not allowed to, anna@example.com.", "", None]])
        self.rows = {key: row for key, row in self.rows.items() if row["id"] not in ids}
        return _result(None)

    def _write(self, ids: list[int], values: dict[str, Any], _: Any) -> Response:
        rows = [row for row in self.rows.values() if row["id"] in ids]
        barred = self.invalid & {row["email"] for row in rows} or not self.may["write"]
        if barred or len(rows) < len(ids):
            return _error(["UserError", ["You are not allowed to, anna@example.com.", "", None]])
        for row in rows:
            row.update(values, write_date=self._tick())
        return _result(None)


def _fits(row: dict[str, Any], clause: list[Any]) -> bool:
    if clause[0] == "OR":
        return any(_fits(row, inner) for inner in clause[1:])
    name, operator, wanted = clause
    value = row[name]
    if isinstance(wanted, dict):
        wanted = datetime(**{k: v for k, v in wanted.items() if k != "__class__"}, tzinfo=UTC)
    match operator:
        case "in":
            return value in wanted
        case "=":
            return bool(value == wanted)
        case "!=":
            return bool(value != wanted)
        case ">":
            return bool(value > wanted)
        case ">=":
            return value is not None and value >= wanted
    raise AssertionError(operator)


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    names = ("year", "month", "day", "hour", "minute", "second", "microsecond")
    shown = row | {"active": int(row["active"])}  # as with SQLite
    for name in ("create_date", "write_date"):
        if moment := row[name]:
            shown[name] = {"__class__": "datetime"} | {n: getattr(moment, n) for n in names}
    return shown


def _result(result: Any) -> Response:
    return Response(json.dumps({"id": 1, "result": result}), mimetype="application/json")


def _error(error: list[Any]) -> Response:
    return Response(json.dumps({"id": 1, "error": error}), mimetype="application/json")
