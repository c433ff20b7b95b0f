"""Against a stand-in; tests/real holds much of the same contract against Mailman itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

import pytest

from preference_center.integrations.base.contract import (
    DeliveryError,
    DestinationConfig,
    PushResult,
)
from preference_center.integrations.base.paging import encode_cursor
from preference_center.integrations.base.vendor_events import VendorEvent, VendorEventKind
from preference_center.integrations.mailman import client
from preference_center.integrations.mailman.client import MailmanCursor
from preference_center.integrations.mailman.connector import Mailman
from tests.integrations.both_ways_contract import (
    AbsentContract,
    PullContract,
    ReadContract,
    ScanContract,
    whole,
    with_settings,
)
from tests.integrations.contract import ANNA, BO, CY, JsonApiContract, Rig, lift, off, results
from tests.integrations.erase_contract import EraseContract, EraseHttpContract, erase
from tests.integrations.mapped_contract import MappedContract
from tests.integrations.tools.mailman import PASSWORD, USER, MailmanStandIn
from tests.integrations.tools.stand_in import Fault

TOPICS = {"news": "11", "offers": "12"}


@dataclass(slots=True)
class Lists:
    server: MailmanStandIn

    def off(self, address: str) -> set[str]:
        return {topic for topic, list_id in TOPICS.items() if self._is_off(address, list_id)}

    def _is_off(self, address: str, list_id: str) -> bool:
        member = self.server.members.get((address.lower(), list_id))
        if member is None:
            return (address, list_id) in self.server.bans
        return self.server.status(member) != "enabled"

    def turn_off(self, address: str, topic: str) -> None:
        self.server.join(address, TOPICS[topic]).own["delivery_status"] = "by_user"

    def requests(self) -> int:
        return len(self.server.seen)

    def reject(self, address: str) -> None:
        self.server.invalid.add(address)

    def add(self, address: str) -> None:
        for list_id in self.server.lists:
            self.server.join(address, list_id)

    def has(self, address: str) -> bool:
        return any(email == address for email, _ in {*self.server.members, *self.server.bans})


@pytest.fixture
def server() -> Iterator[MailmanStandIn]:
    with MailmanStandIn() as server:
        yield server


@pytest.fixture
def rig(server: MailmanStandIn) -> Rig:
    settings = {"base_url": server.url, "user": USER, "password": PASSWORD}
    # A push looks for the memberships, then at the delivery of one.
    return Rig(
        "mailman",
        DestinationConfig("lists", settings, TOPICS),
        Lists(server),
        requests_before_writing=2,
        one_by_one=True,
    )


class TestErase(EraseContract, EraseHttpContract):
    @pytest.fixture(autouse=True)
    def _members_only(self, server: MailmanStandIn) -> None:
        server.everybody = False


def test_another_address_of_the_user_stays(rig: Rig, server: MailmanStandIn) -> None:
    for address in (ANNA, BO):
        server.join(address, "11")
    server.other_addresses[ANNA] = [BO]
    erase(rig, ANNA)
    assert {email for email, _ in server.members} == {BO}


def test_an_address_with_a_slash_that_can_not_be_named_is_left_to_a_person(
    rig: Rig, server: MailmanStandIn
) -> None:
    server.everybody = False
    address = "a/b@example.com"
    assert results(erase(rig, address)) == {0: PushResult.REFUSED}
    server.join(address, "11")
    server.other_addresses[address] = [BO]
    assert results(erase(rig, address)) == {0: PushResult.REFUSED}
    assert rig.tool.has(address)  # type: ignore[attr-defined]


def test_a_ban_outlives_the_person(rig: Rig, server: MailmanStandIn) -> None:  # I6
    server.join(ANNA, "11")
    server.bans.add((ANNA, "11"))
    erase(rig, ANNA)
    assert server.bans == {(ANNA, "11")}


class TestMailman(JsonApiContract, MappedContract, ReadContract, PullContract):
    pass


class TestMembers(AbsentContract, ScanContract):
    @pytest.fixture(autouse=True)
    def _only_members(self, server: MailmanStandIn) -> None:
        server.everybody = False


def connect(rig: Rig, **changes: Any) -> Mailman:
    return cast("Mailman", replace(rig, setup=replace(rig.setup, **changes)).make())


def own(server: MailmanStandIn, address: str, list_id: str = "11") -> dict[str, Any]:
    return server.members[address, list_id].own


def test_what_a_person_chose_in_mailman_is_neither_overwritten_nor_lifted(
    rig: Rig, server: MailmanStandIn
) -> None:  # I13
    rig.tool.turn_off(ANNA, "news")
    connector = rig.make()
    connector.push([off(1, ANNA, "news")])
    assert own(server, ANNA) == {"delivery_status": "by_user"}
    assert results(connector.push([lift(1, ANNA, "news")])) == {1: PushResult.REFUSED}
    assert own(server, ANNA) == {"delivery_status": "by_user"}


def test_a_lift_leaves_what_a_person_set_for_all_lists(rig: Rig, server: MailmanStandIn) -> None:
    server.join(ANNA, "11", delivery_mode="mime_digests")
    connector = rig.make()
    connector.push([off(1, ANNA, "news")])
    server.for_all_lists[ANNA] = "by_user"
    connector.push([lift(1, ANNA, "news")])
    assert own(server, ANNA) == {"delivery_mode": "mime_digests"}
    assert rig.tool.off(ANNA) >= {"news"}


def test_delivery_stopped_for_bounces_is_no_lasting_no(rig: Rig, server: MailmanStandIn) -> None:
    server.join(ANNA, "11", delivery_status="by_bounces")
    connector = connect(rig)
    assert connector.read([off(1, ANNA)]) == {1: frozenset()}
    connector.push([off(1, ANNA, "news")])
    assert own(server, ANNA) == {"delivery_status": "by_moderator"}


def test_who_is_in_one_list_only_is_no_stranger(rig: Rig, server: MailmanStandIn) -> None:
    server.everybody = False
    server.join(ANNA, "11")
    connector = connect(rig)
    batch = [off(1, ANNA, "news", "offers")]
    assert results(connector.push(batch)) == {1: PushResult.REFLECTED}
    assert connector.read(batch) == {1: frozenset({"news", "offers"})}
    # Who never joined has not opted out: it is no event.
    assert connector.read([off(1, ANNA)]) == {1: frozenset({"news"})}
    assert (ANNA, "12") not in server.members


def test_who_left_is_not_subscribed_again(rig: Rig, server: MailmanStandIn) -> None:  # I13
    server.everybody = False
    assert results(rig.make().push([lift(1, ANNA, "news")])) == {1: PushResult.ABSENT}
    assert not server.members


def test_a_list_that_is_gone_is_not_a_list_without_members(
    rig: Rig, server: MailmanStandIn
) -> None:
    server.everybody = False
    del server.lists["12"]
    connector = connect(rig)
    item = off(1, ANNA, "offers")
    for act in (
        lambda: connector.push([item]),
        lambda: connector.read([item]),
        lambda: whole(connector.scan),
        lambda: whole(connector.pull),
    ):
        with pytest.raises(DeliveryError, match="list 12 is gone") as caught:
            act()
        assert caught.value.permanent


def test_an_asterisk_in_an_address_is_none_in_a_search(rig: Rig, server: MailmanStandIn) -> None:
    server.everybody = False
    server.join("abc@example.com", "11")
    assert results(rig.make().push([off(1, "a*c@example.com", "news")])) == {1: PushResult.ABSENT}
    assert own(server, "abc@example.com") == {}


def test_no_address_is_in_a_path(rig: Rig, server: MailmanStandIn) -> None:  # I12
    connector = connect(rig)
    connector.push([off(1, ANNA, "news")])
    connector.read([off(1, ANNA)])
    connector.push([lift(1, ANNA, "news")])
    assert not [path for _, path in server.seen if "anna" in path]


def test_a_ban_is_for_strangers_and_is_taken_back(rig: Rig, server: MailmanStandIn) -> None:
    server.everybody = False
    server.join(ANNA, "11")
    connector = cast("Mailman", with_settings(rig, create_contacts="yes").make())
    batch = [off(1, ANNA, "news"), off(2, BO, "news"), off(3, "^.*@example.com", "news")]
    for _ in range(2):
        assert results(connector.push(batch)) == {
            1: PushResult.REFLECTED,
            2: PushResult.REFLECTED,
            3: PushResult.REFUSED,  # it would ban the world
        }
    assert server.bans == {(BO, "11")}
    assert connector.read([*batch[:2], off(4, CY, "news"), off(5, BO)]) == {
        1: frozenset({"news"}),
        2: frozenset({"news"}),
        4: None,
        5: None,
    }
    assert results(connector.push([lift(2, BO, "news")])) == {2: PushResult.ABSENT}
    assert server.bans == set()


def test_a_stopped_delivery_is_an_event_whoever_stopped_it(
    rig: Rig, server: MailmanStandIn
) -> None:
    server.join(ANNA, "12", delivery_status="by_moderator")
    server.join(BO, "11", delivery_status="by_user")
    server.join(CY, "11", delivery_status="by_bounces")
    server.join(CY, "99", delivery_status="by_user")
    assert whole(connect(rig).pull)[0] == [
        VendorEvent(VendorEventKind.OPTED_OUT, BO, "11"),
        VendorEvent(VendorEventKind.OPTED_OUT, ANNA, "12"),
    ]


def test_who_leaves_while_the_page_is_read_is_no_event(rig: Rig, server: MailmanStandIn) -> None:
    rig.tool.turn_off(ANNA, "news")
    connector = connect(rig)
    server.fail(Fault(404, body="{}", after=2))  # the list, its members; then Anna's delivery
    assert connector.pull(None).rows == ()


def test_who_moves_up_a_page_because_somebody_left_is_seen(
    rig: Rig, server: MailmanStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "PAGE_SIZE", 10)
    monkeypatch.setattr(client, "OVERLAP_ROWS", 5)
    everybody = [f"p{n:02}@example.com" for n in range(25)]
    for address in everybody:
        server.join(address, "11")
    connector = connect(rig, topics={"news": "11"})
    first = connector.scan(None)
    del server.members[everybody[0], "11"]
    rest, cursor = whole(connector.scan, first.cursor)
    assert cursor is None
    assert {seen.address for seen in [*first.rows, *rest]} == set(everybody)


def test_a_sweep_goes_on_when_its_list_is_mapped_no_more(rig: Rig, server: MailmanStandIn) -> None:
    server.join(ANNA, "11")
    server.join(BO, "99")
    connector = connect(rig, topics={"news": "11", "events": "99"})
    assert [
        seen.address for seen in connector.scan(encode_cursor(MailmanCursor("12", 7))).rows
    ] == [BO]
    assert connector.scan(encode_cursor(MailmanCursor("990"))).done
