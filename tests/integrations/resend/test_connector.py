from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest

from preference_center.integrations.base.contract import (
    ContactPage,
    ContactSnapshot,
    DeliveryError,
    DestinationConfig,
    PushItem,
    PushResult,
    UnexpectedResponse,
)
from preference_center.integrations.base.paging import ListingCursor, encode_cursor
from preference_center.integrations.base.vendor_events import VendorEvent, VendorEventKind
from preference_center.integrations.resend.connector import Resend
from tests.integrations.both_ways_contract import (
    AbsentContract,
    ReadContract,
    ScanContract,
    WholePullContract,
    whole,
    with_settings,
)
from tests.integrations.contract import ANNA, BO, CY, JsonApiContract, Rig, lift, off, results
from tests.integrations.erase_contract import EraseContract, EraseHttpContract
from tests.integrations.mapped_contract import MappedContract
from tests.integrations.odd_answers_contract import OddAnswersContract
from tests.integrations.tools.described import Description
from tests.integrations.tools.resend import KEY, ResendStandIn
from tests.integrations.tools.stand_in import Fault

TOPICS = {"news": "11", "offers": "12"}


@dataclass(slots=True)
class Team:
    server: ResendStandIn

    def off(self, address: str) -> set[str]:
        return {
            topic
            for topic, id_ in TOPICS.items()
            if address in self.server.contacts
            and self.server.subscription(address, id_) == "opt_out"
        }

    def turn_off(self, address: str, topic: str) -> None:
        self.server.add(address)
        self.server.chosen[address][TOPICS[topic]] = "opt_out"

    def requests(self) -> int:
        return len(self.server.seen)

    def reject(self, address: str) -> None:
        self.server.invalid.add(address)

    def add(self, address: str) -> None:
        self.server.add(address)

    def has(self, address: str) -> bool:
        return address in self.server.contacts

    def link(self, address: str) -> str | None:
        raise NotImplementedError

    def leave(self, address: str) -> None:
        self.server.add(address, unsubscribed=True)

    def has_left(self, address: str) -> bool:
        return bool(self.server.contacts[address]["unsubscribed"])


@pytest.fixture(scope="module")
def description() -> Description:
    """Resend's own, cut: see its `info`."""
    return Description(Path(__file__).parents[1] / "contracts" / "resend.json")


@pytest.fixture
def server(description: Description) -> Iterator[ResendStandIn]:
    description.faults.clear()
    with ResendStandIn(description.watch) as server:
        yield server
    assert description.faults == []


@pytest.fixture
def rig(server: ResendStandIn) -> Rig:
    setup = DestinationConfig("re", {"api_key": KEY, "base_url": server.url}, TOPICS)
    return Rig("resend", setup, Team(server), one_by_one=True)


class TestResend(JsonApiContract, MappedContract, ReadContract, WholePullContract):
    refusal = "403"


class TestOddAnswers(OddAnswersContract):
    pass


class TestResendsContacts(AbsentContract, ScanContract, EraseContract, EraseHttpContract):
    @pytest.fixture(autouse=True)
    def _only_who_was_added(self, server: ResendStandIn) -> None:
        server.strict = True


def connect(rig: Rig) -> Resend:
    return cast("Resend", rig.make())


def test_an_address_is_one_request_whatever_changes(rig: Rig, server: ResendStandIn) -> None:
    rig.tool.turn_off(ANNA, "offers")
    item = replace(off(1, ANNA, "news"), lift=frozenset({"offers"}))
    assert results(rig.make().push([item])) == {1: PushResult.REFLECTED}
    assert rig.tool.off(ANNA) == {"news"}
    assert server.seen == [("PATCH", f"/contacts/{ANNA}/topics")]


def test_a_topic_that_is_gone_is_not_taken_for_an_unknown_contact(
    rig: Rig, server: ResendStandIn
) -> None:
    """Both are answered by 404: nobody may be called absent for it."""
    del server.topics["12"]
    with pytest.raises(DeliveryError, match="offers is mapped to no topic") as caught:
        rig.make().push([off(1, ANNA, "news"), off(2, BO, "offers")])
    assert caught.value.permanent


def test_nobody_is_created_for_a_lift(rig: Rig, server: ResendStandIn) -> None:  # I13
    server.strict = True
    for asked in (rig, with_settings(rig, create_contacts="yes")):
        assert results(asked.make().push([lift(1, ANNA, "news")])) == {1: PushResult.ABSENT}
    assert server.contacts == {}


def test_what_is_off_by_default_is_no_opt_out(rig: Rig, server: ResendStandIn) -> None:  # I13
    server.topics["12"] = ("Offers", "opt_out")
    connector = connect(rig)
    assert connector.read([off(1, ANNA)]) == {1: frozenset()}
    assert connector.read([off(1, ANNA, "offers")]) == {1: frozenset({"offers"})}
    assert results(connector.push([off(1, ANNA, "offers")])) == {1: PushResult.REFLECTED}
    assert server.chosen[ANNA] == {"12": "opt_out"}, "stated, and not left to the default"


