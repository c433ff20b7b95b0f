from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from preference_center.integrations.base.contract import (
    DeliveryError,
    DestinationConfig,
    PushResult,
)
from preference_center.integrations.base.vendor_events import VendorEvent, VendorEventKind
from preference_center.integrations.postmark.connector import MAX_LOOKUPS, Postmark
from tests.integrations.both_ways_contract import PullContract, ReadContract, whole
from tests.integrations.contract import ANNA, BO, CY, JsonApiContract, Rig, lift, off, results
from tests.integrations.erase_contract import (
    EraseContract,
    EraseHttpContract,
    erase,
    erase_items,
    eraser,
)
from tests.integrations.mapped_contract import MappedContract
from tests.integrations.odd_answers_contract import OddAnswersContract
from tests.integrations.tools.described import Description
from tests.integrations.tools.postmark import ACCOUNT_TOKEN, TOKEN, PostmarkStandIn
from tests.integrations.tools.stand_in import Fault

TOPICS = {"news": "11", "offers": "12"}
SETTINGS = {
    "server_token": TOKEN,
    "account_token": ACCOUNT_TOKEN,
    "removals_requested_by": "owner@example.com",
}


@dataclass(slots=True)
class Server:
    server: PostmarkStandIn

    def off(self, address: str) -> set[str]:
        return {t for t, stream in TOPICS.items() if address.lower() in self.server.held[stream]}

    def turn_off(self, address: str, topic: str) -> None:
        self.server.suppress(TOPICS[topic], address, origin="Recipient")

    def requests(self) -> int:
        return len(self.server.seen)

    def reject(self, address: str) -> None:
        self.server.poison.add(address)

    def add(self, address: str) -> None:
        self.server.recipients.add(address.lower())

    def has(self, address: str) -> bool:
        return address.lower() in self.server.recipients

    def finish_erasures(self) -> None:
        self.server.finish_removals()


@pytest.fixture(scope="module")
def description() -> Description:
    """Ours, from Postmark's documentation: see its `info`."""
    return Description(Path(__file__).parents[1] / "contracts" / "postmark.json")


@pytest.fixture
def server(description: Description) -> Iterator[PostmarkStandIn]:
    description.faults.clear()
    with PostmarkStandIn(description.watch) as server:
        yield server
    assert description.faults == []


@pytest.fixture
def rig(server: PostmarkStandIn) -> Rig:
    setup = DestinationConfig("pm", SETTINGS | {"base_url": server.url}, TOPICS)
    # A push looks first what its streams are.
    return Rig("postmark", setup, Server(server), requests_before_writing=1)


class TestPostmark(JsonApiContract, MappedContract, ReadContract, PullContract):
    pass


class TestErase(EraseContract, EraseHttpContract):
    pass


def test_a_removal_is_requested_once_and_asked_about(rig: Rig, server: PostmarkStandIn) -> None:
    server.recipients.add(ANNA)
    (item,) = erase_items([ANNA])
    for _ in range(3):
        outcome = eraser(rig).erase([item])[0]
        assert outcome.result is PushResult.RETRY_LATER
        assert outcome.retry_after
        item = replace(item, job=outcome.job)
    assert server.removals == [(ANNA, "Pending")]
    server.removals.clear()
    assert eraser(rig).erase([item])[0].job == "1", "a lost one is requested again"


def test_suppressions_that_a_removal_takes_are_written_again(
    rig: Rig, server: PostmarkStandIn
) -> None:  # I6
    server.removes_suppressions = True
    server.recipients.add(ANNA)
    rig.make().push([off(1, ANNA, "news", "offers")])
    erase(rig, ANNA)
    assert rig.tool.off(ANNA) == {"news", "offers"}


def test_a_removal_is_not_done_before_the_suppressions_are_there(
    rig: Rig, server: PostmarkStandIn
) -> None:  # I6
    server.recipients.add(ANNA)
    server.invalid.add(ANNA)
    (item,) = erase_items([ANNA])
    job = eraser(rig).erase([item])[0].job
    server.finish_removals()
    outcome = eraser(rig).erase([replace(item, job=job)])[0]
    assert outcome.result is PushResult.RETRY_LATER
    assert outcome.job == job


def test_one_setting_for_removals_without_the_other_is_a_fault(rig: Rig) -> None:
    settings = {k: v for k, v in rig.setup.settings.items() if k != "removals_requested_by"}
    (problem,) = connect(rig, settings=settings).check().problems
    assert "account_token and removals_requested_by go together" in problem


class TestOddAnswers(OddAnswersContract):
    pass


def connect(rig: Rig, **changes: Any) -> Postmark:
    return cast("Postmark", replace(rig, setup=replace(rig.setup, **changes)).make())


@pytest.mark.parametrize("stream", ["outbound", "inbound"])
def test_a_stream_for_service_mail_is_no_topics_place(
    rig: Rig, server: PostmarkStandIn, stream: str
) -> None:  # I10, I4
    connector = connect(rig, topics={"news": stream})
    (problem,) = connector.check().problems
    assert "service mail" in problem
    with pytest.raises(DeliveryError, match="no broadcast stream") as caught:
        connector.push([off(1, ANNA, "news")])
    assert caught.value.permanent
    assert server.held[stream] == {}


