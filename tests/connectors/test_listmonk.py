from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import pytest

from preference_center.domain.news import News, NewsKind
from tests.connectors.both_ways_contract import (
    AbsentContract,
    PullContract,
    ReadContract,
    ScanContract,
    whole,
)
from tests.connectors.contract import ANNA, BO, CY, JsonApiContract, Rig, lift, off, results
from tests.connectors.mapped_contract import MappedContract
from tests.connectors.tools.listmonk import TOKEN, USER, ListmonkStandIn
from workers.connectors import listmonk
from workers.connectors.base import DeliveryError, Result, Setup
from workers.connectors.listmonk import Listmonk

TOPICS = {"news": "11", "offers": "12"}


@dataclass(slots=True)
class Lists:
    server: ListmonkStandIn

    def off(self, address: str) -> set[str]:
        held = self.server.subscribers.get(address.lower(), {"lists": {}})["lists"]
        return {topic for topic, id_ in TOPICS.items() if held.get(int(id_)) == "unsubscribed"}

    def turn_off(self, address: str, topic: str) -> None:
        self.server.join(address)["lists"][int(TOPICS[topic])] = "unsubscribed"

    def requests(self) -> int:
        return len(self.server.seen)

    def reject(self, address: str) -> None:
        self.server.invalid.add(address)

    def add(self, address: str) -> None:
        self.server.join(address)

    def has(self, address: str) -> bool:
        return address in self.server.subscribers


@pytest.fixture
def server() -> Iterator[ListmonkStandIn]:
    with ListmonkStandIn() as server:
        yield server


@pytest.fixture
def rig(server: ListmonkStandIn) -> Rig:
    settings = {"base_url": server.url, "user": USER, "token": TOKEN}
    # A push looks at the lists, then for the subscribers.
    setup = Setup("monk", settings, TOPICS)
    return Rig("listmonk", setup, Lists(server), requests_before_writing=2)


class TestListmonk(JsonApiContract, MappedContract, ReadContract, PullContract):
    pass


class TestSubscribers(AbsentContract, ScanContract):
    @pytest.fixture(autouse=True)
    def _only_subscribers(self, server: ListmonkStandIn) -> None:
        server.everybody = False


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
    monkeypatch.setattr(listmonk, "PAGE", page)
    people = [ANNA, BO, CY]
    for address in people:
        server.join(address)
    assert [seen.address for seen in whole(connect(rig).scan)[0]] == people


def test_a_quote_ends_no_query(rig: Rig, server: ListmonkStandIn) -> None:
    server.everybody = False
    server.join(ANNA)
    trick = "x') OR ('1'='1@example.com"
    assert results(rig.make().push([off(1, trick, "news")])) == {1: Result.ABSENT}
    assert rig.tool.off(ANNA) == set()


def test_who_is_in_no_such_list_gets_nothing_and_is_not_put_there(
    rig: Rig, server: ListmonkStandIn
) -> None:
    server.everybody = False
    server.join(ANNA, 11)
    connector = connect(rig)
    batch = [off(1, ANNA, "news", "offers")]
    assert results(connector.push(batch)) == {1: Result.REFLECTED}
    assert server.subscribers[ANNA]["lists"] == {11: "unsubscribed"}


def test_who_never_joined_a_list_said_no_no(rig: Rig, server: ListmonkStandIn) -> None:
    server.everybody = False
    server.join(ANNA, 11)
    assert connect(rig).read([off(1, ANNA)]) == {1: frozenset()}
    assert connect(rig).read([off(1, ANNA, "offers")]) == {1: frozenset({"offers"})}


def test_a_list_with_double_opt_in_is_not_turned_on(rig: Rig, server: ListmonkStandIn) -> None:
    server.double = {11}
    connector = rig.make()
    connector.push([off(1, ANNA, "news", "offers")])
    assert results(connector.push([lift(1, ANNA, "news", "offers")])) == {1: Result.REFUSED}
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
    assert results(connector.push([lift(1, ANNA, "news")])) == {1: Result.REFUSED}
    assert server.subscribers[ANNA]["lists"][11] == "unsubscribed"


def test_a_bounce_is_not_taken_for_a_no(rig: Rig, server: ListmonkStandIn) -> None:
    for address in (ANNA, BO):
        server.join(address)["status"] = "blocklisted"
        rig.tool.turn_off(address, "news")
    server.bounced.add(BO)
    connector = connect(rig)
    assert whole(connector.pull)[0] == [News(NewsKind.OPTED_OUT, ANNA)]
    assert connector.read([off(2, BO)]) == {2: frozenset()}
    assert [seen.off for seen in whole(connector.scan)[0]] == [None, None]


def test_a_list_that_is_gone_stops_the_destination(rig: Rig, server: ListmonkStandIn) -> None:
    del server.lists[12]
    with pytest.raises(DeliveryError, match="12 are gone") as caught:
        rig.make().push([off(1, ANNA, "offers")])
    assert caught.value.permanent
    assert rig.tool.off(ANNA) == set()
