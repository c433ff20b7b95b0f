from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, cast

import pytest

from preference_center.core.addresses import Channel
from preference_center.integrations.base.contract import (
    DeliveryError,
    FieldItem,
    PushResult,
    UnsupportedByDestination,
)
from preference_center.integrations.base.vendor_events import VendorEvent, VendorEventKind
from preference_center.integrations.braze import client
from tests.integrations.both_ways_contract import (
    AbsentContract,
    FieldContract,
    ReadContract,
    WholePullContract,
    whole,
    with_settings,
)
from tests.integrations.braze.workspace import DESCRIPTION, TOPICS, connect
from tests.integrations.contract import ANNA, BO, CY, NOW, JsonApiContract, Rig, lift, off, results
from tests.integrations.erase_contract import (
    EraseContract,
    EraseHttpContract,
    erase,
)
from tests.integrations.mapped_contract import MappedContract
from tests.integrations.odd_answers_contract import OddAnswersContract
from tests.integrations.tools.answer_schemas import AnswerSchemas
from tests.integrations.tools.braze import BrazeStandIn
from tests.integrations.tools.described import Description
from tests.integrations.tools.stand_in import Fault
from tests.shared import shared_path


class TestBraze(JsonApiContract, MappedContract, ReadContract):
    unmapped: ClassVar[tuple[str, ...]] = ()

    def test_what_was_done_before_a_failure_counts_and_the_rest_is_later(self, rig: Rig) -> None:
        server = cast("BrazeStandIn", rig.tool.server)  # type: ignore[attr-defined]
        server.fail(Fault(503, {"Retry-After": "30"}, after=2))  # one look, one group
        batch = [off(1, ANNA, "news"), off(2, BO, "offers"), off(3, CY, "news", "offers")]
        outcomes = rig.make().push(batch)
        assert results(outcomes) == {
            1: PushResult.REFLECTED,
            2: PushResult.RETRY_LATER,
            3: PushResult.RETRY_LATER,
        }
        assert outcomes[2].retry_after == timedelta(seconds=30)


class TestOddAnswers(OddAnswersContract):
    @pytest.fixture
    def schemas(self, descriptions: list[Description]) -> AnswerSchemas:
        return descriptions[0]


class TestWhoLeftEverything(WholePullContract):
    pass


class TestStrangers(AbsentContract, FieldContract, EraseContract, EraseHttpContract):
    @pytest.fixture(autouse=True)
    def strangers(self, server: BrazeStandIn) -> None:
        server.everybody = False

    def test_who_is_not_there_is_created_where_asked_for(self, rig: Rig) -> None:
        """Applied once somebody has the address: only all email has such a state."""
        asked = with_settings(rig, create_contacts="yes")
        assert any("create_contacts" in p for p in asked.make().check().problems)
        with pytest.raises(UnsupportedByDestination, match="create_contacts"):
            asked.make().push([off(1, BO, "news")])
        connector = connect(asked, topics={"news": "email"})
        assert connector.check().ok
        assert results(connector.push([off(1, BO, "news")])) == {1: PushResult.REFLECTED}
        assert BO in cast("BrazeStandIn", rig.tool.server).unsubscribed  # type: ignore[attr-defined]


def test_requests_obey_the_communitys_description(
    rig: Rig, descriptions: list[Description]
) -> None:
    shared_path(DESCRIPTION)
    before = descriptions[1].checked
    rig.make().push([off(1, ANNA, "news")])
    rig.make().check()
    assert descriptions[1].checked - before == 2 + 5


def test_fifty_addresses_are_looked_for_at_once(rig: Rig, server: BrazeStandIn) -> None:
    batch = [off(n, f"p{n}@example.com", "news") for n in range(50)]
    server.seen.clear()
    assert set(results(rig.make().push(batch)).values()) == {PushResult.REFLECTED}
    # Two users share each address here, and a page has 100.
    assert server.seen == [
        ("GET", "/subscription/user/status"),
        ("GET", "/subscription/user/status"),
        ("POST", "/v2/subscription/status/set"),
    ]


def test_addresses_too_long_for_one_url_are_looked_for_by_several(
    rig: Rig, server: BrazeStandIn
) -> None:
    batch = [off(n, f"{'ü' * 60}{n}@example.com", "news") for n in range(50)]
    assert set(results(rig.make().push(batch)).values()) == {PushResult.REFLECTED}
    assert len([path for _, path in server.seen if path == "/subscription/user/status"]) == 4


