"""A Braze workspace as the tests of both channels see it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast

from preference_center.integrations.braze.connector import Braze
from tests.integrations.contract import Rig
from tests.integrations.tools.braze import BrazeStandIn

TOPICS = {"news": "11", "offers": "12"}
DESCRIPTION = "contracts/braze-subscriptions.community.json"


@dataclass(slots=True)
class Workspace:
    server: BrazeStandIn

    def off(self, address: str) -> set[str]:
        held = {t: self.server.groups[group].get(address.lower()) for t, group in TOPICS.items()}
        return {topic for topic, state in held.items() if state == "unsubscribed"}

    def turn_off(self, address: str, topic: str) -> None:
        self.server.groups[TOPICS[topic]][address.lower()] = "unsubscribed"

    def requests(self) -> int:
        return len(self.server.seen)

    def reject(self, address: str) -> None:
        self.server.poison.add(address)

    def add(self, address: str) -> None:
        self.server.add(address)

    def has(self, address: str) -> bool:
        return address.lower() in self.server.users

    def finish_erasures(self) -> None:
        self.server.finish_deleting()

    def link(self, address: str) -> str | None:
        return self.server.attributes.get(f"{address}-1", {}).get("News frequency")

    def leave(self, address: str) -> None:
        self.server.unsubscribed[address.lower()] = self.server.now()

    def has_left(self, address: str) -> bool:
        return address.lower() in self.server.unsubscribed


def correct(spec: dict[str, Any]) -> None:
    """Put right where the community's conversion leaves Braze's own words.

    All `email` may be "an array of up to 50", say their descriptions, and Braze's examples name
    such parameters `email[]`; so is it with `phone`.
    """
    some = {"type": "array", "maxItems": 50}
    status = spec["paths"]["/email/status"]["post"]["requestBody"]["content"]["application/json"]
    status["schema"]["properties"]["email"] = some
    for parameter in spec["paths"]["/subscription/user/status"]["get"]["parameters"]:
        if parameter["name"] in {"email", "phone"}:
            parameter |= {"name": f"{parameter['name']}[]", "schema": some}


def connect(rig: Rig, **changes: Any) -> Braze:
    return cast("Braze", replace(rig, setup=replace(rig.setup, **changes)).make())
