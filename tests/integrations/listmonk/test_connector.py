from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from preference_center.integrations.base.contract import (
    DeliveryError,
    DestinationConfig,
    PushResult,
)
from preference_center.integrations.base.vendor_events import VendorEvent, VendorEventKind
from preference_center.integrations.listmonk import connector as listmonk
from preference_center.integrations.listmonk.connector import Listmonk
from tests.integrations.both_ways_contract import (
    AbsentContract,
    PullContract,
    ReadContract,
    ScanContract,
    whole,
)
from tests.integrations.contract import ANNA, BO, CY, JsonApiContract, Rig, lift, off, results
from tests.integrations.erase_contract import EraseContract, EraseHttpContract
from tests.integrations.mapped_contract import MappedContract
from tests.integrations.odd_answers_contract import OddAnswersContract
from tests.integrations.rights_contract import RightsContract
from tests.integrations.tools.described import Description
from tests.integrations.tools.listmonk import TOKEN, USER, ListmonkStandIn
from tests.integrations.tools.stand_in import Fault

TOPICS = {"news": "11", "offers": "12"}


@dataclass(slots=True)
class Lists:
    server: ListmonkStandIn

    def off(self, address: str) -> set[str]:
        held = self.server.subscribers.get(address.lower(), {"lists": {}})["lists"]
        return {topic for topic, id_ in TOPICS.items() if held.get(int(id_)) == "unsubscribed"}

    def turn_off(self, address: str, topic: str) -> None:
        self.server.join(address)
        self.server.leave(address, int(TOPICS[topic]))

    def requests(self) -> int:
        return len(self.server.seen)

    def reject(self, address: str) -> None:
        self.server.invalid.add(address)

    def add(self, address: str) -> None:
        self.server.join(address)

    def has(self, address: str) -> bool:
        return address in self.server.subscribers

    def revoke(self) -> str:
        self.server.granted.discard("lists:manage_all")
        return "list:manage on list 12"


@pytest.fixture(scope="module")
def description() -> Description:
    """Ours, of what listmonk answers: see its `info`."""
    return Description(Path(__file__).parents[1] / "contracts" / "listmonk.json")


@pytest.fixture
def server(description: Description) -> Iterator[ListmonkStandIn]:
    description.faults.clear()
    with ListmonkStandIn(description.watch) as server:
        yield server
    assert description.faults == []


@pytest.fixture
def rig(server: ListmonkStandIn) -> Rig:
    settings = {"base_url": server.url, "user": USER, "token": TOKEN}
    # A push looks at the lists, then for the subscribers.
    setup = DestinationConfig("monk", settings, TOPICS)
    return Rig("listmonk", setup, Lists(server), requests_before_writing=2)


class TestListmonk(JsonApiContract, MappedContract, ReadContract, PullContract, RightsContract):
    pass


class TestSubscribers(AbsentContract, ScanContract):
    @pytest.fixture(autouse=True)
    def _only_subscribers(self, server: ListmonkStandIn) -> None:
        server.everybody = False


class TestErase(EraseContract, EraseHttpContract):
    @pytest.fixture(autouse=True)
    def _only_subscribers(self, server: ListmonkStandIn) -> None:
        server.everybody = False


class TestOddAnswers(OddAnswersContract):
    pass


def connect(rig: Rig) -> Listmonk:
    return cast("Listmonk", rig.make())


def test_a_push_looks_once_and_writes_once_a_list(rig: Rig, server: ListmonkStandIn) -> None:
    rig.make().push([off(1, ANNA, "news", "offers"), off(2, BO, "news"), off(3, CY, "offers")])
    assert server.seen == [
        ("GET", "/api/lists"),
        ("GET", "/api/subscribers"),
        ("PUT", "/api/subscribers/lists"),
        ("PUT", "/api/subscribers/lists"),
    ]