def test_a_whole_batch_is_read_back_at_once(rig: Rig, server: BrazeStandIn) -> None:
    server.add(ANNA)
    batch = [off(n, f"p{n}@example.com", "news", "offers") for n in range(50)]
    connector = connect(rig)
    for item in batch:
        server.add(item.address)
    connector.push(batch)
    server.seen.clear()
    found = connector.read(batch)
    assert found == dict.fromkeys(range(50), frozenset({"news", "offers"}))
    assert {path for _, path in server.seen} == {"/subscription/user/status"}


def test_an_address_that_one_user_still_gets_mail_at_is_not_off(
    rig: Rig, server: BrazeStandIn
) -> None:
    server.add(ANNA)
    one = {"email": ANNA, "subscription_groups": [{"id": "11", "status": "Unsubscribed"}]}
    other = {"email": ANNA, "subscription_groups": None}
    body = json.dumps({"message": "success", "users": [one, other]})
    server.fail(Fault(200, body=body))
    assert connect(rig).read([off(1, ANNA, "news")]) == {1: frozenset()}


def test_a_user_without_an_address_makes_nobody_absent(rig: Rig, server: BrazeStandIn) -> None:
    users = [{"email": None, "external_id": "7"}, {"email": ANNA, "subscription_groups": []}]
    server.fail(Fault(200, body=json.dumps({"message": "success", "users": users})))
    found = rig.make().push([off(1, ANNA, "news"), off(2, BO, "news")])
    assert results(found) == {1: PushResult.REFLECTED, 2: PushResult.RETRY_LATER}


def test_who_is_not_there_is_not_written(rig: Rig, server: BrazeStandIn) -> None:
    server.add(ANNA)
    rig.make().push([off(1, ANNA, "news"), off(2, BO, "news")])
    assert server.groups["11"] == {ANNA: "unsubscribed"}


def test_a_look_that_fails_leaves_nobody_written(rig: Rig, server: BrazeStandIn) -> None:
    server.fail(Fault(503))
    with pytest.raises(DeliveryError):
        rig.make().push([off(1, ANNA, "news"), off(2, BO, "news")])
    assert server.groups["11"] == {}


def test_an_address_that_can_not_be_looked_for_is_refused_alone(
    rig: Rig, server: BrazeStandIn
) -> None:
    server.unaskable.add(ANNA)
    outcomes = rig.make().push([off(1, ANNA, "news"), off(2, BO, "news")])
    assert results(outcomes) == {1: PushResult.REFUSED, 2: PushResult.REFLECTED}


def write_frequency(rig: Rig, *addresses: str) -> dict[int, PushResult]:
    items = [FieldItem(n, address, Channel.EMAIL, "monthly") for n, address in enumerate(addresses)]
    return results(connect(rig).write_field("News frequency", items))


def test_every_user_of_an_address_gets_the_attribute_fifty_a_request(
    rig: Rig, server: BrazeStandIn
) -> None:
    addresses = [f"p{n}@example.com" for n in range(20)]
    for address in addresses:
        server.add(address)
        server.copies[address] = 4
    assert set(write_frequency(rig, *addresses).values()) == {PushResult.REFLECTED}
    assert server.seen.count(("POST", "/users/track")) == 2
    wanted = {f"{address}-{n}" for address in addresses for n in (1, 2, 3)}
    assert {who: held["News frequency"] for who, held in server.attributes.items()} == (
        dict.fromkeys(wanted, "monthly")
    )


def test_a_user_without_an_id_gets_it_by_the_address_and_is_not_created(
    rig: Rig, server: BrazeStandIn
) -> None:  # I13
    server.add(ANNA)
    server.copies[ANNA] = 1
    assert write_frequency(rig, ANNA, BO) == {0: PushResult.REFLECTED, 1: PushResult.ABSENT}
    assert server.updates == [
        {"email": ANNA, "_update_existing_only": True, "News frequency": "monthly"}
    ]


def test_one_user_whose_attribute_is_rejected_holds_up_no_other(
    rig: Rig, server: BrazeStandIn
) -> None:
    for address in (ANNA, BO, CY):
        server.add(address)
    server.poison.add(BO)
    found = write_frequency(rig, ANNA, BO, CY)
    assert found == {0: PushResult.REFLECTED, 1: PushResult.REFUSED, 2: PushResult.REFLECTED}


