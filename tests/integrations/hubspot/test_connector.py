from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from werkzeug.wrappers import Request, Response

from preference_center.integrations.base.contract import (
    DeliveryError,
    DestinationConfig,
    PushItem,
    PushResult,
    SupportsRead,
)
from preference_center.integrations.base.http import (
    EndpointRateLimit,
    NullRateLimiter,
    RequestRateLimiter,
)
from preference_center.integrations.base.vendor_events import VendorEvent, VendorEventKind
from preference_center.integrations.hubspot.connector import HubSpot
from tests.integrations.both_ways_contract import (
    FieldContract,
    NobodyCreatedContract,
    PullContract,
    ReadContract,
    ScanContract,
    whole,
)
from tests.integrations.contract import ANNA, BO, CY, NOW, JsonApiContract, Rig, lift, off, results
from tests.integrations.erase_contract import EraseContract, EraseHttpContract, erase
from tests.integrations.mapped_contract import MappedContract
from tests.integrations.odd_answers_contract import OddAnswersContract
from tests.integrations.rights_contract import RightsContract
from tests.integrations.tools.answer_schemas import AllSchemas, AnswerSchemas
from tests.integrations.tools.described import Description
from tests.integrations.tools.hubspot import (
    BATCH_READ,
    BATCH_WRITE,
    CONTACTS,
    ROOT,
    TOKEN,
    HubSpotStandIn,
)
from tests.integrations.tools.stand_in import Fault

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

    def bars(self, address: str) -> bool:
        return address.lower() in self.server.barred

    def link(self, address: str) -> str | None:
        return self.server.contacts[address.lower()].get("choices")

    def turn_off(self, address: str, topic: str) -> None:
        self.add(address)
        self.server.leave(address, int(TOPICS[topic]))

    def requests(self) -> int:
        return len(self.server.seen)

    def reject(self, address: str) -> None:
        self.server.poison.add(address)

    def revoke(self) -> str:
        self.server.scopes -= {BATCH_WRITE, "communication_preferences.write"}
        return "communication_preferences.write"


@pytest.fixture(scope="module")
def descriptions() -> list[Description]:
    """Ours, from HubSpot's documentation: see its `info`. And HubSpot's own, if it is there."""
    ours = Path(__file__).parents[1] / "contracts" / "hubspot.json"
    return [Description(ours), *published()]


def published() -> Iterator[Description]:
    """HubSpot's, which may not be kept here: subscriptions.json and contacts.json of 2026-03.

    In the former `sorts` are strings, in the pages objects.
    """
    folder = os.environ.get("HUBSPOT_DESCRIPTIONS")
    for name, root in (("subscriptions", ROOT), ("contacts", CONTACTS)) if folder else ():
        path = Path(folder or "") / f"{name}.json"
        yield Description(path, ignored=elsewhere(root), fix=correct)


def elsewhere(root: str) -> Callable[[str], bool]:
    return lambda path: not path.startswith(root)


def correct(spec: dict[str, Any]) -> None:
    spec.get("security", []).clear()
    for operations in spec["paths"].values():
        for operation in operations.values():
            operation.pop("security", None)
    if search := spec["components"]["schemas"].get("PublicObjectSearchRequest"):
        search["properties"]["sorts"]["items"] = {"type": "object"}


@pytest.fixture
def server(descriptions: list[Description]) -> Iterator[HubSpotStandIn]:
    def watch(request: Request, response: Response) -> None:
        for description in descriptions:
            description.watch(request, response)

    for description in descriptions:
        description.faults.clear()
    with HubSpotStandIn(watch) as server:
        yield server
    for description in descriptions:
        assert description.faults == []


@pytest.fixture
def rig(server: HubSpotStandIn) -> Rig:
    settings = {"token": TOKEN, "base_url": server.url, "link_field": "choices"}
    setup = DestinationConfig("crm", settings, TOPICS)
    return Rig("hubspot", setup, Portal(server))


class TestHubSpot(
    JsonApiContract,
    MappedContract,
    ReadContract,
    ScanContract,
    PullContract,
    FieldContract,
    RightsContract,
):
    def _two_requests_worth(self) -> list[PushItem]:
        return [off(n, f"p{n}@example.com", "news", "offers") for n in range(60)]


class TestErase(EraseContract, EraseHttpContract):
    pass


def test_an_address_without_a_contact_is_barred_too(rig: Rig, server: HubSpotStandIn) -> None:  # I6
    erase(rig, ANNA)
    assert server.barred == {ANNA}


