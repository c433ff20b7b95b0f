from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import pytest

from preference_center.domain.news import News, NewsKind
from tests.connectors.both_ways_contract import (
    FieldContract,
    PullContract,
    ReadContract,
    ScanContract,
    whole,
)
from tests.connectors.contract import (
    ANNA,
    BO,
    CY,
    NOW,
    JsonApiContract,
    Rig,
    lift,
    off,
    results,
)
from tests.connectors.mapped_contract import MappedContract
from tests.connectors.tools.described import Description
from tests.connectors.tools.hubspot import ROOT, TOKEN, HubSpotStandIn
from tests.connectors.tools.stand_in import Fault
from workers.connectors.base import Item, Readable, Result, Setup
from workers.connectors.hubspot import HubSpot

TOPICS = {"news": "11", "offers": "12"}


@dataclass(slots=True)
class Portal:
    server: HubSpotStandIn

    def off(self, address: str) -> set[str]:
        held = self.server.statuses.get(address.lower(), {})
        return {t for t, i in TOPICS.items() if held.get(int(i)) == "UNSUBSCRIBED"}

    def add(self, address: str) -> None:
        self.server.add(address, NOW)

    def has(self, address: str) -> bool:
        return address.lower() in self.server.contacts

    def link(self, address: str) -> str | None:
        return self.server.contacts[address.lower()].get("choices")

    def turn_off(self, address: str, topic: str) -> None:
        self.add(address)
        held = self.server.statuses.setdefault(address.lower(), {})
        held[int(TOPICS[topic])] = "UNSUBSCRIBED"

    def requests(self) -> int:
        return len(self.server.seen)

    def reject(self, address: str) -> None:
        self.server.poison.add(address)


@pytest.fixture(scope="module")
def description() -> Description:
    """Ours, from HubSpot's documentation: see its `info`."""
    return Description(Path(__file__).parent / "contracts" / "hubspot.json")


@pytest.fixture
def server(description: Description) -> Iterator[HubSpotStandIn]:
    description.faults.clear()
    with HubSpotStandIn(description.watch) as server:
        yield server
    assert description.faults == []


@pytest.fixture
def rig(server: HubSpotStandIn) -> Rig:
    settings = {"token": TOKEN, "base_url": server.url, "link_field": "choices"}
    setup = Setup("crm", settings, TOPICS)
    return Rig("hubspot", setup, Portal(server))


class TestHubSpot(
    JsonApiContract, MappedContract, ReadContract, ScanContract, PullContract, FieldContract
):
    def _two_requests_worth(self) -> list[Item]:
        return [off(n, f"p{n}@example.com", "news", "offers") for n in range(60)]


def with_settings(rig: Rig, **settings: str) -> Rig:
    return replace(rig, setup=replace(rig.setup, settings={**rig.setup.settings, **settings}))


def of_all(ref: int, address: str) -> Item:
    """A no to all marketing."""
    return replace(off(ref, address, "news", "offers"), all_off=True)


def test_a_contact_that_hubspot_has_not_is_absent(rig: Rig, server: HubSpotStandIn) -> None:
    server.unknown.add(BO)
    connector = rig.make()
    found = connector.push([off(1, ANNA, "news"), off(2, BO, "news")])
    assert results(found) == {1: Result.REFLECTED, 2: Result.ABSENT}
    read = cast("Readable", connector).read([off(1, ANNA), off(2, BO)])
    assert read == {1: frozenset({"news"}), 2: None}


def test_an_address_that_hubspot_calls_invalid_is_refused_alone(
    rig: Rig, server: HubSpotStandIn
) -> None:
    server.invalid.add(BO)
    found = rig.make().push([off(1, ANNA, "news"), off(2, BO, "news"), off(3, CY, "offers")])
    assert results(found) == {1: Result.REFLECTED, 2: Result.REFUSED, 3: Result.REFLECTED}


def test_an_answer_that_leaves_an_address_out_is_no_acknowledgement(
    rig: Rig, server: HubSpotStandIn
) -> None:
    empty = '{"status": "COMPLETE", "results": []}'
    server.fail(Fault(200, body=empty))
    assert results(rig.make().push([off(1, ANNA, "news")])) == {1: Result.LATER}


def test_all_marketing_is_held_by_topics_unless_asked_otherwise(
    rig: Rig, server: HubSpotStandIn
) -> None:  # I10, I13: other subscription types are none of our business
    assert results(rig.make().push([of_all(1, ANNA)])) == {1: Result.REFLECTED}
    assert server.opted_out_of_all == set()
    assert 99 not in server.statuses[ANNA]


