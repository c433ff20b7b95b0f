from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import pytest

from preference_center.integrations.base.contract import (
    DeliveryError,
    DestinationConfig,
    PushResult,
)
from preference_center.integrations.base.vendor_events import VendorEvent, VendorEventKind
from preference_center.integrations.mailersend.connector import MailerSend
from tests.integrations.both_ways_contract import PullContract, ScanContract, whole
from tests.integrations.contract import ANNA, BO, CY, JsonApiContract, Rig, off, results
from tests.integrations.mapped_contract import MappedContract
from tests.integrations.odd_answers_contract import OddAnswersContract
from tests.integrations.tools.described import Description
from tests.integrations.tools.mailersend import OPTED_OUT_AT, TOKEN, MailerSendStandIn
from tests.integrations.tools.stand_in import Fault

TOPICS = {"news": "11", "offers": "12"}


@dataclass(slots=True)
class Account:
    server: MailerSendStandIn

    def off(self, address: str) -> set[str]:
        return {topic for topic, id_ in TOPICS.items() if self.server.is_off(id_, address)}

    def turn_off(self, address: str, topic: str) -> None:
        self.server.suppress(TOPICS[topic], address)

    def requests(self) -> int:
        return len(self.server.seen)

    def reject(self, address: str) -> None:
        self.server.invalid.add(address)

    def add(self, address: str) -> None:
        self.server.recipients["11"].append(address)

    def has(self, address: str) -> bool:
        return address in self.server.recipients["11"]

    def link(self, address: str) -> str | None:
        raise NotImplementedError


@pytest.fixture(scope="module")
def description() -> Description:
    """Ours, from MailerSend's reference: see its `info`."""
    return Description(Path(__file__).parents[1] / "contracts" / "mailersend.json")


@pytest.fixture
def server(description: Description) -> Iterator[MailerSendStandIn]:
    description.faults.clear()
    with MailerSendStandIn(description.watch) as server:
        yield server
    assert description.faults == []


@pytest.fixture
def rig(server: MailerSendStandIn) -> Rig:
    settings = {"api_token": TOKEN, "base_url": server.url}
    return Rig("mailersend", DestinationConfig("ms", settings, TOPICS), Account(server))


class TestMailerSend(JsonApiContract, MappedContract, PullContract, ScanContract):
    pass


class TestOddAnswers(OddAnswersContract):
    pass


def connect(rig: Rig) -> MailerSend:
    return cast("MailerSend", rig.make())


def test_a_domain_is_a_request_for_each_hundred(rig: Rig, server: MailerSendStandIn) -> None:
    rig.make().push([off(n, f"p{n}@example.com", "news", "offers") for n in range(150)])
    assert server.seen == [("POST", "/v1/suppressions/unsubscribes")] * 4


def test_a_domain_that_carries_service_mail_is_refused(rig: Rig) -> None:  # I10, I4
    service = replace(rig, setup=replace(rig.setup, sends_service=True))
    (problem,) = service.make().check().problems
    assert "no service mail" in problem
    assert "not mapped" in problem


@pytest.mark.parametrize("people", [(ANNA,), (ANNA, BO)], ids=["one", "several"])
def test_a_domain_that_is_gone_is_no_fault_of_the_addresses(
    rig: Rig, server: MailerSendStandIn, people: tuple[str, ...]
) -> None:
    """Both are answered by 422."""
    del server.domains["12"]
    with pytest.raises(DeliveryError, match="offers is mapped to no domain") as caught:
        rig.make().push([off(n, address, "offers") for n, address in enumerate(people)])
    assert caught.value.permanent


def test_who_is_on_the_list_already_is_reflected(rig: Rig, server: MailerSendStandIn) -> None:
    """The answer need not name them again."""
    server.suppress("11", ANNA)
    assert results(rig.make().push([off(1, ANNA, "news")])) == {1: PushResult.REFLECTED}


def test_all_three_lists_come_home_with_their_dates(
    rig: Rig, server: MailerSendStandIn
) -> None:  # I13
    server.suppress("12", ANNA)
    server.suppress("11", BO, "spam-complaints")
    server.suppress("11", CY, "hard-bounces")
    server.suppress("99", CY)
    assert whole(connect(rig).pull)[0] == [
        VendorEvent(VendorEventKind.COMPLAINED, BO, occurred_at=OPTED_OUT_AT),
        VendorEvent(VendorEventKind.BOUNCED, CY, occurred_at=OPTED_OUT_AT),
        VendorEvent(VendorEventKind.OPTED_OUT, ANNA, "12", occurred_at=OPTED_OUT_AT),
    ], "none of a domain that no topic maps to"


def test_recipients_who_were_deleted_are_not_there(rig: Rig, server: MailerSendStandIn) -> None:
    server.recipients["12"] += [ANNA, BO]
    server.deleted.add(ANNA)
    assert [seen.address for seen in whole(connect(rig).scan)[0]] == [BO]


def test_nulls_and_missing_fields_fail_no_listing(rig: Rig, server: MailerSendStandIn) -> None:
    rows = '{"data": [{}, {"recipient": null}, {"recipient": {"email": null}}], "links": null}'
    server.fail(Fault(200, body=rows))
    assert connect(rig).pull(None).rows == ()


def test_nothing_mapped_is_nothing_to_list(rig: Rig, server: MailerSendStandIn) -> None:
    empty = replace(rig, setup=replace(rig.setup, topics={}))
    assert connect(empty).pull(None).done
    assert server.seen == []
