from __future__ import annotations

import json
from datetime import timedelta
from typing import ClassVar, cast

import pytest

from preference_center.core.addresses import Channel
from preference_center.integrations.base.contract import (
    ContactSnapshot,
    DeliveryError,
    FieldItem,
    PushItem,
    PushResult,
)
from preference_center.integrations.salesforce import client
from tests.integrations.both_ways_contract import (
    AbsentContract,
    FieldContract,
    PullContract,
    ReadContract,
    ScanContract,
    whole,
    with_settings,
)
from tests.integrations.contract import ANNA, BO, CY, ODD, JsonApiContract, Rig, lift, off, results
from tests.integrations.erase_contract import EraseContract, EraseHttpContract, erase
from tests.integrations.mapped_contract import MappedContract
from tests.integrations.odd_answers_contract import OddAnswersContract
from tests.integrations.rig import field_of
from tests.integrations.rights_contract import RightsContract
from tests.integrations.salesforce.org import BEFORE_WRITING, TOPICS, connect
from tests.integrations.tools.salesforce import (
    LINK,
    NEWS,
    OPT_OUT,
    SALES,
    SalesforceStandIn,
)
from tests.integrations.tools.stand_in import Fault


class TestSalesforce(
    JsonApiContract,
    MappedContract,
    ReadContract,
    ScanContract,
    PullContract,
    FieldContract,
    RightsContract,
):
    target: ClassVar[str] = NEWS
    missing: ClassVar[str] = "No_Such__c"
    unmapped: ClassVar[tuple[str, ...]] = ("Events (No_Events__c)",)
    refusal: ClassVar[str] = "400 invalid_client"

    def _two_requests_worth(self) -> list[PushItem]:
        return [off(n, f"p{n}@example.com", "news") for n in range(150)]

    @pytest.fixture(autouse=True)
    def doubles(self, request: pytest.FixtureRequest, server: SalesforceStandIn) -> None:
        """Anyone who takes two requests is a contact and a lead."""
        if "part_was_done" in request.node.name or "done_before" in request.node.name:
            for n in range(150):
                server.add(f"p{n}@example.com")
                server.add(f"p{n}@example.com", "Lead")


class TestOddAnswers(OddAnswersContract):
    pass


class TestStrangers(AbsentContract, EraseContract, EraseHttpContract):
    @pytest.fixture(autouse=True)
    def strangers(self, server: SalesforceStandIn) -> None:
        server.everybody = False


def test_every_record_of_an_address_is_changed_and_all_must_be_off(
    rig: Rig, server: SalesforceStandIn
) -> None:
    contact, lead = server.add(ANNA), server.add(ANNA.upper(), "Lead")
    connector = connect(rig)
    contact[NEWS] = True
    assert connector.read([off(1, ANNA)]) == {1: frozenset()}
    assert results(connector.push([off(1, ANNA, "news")])) == {1: PushResult.REFLECTED}
    assert lead[NEWS] is True
    assert connector.read([off(1, ANNA)]) == {1: frozenset({"news"})}
    assert [len(update) for update in server.updates] == [1], "the contact was off already"


def test_no_record_changes_its_owner(rig: Rig, server: SalesforceStandIn) -> None:
    records = [server.add(ANNA), server.add(ANNA, "Lead")]
    connector = connect(rig)
    connector.push([off(1, ANNA, "news")])
    connector.push([lift(1, ANNA, "news")])
    connector.write_field(
        field_of(rig), [FieldItem(1, ANNA, Channel.EMAIL, "https://choices.example.com/p/x")]
    )
    assert len(server.updates) == 3
    assert [record["OwnerId"] for record in records] == [SALES, SALES]


