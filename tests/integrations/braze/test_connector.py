from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, cast

import pytest
from werkzeug.wrappers import Request, Response

from preference_center.domain.addresses import Channel
from preference_center.domain.sync.contract import FieldItem, PushResult
from preference_center.domain.vendor_events import VendorEvent, VendorEventKind
from preference_center.integrations.base.contract import (
    DeliveryError,
    DestinationConfig,
    UnsupportedByDestination,
)
from preference_center.integrations.braze import client
from preference_center.integrations.braze.connector import Braze
from tests.integrations.both_ways_contract import (
    AbsentContract,
    FieldContract,
    ReadContract,
    WholePullContract,
    whole,
    with_settings,
)
from tests.integrations.contract import ANNA, BO, CY, NOW, JsonApiContract, Rig, lift, off, results
from tests.integrations.erase_contract import (
    EraseContract,
    EraseHttpContract,
    SmsEraseContract,
    erase,
    erase_items,
    eraser,
)
from tests.integrations.mapped_contract import MappedContract
from tests.integrations.odd_answers_contract import OddAnswersContract
from tests.integrations.sms_contract import ANNA as PHONE
from tests.integrations.sms_contract import BO as OTHER_PHONE
from tests.integrations.sms_contract import (
    TOPIC,
    RigOfTexts,
    SmsAbsentContract,
    SmsContract,
    SmsOddAnswersContract,
    SmsReadContract,
    text_off,
    with_texts,
)
from tests.integrations.tools.answer_schemas import AnswerSchemas
from tests.integrations.tools.braze import KEY, BrazeStandIn
from tests.integrations.tools.described import Description
from tests.integrations.tools.stand_in import Fault
from tests.shared import SHARED, shared_path

TOPICS = {"news": "11", "offers": "12"}
DESCRIPTION = "contracts/braze-subscriptions.community.json"


@dataclass(slots=True)
class Workspace:
    server: BrazeStandIn

    def off(self, address: str) -> set[str]:
        held = {t: self.server.groups[group].get(address.lower()) for t, group in TOPICS.items()}
        return {topic for topic, state in held.items() if state == "unsubscribed"}

    def turn_off(self, address: str, topic: str) -> None:
        self.server.groups[TOPICS[topic]][address.lower()] = "unsubscribed"

    def requests(self) -> int:
        return len(self.server.seen)

    def reject(self, address: str) -> None:
        self.server.poison.add(address)

    def add(self, address: str) -> None:
        self.server.add(address)

    def has(self, address: str) -> bool:
        return address.lower() in self.server.users

    def finish_erasures(self) -> None:
        self.server.finish_deleting()

    def link(self, address: str) -> str | None:
        return self.server.attributes.get(f"{address}-1", {}).get("News frequency")

    def leave(self, address: str) -> None:
        self.server.unsubscribed[address.lower()] = self.server.now()

    def has_left(self, address: str) -> bool:
        return address.lower() in self.server.unsubscribed


def correct(spec: dict[str, Any]) -> None:
    """Put right where the community's conversion leaves Braze's own words.

    All `email` may be "an array of up to 50", say their descriptions, and Braze's examples name
    such parameters `email[]`; so is it with `phone`.
    """
    some = {"type": "array", "maxItems": 50}
    status = spec["paths"]["/email/status"]["post"]["requestBody"]["content"]["application/json"]
    status["schema"]["properties"]["email"] = some
    for parameter in spec["paths"]["/subscription/user/status"]["get"]["parameters"]:
        if parameter["name"] in {"email", "phone"}:
            parameter |= {"name": f"{parameter['name']}[]", "schema": some}


@pytest.fixture(scope="module")
def descriptions() -> list[Description]:
    """Ours, see its `info`; and the community's, which has no responses."""
    ours = Description(Path(__file__).parents[1] / "contracts" / "braze.json")
    theirs = SHARED / DESCRIPTION
    if not theirs.exists():
        return [ours]
    cut = Description(
        theirs, ignored=lambda path: path in {"/users/delete", "/users/track"}, fix=correct
    )
    return [ours, cut]


@pytest.fixture
def server(descriptions: list[Description]) -> Iterator[BrazeStandIn]:
    def watch(request: Request, response: Response) -> None:
        for description in descriptions:
            description.watch(request, response)

    for description in descriptions:
        description.faults.clear()
    with BrazeStandIn(watch) as server:
        yield server
    for description in descriptions:
        assert description.faults == []


@pytest.fixture
def rig(server: BrazeStandIn) -> Rig:
    settings = {"api_key": KEY, "url": server.url, "frequency_fields": "news=News frequency"}
    setup = DestinationConfig("engage", settings, TOPICS)
    # A push looks first who is there.
    return Rig(
        "braze", setup, Workspace(server), requests_before_writing=1, requests_before_erasing=1
    )


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


def connect(rig: Rig, **changes: Any) -> Braze:
    return cast("Braze", replace(rig, setup=replace(rig.setup, **changes)).make())


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