@pytest.mark.parametrize("name", ["email", "email_subscribe", "_update_existing_only"])
def test_an_attribute_with_another_meaning_is_reported(rig: Rig, name: str) -> None:
    (problem,) = with_settings(rig, frequency_fields=f"news={name}").make().check().problems
    assert f"frequency_fields: {name} has another meaning" in problem


def test_all_email_may_stand_for_the_only_topic(rig: Rig, server: BrazeStandIn) -> None:  # I10
    connector = connect(rig, topics={"news": "email"})
    assert connector.check().ok
    assert results(connector.push([off(1, ANNA, "news")])) == {1: PushResult.REFLECTED}
    assert set(server.unsubscribed) == {ANNA}
    assert connector.read([off(1, ANNA)]) == {1: frozenset({"news"})}
    assert [n.target for n in whole(connector.pull)[0]] == ["email"]
    assert results(connector.push([lift(1, ANNA, "news")])) == {1: PushResult.REFLECTED}
    assert server.unsubscribed == {}


@pytest.mark.parametrize(
    "changes, named",
    [
        ({"topics": {"news": "email"}, "sends_service": True}, "service mail"),
        ({"topics": {"news": "email", "offers": "12"}}, "offers"),
    ],
)
def test_all_email_is_refused_where_more_is_sent(
    rig: Rig, server: BrazeStandIn, changes: dict[str, Any], named: str
) -> None:  # I10, I4
    connector = connect(rig, **changes)
    assert any(named in problem for problem in connector.check().problems)
    with pytest.raises(UnsupportedByDestination, match=named):
        connector.push([off(1, ANNA, "news")])
    assert server.unsubscribed == {}


def test_who_unsubscribed_from_all_email_is_off_everywhere(
    rig: Rig, server: BrazeStandIn
) -> None:  # I13
    server.unsubscribed[ANNA] = "2026-11-25 10:00:00 +0000"
    server.bounced[BO] = "2019-02-28 23:00:00 +0000"
    connector = connect(rig)
    assert connector.read([off(1, ANNA)]) == {1: frozenset(TOPICS)}
    assert whole(connector.pull)[0] == [
        VendorEvent(
            VendorEventKind.OPTED_OUT, ANNA, occurred_at=datetime(2026, 11, 25, 10, tzinfo=UTC)
        ),
        VendorEvent(VendorEventKind.BOUNCED, BO, occurred_at=datetime(2019, 2, 28, 23, tzinfo=UTC)),
    ]


def test_pulling_goes_on_where_it_was(
    rig: Rig, server: BrazeStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "PAGE_SIZE", 10)
    monkeypatch.setattr(client, "PAGE_OVERLAP", 2)
    everybody = {f"p{n}@example.com" for n in range(25)}
    for address in everybody:
        server.unsubscribed[address] = "2025-01-01 10:00:00 +0000"
    connector = connect(rig)
    event, cursor = whole(connector.pull)
    assert {n.address for n in event} == everybody
    server.unsubscribed[CY] = NOW.strftime("%Y-%m-%d %H:%M:%S +0000")
    assert [n.address for n in whole(connector.pull, cursor)[0]] == [CY]


def test_success_is_the_only_good_word(rig: Rig, server: BrazeStandIn) -> None:
    server.fail(Fault(201, body='{"message": "queued"}', after=1))
    with pytest.raises(DeliveryError, match="without success"):
        rig.make().push([off(1, ANNA, "news")])


def test_an_address_in_the_lists_that_can_not_be_read_holds_up_no_other(
    rig: Rig, server: BrazeStandIn
) -> None:
    rows = [{"email": None, "unsubscribed_at": "2026-11-25 10:00:00 +0000"}]
    rows.append({"email": ANNA, "unsubscribed_at": "yesterday"})
    server.fail(Fault(200, body=json.dumps({"message": "success", "emails": rows})))
    assert whole(connect(rig).pull)[0] == [VendorEvent(VendorEventKind.OPTED_OUT, ANNA)]


def test_all_users_who_share_an_address_are_deleted_one_after_another(
    rig: Rig, server: BrazeStandIn
) -> None:
    server.add(ANNA)
    server.copies[ANNA] = 3
    assert results(erase(rig, ANNA)) == {0: PushResult.REFLECTED}
    assert not server.users
    assert server.seen.count(("POST", "/users/delete")) == 3
