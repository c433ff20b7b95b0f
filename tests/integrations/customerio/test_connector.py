from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
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
)
from preference_center.integrations.base.http import HttpContext
from preference_center.integrations.base.vendor_events import VendorEvent, VendorEventKind
from preference_center.integrations.customerio.connector import CustomerIo
from tests.integrations.both_ways_contract import (
    AbsentContract,
    FieldContract,
    PullContract,
    ReadContract,
    ScanContract,
    whole,
    with_settings,
)
from tests.integrations.contract import ANNA, BO, CY, JsonApiContract, Rig, lift, off, results
from tests.integrations.erase_contract import EraseContract, EraseHttpContract, erase
from tests.integrations.mapped_contract import MappedContract
from tests.integrations.odd_answers_contract import OddAnswersContract
from tests.integrations.tools.customerio import APP_KEY, CHANGED, KEY, SITE, CustomerIoStandIn
from tests.integrations.tools.described import Description
from tests.integrations.tools.stand_in import Fault

TOPICS = {"news": "topic_11", "offers": "topic_12"}
OPTED_OUT_AT = datetime.fromtimestamp(CHANGED, UTC)


@dataclass(slots=True)
class Workspace:
    server: CustomerIoStandIn

    def off(self, address: str) -> set[str]:
        person = self.server.people.get(address.lower(), {"topics": {}})
        return {topic for topic, id_ in TOPICS.items() if person["topics"].get(id_) is False}

    def turn_off(self, address: str, topic: str) -> None:
        self.server.choose(address, TOPICS[topic], is_on=False)

    def requests(self) -> int:
        return len(self.server.seen)

    def reject(self, address: str) -> None:
        self.server.invalid.add(address)

    def add(self, address: str) -> None:
        self.server.add(address)

    def has(self, address: str) -> bool:
        return address.lower() in self.server.people

    def finish_erasures(self) -> None:
        self.server.finish_suppressing()

    def bars(self, address: str) -> bool:
        return address.lower() in self.server.suppressed

    def link(self, address: str) -> str | None:
        return cast("str | None", self.server.people[address]["custom"].get("News frequency"))


@pytest.fixture(scope="module")
def description() -> Description:
    """Ours, from Customer.io's documentation: see its `info`."""
    return Description(Path(__file__).parents[1] / "contracts" / "customerio.json")


@pytest.fixture
def server(description: Description) -> Iterator[CustomerIoStandIn]:
    description.faults.clear()
    with CustomerIoStandIn(description.watch) as server:
        yield server
    assert description.faults == []


@pytest.fixture
def rig(server: CustomerIoStandIn) -> Rig:
    settings = {
        "site_id": SITE,
        "api_key": KEY,
        "app_key": APP_KEY,
        "base_url": server.url,
        "frequency_fields": "news=News frequency",
    }
    # The topics, and the people of a group.
    return Rig(
        "customerio",
        DestinationConfig("cio", settings, TOPICS),
        Workspace(server),
        requests_before_writing=2,
        requests_before_erasing=1,
    )


class TestCustomerIo(JsonApiContract, MappedContract, ReadContract, PullContract):
    target = "topic_11"
    missing = "topic_13"
    unmapped = ("Events (topic_99)",)

    def _two_requests_worth(self) -> list[PushItem]:
        return [off(n, f"p{n}@example.com", "news") for n in range(101)]


class TestOddAnswers(OddAnswersContract):
    pass


class TestCustomerIosPeople(
    AbsentContract, FieldContract, ScanContract, EraseContract, EraseHttpContract
):
    @pytest.fixture(autouse=True)
    def _only_who_was_added(self, server: CustomerIoStandIn) -> None:
        server.strict = True


def connect(rig: Rig) -> CustomerIo:
    return cast("CustomerIo", rig.make())


def test_a_hundred_people_are_looked_up_and_written_by_a_request_each(
    rig: Rig, server: CustomerIoStandIn
) -> None:
    rig.make().push([off(n, f"p{n}@example.com", "news", "offers") for n in range(200)])
    asked = [path for _, path in server.seen]
    assert asked == ["/v1/subscription_topics", *["/v1/customers/attributes", "/api/v2/batch"] * 2]


def test_a_change_can_create_nobody_even_if_they_are_deleted_meanwhile(
    rig: Rig, server: CustomerIoStandIn
) -> None:  # I13
    server.add(ANNA)
    rig.make().push([off(1, ANNA, "news")])
    (body,) = server.bodies
    assert body["attributes"]["_update"] is True
    assert body["identifiers"] == {"cio_id": server.people[ANNA]["cio_id"]}
    server.people.clear()
    assert server._identify(body["identifiers"], dict(body["attributes"]))
    assert server.people == {}


