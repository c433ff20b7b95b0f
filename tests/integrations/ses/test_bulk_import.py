"""Many opt-outs at Amazon SES at once: by what a listing shows, and by import jobs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, cast

import pytest

from preference_center.integrations.base.contract import (
    ContactSnapshot,
    DeliveryError,
    DestinationConfig,
    PushItem,
    PushOutcome,
    PushResult,
    RateLimited,
)
from preference_center.integrations.ses import import_jobs
from preference_center.integrations.ses.connector import Ses
from tests.integrations.both_ways_contract import with_settings
from tests.integrations.contract import ANNA, BO, NOW, Rig, lift, off, results
from tests.integrations.ses.test_connector import List
from tests.integrations.tools.ses import KEY, LIST, REGION, SECRET, SesStandIn
from tests.integrations.tools.ses_imports import BUCKET

TOPICS = {"news": "11", "offers": "12"}
MANY = [
    f"p{n}@example.com"
    for n in range(max(import_jobs.MAX_WITHOUT_JOB, Ses.capabilities.batch_size) + 5)
]


@pytest.fixture
def server() -> Iterator[SesStandIn]:
    with SesStandIn() as server:
        server.everybody = False
        server.topics = {"11": "News", "12": "Offers"}
        server.clock = NOW
        yield server
    assert server.faults == [], "AWS's own model of the API"


@pytest.fixture
def rig(server: SesStandIn) -> Rig:
    settings = {
        "region": REGION,
        "contact_list": LIST,
        "access_key_id": KEY,
        "secret_access_key": SECRET,
        "base_url": server.url,
        "import_bucket": BUCKET,
        "bucket_url": f"{server.url}/{BUCKET}",
    }
    return Rig("ses", DestinationConfig("aws", settings, TOPICS), List(server))


def listed(rig: Rig, items: Sequence[PushItem]) -> list[tuple[PushItem, ContactSnapshot]]:
    seen = {row.address: row for row in cast("Ses", rig.make()).scan(None).rows}
    return [(item, seen[item.address]) for item in items]


def pushed(rig: Rig, items: Sequence[PushItem], **http: Any) -> dict[int, PushOutcome]:
    batch = listed(rig, items)
    return dict(cast("Ses", rig.make(**http)).push_scanned(batch))


def everybody(server: SesStandIn, *topics: str) -> list[PushItem]:
    for address in MANY:
        server.add(address)
    return [off(n, address, *topics) for n, address in enumerate(MANY)]


def test_a_page_of_contacts_is_one_job(rig: Rig, server: SesStandIn) -> None:
    found = pushed(rig, everybody(server, "news", "offers"))
    assert {outcome.result for outcome in found.values()} == {PushResult.RETRY_LATER}
    assert {outcome.ack for outcome in found.values()} == {"import job-1"}
    server.imports.finish(server.contacts, server.touch)
    assert all(rig.tool.off(address) == {"news", "offers"} for address in MANY)
    again = pushed(rig, everybody_again("news", "offers"))
    assert {outcome.result for outcome in again.values()} == {PushResult.REFLECTED}


def everybody_again(*topics: str) -> list[PushItem]:
    return [off(n, address, *topics) for n, address in enumerate(MANY)]


def test_a_file_has_all_that_is_known_of_a_contact_and_no_other(
    rig: Rig, server: SesStandIn
) -> None:  # I13
    items = everybody(server, "news")
    server.topics["99"] = "Events"
    for address in MANY:
        for topic in ("12", "99"):
            preference = {"TopicName": topic, "SubscriptionStatus": "OPT_OUT"}
            server.contacts[address]["TopicPreferences"].append(preference)
    server.contacts[MANY[0]]["UnsubscribeAll"] = False
    pushed(rig, items)
    (file,) = server.imports.files.values()
    assert {record["emailAddress"] for record in file} == set(MANY)
    for record in file:
        stated = {p["topicName"]: p["subscriptionStatus"] for p in record["topicPreferences"]}
        assert stated == dict.fromkeys(("11", "12", "99"), "OPT_OUT")
    (request,) = server.imports.requests
    assert request["ImportDestination"]["ContactListDestination"] == {
        "ContactListName": LIST,
        "ContactListImportAction": "PUT",
    }


def test_contacts_who_keep_a_topic_are_pushed_alone_since_an_import_could_undo_a_choice(
    rig: Rig, server: SesStandIn
) -> None:  # I5
    found = pushed(rig, everybody(server, "news"))
    assert {outcome.ack for outcome in found.values()} == {"pushed one by one"}
    assert server.imports.jobs == []
    assert server.updates == []


def test_who_is_off_already_costs_no_request(rig: Rig, server: SesStandIn) -> None:
    items = everybody(server, "news")
    for address in MANY[:-1]:
        rig.tool.turn_off(address, "news")
    server.contacts[MANY[-1]]["UnsubscribeAll"] = True
    batch = listed(rig, items)
    server.seen.clear()
    found = cast("Ses", rig.make()).push_scanned(batch)
    assert set(results(found).values()) == {PushResult.REFLECTED}
    assert server.seen == [("GET", f"/v2/email/contact-lists/{LIST}")]


def test_lifts_and_a_few_contacts_are_pushed_alone(rig: Rig, server: SesStandIn) -> None:
    server.add(ANNA)
    server.add(BO)
    found = pushed(rig, [off(1, ANNA, "news", "offers"), lift(2, BO, "news")])
    assert {outcome.ack for outcome in found.values()} == {"pushed one by one"}


def test_without_a_bucket_everybody_is_pushed_alone(rig: Rig, server: SesStandIn) -> None:
    found = pushed(with_settings(rig, import_bucket=""), everybody(server, "news", "offers"))
    assert {outcome.ack for outcome in found.values()} == {"pushed one by one"}


def test_while_enough_jobs_are_under_way_the_page_waits(rig: Rig, server: SesStandIn) -> None:
    items = everybody(server, "news", "offers")
    server.imports.lists = 100
    for _ in range(import_jobs.MAX_RUNNING_JOBS):
        pushed(rig, items)
    files = len(server.imports.files)
    with pytest.raises(RateLimited) as caught:
        pushed(rig, items)
    assert caught.value.retry_after == import_jobs.POLL_INTERVAL
    assert len(server.imports.files) == files


def test_a_failed_job_is_reported_and_tried_again_later(rig: Rig, server: SesStandIn) -> None:
    items = everybody(server, "news", "offers")
    server.imports.fails = True
    pushed(rig, items)
    server.imports.fails = False
    with pytest.raises(DeliveryError, match="policy of the bucket"):
        pushed(rig, items)
    (problem,) = rig.make().check().problems
    assert "policy of the bucket" in problem
    later = NOW + import_jobs.FAILURE_RETRY_DELAY + timedelta(minutes=1)
    found = pushed(rig, items, now=lambda: later)
    assert {outcome.ack for outcome in found.values()} == {"import job-2"}


def test_a_lift_waits_for_imports_that_could_turn_it_off_again(
    rig: Rig, server: SesStandIn
) -> None:
    pushed(rig, everybody(server, "news", "offers"))
    server.imports.lists = 1
    server.add(ANNA)
    rig.tool.turn_off(ANNA, "news")
    item = PushItem(
        1, ANNA, lift(1, ANNA).channel, off=frozenset({"offers"}), lift=frozenset({"news"})
    )
    assert results(rig.make().push([item])) == {1: PushResult.RETRY_LATER}
    assert rig.tool.off(ANNA) == {"news", "offers"}  # an opt-out waits for nothing
    assert results(rig.make().push([item])) == {1: PushResult.REFLECTED}
    assert rig.tool.off(ANNA) == {"offers"}


@pytest.mark.parametrize("name", ["acme.imports", "evil/acme", "a"])
def test_what_is_no_name_of_a_bucket_is_refused(rig: Rig, name: str) -> None:
    problems = with_settings(rig, import_bucket=name).make().check().problems
    assert any("without dots" in problem for problem in problems)
