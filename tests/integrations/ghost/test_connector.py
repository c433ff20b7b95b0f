from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest

from preference_center.integrations.base.contract import (
    ContactSnapshot,
    DeliveryError,
    DestinationConfig,
    PushItem,
    PushResult,
)
from preference_center.integrations.base.vendor_events import VendorEvent, VendorEventKind
from preference_center.integrations.ghost.connector import MIN_OPT_OUT_AGE_FOR_LIFT, Ghost
from tests.integrations.both_ways_contract import (
    NobodyCreatedContract,
    PullContract,
    ReadContract,
    ScanContract,
    whole,
    with_settings,
)
from tests.integrations.contract import ANNA, BO, CY, NOW, JsonApiContract, Rig, lift, off, results
from tests.integrations.erase_contract import EraseContract, EraseHttpContract, erase
from tests.integrations.mapped_contract import MappedContract
from tests.integrations.odd_answers_contract import OddAnswersContract
from tests.integrations.tools.described import Description
from tests.integrations.tools.ghost import EVENTS, KEY, MOST, NEWS, OFFERS, GhostStandIn
from tests.integrations.tools.nql import matcher
from tests.integrations.tools.stand_in import Fault

TOPICS = {"news": NEWS, "offers": OFFERS}
YESTERDAY = NOW - timedelta(days=1)


@dataclass(slots=True)
class Site:
    server: GhostStandIn

    def off(self, address: str) -> set[str]:
        held = [m["newsletters"] for m in self.server.members.values() if m["email"] == address]
        return {topic for topic, id_ in TOPICS.items() if held and id_ not in held[0]}

    def turn_off(self, address: str, topic: str) -> None:
        self.server.leave(address, TOPICS[topic])

    def requests(self) -> int:
        return len(self.server.seen)

    def reject(self, address: str) -> None:
        self.server.invalid.add(address)

    def add(self, address: str) -> None:
        self.server.add(address)

    def has(self, address: str) -> bool:
        return any(member["email"] == address for member in self.server.members.values())

    def link(self, address: str) -> str | None:
        raise NotImplementedError


@pytest.fixture(scope="module")
def description() -> Description:
    """Our own: see its `info`."""
    return Description(Path(__file__).parents[1] / "contracts" / "ghost.json")


@pytest.fixture
def server(description: Description) -> Iterator[GhostStandIn]:
    description.faults.clear()
    with GhostStandIn(description.watch) as server:
        yield server
    assert description.faults == []


@pytest.fixture
def rig(server: GhostStandIn) -> Rig:
    setup = DestinationConfig("blog", {"admin_key": KEY, "base_url": server.url}, TOPICS)
    # The newsletters, and the members of a group.
    return Rig("ghost", setup, Site(server), requests_before_writing=2, one_by_one=True)


class TestGhost(JsonApiContract, MappedContract, ReadContract, ScanContract, PullContract):
    refusal = "ID:SECRET"

    def _two_requests_worth(self) -> list[PushItem]:
        return [off(n, f"p{n}@example.com", "news") for n in range(11)]

    def _requests_of_the_first_write(self, rig: Rig) -> int:
        """All of a group are looked up at once, and written one by one."""
        return rig.requests_before_writing + 10


class TestErase(EraseContract, EraseHttpContract):
    @pytest.fixture(autouse=True)
    def _only_who_was_added(self, server: GhostStandIn) -> None:
        server.strict = True


def test_every_member_of_the_address_is_erased(rig: Rig, server: GhostStandIn) -> None:
    server.strict = True
    for address in (ANNA, "Anna@Example.com", BO):
        server.add(address)
    erase(rig, ANNA)
    assert [member["email"] for member in server.members.values()] == [BO]


def test_a_member_who_pays_is_left_to_a_person(rig: Rig, server: GhostStandIn) -> None:
    server.add(ANNA)
    server.paying.add(ANNA)
    assert results(erase(rig, ANNA)) == {0: PushResult.REFUSED}
    assert rig.tool.has(ANNA)  # type: ignore[attr-defined]


class TestOddAnswers(OddAnswersContract):
    pass


