"""An organization of Salesforce's as the tests see it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast

from preference_center.integrations.salesforce.connector import Salesforce
from tests.integrations.contract import Rig
from tests.integrations.tools.salesforce import (
    LINK,
    NEWS,
    OFFERS,
    SalesforceStandIn,
)

TOPICS = {"news": NEWS, "offers": OFFERS}
BEFORE_WRITING = 3  # a token, contacts, leads


@dataclass(slots=True)
class Org:
    server: SalesforceStandIn

    def off(self, address: str) -> set[str]:
        held = self.server.of(address)
        return {t for t, name in TOPICS.items() if held and all(r[name] for r in held)}

    def turn_off(self, address: str, topic: str) -> None:
        for record in self.server.of(address) or [self.server.add(address)]:
            record[TOPICS[topic]] = True
            self.server.touch(record)

    def requests(self) -> int:
        return len(self.server.seen)

    def reject(self, address: str) -> None:
        self.server.poison.add(address)

    def add(self, address: str) -> None:
        self.server.everybody = False
        self.server.add(address)

    def has(self, address: str) -> bool:
        return bool(self.server.of(address))

    def link(self, address: str) -> str | None:
        return cast("str | None", self.server.of(address)[0][LINK])

    def revoke(self) -> str:
        self.server.frozen.add(OFFERS)
        return f"Edit Access on Contact.{OFFERS}"


def connect(rig: Rig, **changes: Any) -> Salesforce:
    return cast("Salesforce", replace(rig, setup=replace(rig.setup, **changes)).make())
