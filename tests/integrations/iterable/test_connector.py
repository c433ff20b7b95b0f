from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from preference_center.core.addresses import Channel
from preference_center.integrations.base.contract import (
    DeliveryError,
    DestinationConfig,
    FieldItem,
    PushItem,
    PushResult,
    RateLimit,
)
from preference_center.integrations.base.http import (
    EndpointRateLimit,
    NullRateLimiter,
    RequestRateLimiter,
)
from preference_center.integrations.base.paging import ListingCursor, encode_cursor
from preference_center.integrations.base.vendor_events import VendorEvent, VendorEventKind
from preference_center.integrations.iterable import connector as connector_module
from preference_center.integrations.iterable.connector import IterableConnector
from tests.integrations.both_ways_contract import (
    AbsentContract,
    FieldContract,
    PullContract,
    ReadContract,
    whole,
    with_settings,
)
from tests.integrations.contract import ANNA, BO, CY, NOW, JsonApiContract, Rig, lift, off, results
from tests.integrations.erase_contract import EraseContract, EraseHttpContract
from tests.integrations.mapped_contract import MappedContract
from tests.integrations.odd_answers_contract import OddAnswersContract
from tests.integrations.tools.described import Description
from tests.integrations.tools.iterable import KEY, IterableStandIn
from tests.integrations.tools.stand_in import Fault

TOPICS = {"news": "channel:11", "offers": "channel:12"}
CHANNELS = {"news": 11, "offers": 12}
JUST_NOW = NOW - timedelta(minutes=1)


@dataclass(slots=True)
class Project:
    server: IterableStandIn

    def off(self, address: str) -> set[str]:
        left = self.server.users.get(address, {}).get("unsubscribedChannelIds", [])
        return {topic for topic, channel in CHANNELS.items() if channel in left}

    def turn_off(self, address: str, topic: str) -> None:
        self.server.leave(address, JUST_NOW, "EmailLink", channelIds=[CHANNELS[topic]])

    def requests(self) -> int:
        return len(self.server.seen)

    def reject(self, address: str) -> None:
        self.server.invalid.add(address)

    def add(self, address: str) -> None:
        self.server.add(address)

    def has(self, address: str) -> bool:
        return address in self.server.users

    def finish_erasures(self) -> None:
        self.server.finish_forgetting()

    def bars(self, address: str) -> bool:
        return address in self.server.forgotten

    def link(self, address: str) -> str | None:
        return self.server.fields.get(address, {}).get("newsFrequency")


@pytest.fixture(scope="module")
def description() -> Description:
    """Iterable's own, cut: see its `info`."""
    return Description(Path(__file__).parents[1] / "contracts" / "iterable.json")


@pytest.fixture
def server(description: Description) -> Iterator[IterableStandIn]:
    description.faults.clear()
    with IterableStandIn(description.watch) as server:
        yield server
    assert description.faults == []


@pytest.fixture
def rig(server: IterableStandIn) -> Rig:
    fields = "news=newsFrequency"
    settings = {"api_key": KEY, "base_url": server.url, "frequency_fields": fields}
    setup = DestinationConfig("it", settings, TOPICS)
    # Channels, message types, and the user.
    return Rig(
        "iterable",
        setup,
        Project(server),
        requests_before_writing=3,
        requests_before_erasing=1,
        one_by_one=True,
    )


class TestIterable(JsonApiContract, MappedContract, ReadContract, PullContract):
    target = "channel:11"
    missing = "channel:13"
    unmapped = ("Weekly (type:31)", "Partners (type:32)")

    def _two_requests_worth(self) -> list[PushItem]:
        return [off(n, f"p{n}@example.com", "news") for n in range(26)]

    def _requests_of_the_first_write(self, rig: Rig) -> int:
        """Each user of a group is looked up before it is written."""
        return rig.requests_before_writing + 25


class TestOddAnswers(OddAnswersContract):
    pass


class TestIterablesUsers(AbsentContract, FieldContract, EraseContract, EraseHttpContract):
    @pytest.fixture(autouse=True)
    def _only_who_was_added(self, server: IterableStandIn) -> None:
        server.strict = True


def connect(rig: Rig, **topics: str) -> IterableConnector:
    if topics:
        rig = replace(rig, setup=replace(rig.setup, topics=topics))
    return cast("IterableConnector", rig.make())


def arrays(server: IterableStandIn, address: str) -> dict[str, list[int]]:
    return {name: ids for name, ids in server.users[address].items() if ids}


def test_a_group_is_written_by_one_request(rig: Rig, server: IterableStandIn) -> None:
    rig.make().push([off(n, f"p{n}@example.com", "news", "offers") for n in range(25)])
    writes = [path for method, path in server.seen if method == "POST"]
    assert writes == ["/api/users/bulkUpdateSubscriptions"]


def test_a_field_of_25_users_is_written_by_one_request_and_one_refused_alone(
    rig: Rig, server: IterableStandIn
) -> None:
    server.failing.add("p7@example.com")
    items = [FieldItem(n, f"p{n}@example.com", Channel.EMAIL, "monthly") for n in range(25)]
    found = results(connect(rig).write_field("newsFrequency", items))
    assert found.pop(7) is PushResult.REFUSED
    assert set(found.values()) == {PushResult.REFLECTED}
    assert [path for method, path in server.seen if method == "POST"] == ["/api/users/bulkUpdate"]