def test_attributes_are_written_a_hundred_at_a_time_and_a_rejection_holds_up_no_other(
    rig: Rig, server: CustomerIoStandIn
) -> None:
    server.invalid.add("p7@example.com")
    items = [FieldItem(n, f"p{n}@example.com", Channel.EMAIL, "monthly") for n in range(150)]
    found = results(connect(rig).write_field("News frequency", items))
    assert found.pop(7) is PushResult.REFUSED
    assert set(found.values()) == {PushResult.REFLECTED}
    assert [path for _, path in server.seen] == ["/v1/customers/attributes", "/api/v2/batch"] * 2
    assert server.bodies[0]["attributes"] == {"_update": True, "News frequency": "monthly"}


@pytest.mark.parametrize("name", ["email", "Unsubscribed", "cio_id", "_x", "a.b"])
def test_an_attribute_with_another_meaning_is_reported(rig: Rig, name: str) -> None:
    """It would be overwritten: people would have another address."""
    (problem,) = with_settings(rig, frequency_fields=f"news={name}").make().check().problems
    assert f"frequency_fields: {name} has another meaning" in problem


def test_what_is_off_by_default_is_no_opt_out(rig: Rig, server: CustomerIoStandIn) -> None:  # I13
    server.topics_there[12] = ("Offers", False)
    connector = connect(rig)
    assert connector.read([off(1, ANNA)]) == {1: frozenset()}
    assert connector.read([off(1, ANNA, "offers")]) == {1: frozenset({"offers"})}
    connector.push([off(1, ANNA, "offers")])
    assert server.people[ANNA]["topics"] == {"topic_12": False}, (
        "stated, and not left to the default"
    )
    assert whole(connector.pull)[0] == [
        VendorEvent(VendorEventKind.OPTED_OUT, ANNA, "topic_12", occurred_at=OPTED_OUT_AT)
    ]


def test_who_unsubscribed_from_all_gets_nothing_and_is_never_freed(
    rig: Rig, server: CustomerIoStandIn
) -> None:  # I5, I13
    server.leave(ANNA)
    connector = connect(rig)
    assert connector.read([off(1, ANNA)]) == {1: frozenset(TOPICS)}
    connector.push([off(1, ANNA, "news")])
    assert rig.tool.off(ANNA) == {"news"}, "the switch may be turned back"
    assert results(connector.push([lift(1, ANNA, "news")])) == {1: PushResult.REFLECTED}
    assert rig.tool.off(ANNA) == set()
    assert server.people[ANNA]["unsubscribed"]
    assert whole(connector.pull)[0] == [
        VendorEvent(
            VendorEventKind.OPTED_OUT, ANNA, occurred_at=OPTED_OUT_AT, unsubscribed_from_all=True
        )
    ]


def test_who_left_at_an_unknown_time_is_reported_each_time(
    rig: Rig, server: CustomerIoStandIn
) -> None:
    """No listing shows that they are back, so nobody knows whether it is one act (I13)."""
    server.leave(ANNA)
    server.people[ANNA]["times"] = {}
    assert whole(connect(rig).pull)[0] == [VendorEvent(VendorEventKind.OPTED_OUT, ANNA)]


def test_a_topic_that_is_gone_stops_the_push(rig: Rig, server: CustomerIoStandIn) -> None:
    """A change of it would be accepted, and do nothing."""
    del server.topics_there[12]
    with pytest.raises(DeliveryError, match="offers is mapped to no subscription topic") as caught:
        rig.make().push([off(1, ANNA, "news"), off(2, BO, "offers")])
    assert caught.value.permanent
    assert server.bodies == []


def test_addresses_are_compared_as_the_tool_does(rig: Rig, server: CustomerIoStandIn) -> None:
    server.strict = True
    server.add("Anna@Example.com")
    assert results(rig.make().push([off(1, ANNA, "news")])) == {1: PushResult.REFLECTED}
    assert rig.tool.off(ANNA) == {"news"}


def test_people_who_are_not_known_by_their_address_are_a_problem_of_the_set_up(
    rig: Rig, server: CustomerIoStandIn
) -> None:
    server.identifies_by_email = False
    (problem,) = rig.make().check().problems
    assert "make email an identifier" in problem


@pytest.mark.parametrize(
    "there, setting, words",
    [
        ("eu", None, "set region=eu"),
        ("us", "eu", "set region=us"),
        ("us", "asia", "write one of eu, us"),
        ("eu", "eu", None),
    ],
)
def test_a_workspace_of_another_region_is_a_problem(
    rig: Rig, server: CustomerIoStandIn, there: str, setting: str | None, words: str | None
) -> None:
    server.region = there
    made = with_settings(rig, **({"region": setting} if setting else {})).make()
    problems = made.check().problems
    assert any(words in problem for problem in problems) if words else problems == ()