@pytest.mark.parametrize("how", ["archived", "gone"])
def test_a_stream_that_goes_away_stops_the_destination(
    rig: Rig, server: PostmarkStandIn, how: str
) -> None:
    if how == "archived":
        server.archived.add("12")
    else:
        del server.streams["12"]
    (problem,) = rig.make().check().problems
    assert "offers" in problem
    with pytest.raises(DeliveryError, match="offers") as caught:
        rig.make().push([off(1, ANNA, "news"), off(2, BO, "offers")])
    assert caught.value.permanent
    assert rig.tool.off(ANNA) == set()


def test_fifty_go_in_a_request(rig: Rig, server: PostmarkStandIn) -> None:
    rig.make().push([off(n, f"p{n}@example.com", "news") for n in range(120)])
    assert len(server.seen) == 1 + 3


def test_what_fails_is_looked_up(rig: Rig, server: PostmarkStandIn) -> None:
    server.invalid.add(BO)
    server.suppress("11", CY, "SpamComplaint", "Recipient")
    outcomes = rig.make().push([off(1, ANNA, "news"), off(2, BO, "news"), off(3, CY, "news")])
    assert results(outcomes) == {
        1: PushResult.REFLECTED,
        2: PushResult.REFUSED,
        3: PushResult.REFLECTED,
    }
    assert outcomes[3].ack == "SpamComplaint"


def test_an_answer_that_leaves_an_address_out_is_no_acknowledgement(
    rig: Rig, server: PostmarkStandIn
) -> None:
    server.fail(Fault(200, body='{"Suppressions": []}', after=1))
    assert results(rig.make().push([off(1, ANNA, "news")])) == {1: PushResult.RETRY_LATER}


@pytest.mark.parametrize("reason", ["HardBounce", "SpamComplaint"])
def test_only_what_somebody_asked_for_is_lifted(
    rig: Rig, server: PostmarkStandIn, reason: str
) -> None:  # I5
    server.suppress("11", ANNA, reason, "Recipient")
    rig.tool.turn_off(BO, "news")
    batch = [lift(1, ANNA, "news"), lift(2, BO, "news"), lift(3, CY, "news")]
    outcomes = rig.make().push(batch)
    assert results(outcomes) == {
        1: PushResult.REFUSED,
        2: PushResult.REFLECTED,
        3: PushResult.REFLECTED,
    }
    assert outcomes[1].ack == reason
    assert rig.tool.off(ANNA) == {"news"}
    assert rig.tool.off(BO) == set()


def test_a_dead_mailbox_holds_an_opt_out_and_is_none(rig: Rig, server: PostmarkStandIn) -> None:
    for stream in TOPICS.values():
        server.suppress(stream, ANNA, "HardBounce", "Recipient")
    assert connect(rig).read([off(1, ANNA, "news")]) == {1: frozenset({"news"})}


def test_more_lifts_than_fit_a_lease_wait_for_the_next_push(rig: Rig) -> None:
    many = [lift(n, f"p{n}@example.com", "news") for n in range(MAX_LOOKUPS + 2)]
    found = results(rig.make().push(many))
    assert [ref for ref, result in found.items() if result is PushResult.DEFERRED] == [
        MAX_LOOKUPS,
        MAX_LOOKUPS + 1,
    ]


def test_more_than_can_be_read_are_left_for_the_next_time(rig: Rig) -> None:
    many = [off(n, f"p{n}@example.com") for n in range(MAX_LOOKUPS)]
    assert len(connect(rig).read(many)) == MAX_LOOKUPS // len(TOPICS)


def test_who_opted_out_and_why_is_reported(rig: Rig, server: PostmarkStandIn) -> None:  # I13
    server.clock = datetime(2019, 2, 28, 23, tzinfo=UTC)
    server.suppress("11", ANNA, origin="Recipient")
    server.suppress("11", BO)
    server.suppress("12", CY, "HardBounce", "Recipient")
    server.suppress("12", BO, "SpamComplaint", "Recipient")
    at = [datetime(2019, 2, 28, 23, 0, second, tzinfo=UTC) for second in range(1, 5)]
    assert set(whole(connect(rig).pull)[0]) == {
        VendorEvent(VendorEventKind.OPTED_OUT, ANNA, "11", occurred_at=at[0], by_person=True),
        VendorEvent(VendorEventKind.OPTED_OUT, BO, "11", occurred_at=at[1]),
        VendorEvent(VendorEventKind.BOUNCED, CY, occurred_at=at[2], by_person=True),
        VendorEvent(VendorEventKind.COMPLAINED, BO, occurred_at=at[3], by_person=True),
    }


def test_a_stream_that_is_mapped_later_is_pulled_from_its_beginning(
    rig: Rig, server: PostmarkStandIn
) -> None:
    server.clock = datetime(2019, 2, 28, 23, tzinfo=UTC)
    server.suppress("12", BO)
    _, cursor = whole(connect(rig, topics={"news": "11"}).pull)
    events, cursor = whole(connect(rig).pull, cursor)
    assert [n.address for n in events] == [BO]
    assert whole(connect(rig).pull, cursor)[0] == [], "and once is enough"