def test_a_record_that_fails_holds_up_no_other(rig: Rig, server: SalesforceStandIn) -> None:
    server.faults = {
        ANNA: "UNABLE_TO_LOCK_ROW",
        BO: "FIELD_CUSTOM_VALIDATION_EXCEPTION",
        ODD[0]: "ENTITY_IS_DELETED",
    }
    outcomes = rig.make().push([off(n, a, "news") for n, a in enumerate([ANNA, BO, CY, ODD[0]])])
    assert results(outcomes) == {
        0: PushResult.RETRY_LATER,
        1: PushResult.REFUSED,
        2: PushResult.REFLECTED,
        3: PushResult.RETRY_LATER,
    }
    assert outcomes[1].ack == "FIELD_CUSTOM_VALIDATION_EXCEPTION"


def test_a_converted_lead_is_left_alone(rig: Rig, server: SalesforceStandIn) -> None:
    lead = server.add(ANNA, "Lead", IsConverted=True)
    server.everybody = False
    assert results(rig.make().push([off(1, ANNA, "news")])) == {1: PushResult.ABSENT}
    assert lead[NEWS] is False


def test_a_query_never_outgrows_a_url(rig: Rig, server: SalesforceStandIn) -> None:
    batch = [off(n, f"{n:03}.{'é' * 50}@example.com", "news") for n in range(200)]
    assert set(results(rig.make().push(batch)).values()) == {PushResult.REFLECTED}
    assert sum("query" in path for _, path in server.seen) > 2


def test_an_address_can_not_end_its_literal(rig: Rig, server: SalesforceStandIn) -> None:
    sly = "x\\'or'1'='1@example.com"
    server.add(ANNA)
    assert results(rig.make().push([off(1, sly, "news")])) == {1: PushResult.REFLECTED}
    assert server.of(sly)[0][NEWS] is True
    assert server.of(ANNA)[0][NEWS] is False


def test_opted_out_of_email_counts_as_every_topic(rig: Rig, server: SalesforceStandIn) -> None:
    server.add(ANNA)[OPT_OUT] = True
    connector = connect(rig)
    assert connector.read([off(1, ANNA)]) == {1: frozenset(TOPICS)}
    (event,) = whole(connector.pull)[0]
    assert (event.address, event.target) == (ANNA, None)
    connector.push([lift(1, ANNA, "news")])
    assert server.of(ANNA)[0][OPT_OUT] is True  # I5, I13


def test_rows_may_lack_what_is_not_needed(rig: Rig, server: SalesforceStandIn) -> None:
    stamp = "2026-11-25T12:00:00.000+0000"
    row = {"attributes": {"type": "Contact"}, "Id": "1", "SystemModstamp": stamp}
    rows = [{**row, "Email": None}, {**row, "Email": ANNA, NEWS: None, OPT_OUT: None}]
    server.fail(Fault(200, body=json.dumps({"done": True, "records": rows}), after=1))
    (seen,) = connect(rig).scan(None).rows
    assert (seen.address, seen.off) == (ANNA, frozenset())
    saved = [{"id": None, "success": False, "errors": None}]
    server.fail(Fault(200, body=json.dumps(saved), after=BEFORE_WRITING))
    assert results(connect(rig).push([off(1, BO, "news")])) == {1: PushResult.RETRY_LATER}


def test_only_one_kind_of_record_is_looked_at_where_asked_for(
    rig: Rig, server: SalesforceStandIn
) -> None:
    contacts = with_settings(rig, objects="Contact")
    assert contacts.make().check().ok
    contacts.make().push([off(1, ANNA, "news")])
    assert len(server.seen) == 1 + 1 + 3
    (problem,) = with_settings(rig, objects="Account").make().check().problems
    assert "Contact or Lead" in problem


def test_used_up_requests_come_back_later(rig: Rig, server: SalesforceStandIn) -> None:
    body = '[{"errorCode": "REQUEST_LIMIT_EXCEEDED", "message": "TotalRequests Limit exceeded."}]'
    server.fail(Fault(403, body=body, after=BEFORE_WRITING))
    with pytest.raises(DeliveryError, match="REQUEST_LIMIT") as caught:
        rig.make().push([off(1, ANNA, "news")])
    assert not caught.value.permanent
    assert caught.value.retry_after == timedelta(minutes=30)