def test_each_region_has_hosts_of_its_own(rig: Rig) -> None:
    asked: list[str] = []

    class Received(Exception):
        pass

    def resolve(host: str, _: int) -> Any:
        asked.append(host)
        raise Received

    settings = {k: v for k, v in rig.setup.settings.items() if k != "base_url"}
    for region in ("us", "eu"):
        setup = replace(rig.setup, settings=settings | {"region": region})
        with pytest.raises(Received):
            CustomerIo(setup, HttpContext(resolve=resolve)).push([off(1, ANNA, "news")])
    assert asked == ["api.customer.io", "api-eu.customer.io"]


@pytest.mark.parametrize("secret", ["api_key", "app_key"])
def test_each_of_the_two_keys_is_checked(rig: Rig, secret: str) -> None:
    (problem,) = with_settings(rig, **{secret: "wrong"}).make().check().problems
    assert "401" in problem


def test_an_error_that_names_nobody_is_found_by_halving(
    rig: Rig, server: CustomerIoStandIn
) -> None:
    server.fail(Fault(207, body='{"errors": [{"reason": "invalid"}]}', after=2))
    found = rig.make().push([off(1, ANNA, "news"), off(2, BO, "news")])
    assert results(found) == {1: PushResult.REFLECTED, 2: PushResult.REFLECTED}


@pytest.mark.parametrize(
    "attributes, unsubscribed, expected",
    [
        pytest.param(None, None, frozenset(), id="nothing"),
        pytest.param({}, True, frozenset(TOPICS), id="unsubscribed"),
        pytest.param({"unsubscribed": "TRUE"}, None, frozenset(TOPICS), id="as an attribute"),
        pytest.param(
            {"cio_subscription_preferences": '{"channels": {"email": false}}'},
            None,
            frozenset(TOPICS),
            id="from all email",
        ),
        pytest.param(
            {"cio_subscription_preferences": {"topics": {"topic_11": False}}},
            None,
            frozenset({"news"}),
            id="an object",
        ),
        pytest.param({"cio_subscription_preferences": "{"}, None, frozenset(), id="cut short"),
        pytest.param({"cio_subscription_preferences": None}, None, frozenset(), id="null"),
        pytest.param(
            {"cio_subscription_preferences": '{"topics": {"topic_11": ""}}'},
            None,
            frozenset(),
            id="not chosen",
        ),
    ],
)
def test_preferences_are_read_in_every_form(
    rig: Rig,
    server: CustomerIoStandIn,
    attributes: dict[str, Any] | None,
    unsubscribed: bool | None,  # noqa: FBT001 - as the tool has it
    expected: frozenset[str],
) -> None:
    profile = {
        "id": "1",
        "identifiers": {"email": CY, "id": None, "cio_id": "1"},
        "attributes": attributes,
        "timestamps": None,
        "unsubscribed": unsubscribed,
    }
    server.fail(Fault(200, body=json.dumps({"customers": [{"customer": profile}]})))
    assert connect(rig).read([off(1, CY)]) == {1: expected}


def test_people_without_an_address_fail_no_listing(rig: Rig, server: CustomerIoStandIn) -> None:
    body = '{"identifiers": [{"email": null, "id": "7", "cio_id": null}, {}], "next": null}'
    server.fail(Fault(200, body=body))
    assert connect(rig).scan(None).rows == ()
    server.fail(Fault(200, body=body))
    assert connect(rig).pull(None).rows == ()


def test_one_person_who_can_not_be_suppressed_does_not_hold_up_the_others(
    rig: Rig, server: CustomerIoStandIn
) -> None:
    for address in (ANNA, BO, CY):
        server.add(address)
    server.strict = True
    server.invalid.add(BO)
    found = results(erase(rig, ANNA, BO, CY))
    assert found == {0: PushResult.REFLECTED, 1: PushResult.REFUSED, 2: PushResult.REFLECTED}
    assert set(server.people) == {BO}


def test_a_batch_is_looked_up_and_suppressed_a_hundred_at_a_time(
    rig: Rig, server: CustomerIoStandIn
) -> None:
    batch = [f"p{n}@example.com" for n in range(150)]
    for address in batch:
        server.add(address)
    server.strict = True
    assert set(results(erase(rig, *batch)).values()) == {PushResult.REFLECTED}
    assert len(server.seen) == 2 * 2 + 2  # looked up and suppressed; looked up again
