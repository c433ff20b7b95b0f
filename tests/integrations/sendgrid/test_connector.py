from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest
from werkzeug.wrappers import Request, Response

from preference_center.core.bounces import Bounce
from preference_center.integrations.base.contract import (
    DeliveryError,
    DestinationConfig,
    PushResult,
)
from preference_center.integrations.base.vendor_events import VendorEvent, VendorEventKind
from preference_center.integrations.sendgrid.connector import LIFTS_PER_PUSH, SendGrid
from tests.integrations.both_ways_contract import (
    FieldContract,
    NobodyCreatedContract,
    PullContract,
    ReadContract,
    ScanContract,
    whole,
)
from tests.integrations.contract import ANNA, BO, CY, NOW, JsonApiContract, Rig, lift, off, results
from tests.integrations.erase_contract import (
    EraseContract,
    EraseHttpContract,
    erase,
    erase_items,
    eraser,
)
from tests.integrations.mapped_contract import MappedContract
from tests.integrations.odd_answers_contract import OddAnswersContract
from tests.integrations.rights_contract import RightsContract
from tests.integrations.tools.answer_schemas import AllSchemas, AnswerSchemas
from tests.integrations.tools.described import Description
from tests.integrations.tools.sendgrid import KEY, SendGridStandIn
from tests.integrations.tools.stand_in import Fault
from tests.shared import SHARED, shared_path

DAY = timedelta(days=1)
TOPICS = {"news": "11", "offers": "12"}
DESCRIPTION = "contracts/sendgrid-suppressions.json"
CONTACTS = "contracts/sendgrid-mc-contacts.json"


@dataclass(slots=True)
class Account:
    server: SendGridStandIn

    def off(self, address: str) -> set[str]:
        return {t for t, g in TOPICS.items() if address.lower() in self.server.held[int(g)]}

    def turn_off(self, address: str, topic: str) -> None:
        self.server.held[int(TOPICS[topic])].add(address.lower())

    def requests(self) -> int:
        return len(self.server.seen)

    def add(self, address: str) -> None:
        self.server.add(address, NOW)

    def has(self, address: str) -> bool:
        return address.lower() in self.server.contacts

    def finish_erasures(self) -> None:
        self.server.finish_erasing()

    def link(self, address: str) -> str | None:
        return cast(
            "str | None", self.server.contacts[address.lower()]["custom_fields"].get("choices")
        )

    def reject(self, address: str) -> None:
        self.server.invalid.add(address)

    def revoke(self) -> str:
        self.server.rights.remove("asm.groups.suppressions.create")
        return "asm.groups.suppressions.create"


@pytest.fixture(scope="module")
def descriptions() -> list[Description]:
    if not (SHARED / DESCRIPTION).exists():
        return []  # the stand-in alone then; one test below skips
    # The rights of a key, and its custom fields, are described in other files of SendGrid's.
    return [
        Description(
            SHARED / DESCRIPTION,
            ignored=lambda path: (
                path == "/v3/scopes" or path.startswith(("/v3/marketing", "/v3/recipients"))
            ),
        ),
        Description(
            SHARED / CONTACTS,
            ignored=lambda path: (
                not path.startswith("/v3/marketing/contacts") or path.endswith("/count")
            ),
        ),
    ]


@pytest.fixture
def server(descriptions: list[Description]) -> Iterator[SendGridStandIn]:
    for description in descriptions:
        description.faults.clear()

    def watch(request: Request, response: Response) -> None:
        for description in descriptions:
            description.watch(request, response)

    with SendGridStandIn(watch) as server:
        server.created = int(NOW.timestamp())
        yield server
    for description in descriptions:
        assert description.faults == []


@pytest.fixture
def rig(server: SendGridStandIn) -> Rig:
    settings = {"api_key": KEY, "base_url": server.url, "link_field": "choices"}
    setup = DestinationConfig("sg-main", settings, TOPICS)
    # A push looks first whether its groups are still there.
    return Rig("sendgrid", setup, Account(server), requests_before_writing=1)


class TestSendGrid(
    JsonApiContract,
    MappedContract,
    ReadContract,
    ScanContract,
    PullContract,
    FieldContract,
    RightsContract,
):
    pass


class TestErase(EraseContract, EraseHttpContract):
    pass


def test_suppressions_that_the_job_takes_are_written_again(
    rig: Rig, server: SendGridStandIn
) -> None:  # I6
    server.add(ANNA, NOW)
    rig.make().push([off(1, ANNA, "news")])
    (item,) = erase_items([ANNA])
    outcome = eraser(rig).erase([item])[0]
    assert (outcome.job, outcome.retry_after) == ("job-1", timedelta(days=2))
    server.finish_erasing()
    assert rig.tool.off(ANNA) == set()
    assert results(eraser(rig).erase([replace(item, job="job-1")])) == {0: PushResult.REFLECTED}
    assert rig.tool.off(ANNA) == {"news", "offers"}
    assert server.erase_jobs == [[ANNA]]