def test_who_unsubscribed_from_all_gets_nothing_and_is_never_freed(
    rig: Rig, server: ResendStandIn
) -> None:  # I5, I13
    server.add(ANNA, unsubscribed=True)
    connector = connect(rig)
    assert connector.read([off(1, ANNA)]) == {1: frozenset(TOPICS)}
    assert results(connector.push([lift(1, ANNA, "news")])) == {1: PushResult.REFLECTED}
    assert server.contacts[ANNA]["unsubscribed"]
    assert whole(connector.scan)[0] == [ContactSnapshot(ANNA, off=frozenset(TOPICS), all_off=True)]


def test_who_is_subscribed_is_shown_to_be_so(rig: Rig, server: ResendStandIn) -> None:
    """Only so is their next "unsubscribed" known to be another act (I13)."""
    server.add(ANNA)
    assert whole(connect(rig).scan)[0] == [ContactSnapshot(ANNA, all_off=False)]


def test_an_answer_that_names_another_state_is_no_acknowledgement(
    rig: Rig, server: ResendStandIn
) -> None:
    body = '{"contact_id": "c1", "topics": [{"id": "11", "subscription": "opt_in"}]}'
    server.fail(Fault(200, body=body))
    assert results(rig.make().push([off(1, ANNA, "news")])) == {1: PushResult.RETRY_LATER}


def test_an_answer_that_names_no_states_is_an_acknowledgement(
    rig: Rig, server: ResendStandIn
) -> None:
    """The description requires none."""
    server.answers_states = False
    assert results(rig.make().push([off(1, ANNA, "news")])) == {1: PushResult.REFLECTED}


def test_suppressions_come_home_with_their_dates(rig: Rig, server: ResendStandIn) -> None:  # I13
    server.suppress(ANNA, "complaint")
    server.suppress(BO, "bounce")
    server.suppress(CY, "manual")
    at = datetime(2026, 11, 25, 11, 0, 0, 678_000, tzinfo=UTC)
    assert whole(connect(rig).pull)[0] == [
        VendorEvent(VendorEventKind.COMPLAINED, ANNA, occurred_at=at, by_person=True),
        VendorEvent(VendorEventKind.BOUNCED, BO, occurred_at=at),
        VendorEvent(VendorEventKind.OPTED_OUT, CY, occurred_at=at),
    ]


def test_an_account_without_suppressions_by_api_is_pulled_all_the_same(
    rig: Rig, server: ResendStandIn
) -> None:
    server.has_suppressions = False
    server.add(ANNA, unsubscribed=True)
    assert whole(connect(rig).pull)[0] == [
        VendorEvent(VendorEventKind.OPTED_OUT, ANNA, unsubscribed_from_all=True)
    ]


@pytest.mark.parametrize("listing", ["scan", "pull"])
def test_a_row_without_an_id_ends_no_listing(
    rig: Rig, server: ResendStandIn, listing: str
) -> None:  # I13
    rows = [{"id": "c1", "email": ANNA, "unsubscribed": True}, {"email": BO, "unsubscribed": True}]
    server.fail(Fault(200, body=json.dumps({"data": rows, "has_more": True})))
    page: ContactPage[ContactSnapshot] | ContactPage[VendorEvent] = getattr(connect(rig), listing)(
        None
    )
    assert [row.address for row in page.rows] == [ANNA, BO]
    assert (page.cursor, page.done) == (encode_cursor(ListingCursor(token="c1")), False), (
        "the last row is listed again"
    )


def test_a_page_without_any_id_is_not_the_last(rig: Rig, server: ResendStandIn) -> None:  # I13
    server.fail(Fault(200, body=json.dumps({"data": [{"email": ANNA}], "has_more": True})))
    with pytest.raises(UnexpectedResponse):
        connect(rig).scan(None)


def test_nulls_and_missing_fields_fail_no_listing(rig: Rig, server: ResendStandIn) -> None:
    """The description requires no field of a row."""
    server.fail(Fault(200, body='{"data": [{}, {"email": null, "unsubscribed": null}]}'))
    assert connect(rig).scan(None).rows == ()


def test_each_of_many_addresses_gets_an_answer(rig: Rig) -> None:
    batch: list[PushItem] = [off(n, f"p{n}@example.com", "news") for n in range(50)]
    assert set(results(rig.make().push(batch)).values()) == {PushResult.REFLECTED}


def test_without_a_key_it_is_only_listened_to(rig: Rig, server: ResendStandIn) -> None:
    listening = replace(
        rig, setup=DestinationConfig("re", {"webhook_secret": "whsec_" + "c2VjcmV0" * 4}, TOPICS)
    )
    assert listening.make().capabilities.webhook_only
    assert listening.make().check().ok
    assert server.seen == []
    assert (
        not with_settings(rig, webhook_secret="whsec_" + "c2VjcmV0" * 4)
        .make()
        .capabilities.webhook_only
    )
