"""Against a stand-in; tests/real holds much of the same contract against Tryton itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import pytest

from preference_center.integrations.base.contract import (
    DeliveryError,
    DestinationConfig,
    PushResult,
)
from preference_center.integrations.base.vendor_events import VendorEvent, VendorEventKind
from preference_center.integrations.tryton import connector as client
from preference_center.integrations.tryton.connector import Tryton
from tests.integrations.both_ways_contract import (
    AbsentContract,
    PullContract,
    ReadContract,
    ScanContract,
    whole,
)
from tests.integrations.contract import ANNA, BO, JsonApiContract, Rig, lift, off, results
from tests.integrations.erase_contract import EraseContract, EraseHttpContract, erase
from tests.integrations.mapped_contract import MappedContract
from tests.integrations.rights_contract import RightsContract
from tests.integrations.tools.stand_in import Fault
from tests.integrations.tools.tryton import DATABASE, PASSWORD, USER, TrytonStandIn

TOPICS = {"news": "11", "offers": "12"}


@dataclass(slots=True)
class Lists:
    server: TrytonStandIn

    def off(self, address: str) -> set[str]:
        rows = self.server.rows
        return {
            topic
            for topic, list_id in TOPICS.items()
            if not rows.get((address.lower(), int(list_id)), {"active": True})["active"]
        }

    def turn_off(self, address: str, topic: str) -> None:
        self.server.turn(address, int(TOPICS[topic]), active=False)

    def requests(self) -> int:
        return len(self.server.seen)

    def reject(self, address: str) -> None:
        self.server.invalid.add(address)

    def add(self, address: str) -> None:
        self.server.join(address)

    def has(self, address: str) -> bool:
        return any(email == address for email, _ in self.server.rows)

    def revoke(self) -> str:
        self.server.may["write"] = False
        return "write on addresses of mailing lists"


@pytest.fixture
def server() -> Iterator[TrytonStandIn]:
    with TrytonStandIn() as server:
        yield server


@pytest.fixture
def rig(server: TrytonStandIn) -> Rig:
    settings = {
        "base_url": server.url,
        "database": DATABASE,
        "user": USER,
        "password": PASSWORD,
    }
    # A push logs in, looks at the lists, then for the addresses.
    return Rig(
        "tryton",
        DestinationConfig("erp", settings, TOPICS),
        Lists(server),
        requests_before_writing=3,
    )


class TestErase(EraseContract, EraseHttpContract):
    @pytest.fixture(autouse=True)
    def _known_only(self, server: TrytonStandIn) -> None:
        server.everybody = False


def test_lists_without_a_topic_are_erased_from_too(rig: Rig, server: TrytonStandIn) -> None:
    server.everybody = False
    server.join(ANNA, 99)
    erase(rig, ANNA)
    assert server.rows == {}


def test_a_user_who_may_not_delete_is_reported(rig: Rig, server: TrytonStandIn) -> None:
    server.everybody = False
    server.may["delete"] = False
    server.join(ANNA)
    missing = [each.name for each in rig.make().check().permissions if not each.is_granted]
    assert missing == ["delete on addresses of mailing lists"]
    assert results(erase(rig, ANNA)) == {0: PushResult.REFUSED}


class TestTryton(JsonApiContract, MappedContract, ReadContract, PullContract, RightsContract):
    def calls(self, rig: Rig) -> list[object]:
        return list(cast("Lists", rig.tool).server.methods)


class TestAddresses(AbsentContract, ScanContract):
    @pytest.fixture(autouse=True)
    def _only_who_was_added(self, server: TrytonStandIn) -> None:
        server.everybody = False


def connect(rig: Rig) -> Tryton:
    return cast("Tryton", rig.make())


def test_who_waits_for_a_confirmation_has_not_opted_out(rig: Rig, server: TrytonStandIn) -> None:
    server.everybody = False
    server.join(ANNA, 11, active=False)
    connector = connect(rig)
    assert whole(connector.pull)[0] == []
    assert connector.read([off(1, ANNA)]) == {1: frozenset()}
    # Nothing is sent there: that is all we want, and a lift confirms nothing.
    assert connector.read([off(1, ANNA, "news")]) == {1: frozenset({"news"})}
    for item in (off(1, ANNA, "news"), lift(1, ANNA, "news")):
        assert results(connector.push([item])) == {1: PushResult.REFLECTED}
    assert server.rows[ANNA, 11]["write_date"] is None


def test_who_confirms_after_the_no_is_found(rig: Rig, server: TrytonStandIn) -> None:
    server.join(ANNA, 11, active=False)
    connector = connect(rig)
    _, cursor = whole(connector.scan)
    server.turn(ANNA, 11, active=True)
    assert ANNA in {seen.address for seen in whole(connector.scan, cursor)[0]}
    assert connector.read([off(1, ANNA, "news")]) == {1: frozenset()}


def test_an_event_has_list_and_time(rig: Rig, server: TrytonStandIn) -> None:
    server.turn(ANNA, 12, active=False)
    server.turn(ANNA, 99, active=False)
    server.turn(BO, 11, active=False)
    server.turn(BO, 11, active=True)
    (event,) = whole(connect(rig).pull)[0]
    at = server.rows[ANNA, 12]["write_date"]
    assert event == VendorEvent(VendorEventKind.OPTED_OUT, ANNA, "12", occurred_at=at)


@pytest.mark.parametrize("page", [2, 3, 4])
def test_pages_are_by_id_and_the_next_run_begins_before_the_newest(
    rig: Rig, server: TrytonStandIn, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(client, "PAGE_SIZE", page)
    connector = connect(rig)
    people = [f"p{n}@example.com" for n in range(6)]
    for address in people:
        server.join(address, 11)
    seen, cursor = whole(connector.scan)
    assert [each.address for each in seen] == people
    server.now += client.OVERLAP
    server.turn(people[0], 11, active=False)
    seen, _ = whole(connector.scan, cursor)
    # p0 for its change; the others' times are within the overlap of those seen before.
    assert [each.address for each in seen] == people
    _, cursor = whole(connector.scan, cursor)
    assert {each.address for each in whole(connector.scan, cursor)[0]} == {people[0]}


def test_an_error_within_a_200_is_no_acknowledgement(rig: Rig, server: TrytonStandIn) -> None:
    for name in ("ConcurrencyException", "KeyError: anna@example.com"):
        server.fail(Fault(200, body=f'{{"id": 1, "error": ["{name}", ""]}}', after=3))
        with pytest.raises(DeliveryError) as caught:
            rig.make().push([off(1, ANNA, "news")])
        assert not caught.value.permanent
        assert ANNA not in str(caught.value)  # I12


def test_rights_that_are_lacking_are_named(rig: Rig, server: TrytonStandIn) -> None:
    server.may["write"] = False
    (problem,) = rig.make().check().problems
    assert "write on addresses" in problem


def test_a_list_that_is_gone_stops_the_destination(rig: Rig, server: TrytonStandIn) -> None:
    del server.lists[12]
    connector = connect(rig)
    for act in (
        lambda: connector.push([off(1, ANNA, "news")]),
        lambda: connector.read([off(1, ANNA)]),
        lambda: connector.scan(None),
        lambda: connector.pull(None),
    ):
        with pytest.raises(DeliveryError, match="12 are gone") as caught:
            act()
        assert caught.value.permanent