def test_a_key_that_may_not_erase_says_so(rig: Rig, server: SendGridStandIn) -> None:
    server.rights.remove("recipients.erasejob.create")
    report = rig.make().check()
    assert report.ok
    assert "recipients.erasejob.create" in {
        each.name for each in report.permissions if not each.is_granted
    }
    with pytest.raises(DeliveryError) as caught:
        erase(rig, ANNA)
    assert caught.value.permanent


class TestStrangers(NobodyCreatedContract):
    pass


class TestOddAnswers(OddAnswersContract):
    @pytest.fixture
    def schemas(self, descriptions: list[Description]) -> AnswerSchemas:
        if not descriptions:
            pytest.skip("the descriptions are not next to this checkout")
        return AllSchemas(descriptions)


def test_what_is_not_of_a_group_is_pulled_too(rig: Rig, server: SendGridStandIn) -> None:
    at = server.created = 1_700_000_000
    server.everywhere.add(ANNA)
    server.reported["spam_reports"].append({"email": BO, "created": at, "ip": "192.0.2.1"})
    server.reported["bounces"] += [
        {"email": CY, "created": at, "reason": "no such user", "status": "5.1.1"},
        {"email": "full@example.com", "created": at, "reason": "full", "status": "5.2.2"},
    ]
    when = datetime.fromtimestamp(at, UTC)
    found, _ = whole(SendGrid(rig.setup, rig.http).pull)
    assert found == [
        VendorEvent(VendorEventKind.OPTED_OUT, ANNA, occurred_at=when),
        VendorEvent(VendorEventKind.COMPLAINED, BO, occurred_at=when),
        VendorEvent(
            VendorEventKind.BOUNCED,
            CY,
            occurred_at=when,
            bounce=Bounce("5.1.1", diagnostic="no such user"),
        ),
        VendorEvent(
            VendorEventKind.BOUNCED,
            "full@example.com",
            occurred_at=when,
            bounce=Bounce("5.2.2", diagnostic="full"),
        ),
    ]


@pytest.mark.parametrize("pages", [True, False], ids=["paged", "all at once"])
def test_every_group_opt_out_comes_home_however_the_list_is_served(
    rig: Rig, server: SendGridStandIn, *, pages: bool
) -> None:  # I13
    everybody = {f"p{n}@example.com" for n in range(12_000)}
    server.held[11] |= everybody
    server.pages_groups = pages
    server.unwatch()
    found, _ = whole(SendGrid(rig.setup, rig.http).pull)
    assert {event.address for event in found} == everybody
    assert len(found) == len(everybody)


def test_a_short_list_that_knows_no_pages_is_read_once(rig: Rig, server: SendGridStandIn) -> None:
    server.pages_groups = False
    server.held[11] |= {ANNA, BO}
    found, _ = whole(SendGrid(rig.setup, rig.http).pull)
    assert sorted(event.address for event in found) == [ANNA, BO]


def test_a_later_pull_asks_for_what_came_since(rig: Rig, server: SendGridStandIn) -> None:
    server.created -= 86_400
    server.held[11] |= {f"p{n}@example.com" for n in range(3_000)}
    pull = SendGrid(rig.setup, rig.http).pull
    _, cursor = whole(pull)
    server.seen.clear()
    server.created = int(NOW.timestamp())
    server.everywhere.add(ANNA)
    assert [event.address for event in whole(pull, cursor)[0]] == [ANNA]
    assert len(server.seen) <= 5


def test_a_list_that_does_not_heed_the_time_is_read_whole_once_a_day(
    rig: Rig, server: SendGridStandIn
) -> None:  # I13
    server.pages_groups = False
    server.created -= 86_400
    server.held[11] |= {ANNA}
    _, cursor = whole(SendGrid(rig.setup, rig.http).pull)
    server.held[11] |= {BO}  # with a date before the last pass, so only a whole one shows it
    server.seen.clear()
    later = Rig(rig.kind, rig.setup, rig.tool, replace(rig.http, now=lambda: NOW + DAY))
    found, _ = whole(SendGrid(later.setup, later.http).pull, cursor)
    assert {event.address for event in found} == {ANNA, BO}


def test_rows_without_an_address_group_or_date_fail_no_page(
    rig: Rig, server: SendGridStandIn
) -> None:
    server.unwatch()
    server.reported["unsubscribes"] = [
        {"email": None, "created": None},
        {"created": 1},
        {"email": ANNA, "created": None},
    ]
    server.reported["bounces"] = [{"email": BO, "created": 1, "reason": None, "status": None}]
    server.odd_groups = [{"email": CY, "group_id": None, "created_at": None}, {"group_id": 11}]
    found, _ = whole(SendGrid(rig.setup, rig.http).pull)
    assert [(event.address, event.target) for event in found] == [(ANNA, None), (BO, None)]