class Texts(Workspace):
    """Email addresses and phone numbers."""

    def off(self, address: str) -> set[str]:
        if not address.startswith("+"):
            return super().off(address)
        held = self.server.groups["99"].get(address)
        return {TOPIC} if held == "unsubscribed" else set()

    def turn_off(self, address: str, topic: str) -> None:
        if topic != TOPIC:
            super().turn_off(address, topic)
        else:
            self.server.groups["99"][address] = "unsubscribed"


@pytest.fixture
def texts(rig: Rig, server: BrazeStandIn) -> Rig:
    """The same workspace, with a topic by SMS besides."""
    return with_texts(rig, Texts(server), "99")


class TestOddAnswersAboutTexts(SmsOddAnswersContract):
    @pytest.fixture
    def schemas(self, descriptions: list[Description]) -> AnswerSchemas:
        return descriptions[0]


class TestBrazesTexts(RigOfTexts, SmsContract, SmsReadContract, SmsAbsentContract):
    pass


class TestErasingBrazesTexts(RigOfTexts, SmsEraseContract):
    @pytest.fixture(autouse=True)
    def strangers(self, server: BrazeStandIn) -> None:
        server.everybody = False


def test_fifty_numbers_are_searched_for_and_turned_off_by_two_requests_each(
    texts: Rig, server: BrazeStandIn
) -> None:
    """Two people have each number, so that they are answered on two pages."""
    numbers = [f"+39333{n:07}" for n in range(50)]
    for number in numbers:
        server.add(number)
    found = texts.make().push([text_off(n, each) for n, each in enumerate(numbers)])
    assert set(results(found).values()) == {PushResult.REFLECTED}
    assert [path for _, path in server.seen] == ["/subscription/user/status"] * 2 + [
        "/v2/subscription/status/set"
    ]


def test_one_number_that_braze_rejects_does_not_hold_up_the_others(
    texts: Rig, server: BrazeStandIn
) -> None:
    server.add(PHONE)
    server.add(OTHER_PHONE)
    server.unaskable.add(OTHER_PHONE)
    found = texts.make().push([text_off(1, PHONE), text_off(2, OTHER_PHONE)])
    assert results(found) == {1: PushResult.REFLECTED, 2: PushResult.REFUSED}


def test_one_number_that_braze_rejects_leaves_the_others_readable(
    texts: Rig, server: BrazeStandIn
) -> None:
    server.add(PHONE)
    Texts(server).turn_off(PHONE, TOPIC)
    server.unaskable.add(OTHER_PHONE)
    found = connect(texts).read([text_off(1, PHONE), text_off(2, OTHER_PHONE)])
    assert found == {1: frozenset({TOPIC})}


def test_who_was_never_in_a_group_of_texts_has_not_left_it(
    texts: Rig, server: BrazeStandIn
) -> None:  # I13
    server.add(PHONE)
    assert connect(texts).read([text_off(1, PHONE)]) == {1: frozenset()}


def test_a_group_of_texts_that_is_missing_is_reported(texts: Rig) -> None:
    setup = replace(texts.setup, topics={TOPIC: "77"})
    (problem,) = replace(texts, setup=setup).make().check().problems
    assert "no SMS subscription group" in problem


def test_a_number_that_braze_writes_otherwise_is_the_same(texts: Rig, server: BrazeStandIn) -> None:
    user: dict[str, Any] = {"email": None, "phone": PHONE.lstrip("+"), "subscription_groups": []}
    server.fail(Fault(200, body=json.dumps({"message": "success", "users": [user]})))
    assert connect(texts).read([text_off(1, PHONE)]) == {1: frozenset()}


def test_a_user_without_a_number_makes_nobody_absent(texts: Rig, server: BrazeStandIn) -> None:
    users = [{"email": ANNA, "phone": None, "subscription_groups": None}]
    for asked in (2, 1):
        server.fail(Fault(200, body=json.dumps({"message": "success", "users": users})))
        batch = [text_off(1, PHONE), text_off(2, OTHER_PHONE)][:asked]
        assert set(results(texts.make().push(batch)).values()) == {PushResult.RETRY_LATER}
    server.fail(Fault(200, body=json.dumps({"message": "success", "users": users})))
    assert connect(texts).read([text_off(1, PHONE)]) == {}


def test_pulling_lists_email_only(texts: Rig, server: BrazeStandIn) -> None:
    server.add(PHONE)
    Texts(server).turn_off(PHONE, TOPIC)
    server.unsubscribed[ANNA] = server.now()
    event, cursor = whole(connect(texts).pull)
    assert [each.address for each in event] == [ANNA]
    alone = replace(texts.setup, topics={TOPIC: "99"})
    assert whole(connect(replace(texts, setup=alone)).pull, cursor) == ([], None)


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


def test_a_number_of_who_has_an_email_address_too_is_left_to_a_person(
    texts: Rig, server: BrazeStandIn
) -> None:
    """They may be two people with one telephone."""
    for number in (PHONE, OTHER_PHONE):
        server.add(number)
    server.emails[PHONE] = BO
    found = eraser(texts).erase(erase_items([PHONE, OTHER_PHONE]))
    assert results(found) == {0: PushResult.REFUSED, 1: PushResult.RETRY_LATER}
    assert "email address" in found[0].ack
    assert server.deleting == [OTHER_PHONE]