def test_a_field_that_is_gone_is_not_created_and_stays_to_be_written(
    rig: Rig, server: IterableStandIn
) -> None:
    del server.field_types["newsFrequency"]
    with pytest.raises(DeliveryError, match="no field newsFrequency") as caught:
        connect(rig).write_field("newsFrequency", [FieldItem(1, ANNA, Channel.EMAIL, "monthly")])
    assert not caught.value.permanent


@pytest.mark.parametrize("name", ["age", "email", "gone"])
def test_a_field_that_can_not_hold_it_is_reported(rig: Rig, name: str) -> None:
    (problem,) = with_settings(rig, frequency_fields=f"news={name}").make().check().problems
    assert f"{name} is no text field" in problem


def test_what_is_not_ours_is_written_back_as_it_was(rig: Rig, server: IterableStandIn) -> None:
    """Iterable replaces whole arrays."""  # I13
    server.add(ANNA, unsubscribedChannelIds=[99], unsubscribedMessageTypeIds=[7], emailListIds=[41])
    rig.make().push([off(1, ANNA, "news")])
    assert arrays(server, ANNA) == {
        "unsubscribedChannelIds": [11, 99],
        "unsubscribedMessageTypeIds": [7],
        "emailListIds": [41],
    }
    assert server.bodies == [{"email": ANNA, "unsubscribedChannelIds": [11, 99]}]
    rig.make().push([lift(1, ANNA, "news")])
    assert arrays(server, ANNA)["unsubscribedChannelIds"] == [99]


@pytest.mark.parametrize(
    "target, before, after",
    [
        pytest.param("channel:11", {}, {"unsubscribedChannelIds": [11]}, id="a channel"),
        pytest.param("type:31", {}, {"unsubscribedMessageTypeIds": [31]}, id="a message type"),
        pytest.param(
            "type:32",
            {"subscribedMessageTypeIds": [32, 39]},
            {"subscribedMessageTypeIds": [39]},
            id="a message type by opt-in",
        ),
        pytest.param("list:41", {"emailListIds": [41, 49]}, {"emailListIds": [49]}, id="a list"),
    ],
)
def test_each_kind_of_target_is_turned_off_read_and_lifted(
    rig: Rig,
    server: IterableStandIn,
    target: str,
    before: dict[str, list[int]],
    after: dict[str, list[int]],
) -> None:
    connector = connect(rig, news=target)
    assert connector.check().ok
    server.add(ANNA, **before)
    assert connector.read([off(1, ANNA, "news")]) == {1: frozenset()}
    assert results(connector.push([off(1, ANNA, "news")])) == {1: PushResult.REFLECTED}
    assert arrays(server, ANNA) == after
    assert connector.read([off(1, ANNA, "news")]) == {1: frozenset({"news"})}
    assert results(connector.push([lift(1, ANNA, "news")])) == {1: PushResult.REFLECTED}
    assert arrays(server, ANNA) == before


@pytest.mark.parametrize("target", ["type:32", "list:41"])
def test_who_never_joined_has_not_opted_out(
    rig: Rig, server: IterableStandIn, target: str
) -> None:  # I13
    server.add(ANNA)
    assert connect(rig, news=target).read([off(1, ANNA)]) == {1: frozenset()}


def test_a_type_of_a_channel_that_was_left_is_off_and_turned_off_by_itself_too(
    rig: Rig, server: IterableStandIn
) -> None:
    server.add(ANNA, unsubscribedChannelIds=[11])
    connector = connect(rig, news="type:31")
    assert connector.read([off(1, ANNA)]) == {1: frozenset({"news"})}
    connector.push([off(1, ANNA, "news")])
    assert arrays(server, ANNA)["unsubscribedMessageTypeIds"] == [31]
    connector.push([lift(1, ANNA, "news")])
    assert arrays(server, ANNA) == {"unsubscribedChannelIds": [11]}, "the channel is not ours"


@pytest.mark.parametrize(
    "target, why",
    [
        ("channel:20", "service mail"),
        ("type:33", "service mail"),
        ("channel:21", "by email"),
        ("list:42", "static list"),
        ("type:99", "does not have"),
    ],
)
def test_what_no_topic_may_be_mapped_to_is_named_and_never_written(
    rig: Rig, server: IterableStandIn, target: str, why: str
) -> None:  # I10, I4
    connector = connect(rig, news=target)
    (problem,) = connector.check().problems
    assert why in problem
    with pytest.raises(DeliveryError, match="news is mapped to no") as caught:
        connector.push([off(1, ANNA, "news")])
    assert caught.value.permanent
    assert server.bodies == []


def test_who_was_forgotten_there_is_absent(rig: Rig, server: IterableStandIn) -> None:
    """Iterable keeps no profile of them, and takes none again."""
    server.add(ANNA)
    server.forgotten.add(ANNA)
    assert results(rig.make().push([off(1, ANNA, "news")])) == {1: PushResult.ABSENT}