class TestWithoutBatches(JsonApiContract, MappedContract, ReadContract, PullContract):
    """As with all accounts that are not Marketing Hub Enterprise."""

    @pytest.fixture(autouse=True)
    def _no_batches(self, server: HubSpotStandIn) -> None:
        server.scopes -= {BATCH_READ, BATCH_WRITE}

    @pytest.fixture
    def rig(self, rig: Rig) -> Rig:
        # A push asks for a batch first, and is answered that the scope is missing.
        return replace(rig, requests_before_writing=1, one_by_one=True)

    def test_a_full_batch_is_taken_and_a_longer_one_is_not_sent(self, rig: Rig) -> None:
        batch = [off(n, f"p{n}@example.com", "news", "offers") for n in range(100)]
        waiting, connector = batch, rig.make()
        for _ in range(2):  # 100 requests each
            found = connector.push(waiting)
            waiting = [i for i in waiting if found[i.ref].is_open]
        assert waiting == []
        assert rig.tool.off("p99@example.com") == {"news", "offers"}
        before = rig.tool.requests()
        with pytest.raises(ValueError, match="fit a batch"):
            connector.push([*batch, off(100, ANNA, "news")])
        assert rig.tool.requests() == before

    def test_a_batch_is_asked_for_once(self, rig: Rig, server: HubSpotStandIn) -> None:
        connector = rig.make()
        for _ in range(2):
            connector.push([off(1, ANNA, "news"), off(2, BO, "offers")])
            cast("SupportsRead", connector).read([off(1, ANNA)])
        assert [path for _, path in server.seen if "batch" in path] == [
            f"{ROOT}/statuses/batch/write",
            f"{ROOT}/statuses/batch/read",
        ]

    def test_unsubscribe_all_goes_one_by_one_too(self, rig: Rig, server: HubSpotStandIn) -> None:
        server.unknown.add(CY)
        asked = with_settings(rig, unsubscribe_all="yes")
        found = asked.make().push([of_all(1, ANNA), of_all(3, CY)])
        assert results(found) == {1: PushResult.REFLECTED, 3: PushResult.ABSENT}
        assert server.opted_out_of_all == {ANNA}

    def test_who_hubspot_does_not_know_is_absent(self, rig: Rig, server: HubSpotStandIn) -> None:
        server.unknown.add(BO)
        connector = rig.make()
        found = connector.push([off(1, ANNA, "news"), off(2, BO, "news")])
        assert results(found) == {1: PushResult.REFLECTED, 2: PushResult.ABSENT}
        assert cast("SupportsRead", connector).read([off(2, BO)]) == {2: None}

    def test_one_that_can_not_be_looked_at_is_left_out(
        self, rig: Rig, server: HubSpotStandIn
    ) -> None:
        server.poison.add(BO)
        found = cast("SupportsRead", rig.make()).read([off(1, ANNA), off(2, BO)])
        assert found == {1: frozenset()}

    @pytest.mark.parametrize("tells", [True, False], ids=["asked", "tried by reading"])
    def test_check_reports_which_calls_are_made(
        self, rig: Rig, server: HubSpotStandIn, *, tells: bool
    ) -> None:
        server.tells_scopes = tells
        report = rig.make().check()
        assert report.ok
        assert any("request of its own" in hint for hint in report.hints)

    def test_opt_outs_are_dated(self, rig: Rig, server: HubSpotStandIn) -> None:  # I5
        assert_dated(rig, server)


def assert_dated(rig: Rig, server: HubSpotStandIn) -> None:
    server.add(ANNA, NOW)
    server.add(BO, NOW)
    left = server.leave(ANNA, 11)
    all_left = server.leave(BO)
    found, _ = whole(HubSpot(rig.setup, rig.http).pull)
    assert set(found) == {
        VendorEvent(VendorEventKind.OPTED_OUT, ANNA, "11", left),
        VendorEvent(VendorEventKind.OPTED_OUT, BO, None, all_left),
    }


class TestStrangers(NobodyCreatedContract):
    pass


class TestOddAnswers(OddAnswersContract):
    @pytest.fixture
    def schemas(self, descriptions: list[Description]) -> AnswerSchemas:
        return AllSchemas(descriptions)


class TestOddAnswersWithoutBatches(TestOddAnswers):
    @pytest.fixture(autouse=True)
    def _no_batches(self, server: HubSpotStandIn) -> None:
        server.scopes -= {BATCH_READ, BATCH_WRITE}


def with_settings(rig: Rig, **settings: str) -> Rig:
    return replace(rig, setup=replace(rig.setup, settings={**rig.setup.settings, **settings}))


def of_all(ref: int, address: str) -> PushItem:
    """An opt-out from all marketing."""
    return replace(off(ref, address, "news", "offers"), all_off=True)