class TestGhostsMembers(NobodyCreatedContract):
    @pytest.fixture(autouse=True)
    def _only_who_was_added(self, server: GhostStandIn) -> None:
        server.strict = True

    def test_who_is_no_member_is_absent(self, rig: Rig, server: GhostStandIn) -> None:
        server.add(ANNA)
        connector = connect(rig)
        outcomes = connector.push([off(1, ANNA, "news"), off(2, BO, "news"), lift(3, CY, "news")])
        assert results(outcomes) == {
            1: PushResult.REFLECTED,
            2: PushResult.ABSENT,
            3: PushResult.ABSENT,
        }
        assert connector.read([off(2, BO)]) == {2: None}
        assert [member["email"] for member in server.members.values()] == [ANNA]

    def test_a_member_is_found_in_whatever_case_they_signed_up(
        self, rig: Rig, server: GhostStandIn
    ) -> None:  # I9
        """On SQLite, Ghost's `email:'…'` minds the case, and both may be members."""
        server.add("Anna@Example.com")
        server.add("ANNA@example.com")
        server.add("joanna@example.com")
        assert not matcher(f"email:'{ANNA}'")({"email": "Anna@Example.com"})
        assert results(connect(rig).push([off(1, ANNA, "news")])) == {1: PushResult.REFLECTED}
        assert rig.tool.off("Anna@Example.com") == rig.tool.off("ANNA@example.com") == {"news"}
        assert rig.tool.off("joanna@example.com") == set()
        assert connect(rig).read([off(1, ANNA)]) == {1: frozenset({"news"})}

    def test_characters_that_sqlite_does_not_lower_are_found_as_they_are(
        self, rig: Rig, server: GhostStandIn
    ) -> None:
        server.add("Ünal@example.com")
        outcomes = connect(rig).push([off(1, "Ünal@example.com", "news")])
        assert results(outcomes) == {1: PushResult.REFLECTED}
        assert rig.tool.off("Ünal@example.com") == {"news"}

    def test_a_member_who_is_deleted_meanwhile_is_absent(
        self, rig: Rig, server: GhostStandIn
    ) -> None:
        server.add(ANNA)
        server.fail(Fault(404, after=rig.requests_before_writing))
        assert results(connect(rig).push([off(1, ANNA, "news")])) == {1: PushResult.ABSENT}


def connect(rig: Rig) -> Ghost:
    return cast("Ghost", rig.make())


def test_newsletters_that_are_not_mapped_stay_as_they_are(
    rig: Rig, server: GhostStandIn
) -> None:  # I13
    """A change replaces them all."""
    server.newsletters["50"] = ("Old", "archived")
    member = server.add(ANNA, newsletters=[NEWS, EVENTS, "50"])
    rig.make().push([off(1, ANNA, "news")])
    assert member["newsletters"] == {EVENTS, "50"}
    rig.make().push([lift(1, ANNA, "news")])
    assert member["newsletters"] == {NEWS, EVENTS, "50"}


@pytest.mark.parametrize("source", ["member", "admin", "import", "system"])
def test_what_somebody_turned_off_in_ghost_lately_is_not_lifted(
    rig: Rig, server: GhostStandIn, source: str
) -> None:  # I5, I13
    """It may not be known to us yet."""
    server.leave(ANNA, NEWS, source, NOW - MIN_OPT_OUT_AGE_FOR_LIFT)
    assert results(rig.make().push([off(1, ANNA, "news")])) == {1: PushResult.REFLECTED}
    assert results(rig.make().push([lift(1, ANNA, "news")])) == {1: PushResult.REFUSED}
    assert rig.tool.off(ANNA) == {"news"}


def test_what_was_reported_to_us_is_lifted_by_the_persons_later_act(
    rig: Rig, server: GhostStandIn
) -> None:  # I5
    """That it is later was made sure before a lift is asked for: decision 36."""
    server.leave(ANNA, NEWS, at=NOW - MIN_OPT_OUT_AGE_FOR_LIFT - timedelta(seconds=1))
    assert results(rig.make().push([lift(1, ANNA, "news")])) == {1: PushResult.REFLECTED}
    assert rig.tool.off(ANNA) == set()


def test_what_was_unsubscribed_in_bulk_is_not_lifted(
    rig: Rig, server: GhostStandIn
) -> None:  # I5, I13
    """Also after we had turned it off, and somebody there on again."""
    rig.make().push([off(1, ANNA, "news")])
    server.join(ANNA, NEWS, "admin")
    server.leave_in_bulk(NEWS, ANNA)
    assert results(rig.make().push([lift(1, ANNA, "news")])) == {1: PushResult.REFUSED}
    assert rig.tool.off(ANNA) == {"news"}


def test_who_was_unsubscribed_in_bulk_is_found_by_the_sweep(
    rig: Rig, server: GhostStandIn
) -> None:  # I13
    """It makes neither event nor webhook."""
    for address in (ANNA, BO, CY):
        server.add(address)
    server.leave_in_bulk(NEWS, ANNA)
    server.leave_in_bulk(OFFERS, ANNA, BO)
    connector = connect(rig)
    assert whole(connector.pull)[0] == []
    assert whole(connector.scan)[0] == [
        ContactSnapshot(ANNA, off=frozenset({"news", "offers"})),
        ContactSnapshot(BO, off=frozenset({"offers"})),
        ContactSnapshot(CY, off=frozenset()),
    ]
    assert connector.read([off(1, ANNA)]) == {1: frozenset({"news", "offers"})}