def test_what_fails_for_now_is_tried_again(rig: Rig, server: IterableStandIn) -> None:
    server.failing.add(BO)
    found = rig.make().push([off(1, ANNA, "news"), off(2, BO, "news")])
    assert results(found) == {1: PushResult.REFLECTED, 2: PushResult.RETRY_LATER}


def test_a_failure_that_names_nobody_is_found_by_halving(rig: Rig, server: IterableStandIn) -> None:
    server.fails_unnamed.add(BO)
    found = rig.make().push([off(n, a, "news") for n, a in enumerate((ANNA, BO, CY))])
    assert results(found) == {
        0: PushResult.REFLECTED,
        1: PushResult.REFUSED,
        2: PushResult.REFLECTED,
    }


def test_who_did_it_and_when_is_reported(rig: Rig, server: IterableStandIn) -> None:  # I13
    at = NOW - timedelta(days=400)
    server.leave(ANNA, at, "EmailLink", channelIds=[11], messageTypeIds=[31])
    server.leave(BO, at, "ApiSubscriptionUpdate", emailListIds=[41])
    server.leave(CY, at, "Complaint")
    connector = connect(rig, news="channel:11", vip="list:41")
    assert whole(connector.pull)[0] == [
        VendorEvent(VendorEventKind.OPTED_OUT, ANNA, "channel:11", occurred_at=at, by_person=True),
        VendorEvent(VendorEventKind.OPTED_OUT, BO, "list:41", occurred_at=at),
        VendorEvent(VendorEventKind.COMPLAINED, CY, occurred_at=at, by_person=True),
    ]


def test_who_came_back_there_since_did_not_opt_out(rig: Rig, server: IterableStandIn) -> None:
    server.leave(ANNA, NOW - timedelta(days=400), "EmailLink", channelIds=[11, 12])
    server.add(ANNA, unsubscribedChannelIds=[12])
    server.leave(BO, NOW - timedelta(days=400), "EmailLink", channelIds=[11])
    del server.users[BO]
    server.strict = True
    event, _ = whole(connect(rig).pull)
    assert [(n.address, n.target) for n in event] == [(ANNA, "channel:12"), (BO, "channel:11")], (
        "who is deleted there can't have come back"
    )


def test_an_event_of_an_address_that_iterable_rejects_holds_up_no_other(
    rig: Rig, server: IterableStandIn
) -> None:  # I13
    for address in (ANNA, BO):
        server.leave(address, NOW - timedelta(days=400), "EmailLink", channelIds=[11])
    server.invalid.add(ANNA)
    event, _ = whole(connect(rig).pull)
    assert [each.address for each in event] == [ANNA, BO]


@pytest.mark.parametrize("apart", [0, 1], ids=["in one second", "one a second"])
def test_more_events_than_end_inside_a_lease_are_read_over_several_pages(
    rig: Rig, server: IterableStandIn, monkeypatch: pytest.MonkeyPatch, apart: int
) -> None:
    monkeypatch.setattr(connector_module, "MAX_USERS_PER_PULL", most := 60)
    many = 2 * most + 10
    for n in range(many):
        at = NOW - timedelta(days=3) + timedelta(seconds=apart * n)
        server.leave(f"p{n}@example.com", at, "EmailLink", channelIds=[11])
    connector = connect(rig)
    event, _ = whole(connector.pull)
    assert len(event) == many, "each of them once"
    last = encode_cursor(ListingCursor(since=NOW - timedelta(days=4)))
    server.seen.clear()
    assert len(connector.pull(last).rows) == (most if apart else many)
    assert len(server.seen) == 1 + most, "the export, and as many as end inside a lease"


def test_exports_keep_to_a_limit_of_their_own(rig: Rig) -> None:
    limits: list[EndpointRateLimit] = []

    class Kept(NullRateLimiter):
        def with_limit(self, limit: EndpointRateLimit) -> RequestRateLimiter:
            limits.append(limit)
            return self

    connector = cast("IterableConnector", rig.make(rate_limiter=Kept()))
    connector.pull(None)
    connector.push([off(1, ANNA, "news")])
    assert limits == [EndpointRateLimit("exports", RateLimit(4, 60))]


def test_an_export_that_is_no_list_of_events_is_no_page(rig: Rig, server: IterableStandIn) -> None:
    server.fail(Fault(200, body="busy"))
    with pytest.raises(DeliveryError):
        connect(rig).pull(None)


@pytest.mark.parametrize("fields", [None, {}, {"unsubscribedChannelIds": None}])
def test_nulls_and_missing_fields_are_read_as_empty(
    rig: Rig, server: IterableStandIn, fields: dict[str, Any] | None
) -> None:
    body = f'{{"user": {{"email": "{ANNA}", "dataFields": {"null" if fields is None else "{}"}}}}}'
    if fields:
        body = body.replace("{}", '{"unsubscribedChannelIds": null, "emailListIds": null}')
    server.fail(Fault(200, body=body))
    assert connect(rig, news="channel:11").read([off(1, ANNA)]) == {1: frozenset()}
