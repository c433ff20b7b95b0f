"""Braze's users and their subscriptions as its documentation has them, with memory.

Anyone who is asked for is a user, until `add` makes the workspace a real one.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from werkzeug.wrappers import Request, Response

from tests.integrations.tools.stand_in import StandIn, Watch

KEY = "b7e6-stand-in"


class BrazeStandIn(StandIn):
    def __init__(self, watch: Watch | None = None) -> None:
        super().__init__(watch)
        self.everybody = True
        self.groups: dict[str, dict[str, str]] = {"11": {}, "12": {}, "99": {}}
        self.users: set[str] = set()
        """By email address, or by phone number."""
        self.copies: dict[str, int] = {}
        """How many users share an address, where it is not two."""
        self.emails: dict[str, str] = {}
        """Number -> the address of who has both."""
        self.deleting: list[str] = []
        """Queued: one user of each is deleted."""
        self.unsubscribed: dict[str, str] = {}
        self.bounced: dict[str, str] = {}
        self.attributes: dict[str, dict[str, str]] = {}
        """The custom attributes of each user: by `external_id`, or else by address."""
        self.updates: list[dict[str, Any]] = []
        self.poison: set[str] = set()
        self.unaskable: set[str] = set()
        self.clock = datetime(2026, 11, 25, 11, tzinfo=UTC)

    def add(self, address: str) -> None:
        self.everybody = False
        self.users.add(address.lower())

    def now(self) -> str:
        self.clock += timedelta(seconds=1)
        return self.clock.strftime("%Y-%m-%d %H:%M:%S +0000")

    def handle(self, request: Request) -> Response:  # noqa: PLR0911 - one for each route
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            return _json({"message": "Invalid API key"}, 401)
        match request.path:
            case "/subscription/user/status":
                return self._users(request.args)
            case "/v2/subscription/status/set":
                return self._set(request.get_json()["subscription_groups"])
            case "/users/delete":
                return self._delete(request.get_json())
            case "/users/track":
                return self._track(request.get_json()["attributes"])
            case "/email/status":
                return self._set_global(request.get_json())
            case "/subscription/status/get":
                who = request.args.get("email") or request.args["phone"]
                return self._status(request.args["subscription_group_id"], who)
            case "/email/unsubscribes" | "/email/hard_bounces" as path:
                lists = {"unsubscribes": self.unsubscribed, "hard_bounces": self.bounced}
                name = path.removeprefix("/email/")
                return self._rows(lists[name], f"{name[:-1]}d_at", request.args)
        return _json({"message": "not found"}, 404)

    def _users(self, query: Any) -> Response:
        """Two users for each address: both have its state, in groups where any was set."""
        by = "phone" if "phone[]" in query else "email"
        asked = [value.lower() for value in query.getlist(f"{by}[]")]
        if not 1 <= len(asked) <= 50 or self.unaskable & set(asked):
            return _json({"message": f"{by} is invalid"}, 400)
        users = [
            {
                "external_id": f"{value}-{n}" if n else None,
                "email": self.emails.get(value),
                "phone": None,
            }
            | {by: value, "subscription_groups": self._groups_of(value)}
            for value in asked
            if value in self.users or (self.everybody and by == "email")
            for n in range(self.copies.get(value, 2))
        ]
        start, limit = int(query["offset"]), min(100, int(query["limit"]))
        shown = users[start : start + limit]
        return _json({"message": "success", "total_count": len(users), "users": shown})

    def _delete(self, body: dict[str, Any]) -> Response:
        ((name, rows),) = body.items()
        by = {"email_addresses": "email", "phone_numbers": "phone"}[name]
        self.deleting += [row[by].lower() for row in rows]
        return _json({"deleted": len(rows), "message": "success"}, 201)

    def _track(self, updates: list[dict[str, Any]]) -> Response:
        """What is not at fault is processed all the same."""
        if len(updates) > 50:
            return _json({"message": "too many"}, 400)
        self.updates += updates
        errors = []
        for index, update in enumerate(updates):
            who = update.get("external_id") or update["email"]
            address = who.rpartition("-")[0] if "external_id" in update else who.lower()
            custom = {n: v for n, v in update.items() if n not in {"external_id", "email"}}
            is_update_only = custom.pop("_update_existing_only", False)
            if address in self.poison:
                error = {"type": "invalid", "input_array": "attributes", "index": index}
                errors.append(error)
            elif self.everybody or address in self.users or not is_update_only:
                self.users.add(address)
                self.attributes.setdefault(who.lower(), {}).update(custom)
        answer = {"message": "success", "attributes_processed": len(updates) - len(errors)}
        return _json(answer | ({"errors": errors} if errors else {}), 201)

    def finish_deleting(self) -> None:
        for value in self.deleting:
            self.copies[value] = self.copies.get(value, 2) - 1
            if self.copies[value] <= 0:
                self.users.discard(value)
                for held in self.groups.values():
                    held.pop(value, None)
        self.deleting.clear()

    def _groups_of(self, value: str) -> list[dict[str, str]]:
        channel = "email" if "@" in value else "sms"
        return [
            {"id": group, "name": group, "channel": channel, "status": held[value].capitalize()}
            for group, held in self.groups.items()
            if value in held
        ]

    def _set(self, groups: list[dict[str, Any]]) -> Response:
        for group in groups:
            emails = group.get("emails") or group["phones"]
            unknown = group["subscription_group_id"] not in self.groups
            if unknown or len(emails) > 50 or self.poison & set(emails):
                return _json({"message": "anna@example.com did it"}, 400)
            for email in emails:
                if email.lower() in self.users or (self.everybody and "@" in email):
                    held = self.groups[group["subscription_group_id"]]
                    held[email.lower()] = group["subscription_state"]
        return _json({"message": "success"}, 201)

    def _set_global(self, body: dict[str, Any]) -> Response:
        for email in body["email"]:
            if body["subscription_state"] == "unsubscribed":
                self.unsubscribed.setdefault(email.lower(), self.now())
            else:
                self.unsubscribed.pop(email.lower(), None)
        return _json({"message": "success"}, 201)

    def _status(self, group: str, email: str) -> Response:
        if group not in self.groups:
            return _json({"message": "no such group"}, 400)
        state = self.groups[group].get(email.lower(), "unknown").capitalize()
        # Two people may share an address: then both have its state.
        return _json({"message": "success", "status": {f"id-{n}": state for n in range(2)}})

    def _rows(self, held: dict[str, str], name: str, query: Any) -> Response:
        if "end_date" not in query or not ("start_date" in query or "email" in query):
            return _json({"message": "dates are missing"}, 400)
        rows = [
            {"email": email, name: at}
            for email, at in held.items()
            if query.get("email", email).lower() == email
            and query.get("start_date", "") <= at[:10] < query["end_date"]
        ]
        rows.sort(key=lambda row: row[name], reverse=True)
        start, limit = int(query.get("offset", 0)), int(query.get("limit", 100))
        return _json({"message": "success", "emails": rows[start : start + limit]})


def _json(body: Any, status: int = 200) -> Response:
    return Response(json.dumps(body), status, mimetype="application/json")