def test_unsubscribe_all_is_set_where_asked_for(rig: Rig, server: HubSpotStandIn) -> None:
    asked = with_settings(rig, unsubscribe_all="yes")
    assert asked.make().check().ok
    server.unknown.add(CY)
    found = asked.make().push([of_all(1, ANNA), off(2, BO, "news"), of_all(3, CY)])
    assert results(found) == {1: Result.REFLECTED, 2: Result.REFLECTED, 3: Result.ABSENT}
    assert server.opted_out_of_all == {ANNA}
    assert rig.tool.off(BO) == {"news"}


def test_unsubscribe_all_never_covers_a_topic_that_the_person_kept(
    rig: Rig, server: HubSpotStandIn
) -> None:  # I5: a topic opt-in overrides an older, wider opt-out for that topic
    kept = replace(off(1, ANNA, "news"), all_off=True)
    with_settings(rig, unsubscribe_all="yes").make().push([kept])
    assert server.opted_out_of_all == set()
    assert rig.tool.off(ANNA) == {"news"}


def test_unsubscribe_all_is_refused_where_service_mail_goes_out(
    rig: Rig, server: HubSpotStandIn
) -> None:  # I10, I4
    asked = with_settings(rig, unsubscribe_all="yes")
    shared = replace(asked, setup=replace(asked.setup, sends_service=True))
    (problem,) = shared.make().check().problems
    assert "service mail" in problem
    shared.make().push([of_all(1, ANNA)])
    assert server.opted_out_of_all == set()
    assert rig.tool.off(ANNA) == {"news", "offers"}


def test_opt_outs_have_the_last_word_over_lifts(rig: Rig, server: HubSpotStandIn) -> None:
    mixed = replace(off(1, ANNA, "news"), lift=frozenset({"offers"}))
    rig.tool.turn_off(ANNA, "offers")
    assert results(rig.make().push([mixed])) == {1: Result.REFLECTED}
    assert server.written == [(12, "SUBSCRIBED"), (11, "UNSUBSCRIBED")]
    assert server.seen == [("POST", f"{ROOT}/statuses/batch/write")] * 2


def test_a_legal_basis_goes_with_every_change(rig: Rig, server: HubSpotStandIn) -> None:
    sentence = "Chosen in the preference center"
    with_basis = with_settings(
        rig, legal_basis="CONSENT_WITH_NOTICE", legal_basis_explanation=sentence
    )
    assert with_basis.make().check().ok
    with_basis.make().push([off(1, ANNA, "news"), lift(2, BO, "news")])
    assert server.bases == ["CONSENT_WITH_NOTICE"] * 2


@pytest.mark.parametrize(
    "settings",
    [
        {"legal_basis": "BECAUSE", "legal_basis_explanation": "x"},
        {"legal_basis": "NON_GDPR"},
        {"legal_basis_explanation": "x"},
        {"unsubscribe_all": "maybe"},
    ],
)
def test_settings_that_make_no_sense_are_reported(rig: Rig, settings: dict[str, str]) -> None:
    (problem,) = with_settings(rig, **settings).make().check().problems
    assert next(iter(settings)) in problem


def test_a_token_without_the_batch_right_is_reported(rig: Rig, server: HubSpotStandIn) -> None:
    server.fail(Fault(403, after=1))
    (problem,) = rig.make().check().problems
    assert "Marketing Hub Enterprise" in problem


def test_an_inactive_subscription_type_is_reported(rig: Rig, server: HubSpotStandIn) -> None:
    server.inactive.add(12)
    (problem,) = rig.make().check().problems
    assert "offers" in problem


def test_who_opted_out_of_all_is_news_about_all(rig: Rig, server: HubSpotStandIn) -> None:
    server.add(ANNA, NOW)
    server.opted_out_of_all.add(ANNA)
    found, _ = whole(HubSpot(rig.setup, rig.http).pull)
    assert found == [News(NewsKind.OPTED_OUT, ANNA)]


def test_many_types_take_several_searches(rig: Rig, server: HubSpotStandIn) -> None:
    topics = {f"topic{n}": str(n) for n in range(11, 19)}
    for n in range(11, 19):
        server.types[n] = f"Type {n}"
        server.add(f"p{n}@example.com", NOW)
        server.statuses[f"p{n}@example.com"] = {n: "UNSUBSCRIBED"}
    connector = HubSpot(replace(rig.setup, topics=topics), rig.http)
    found, cursor = whole(connector.pull)
    assert {(news.address, news.thing) for news in found} == {
        (f"p{n}@example.com", str(n)) for n in range(11, 19)
    }
    assert len(whole(connector.pull, cursor)[0]) == 8  # the windows overlap


def test_contacts_are_found_by_their_id(rig: Rig, server: HubSpotStandIn) -> None:
    server.add(ANNA, NOW)
    connector = HubSpot(rig.setup, rig.http)
    assert connector.find(["0", "7"]) == {"0": ANNA}
    assert connector.find([]) == {}
