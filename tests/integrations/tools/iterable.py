"""Iterable's users and subscriptions as its description and help pages have them, with memory.

Anyone who is asked for is a user, unless `strict`. A change of subscriptions creates whom it does
not know, and replaces each array that it names.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from werkzeug.wrappers import Request, Response

from tests.integrations.tools.stand_in import StandIn, Watch

KEY = "iterable-stand-in"
MILLISECONDS = 1_700_000_000_000
ARRAYS = (
    "unsubscribedChannelIds",
    "unsubscribedMessageTypeIds",
    "subscribedMessageTypeIds",
    "emailListIds",
)
_TIME = "%Y-%m-%d %H:%M:%S %z"


class IterableStandIn(StandIn):
    def __init__(self, watch: Watch | None = None) -> None:
        super().__init__(watch)
        self.channels = {
            11: ("News", "Marketing", "Email"),
            12: ("Offers", "Marketing", "Email"),
            20: ("Receipts", "Transactional", "Email"),
            21: ("Texts", "Marketing", "SMS"),
        }
        self.types = {
            31: ("Weekly", 11, "OptOut"),
            32: ("Partners", 12, "OptIn"),
            33: ("Receipt", 20, "OptOut"),
        }
        self.lists = {41: ("Insiders", "Standard"), 42: ("Buyers", "Dynamic")}
        self.field_types = {"email": "string", "newsFrequency": "string", "age": "long"}
        self.fields: dict[str, dict[str, str]] = {}
        """Address -> the fields that were written."""
        self.users: dict[str, dict[str, list[int]]] = {}
        self.events: list[dict[str, Any]] = []
        self.invalid: set[str] = set()
        self.failing: set[str] = set()
        self.forgotten: set[str] = set()
        """Whom Iterable never takes again."""
        self.forgetting: list[str] = []
        """Who is to be forgotten; it takes up to ten minutes."""
        self.fails_unnamed: set[str] = set()
        self.strict = False
        self.bodies: list[dict[str, Any]] = []

    def add(self, address: str, **arrays: list[int]) -> dict[str, list[int]]:
        user = self.users.setdefault(address, {name: [] for name in ARRAYS})
        user.update(arrays)
        return user

    def leave(self, address: str, at: datetime, source: str, **ids: list[int]) -> None:
        """What a person does there."""
        user = self.add(address)
        for channel in ids.get("channelIds", []):
            user["unsubscribedChannelIds"].append(channel)
        row = {"email": address, "createdAt": at.strftime(_TIME), "unsubSource": source}
        self.events.append(row | ids)

    def handle(self, request: Request) -> Response:  # noqa: C901, PLR0911 - one for each route
        if request.headers.get("Api-Key") != KEY:
            return _error(401, "BadApiKey")
        match request.method, request.path.removeprefix("/api/"):
            case "GET", "channels":
                return _json({"channels": [self._channel(id_) for id_ in self.channels]})
            case "GET", "messageTypes":
                return _json({"messageTypes": [self._type(id_) for id_ in self.types]})
            case "GET", "lists":
                return _json({"lists": [self._list(id_) for id_ in self.lists]})
            case "GET", "users/getByEmail":
                return self._user(request.args["email"])
            case "POST", "users/bulkUpdateSubscriptions":
                return self._update(request.get_json()["updateSubscriptionsRequests"])
            case "POST", "users/bulkUpdate":
                return self._write(request.get_json())
            case "GET", "users/getFields":
                return _json({"fields": self.field_types})
            case "POST", "users/forget":
                return self._forget(request.get_json()["email"])
            case "GET", "export/data.json":
                return self._export(request)
        return _error(404, "NotFound")

    def _channel(self, id_: int) -> dict[str, Any]:
        name, type_, medium = self.channels[id_]
        return {"id": id_, "name": name, "channelType": type_, "messageMedium": medium}

    def _type(self, id_: int) -> dict[str, Any]:
        name, channel, policy = self.types[id_]
        row = {"id": id_, "name": name, "channelId": channel, "subscriptionPolicy": policy}
        return row | {"createdAt": MILLISECONDS, "updatedAt": MILLISECONDS}

    def _list(self, id_: int) -> dict[str, Any]:
        name, type_ = self.lists[id_]
        return {"id": id_, "name": name, "listType": type_, "createdAt": MILLISECONDS}

    def _user(self, address: str) -> Response:
        if address in self.invalid:
            return _error(400, "InvalidEmailAddressError")
        if not self.strict and address not in self.forgotten:
            self.add(address)
        if address not in self.users or address in self.forgotten:
            return _json({})
        # An empty array is left out.
        fields = {name: ids for name, ids in self.users[address].items() if ids}
        return _json({"user": {"email": address, "dataFields": fields}})

    def _forget(self, address: str) -> Response:
        if address in self.invalid:
            return _error(400, "InvalidEmailAddressError")
        self.forgetting.append(address)
        return _json({"code": "Success", "msg": "", "params": None})

    def finish_forgetting(self) -> None:
        for address in self.forgetting:
            self.users.pop(address, None)
            self.forgotten.add(address)
        self.forgetting.clear()

    def _update(self, changes: list[dict[str, Any]]) -> Response:
        self.bodies += changes
        if len(changes) > 1_000:
            return _error(400, "BatchTooLarge")
        if len(changes) > 1 and any(change["email"] in self.fails_unnamed for change in changes):
            return _json(_counts(len(changes) - 1, 1))
        invalid, failing, done = [], [], 0
        for change in changes:
            if change["email"] in self.invalid:
                invalid.append(change["email"])
            elif change["email"] in self.failing:
                failing.append(change["email"])
            elif change["email"] not in self.fails_unnamed:
                user = self.add(change["email"])
                user.update({name: change[name] for name in ARRAYS if name in change})
                done += 1
        counts = _counts(done, len(changes) - done)
        return _json(counts | {"invalidEmails": invalid, "validEmailFailures": failing})

    def _write(self, body: dict[str, Any]) -> Response:
        """Creates whom it does not know; a field that is not there is dropped."""
        dropped = {name for user in body["users"] for name in user["dataFields"]}
        dropped -= self.field_types.keys()
        assert not body["createNewFields"]
        invalid = [user["email"] for user in body["users"] if user["email"] in self.failing]
        for user in body["users"]:
            if user["email"] not in invalid:
                self.add(user["email"])
                kept = {n: v for n, v in user["dataFields"].items() if n not in dropped}
                self.fields.setdefault(user["email"], {}).update(kept)
        return _json(
            {
                "successCount": len(body["users"]) - len(invalid),
                "failCount": len(invalid),
                "filteredOutFields": sorted(dropped),
                "failedUpdates": {"invalidDataEmails": invalid},
            }
        )

    def _export(self, request: Request) -> Response:
        since = _moment(request.args["startDateTime"])
        until = _moment(request.args["endDateTime"])
        found = [
            json.dumps(event)
            for event in self.events
            if since <= _moment(event["createdAt"]) < until
        ]
        return Response("\n".join(found) + "\n", mimetype="application/x-ndjson")


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text.replace(" +", "+"))
    assert found.tzinfo is not None
    return found


def _counts(success: int, fail: int) -> dict[str, Any]:
    none: dict[str, list[str]] = {
        name: []
        for name in ("invalidEmails", "invalidUserIds", "validEmailFailures", "validUserIdFailures")
    }
    return {"successCount": success, "failCount": fail, **none}


def _error(status: int, code: str) -> Response:
    return _json({"code": code, "msg": "anna@example.com", "params": None}, status)


def _json(body: Any, status: int = 200) -> Response:
    return Response(json.dumps(body), status, mimetype="application/json")