@pytest.mark.parametrize("page", [2, 3, 4])
def test_pages_end_where_the_subscribers_do(
    rig: Rig, server: ListmonkStandIn, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(listmonk, "PAGE_SIZE", page)
    people = [ANNA, BO, CY]
    for address in people:
        server.join(address)
    assert [seen.address for seen in whole(connect(rig).scan)[0]] == people


def test_a_quote_ends_no_query(rig: Rig, server: ListmonkStandIn) -> None:
    server.everybody = False
    server.join(ANNA)
    trick = "x') OR ('1'='1@example.com"
    assert results(rig.make().push([off(1, trick, "news")])) == {1: PushResult.ABSENT}
    assert rig.tool.off(ANNA) == set()


def test_who_is_in_no_such_list_gets_nothing_and_is_not_put_there(
    rig: Rig, server: ListmonkStandIn
) -> None:
    server.everybody = False
    server.join(ANNA, 11)
    connector = connect(rig)
    batch = [off(1, ANNA, "news", "offers")]
    assert results(connector.push(batch)) == {1: PushResult.REFLECTED}
    assert server.subscribers[ANNA]["lists"] == {11: "unsubscribed"}


def test_who_never_joined_a_list_has_not_opted_out(rig: Rig, server: ListmonkStandIn) -> None:
    server.everybody = False
    server.join(ANNA, 11)
    assert connect(rig).read([off(1, ANNA)]) == {1: frozenset()}
    assert connect(rig).read([off(1, ANNA, "offers")]) == {1: frozenset({"offers"})}


def test_a_list_with_double_opt_in_is_not_turned_on(rig: Rig, server: ListmonkStandIn) -> None:
    server.double = {11}
    connector = rig.make()
    connector.push([off(1, ANNA, "news", "offers")])
    assert results(connector.push([lift(1, ANNA, "news", "offers")])) == {1: PushResult.REFUSED}
    assert server.subscribers[ANNA]["lists"] == {
        11: "unsubscribed",
        12: "unconfirmed",
        99: "confirmed",
    }


def test_the_blocklist_is_read_and_never_left_or_written(
    rig: Rig, server: ListmonkStandIn
) -> None:  # I10, I13
    server.join(ANNA)["status"] = "blocklisted"
    connector = connect(rig)
    rig.tool.turn_off(ANNA, "news")
    assert connector.read([off(1, ANNA, "news", "offers")]) == {1: frozenset({"news", "offers"})}
    assert results(connector.push([lift(1, ANNA, "news")])) == {1: PushResult.REFUSED}
    assert server.subscribers[ANNA]["lists"][11] == "unsubscribed"


def test_a_bounce_is_not_taken_for_an_opt_out(rig: Rig, server: ListmonkStandIn) -> None:
    for address in (ANNA, BO):
        server.join(address)["status"] = "blocklisted"
        rig.tool.turn_off(address, "news")
    server.bounced.add(BO)
    connector = connect(rig)
    assert [(n.kind, n.address, n.target) for n in whole(connector.pull)[0]] == [
        (VendorEventKind.OPTED_OUT, ANNA, None)
    ]
    assert connector.read([off(2, BO)]) == {2: frozenset()}
    assert [seen.off for seen in whole(connector.scan)[0]] == [None, None]


def test_an_opt_out_is_dated_by_its_subscription(rig: Rig, server: ListmonkStandIn) -> None:  # I5
    server.join(ANNA)
    left = server.leave(ANNA, 11)
    server.tick()
    assert whole(connect(rig).pull)[0] == [VendorEvent(VendorEventKind.OPTED_OUT, ANNA, "11", left)]


def test_one_that_was_never_stamped_has_no_date(rig: Rig, server: ListmonkStandIn) -> None:
    row = server.join(ANNA)
    row["lists"][11] = "unsubscribed"  # as `add` with that status does, and a clerk's form
    assert whole(connect(rig).pull)[0] == [VendorEvent(VendorEventKind.OPTED_OUT, ANNA, "11")]


@pytest.mark.parametrize("stamps", ["subscriptions", "subscriber"])
def test_a_blocklisting_is_dated_by_the_last_change(
    rig: Rig, server: ListmonkStandIn, stamps: str
) -> None:
    row = server.join(ANNA)
    row["status"] = "blocklisted"
    if stamps == "subscriptions":  # from a campaign
        at = server.leave(ANNA, 11)
    else:
        row["updated_at"] = at = server.tick()
    assert whole(connect(rig).pull)[0] == [
        VendorEvent(VendorEventKind.OPTED_OUT, ANNA, occurred_at=at)
    ]


@pytest.mark.parametrize(
    "right",
    ["subscribers:get_all", "subscribers:sql_query", "subscribers:manage", "lists:get_all"],
)
def test_each_right_is_asked_for(rig: Rig, server: ListmonkStandIn, right: str) -> None:
    server.granted.discard(right)
    problems = rig.make().check().problems
    assert any(right in problem and "Users" in problem for problem in problems)


def test_a_list_role_is_enough_for_the_mapped_lists(rig: Rig, server: ListmonkStandIn) -> None:
    server.granted = {"subscribers:get", "subscribers:sql_query", "subscribers:manage"}
    server.on_lists = {11: {"list:get", "list:manage"}, 12: {"list:get", "list:manage"}}
    connector = rig.make()
    assert connector.check().ok
    assert results(connector.push([off(1, ANNA, "news", "offers")])) == {1: PushResult.REFLECTED}
    server.on_lists[12].discard("list:manage")
    (problem,) = connector.check().problems
    assert "list:manage on list 12" in problem


def test_nobody_is_called_absent_whom_the_user_may_not_see(
    rig: Rig, server: ListmonkStandIn
) -> None:
    server.granted = {"subscribers:get", "subscribers:sql_query", "subscribers:manage"}
    server.granted |= {"lists:get_all", "lists:manage_all"}
    server.join(ANNA)
    assert results(rig.make().push([off(1, ANNA, "news")])) == {1: PushResult.ABSENT}
    (problem,) = rig.make().check().problems
    assert "subscribers:get_all" in problem


ROWS = [
    {"id": 1, "email": ANNA, "status": None, "lists": None, "updated_at": None},
    {"id": 2, "email": BO},
    {"id": 3, "email": CY, "lists": [{"id": 11, "subscription_status": "unsubscribed"}]},
    {"id": 4, "email": "d@example.com", "lists": [{}, {"id": 12, "subscription_status": None}]},
    {
        "id": 5,
        "email": "e@example.com",
        "lists": [
            {"id": 12, "subscription_status": "unsubscribed", "subscription_updated_at": "soon"}
        ],
    },
]


def test_rows_may_lack_what_the_description_does_not_promise(
    rig: Rig, server: ListmonkStandIn
) -> None:  # docs/swagger/collections.yaml of v6.2.0 requires no field
    server.fail(Fault(200, body=json.dumps({"data": {"results": ROWS, "total": 5}})))
    seen = connect(rig).scan(None).rows
    assert [set(each.off or ()) for each in seen] == [
        set(),
        set(),
        {"news"},
        set(),
        {"offers"},
    ]
    server.fail(Fault(200, body=json.dumps({"data": {"results": ROWS, "total": 5}})))
    assert [(n.address, n.target, n.occurred_at) for n in connect(rig).pull(None).rows] == [
        (CY, "11", None),
        ("e@example.com", "12", None),
    ]
    server.fail(Fault(200, body='{"data": {"results": null}}'))
    assert connect(rig).scan(None).rows == ()


def test_a_list_that_is_gone_stops_the_destination(rig: Rig, server: ListmonkStandIn) -> None:
    del server.lists[12]
    with pytest.raises(DeliveryError, match="12 are gone") as caught:
        rig.make().push([off(1, ANNA, "offers")])
    assert caught.value.permanent
    assert rig.tool.off(ANNA) == set()
