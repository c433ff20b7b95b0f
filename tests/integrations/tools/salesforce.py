"""Contacts and leads of a Salesforce org as its documentation has them, with memory.

Anyone who is asked for is a contact, until `add` makes the org a real one.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from urllib.parse import parse_qs

from werkzeug.wrappers import Request, Response

from tests.integrations.tools.soql import Malformed, Query
from tests.integrations.tools.stand_in import StandIn, Watch

CLIENT, SECRET, TOKEN = "3MVG9.stand-in", "E1F2.stand-in", "00D.stand-in"
DATA = "/services/data/v62.0"
NEWS, OFFERS, EVENTS, LINK = "No_News__c", "No_Offers__c", "No_Events__c", "Choices__c"
OPT_OUT = "HasOptedOutOfEmail"
SALES, QUEUE = "005000000000001", "00G000000000001"
"""Whose a record is when it is made, and whose the assignment rule makes it."""


class SalesforceStandIn(StandIn):
    def __init__(self, watch: Watch | None = None) -> None:
        super().__init__(watch)
        self.everybody = True
        self.batch = 2_000
        self.hidden: set[str] = set()
        self.frozen: set[str] = set()
        self.locked: set[str] = set()
        self.undeletable: set[str] = set()
        self._ids = count(1)
        self.records: list[dict[str, Any]] = []
        self.locators: dict[str, list[dict[str, Any]]] = {}
        self.poison: set[str] = set()
        self.faults: dict[str, str] = {}
        self.updates: list[list[dict[str, Any]]] = []
        self.clock = datetime(2026, 11, 25, 12, tzinfo=UTC)

    def add(self, address: str, object_: str = "Contact", **fields: Any) -> dict[str, Any]:
        """A new record, or a new contact's; SystemModstamp is the time."""
        number = next(self._ids)
        record = {
            "type": object_,
            "Id": f"{'003' if object_ == 'Contact' else '00Q'}{number:015}",
            "Email": address,
            "IsConverted": False,
            **dict.fromkeys([NEWS, OFFERS, EVENTS, OPT_OUT], False),
            LINK: None,
            "OwnerId": SALES,
            **fields,
        }
        self.records.append(record)
        self.touch(record)
        return record

    def touch(self, record: dict[str, Any]) -> None:
        self.clock += timedelta(milliseconds=1)
        record["SystemModstamp"] = self.clock

    def of(self, address: str) -> list[dict[str, Any]]:
        return [r for r in self.records if (r["Email"] or "").lower() == address.lower()]

    def handle(self, request: Request) -> Response:
        if request.path == "/services/oauth2/token":
            return self._token(parse_qs(request.get_data(as_text=True)))
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return _error("INVALID_SESSION_ID", 401)
        match request.path.removeprefix(DATA).strip("/").split("/"):
            case ["sobjects", object_, "describe"]:
                described = {
                    "name": object_,
                    "updateable": object_ not in self.locked,
                    "deletable": object_ not in self.undeletable,
                }
                return _json(described | {"fields": self._fields()})
            case ["query"]:
                return self._query(request.args["q"])
            case ["query", locator]:
                return self._rows(self.locators.pop(locator))
            case ["composite", "sobjects"] if request.method == "DELETE":
                return _json([self._delete(id_) for id_ in request.args["ids"].split(",")])
            case ["composite", "sobjects"]:
                assigns = request.headers.get("Sforce-Auto-Assign", "TRUE").upper() != "FALSE"
                return self._update(request.get_json()["records"], assigns=assigns)
        return _error("NOT_FOUND", 404)

    def _token(self, form: dict[str, list[str]]) -> Response:
        wanted = {
            "grant_type": ["client_credentials"],
            "client_id": [CLIENT],
            "client_secret": [SECRET],
        }
        if form != wanted:
            return _json({"error": "invalid_client", "error_description": "no"}, 400)
        return _json({"access_token": TOKEN, "instance_url": self.url, "token_type": "Bearer"})

    def _fields(self) -> list[dict[str, Any]]:
        texts = {"Email": 80, LINK: 255}
        labels = {NEWS: "News", OFFERS: "Offers", EVENTS: "Events", OPT_OUT: "Email Opt Out"}
        return [
            {
                "name": name,
                "label": labels.get(name, name),
                "type": "string" if name in texts else "boolean",
                "custom": name.endswith("__c"),
                "updateable": name not in self.frozen,
                "length": texts.get(name, 0),
            }
            for name in [*texts, *labels]
            if name not in self.hidden
        ]

    def _query(self, text: str) -> Response:
        try:
            query = Query(text)
        except Malformed:
            return _error("MALFORMED_QUERY", 400)
        known = {"Id", "SystemModstamp", *(f["name"] for f in self._fields())}
        known |= {"IsConverted"} if query.object == "Lead" else set()
        if query.used - known:
            return _error("INVALID_FIELD", 400)
        if self.everybody and query.object == "Contact":
            for email in query.emails:
                if not self.of(email):
                    self.add(email)
        rows = [r for r in self.records if r["type"] == query.object and query.matches(r)]
        rows.sort(key=lambda row: [row[name] for name in query.order])
        return self._rows([self._row(row, query.fields) for row in rows[: query.limit]])

    def _row(self, record: dict[str, Any], fields: list[str]) -> dict[str, Any]:
        row = {name: record[name] for name in fields}
        row["SystemModstamp"] = record["SystemModstamp"].strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
        row["SystemModstamp"] += "+0000"
        return {"attributes": {"type": record["type"], "url": "/..."}, **row}

    def _rows(self, rows: list[dict[str, Any]]) -> Response:
        page: dict[str, Any] = {"totalSize": len(rows), "done": len(rows) <= self.batch}
        page["records"] = rows[: self.batch]
        if not page["done"]:
            locator = f"01g{len(self.seen):012}-{self.batch}"
            self.locators[locator] = rows[self.batch :]
            page["nextRecordsUrl"] = f"{DATA}/query/{locator}"
        return _json(page)

    def _update(self, updates: list[dict[str, Any]], *, assigns: bool) -> Response:
        held = {record["Id"]: record for record in self.records}
        chunks = sum(
            1
            for n, update in enumerate(updates)
            if n == 0 or update["attributes"] != updates[n - 1]["attributes"]
        )
        bad = [u for u in updates if held[u["id"]]["Email"] in self.poison]
        if len(updates) > 200 or chunks > 10 or bad:
            return _error("JSON_PARSER_ERROR", 400)
        self.updates.append(updates)
        saved = [self._save(held[update["id"]], update) for update in updates]
        for update in updates if assigns else []:
            if held[update["id"]]["type"] == "Lead":
                held[update["id"]]["OwnerId"] = QUEUE
        return _json(saved)

    def _delete(self, id_: str) -> dict[str, Any]:
        (record,) = [each for each in self.records if each["Id"] == id_]
        code = self.faults.get(record["Email"])
        if record["type"] in self.undeletable:
            code = "INSUFFICIENT_ACCESS_OR_READONLY"
        if code:
            fault = {"statusCode": code, "message": record["Email"], "fields": []}
            return {"id": id_, "success": False, "errors": [fault]}
        self.records.remove(record)
        return {"id": id_, "success": True, "errors": []}

    def _save(self, record: dict[str, Any], update: dict[str, Any]) -> dict[str, Any]:
        code = self.faults.get(record["Email"])
        if record["type"] in self.locked:
            code = "INSUFFICIENT_ACCESS_OR_READONLY"
        elif self.frozen & update.keys():
            code = "INVALID_FIELD_FOR_INSERT_UPDATE"
        if code:
            fault = {"statusCode": code, "message": record["Email"], "fields": []}
            return {"success": False, "errors": [fault]}
        record |= {k: v for k, v in update.items() if k not in {"attributes", "id"}}
        self.touch(record)
        return {"id": record["Id"], "success": True, "errors": []}


def _error(code: str, status: int) -> Response:
    return _json([{"errorCode": code, "message": "anna@example.com did it"}], status)


def _json(body: Any, status: int = 200) -> Response:
    return Response(json.dumps(body), status, mimetype="application/json")