def test_who_never_was_subscribed_did_not_opt_out(rig: Rig, server: GhostStandIn) -> None:  # I13
    server.add(ANNA, newsletters=[OFFERS])
    connector = connect(rig)
    assert whole(connector.scan)[0] == [ContactSnapshot(ANNA, off=frozenset())]
    assert connector.read([off(1, ANNA)]) == {1: frozenset()}
    assert connector.read([off(1, ANNA, "news")]) == {1: frozenset({"news"})}
    assert results(connector.push([off(1, ANNA, "news")])) == {1: PushResult.REFLECTED}
    assert results(connector.push([lift(1, ANNA, "news")])) == {1: PushResult.REFUSED}


def test_an_archived_newsletter_makes_nobody_opt_out(rig: Rig, server: GhostStandIn) -> None:  # I13
    """It is in no member's list then."""
    server.add(ANNA)
    server.newsletters[NEWS] = ("News", "archived")
    connector = connect(rig)
    assert whole(connector.scan)[0] == [ContactSnapshot(ANNA, off=frozenset())]
    assert connector.read([off(1, ANNA)]) == {1: frozenset()}
    assert any("not active" in problem for problem in connector.check().problems)
    with pytest.raises(DeliveryError, match="news is mapped to no newsletter") as caught:
        connector.push([off(1, ANNA, "news")])
    assert caught.value.permanent


def test_an_opt_out_comes_with_its_time_and_who_made_it(
    rig: Rig, server: GhostStandIn
) -> None:  # I5, I13
    server.leave(ANNA, NEWS, at=YESTERDAY)
    server.leave(BO, OFFERS, "admin", YESTERDAY)
    server.leave(BO, EVENTS, "member", YESTERDAY)
    server.complain(CY, YESTERDAY)
    assert set(whole(connect(rig).pull)[0]) == {
        VendorEvent(VendorEventKind.OPTED_OUT, ANNA, NEWS, YESTERDAY, by_person=True),
        VendorEvent(VendorEventKind.OPTED_OUT, BO, OFFERS, YESTERDAY),
        VendorEvent(VendorEventKind.COMPLAINED, CY, occurred_at=YESTERDAY, by_person=True),
    }


def test_who_came_back_since_did_not_opt_out(rig: Rig, server: GhostStandIn) -> None:
    server.leave(ANNA, NEWS, at=YESTERDAY)
    server.join(ANNA, NEWS)
    assert whole(connect(rig).pull)[0] == []


def test_more_events_in_one_second_than_a_page_holds_are_all_listed(
    rig: Rig, server: GhostStandIn
) -> None:
    """As an import writes them."""
    everybody = {f"p{n}@example.com" for n in range(MOST)}
    for address in sorted(everybody):
        server.leave(address, NEWS)
        server.leave(address, OFFERS)
    found = whole(connect(rig).pull)[0]
    assert {(event.address, event.target) for event in found} == {
        (address, id_) for address in everybody for id_ in (NEWS, OFFERS)
    }


def test_the_next_pass_ends_where_the_last_one_began(rig: Rig, server: GhostStandIn) -> None:
    for n in range(MOST):
        server.leave(f"p{n}@example.com", NEWS, at=YESTERDAY)
    connector = connect(rig)
    _, cursor = whole(connector.pull)
    server.now = NOW
    server.leave(ANNA, NEWS, at=NOW)
    found, cursor = whole(connector.pull, cursor)
    assert ANNA in {event.address for event in found}
    found, _ = whole(connector.pull, cursor)
    assert [event.address for event in found] == [ANNA], "what the overlap holds"


def test_a_complaint_stops_all_and_is_not_ours_to_lift(
    rig: Rig, server: GhostStandIn
) -> None:  # I5
    server.complain(ANNA, YESTERDAY)
    connector = connect(rig)
    assert connector.read([off(1, ANNA)]) == {1: frozenset(TOPICS)}
    assert whole(connector.scan)[0] == [ContactSnapshot(ANNA, off=frozenset(TOPICS))]
    assert results(connector.push([off(1, ANNA, "news")])) == {1: PushResult.REFLECTED}
    assert rig.tool.off(ANNA) == {"news"}, "the newsletter is turned off besides"


def test_a_key_that_ghost_does_not_know_is_reported(rig: Rig) -> None:
    wrong = with_settings(rig, admin_key=f"aaaaaaaaaaaaaaaaaaaaaaaa:{'00' * 32}")
    (problem,) = wrong.make().check().problems
    assert "401" in problem


def test_without_a_key_it_is_only_listened_to(rig: Rig, server: GhostStandIn) -> None:
    settings = {"webhook_secret": "s3cret"}
    listening = replace(rig, setup=replace(rig.setup, settings=settings))
    assert listening.make().capabilities.webhook_only
    assert listening.make().check().ok
    assert server.seen == []
    assert not with_settings(rig, webhook_secret="s3cret").make().capabilities.webhook_only