@pytest.mark.parametrize("reason, permanent", [("rate_limit_exceeded", False), ("x", True)])
def test_a_token_is_refused_for_good_or_for_now(
    rig: Rig, server: SalesforceStandIn, reason: str, *, permanent: bool
) -> None:
    server.fail(Fault(400, body=f'{{"error": "{reason}"}}'))
    with pytest.raises(DeliveryError, match=reason) as caught:
        rig.make().push([off(1, ANNA, "news")])
    assert caught.value.permanent is permanent


def test_the_next_page_is_never_elsewhere(rig: Rig, server: SalesforceStandIn) -> None:
    body = '{"done": false, "records": [], "nextRecordsUrl": "https://evil.example/x"}'
    server.fail(Fault(200, body=body, after=1))
    with pytest.raises(DeliveryError, match="unexpected path"):
        rig.make().push([off(1, ANNA, "news")])


def test_a_scan_goes_on_from_the_last_record_of_a_page(
    rig: Rig, server: SalesforceStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "PAGE_SIZE", 3)
    stamp = server.clock
    for n in range(8):
        server.add(f"p{n}@example.com", "Contact" if n % 2 else "Lead")["SystemModstamp"] = stamp
    server.everybody = False
    server.add(None)  # type: ignore[arg-type] # no address, nobody to look for
    server.add("late@example.com", "Lead")[LINK] = "https://choices.example.com/p/x"
    seen = cast("list[ContactSnapshot]", whole(connect(rig).scan)[0])
    assert sorted(s.address for s in seen) == [
        "late@example.com",
        *(f"p{n}@example.com" for n in range(8)),
    ]
    assert {s.link for s in seen} == {"", "https://choices.example.com/p/x"}


def test_rows_come_in_as_many_pages_as_salesforce_likes(
    rig: Rig, server: SalesforceStandIn
) -> None:
    server.batch = 2
    everybody = [f"p{n}@example.com" for n in range(5)]
    batch = [off(n, address, "news") for n, address in enumerate(everybody)]
    assert set(results(rig.make().push(batch)).values()) == {PushResult.REFLECTED}
    assert {s.address for s in whole(connect(rig).scan)[0]} == set(everybody)


def test_a_link_that_stands_is_not_written_again(rig: Rig, server: SalesforceStandIn) -> None:
    items = [FieldItem(1, ANNA, Channel.EMAIL, "https://choices.example.com/p/x")]
    for _ in range(2):
        assert results(connect(rig).write_field(field_of(rig), items)) == {1: PushResult.REFLECTED}
    assert len(server.updates) == 1


def test_contacts_leads_and_converted_leads_are_deleted(
    rig: Rig, server: SalesforceStandIn
) -> None:
    for object_, fields in [("Contact", {}), ("Lead", {}), ("Lead", {"IsConverted": True})]:
        server.add(ANNA, object_, **fields)
        server.add(BO, object_, **fields)
    assert results(erase(rig, ANNA.upper())) == {0: PushResult.REFLECTED}
    assert [record["Email"] for record in server.records] == [BO] * 3


def test_no_record_is_deleted_where_the_setting_does_not_say_so(
    rig: Rig, server: SalesforceStandIn
) -> None:
    server.add(ANNA)
    found = erase(with_settings(rig, erase_records="no"), ANNA)
    assert results(found) == {0: PushResult.REFUSED}
    assert server.of(ANNA)
    (problem,) = with_settings(rig, erase_records="maybe").make().check().problems
    assert "write yes or no" in problem


def test_a_record_that_can_not_be_deleted_is_left_to_a_person(
    rig: Rig, server: SalesforceStandIn
) -> None:
    """One with cases or an open contract, for instance."""
    server.add(ANNA)
    server.add(ANNA, "Lead")
    server.add(BO)
    server.undeletable.add("Lead")
    found = erase(rig, ANNA, BO)
    assert results(found) == {0: PushResult.REFUSED, 1: PushResult.REFLECTED}
    assert found[0].ack == "INSUFFICIENT_ACCESS_OR_READONLY"
    assert [record["type"] for record in server.records] == ["Lead"]
    assert any("Delete on Lead" in hint for hint in rig.make().check().hints)