def test_a_contact_that_hubspot_has_not_is_absent(rig: Rig, server: HubSpotStandIn) -> None:
    server.unknown.add(BO)
    connector = rig.make()
    found = connector.push([off(1, ANNA, "news"), off(2, BO, "news")])
    assert results(found) == {1: PushResult.REFLECTED, 2: PushResult.ABSENT}
    read = cast("SupportsRead", connector).read([off(1, ANNA), off(2, BO)])
    assert read == {1: frozenset({"news"}), 2: None}


def test_an_address_that_hubspot_calls_invalid_is_refused_alone(
    rig: Rig, server: HubSpotStandIn
) -> None:
    server.invalid.add(BO)
    found = rig.make().push([off(1, ANNA, "news"), off(2, BO, "news"), off(3, CY, "offers")])
    assert results(found) == {
        1: PushResult.REFLECTED,
        2: PushResult.REFUSED,
        3: PushResult.REFLECTED,
    }


def test_an_answer_that_leaves_an_address_out_is_no_acknowledgement(
    rig: Rig, server: HubSpotStandIn
) -> None:
    empty = '{"status": "COMPLETE", "results": []}'
    server.fail(Fault(200, body=empty))
    assert results(rig.make().push([off(1, ANNA, "news")])) == {1: PushResult.RETRY_LATER}


def test_all_marketing_is_held_by_topics_unless_asked_otherwise(
    rig: Rig, server: HubSpotStandIn
) -> None:  # I10, I13: other subscription types are none of our business
    assert results(rig.make().push([of_all(1, ANNA)])) == {1: PushResult.REFLECTED}
    assert server.opted_out_of_all == set()
    assert 99 not in server.statuses[ANNA]


def test_unsubscribe_all_is_set_where_asked_for(rig: Rig, server: HubSpotStandIn) -> None:
    asked = with_settings(rig, unsubscribe_all="yes")
    assert asked.make().check().ok
    server.unknown.add(CY)
    found = asked.make().push([of_all(1, ANNA), off(2, BO, "news"), of_all(3, CY)])
    assert results(found) == {
        1: PushResult.REFLECTED,
        2: PushResult.REFLECTED,
        3: PushResult.ABSENT,
    }
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
    assert results(rig.make().push([mixed])) == {1: PushResult.REFLECTED}
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


def test_opt_outs_are_dated(rig: Rig, server: HubSpotStandIn) -> None:  # I5
    assert_dated(rig, server)


def test_an_opt_out_whose_time_is_unavailable_is_reported_without(
    rig: Rig, server: HubSpotStandIn
) -> None:
    server.add(ANNA, NOW)
    server.leave(ANNA, 11)
    server.fail(Fault(400, after=1))
    found, _ = whole(HubSpot(rig.setup, rig.http).pull)
    assert found == [VendorEvent(VendorEventKind.OPTED_OUT, ANNA, "11")]


def test_a_key_that_may_only_read_is_found_by_its_scopes(rig: Rig, server: HubSpotStandIn) -> None:
    server.scopes = {"communication_preferences.read", "crm.objects.contacts.read"}
    problems = rig.make().check().problems
    assert [p for p in problems if "communication_preferences.write" in p]
    assert [p for p in problems if "crm.objects.contacts.write" in p], "links are asked for"


def test_the_names_of_scopes_in_the_guide_count_too(rig: Rig, server: HubSpotStandIn) -> None:
    body = {"scopes": ["subscriptions-definition-read", "subscriptions-status-read"]}
    body["scopes"] += ["subscriptions-status-write", "crm.objects.contacts.write"]
    server.fail(Fault(200, body=json.dumps(body)))
    assert rig.make().check().ok


def test_a_403_that_names_no_scope_stops_the_destination(rig: Rig, server: HubSpotStandIn) -> None:
    server.fail(Fault(403, body='{"category": "BANNED"}'))
    with pytest.raises(DeliveryError) as caught:
        rig.make().push([off(1, ANNA, "news")])
    assert caught.value.permanent
    assert len(server.seen) == 1


def test_check_reports_the_rate_that_hubspot_allows(rig: Rig, server: HubSpotStandIn) -> None:
    window = {"X-HubSpot-RateLimit-Interval-Milliseconds": "10000"}
    server.limits = window | {"X-HubSpot-RateLimit-Max": "190"}
    assert any("19 per second" in hint for hint in rig.make().check().hints)
    assert rig.make().check().hints == rig.make().check().hints
    server.limits = window | {"X-HubSpot-RateLimit-Max": "100"}
    assert not any("per second" in hint for hint in rig.make().check().hints)