@pytest.mark.parametrize(
    "contact",
    [
        {"phone_number_id": "+4915112345678"},
        {"external_id": "17", "email": None, "custom_fields": None},
        {"anonymous_id": "a", "email": ""},
    ],
    ids=["by phone", "by an id of the company's", "anonymous"],
)
def test_a_contact_without_an_address_fails_no_page(
    rig: Rig, server: SendGridStandIn, contact: dict[str, object]
) -> None:  # I13: else the people behind it are never suppressed
    server.unwatch()
    server.add(ANNA, NOW)
    server.add(BO, NOW)
    server.contacts[BO] = {k: v for k, v in server.contacts[BO].items() if k != "email"} | contact
    assert {seen.address for seen in whole(SendGrid(rig.setup, rig.http).scan)[0]} == {ANNA}


def test_a_key_that_may_not_read_is_reported_and_may_push(
    rig: Rig, server: SendGridStandIn
) -> None:
    server.rights.remove("marketing.read")
    report = rig.make().check()
    assert report.ok
    assert any("marketing.read" in hint for hint in report.hints)


def test_requests_and_answers_obey_sendgrids_own_description(
    rig: Rig, descriptions: list[Description]
) -> None:
    shared_path(DESCRIPTION)
    description, _ = descriptions
    before = description.checked
    connector = rig.make()
    connector.push([off(1, ANNA, "news")])
    connector.push([lift(1, ANNA, "news")])
    connector.check()
    assert description.checked - before == 5  # groups, add; groups, delete; groups
    assert description.faults == []


def test_a_group_that_was_deleted_stops_the_destination_before_the_global_list_is_hit(
    rig: Rig, server: SendGridStandIn
) -> None:  # I10: what is added to a missing group goes on the global list
    del server.groups[12]
    with pytest.raises(DeliveryError, match="offers") as caught:
        rig.make().push([off(1, ANNA, "news"), off(2, BO, "offers")])
    assert caught.value.permanent
    assert server.everywhere == set()


def test_nothing_ever_touches_the_global_list(rig: Rig, server: SendGridStandIn) -> None:  # F2
    batch = [replace(off(1, ANNA, "news", "offers"), all_off=True)]
    assert results(rig.make().push(batch)) == {1: PushResult.REFLECTED}
    assert not [path for _, path in server.seen if "global" in path]


def test_addresses_left_out_of_the_answer_are_looked_up(rig: Rig, server: SendGridStandIn) -> None:
    server.echoes_old = False
    rig.tool.turn_off(ANNA, "news")
    batch = [off(1, ANNA, "news"), off(2, BO, "news")]
    assert results(rig.make().push(batch)) == {1: PushResult.REFLECTED, 2: PushResult.REFLECTED}
    assert server.seen[-1] == ("POST", "/v3/asm/groups/11/suppressions/search")


def test_an_address_that_sendgrid_does_not_hold_is_not_reflected(
    rig: Rig, server: SendGridStandIn
) -> None:
    server.drops.add(BO)
    found = rig.make().push([off(1, ANNA, "news"), off(2, BO, "news")])
    assert results(found) == {1: PushResult.REFLECTED, 2: PushResult.RETRY_LATER}


def test_lifting_what_is_not_there_is_fine(rig: Rig, server: SendGridStandIn) -> None:
    server.fail(Fault(404, after=1))
    assert results(rig.make().push([lift(1, ANNA, "news")])) == {1: PushResult.REFLECTED}


def test_more_lifts_than_fit_a_lease_wait_for_the_next_push(rig: Rig) -> None:
    many = [f"p{n}@example.com" for n in range(LIFTS_PER_PUSH + 2)]
    connector = rig.make()
    connector.push([off(n, address, "news") for n, address in enumerate(many)])
    found = results(connector.push([lift(n, a, "news") for n, a in enumerate(many)]))
    assert [ref for ref, r in found.items() if r is PushResult.DEFERRED] == [
        LIFTS_PER_PUSH,
        LIFTS_PER_PUSH + 1,
    ]
    assert rig.tool.off(many[0]) == set()
    assert rig.tool.off(many[-1]) == {"news"}


def test_opt_outs_go_before_lifts(rig: Rig, server: SendGridStandIn) -> None:
    rig.tool.turn_off(BO, "news")
    rig.make().push([lift(2, BO, "news"), off(1, ANNA, "news")])
    assert [method for method, _ in server.seen] == ["GET", "POST", "DELETE"]


def test_a_key_without_the_rights_is_reported(rig: Rig, server: SendGridStandIn) -> None:
    server.rights.remove("asm.groups.suppressions.delete")
    (problem,) = rig.make().check().problems
    assert "asm.groups.suppressions.delete" in problem
