"""Customer.io's people and topics as its documentation has them, with memory.

Anyone who is asked for is a person, unless `strict`. A change creates people, unless it has
`_update` or names a `cio_id`; one of a topic that is gone is accepted like any other.
"""

from __future__ import annotations

import json
from base64 import b64encode
from itertools import count
from typing import Any

from werkzeug.wrappers import Request, Response

from tests.integrations.tools.stand_in import StandIn, Watch

SITE, KEY, APP_KEY = "site-1", "track-stand-in", "app-stand-in"
_BASIC = "Basic " + b64encode(f"{SITE}:{KEY}".encode()).decode()
_DOTTED = "cio_subscription_preferences.topics."
CHANGED = 1_764_000_000


class CustomerIoStandIn(StandIn):
    def __init__(self, watch: Watch | None = None) -> None:
        super().__init__(watch)
        self.topics_there = {11: ("News", True), 12: ("Offers", True), 99: ("Events", True)}
        self.region = "us"
        self.identifies_by_email = True
        self._ids = count()
        self.people: dict[str, dict[str, Any]] = {}
        self.invalid: set[str] = set()
        self.strict = False
        self.suppressed: set[str] = set()
        """Whom Customer.io never takes again."""
        self.suppressing: list[str] = []
        """Who is to be deleted and suppressed; what is accepted takes effect later."""
        self.bodies: list[dict[str, Any]] = []

    def add(self, address: str, **changes: Any) -> dict[str, Any]:
        person = self.people.setdefault(
            address.lower(),
            {
                "email": address,
                "cio_id": f"0300{next(self._ids):04}",
                "topics": {},
                "unsubscribed": False,
                "times": {},
                "custom": {},
            },
        )
        person |= changes
        return person

    def choose(self, address: str, topic: str, *, is_on: bool, at: int = CHANGED) -> None:
        person = self.add(address)
        person["topics"][topic] = is_on
        person["times"]["cio_subscription_preferences"] = at

    def leave(self, address: str, at: int = CHANGED) -> None:
        self.add(address, unsubscribed=True)["times"]["unsubscribed"] = at

    def handle(self, request: Request) -> Response:
        is_track = request.path.startswith("/api/")
        wanted = _BASIC if is_track else f"Bearer {APP_KEY}"
        if request.headers.get("Authorization") != wanted:
            return _json({"meta": {"error": "unauthorized"}}, 401)
        match request.method, request.path:
            case "GET", "/v1/subscription_topics":
                return _json({"topics": [self._topic(id_) for id_ in self.topics_there]})
            case "POST", "/v1/customers/attributes":
                return self._attributes(request)
            case "POST", "/v1/customers":
                return self._search(request)
            case "GET", "/api/v1/accounts/region":
                url = f"https://track{'-eu' * (self.region == 'eu')}.customer.io"
                return _json({"url": url, "region": self.region, "environment_id": 3})
            case "POST", "/api/v2/batch":
                return self._batch(request)
        return _json({"errors": [{"detail": "not found", "status": "404"}]}, 404)

    def _topic(self, id_: int) -> dict[str, Any]:
        name, by_default = self.topics_there[id_]
        row = {"id": id_, "identifier": f"topic_{id_}", "name": name, "description": ""}
        return row | {"subscribed_by_default": by_default}

    def _attributes(self, request: Request) -> Response:
        by, ids = request.args.get("id_type", "id"), request.get_json()["ids"]
        if not 1 <= len(ids) <= 100 or (by == "email" and not self.identifies_by_email):
            return _json({"errors": [{"detail": "malformed", "status": "400"}]}, 400)
        if by == "email" and not self.strict:
            for address in ids:
                self.add(address)
        named = {str(id_).lower() for id_ in ids}
        found = [p for p in self.people.values() if str(p[by]).lower() in named]
        return _json({"customers": [{"customer": self._profile(person)} for person in found]})

    def _profile(self, person: dict[str, Any]) -> dict[str, Any]:
        """Attributes are all strings, and preferences that nobody set are missing."""
        defaults = {f"topic_{id_}": on for id_, (_, on) in self.topics_there.items()}
        computed = json.dumps({"topics": defaults | person["topics"]})
        attributes = person["custom"] | {
            "email": person["email"],
            "cio_id": person["cio_id"],
            "_cio_subscription_preferences_computed": computed,
        }
        if person["topics"]:
            chosen = json.dumps({"topics": person["topics"]})
            attributes["cio_subscription_preferences"] = chosen
        return {
            "id": person["cio_id"],
            "identifiers": {"email": person["email"], "id": None, "cio_id": person["cio_id"]},
            "attributes": attributes,
            "timestamps": person["times"],
            "unsubscribed": person["unsubscribed"],
            "devices": [],
        }

    def _search(self, request: Request) -> Response:
        limit, start = int(request.args["limit"]), int(request.args.get("start", "0"))
        assert limit <= 1_000
        page = list(self.people.values())[start : start + limit]
        following = str(start + limit) if start + limit < len(self.people) else ""
        rows = [{"email": p["email"], "id": None, "cio_id": p["cio_id"]} for p in page]
        return _json({"identifiers": rows, "ids": [], "next": following})

    def _batch(self, request: Request) -> Response:
        if len(request.get_data()) > 500_000:
            return _json({"errors": [{"reason": "too long"}]}, 400)
        batch = request.get_json()["batch"]
        self.bodies += batch
        errors = []
        for index, entity in enumerate(batch):
            if entity["action"] == "suppress":
                is_valid = entity["identifiers"]["email"] not in self.invalid
                self.suppressing += [entity["identifiers"]["email"]] * is_valid
            else:
                is_valid = self._identify(entity["identifiers"], dict(entity["attributes"]))
            if not is_valid:
                errors.append({"batch_index": index, "reason": "invalid", "field": "identifiers"})
        return _json({"errors": errors}, 207) if errors else _json({})

    def finish_suppressing(self) -> None:
        for address in self.suppressing:
            self.people.pop(address.lower(), None)
            self.suppressed.add(address.lower())
        self.suppressing.clear()

    def _identify(self, ids: dict[str, str], attributes: dict[str, Any]) -> bool:
        """Whether the change is accepted. Nothing tells whether it did anything."""
        may_create = not attributes.pop("_update", False) and "email" in ids
        if may_create:
            self.add(ids["email"])
        for person in self.people.values():
            if person["cio_id"] == ids.get("cio_id") or person["email"] == ids.get("email"):
                if person["email"] in self.invalid:
                    return False
                for name, value in attributes.items():
                    if name.startswith(_DOTTED):
                        self.choose(person["email"], name.removeprefix(_DOTTED), is_on=value)
                    else:
                        person["custom"][name] = value
        return True


def _json(body: Any, status: int = 200) -> Response:
    return Response(json.dumps(body), status, mimetype="application/json")