@pytest.mark.parametrize(
    "headers, wait",
    [
        ({}, timedelta(seconds=10)),
        ({"X-HubSpot-RateLimit-Interval-Milliseconds": "1000"}, timedelta(seconds=1)),
        ({"X-HubSpot-RateLimit-Daily-Remaining": "0"}, timedelta(hours=1)),
    ],
    ids=["no headers", "a window", "the day's"],
)
def test_a_429_without_a_time_waits_for_the_window(
    rig: Rig, server: HubSpotStandIn, headers: dict[str, str], wait: timedelta
) -> None:
    server.fail(Fault(429, headers))
    with pytest.raises(DeliveryError) as caught:
        rig.make().push([off(1, ANNA, "news")])
    assert caught.value.retry_after == wait


def test_searches_keep_to_a_limit_of_their_own(rig: Rig) -> None:
    asked: list[str] = []

    class Noted(NullRateLimiter):
        def with_limit(self, limit: EndpointRateLimit) -> RequestRateLimiter:
            asked.append(f"{limit.name}: {limit.rate_limit}")
            return self

    connector = HubSpot(rig.setup, replace(rig.http, rate_limiter=Noted()))
    connector.scan(None)
    connector.push([off(1, ANNA, "news")])
    assert asked == ["search: 4 requests per second"]


NULLS: dict[str, Any] = {"results": None, "errors": None, "numErrors": None}


def test_answers_may_lack_what_is_not_needed(rig: Rig, server: HubSpotStandIn) -> None:
    connector = HubSpot(rig.setup, rig.http)
    server.fail(Fault(200, body=json.dumps(NULLS)))
    assert results(connector.push([off(1, ANNA, "news")])) == {1: PushResult.RETRY_LATER}
    bare = {"subscriberIdString": ANNA, "subscriptionId": 11, "status": "UNSUBSCRIBED"}
    rows: list[Any] = [{"subscriberIdString": ANNA, "statuses": [bare]}]
    rows += [{"subscriberIdString": BO, "statuses": None}]
    server.fail(Fault(200, body=json.dumps({"results": rows})))
    assert connector.read([off(1, ANNA), off(2, BO)]) == {1: {"news"}, 2: frozenset()}
    contacts = [{"id": "1", "properties": None}, {"id": "2", "properties": {"email": None}}]
    server.fail(Fault(200, body=json.dumps({"results": contacts, "paging": None})))
    assert connector.scan(None).rows == ()


def test_an_inactive_subscription_type_is_reported(rig: Rig, server: HubSpotStandIn) -> None:
    server.inactive.add(12)
    (problem,) = rig.make().check().problems
    assert "offers" in problem


def test_an_opt_out_of_all_is_an_event_about_all(rig: Rig, server: HubSpotStandIn) -> None:
    server.add(ANNA, NOW)
    server.opted_out_of_all.add(ANNA)
    found, _ = whole(HubSpot(rig.setup, rig.http).pull)
    assert [(n.kind, n.address, n.target) for n in found] == [
        (VendorEventKind.OPTED_OUT, ANNA, None)
    ]


def test_many_types_take_several_searches(rig: Rig, server: HubSpotStandIn) -> None:
    topics = {f"topic{n}": str(n) for n in range(11, 19)}
    for n in range(11, 19):
        server.types[n] = f"Type {n}"
        server.add(f"p{n}@example.com", NOW)
        server.statuses[f"p{n}@example.com"] = {n: "UNSUBSCRIBED"}
    connector = HubSpot(replace(rig.setup, topics=topics), rig.http)
    found, cursor = whole(connector.pull)
    assert {(event.address, event.target) for event in found} == {
        (f"p{n}@example.com", str(n)) for n in range(11, 19)
    }
    assert len(whole(connector.pull, cursor)[0]) == 8  # the windows overlap


def test_contacts_are_found_by_their_id(rig: Rig, server: HubSpotStandIn) -> None:
    server.add(ANNA, NOW)
    connector = HubSpot(rig.setup, rig.http)
    assert connector.find(["0", "7"]) == {"0": ANNA}
    assert connector.find([]) == {}


def test_changes_that_were_not_sent_are_tried_again(rig: Rig, server: HubSpotStandIn) -> None:
    """More rejections than one request is halved for: nothing is known of the rest."""  # I3
    batch = [off(n, f"p{n}@example.com", "news", "offers") for n in range(50)]
    server.poison |= {item.address for item in batch[1:]}
    found = results(rig.make().push(batch))
    assert [ref for ref, result in found.items() if result is PushResult.REFLECTED] == [0]
    assert PushResult.RETRY_LATER in found.values()
