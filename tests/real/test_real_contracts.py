"""The connectors' contract, held against the tools that the stand-ins imitate.

Faults, and lists of hundreds, are left to the stand-ins.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import httpx
import pytest

from preference_center.integrations.base.contract import (
    Connector,
    DestinationConfig,
    PushItem,
    PushOutcome,
    SupportsPull,
    SupportsScan,
)
from preference_center.integrations.base.http import HttpContext
from preference_center.integrations.ghost.connector import Ghost
from preference_center.integrations.listmonk.connector import Listmonk
from preference_center.integrations.mailman.connector import Mailman
from preference_center.integrations.registry import get_spec
from preference_center.integrations.tryton.connector import Tryton
from tests.integrations.both_ways_contract import AbsentContract, ReadContract, whole
from tests.integrations.contract import ANNA, BO, CY, ODD, PushContract, Rig
from tests.integrations.erase_contract import EraseContract
from tests.real.conftest import Start
from tests.real.tools.running import NEWS, OFFERS, RealTool

NAMES = {NEWS: "news", OFFERS: "offers"}


@dataclass(slots=True)
class Hands:
    """A real tool as the contract's tests look into it."""

    tool: RealTool

    def off(self, address: str) -> set[str]:
        return {NAMES[topic] for topic in self.tool.off(address) or set()}

    def turn_off(self, address: str, topic: str) -> None:
        self.add(address)
        self.tool.turn_off(address, {short: name for name, short in NAMES.items()}[topic])

    def add(self, *addresses: str) -> None:
        missing = [address for address in addresses if not self.has(address)]
        try:
            self.tool.add(*missing)
        except httpx.HTTPStatusError as error:
            if error.response.is_client_error:
                pytest.skip("the tool takes no such address")
            raise

    def has(self, address: str) -> bool:
        return self.tool.off(address) is not None

    def requests(self) -> int:
        return 0  # of no interest here


class Crowded:
    """A connector of a tool that knows everybody, as the contract has it."""

    def __init__(self, connector: Connector, hands: Hands) -> None:
        self._connector = connector
        self._hands = hands

    def push(self, batch: Sequence[PushItem]) -> Mapping[int, PushOutcome]:
        if len(batch) <= self._connector.capabilities.batch_size:
            self._hands.add(*(item.address for item in batch))
        return self._connector.push(batch)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connector, name)


class CrowdedRig(Rig):
    """A rig whose tool gets to know anyone who is pushed."""

    def make(self, **http: Any) -> Connector:
        return cast("Connector", Crowded(super().make(**http), cast("Hands", self.tool)))


@pytest.fixture(params=["mailman", "tryton", "listmonk", "ghost"])
def hands(request: pytest.FixtureRequest, start: Start) -> Iterator[Hands]:
    tool = start(request.param)
    tool.forget()
    yield Hands(tool)
    tool.forget()


def setup_of(hands: Hands) -> DestinationConfig:
    topics = {NAMES[topic]: target for topic, target in hands.tool.mapping.items()}
    return DestinationConfig("real", hands.tool.settings, topics)


class TestPushing(PushContract, ReadContract):
    @pytest.fixture
    def rig(self, hands: Hands) -> Rig:
        return CrowdedRig(hands.tool.kind, setup_of(hands), hands, HttpContext(allow_private=True))

    @pytest.fixture(autouse=True)
    def _smaller_batches(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """So that a full one doesn't take half a minute; long enough for Tryton to compress."""
        for connector in (Mailman, Tryton, Listmonk, Ghost):
            capabilities = replace(connector.capabilities, batch_size=20)
            monkeypatch.setattr(connector, "capabilities", capabilities)
            entry = replace(get_spec(connector.kind), capabilities=capabilities)
            monkeypatch.setattr(f"{connector.__module__}.SPEC", entry)


class TestStrangers(AbsentContract):
    @pytest.fixture
    def rig(self, hands: Hands) -> Rig:
        return Rig(hands.tool.kind, setup_of(hands), hands, HttpContext(allow_private=True))

    def test_scanning_goes_on_from_its_cursor(self, rig: Rig, hands: Hands) -> None:  # I13
        connector = cast("SupportsScan", rig.make())
        hands.add(ANNA, BO)
        seen, cursor = whole(connector.scan)
        assert {contact.address for contact in seen} == {ANNA, BO}
        hands.add(CY)
        seen, _ = whole(connector.scan, cursor)
        assert CY in {contact.address for contact in seen}

    def test_pulling_goes_on_from_its_cursor(self, rig: Rig, hands: Hands) -> None:  # I13
        connector = cast("SupportsPull", rig.make())
        hands.add(ANNA, BO)
        hands.turn_off(ANNA, "news")
        event, cursor = whole(connector.pull)
        assert [(n.address, n.target) for n in event] == [(ANNA, rig.setup.topics["news"])]
        hands.turn_off(CY, "offers")
        event, _ = whole(connector.pull, cursor)
        assert (CY, rig.setup.topics["offers"]) in [(n.address, n.target) for n in event]


class TestErasing(EraseContract):
    @pytest.fixture
    def rig(self, hands: Hands) -> Rig:
        return Rig(hands.tool.kind, setup_of(hands), hands, HttpContext(allow_private=True))


class TestErasingInSes(EraseContract):
    @pytest.fixture
    def rig(self, start: Start) -> Rig:
        tool = start("moto")
        tool.forget()
        hands = Hands(tool)
        return Rig(tool.kind, setup_of(hands), hands, HttpContext(allow_private=True))

    # moto, unlike AWS, takes a quoted slash for one that divides a path.
    @pytest.mark.parametrize("address", [each for each in ODD if "/" not in each])
    def test_unusual_addresses_are_erased(self, rig: Rig, address: str) -> None:
        super().test_unusual_addresses_are_erased(rig, address)
