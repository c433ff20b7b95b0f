from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, ClassVar, cast

import pytest

from preference_center.integrations.base.contract import (
    DeliveryError,
    DestinationConfig,
    PushResult,
    UnsupportedByDestination,
)
from preference_center.integrations.base.vendor_events import VendorEvent, VendorEventKind
from preference_center.integrations.registry import DestinationConfigError
from preference_center.integrations.ses.connector import Ses
from tests.integrations.both_ways_contract import (
    AbsentContract,
    BackfillContract,
    PullContract,
    ReadContract,
    ScanContract,
    whole,
    with_settings,
)
from tests.integrations.contract import ANNA, BO, CY, JsonApiContract, Rig, lift, off, results
from tests.integrations.erase_contract import EraseContract, EraseHttpContract, erase_items, eraser
from tests.integrations.mapped_contract import MappedContract
from tests.integrations.odd_answers_contract import OddAnswersContract
from tests.integrations.tools.answer_schemas import AnswerSchemas, AwsSchemas
from tests.integrations.tools.ses import KEY, LIST, MODEL, REGION, ROUTES, SECRET, SesStandIn
from tests.integrations.tools.stand_in import Fault

TOPICS = {"news": "11", "offers": "12"}


@dataclass(slots=True)
class List:
    server: SesStandIn

    def off(self, address: str) -> set[str]:
        held = self.server.contacts.get(address.lower(), {}).get("TopicPreferences", [])
        stated = {p["TopicName"]: p["SubscriptionStatus"] for p in held}
        return {topic for topic, name in TOPICS.items() if stated.get(name) == "OPT_OUT"}

    def turn_off(self, address: str, topic: str) -> None:
        contact = self.server.contacts.get(address.lower()) or self.server.add(address)
        preference = {"TopicName": TOPICS[topic], "SubscriptionStatus": "OPT_OUT"}
        contact["TopicPreferences"] = [*contact["TopicPreferences"], preference]
        self.server.touch(contact)

    def requests(self) -> int:
        return len(self.server.seen)

    def reject(self, address: str) -> None:
        self.server.invalid.add(address)

    def add(self, address: str) -> None:
        self.server.everybody = False
        self.server.add(address)

    def has(self, address: str) -> bool:
        return address.lower() in self.server.contacts

    def link(self, _address: str) -> str | None:
        return None


@pytest.fixture
def server() -> Iterator[SesStandIn]:
    with SesStandIn() as server:
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
    }
    # A push looks whether the list is there, then at each contact.
    setup = DestinationConfig("aws", settings, TOPICS)
    return Rig("ses", setup, List(server), requests_before_writing=2, one_by_one=True)


class TestSes(
    JsonApiContract, MappedContract, ReadContract, ScanContract, PullContract, BackfillContract
):
    refusal: ClassVar[str] = "403"

    # An empty body is what AWS promises to a change.
    @pytest.mark.parametrize("body", ["<html>busy</html>", "[1, {}]", "null", '"yes"'])
    def test_garbage_is_no_acknowledgement(self, rig: Rig, body: str) -> None:
        super().test_garbage_is_no_acknowledgement(rig, body)

    def test_what_was_done_before_a_failure_counts_and_the_rest_is_later(self, rig: Rig) -> None:
        server = cast("SesStandIn", rig.tool.server)  # type: ignore[attr-defined]
        server.fail(Fault(503, after=5))  # the list; look and change; look and change; look
        outcomes = rig.make().push([off(1, ANNA, "news"), off(2, BO, "news"), off(3, CY, "news")])
        assert results(outcomes) == {
            1: PushResult.REFLECTED,
            2: PushResult.REFLECTED,
            3: PushResult.RETRY_LATER,
        }


class TestErase(EraseContract, EraseHttpContract):
    @pytest.fixture(autouse=True)
    def _known_only(self, server: SesStandIn) -> None:
        server.everybody = False

    # AWS refuses credentials with 403.
    def test_credentials_that_may_not_erase_stop_the_erasing(self, rig: Rig) -> None:
        assert self._fail(rig, Fault(403)).permanent


def test_a_list_that_is_gone_makes_nobody_absent(rig: Rig, server: SesStandIn) -> None:
    server.lists.clear()
    with pytest.raises(DeliveryError, match="no such contact list"):
        eraser(rig).erase(erase_items([ANNA]))


class TestOddAnswers(OddAnswersContract):
    @pytest.fixture
    def schemas(self) -> AnswerSchemas:
        return AwsSchemas(MODEL, ROUTES)


class TestStrangers(AbsentContract):
    @pytest.fixture(autouse=True)
    def strangers(self, server: SesStandIn) -> None:
        server.everybody = False


def connect(rig: Rig, **changes: Any) -> Ses:
    return cast("Ses", replace(rig, setup=replace(rig.setup, **changes)).make())


def test_a_change_keeps_all_that_it_is_not_about(rig: Rig, server: SesStandIn) -> None:
    contact = server.add(ANNA)
    events = {"TopicName": "99", "SubscriptionStatus": "OPT_OUT"}
    contact |= {"TopicPreferences": [events], "AttributesData": '{"name": "Anna"}'}
    contact["UnsubscribeAll"] = True
    rig.make().push([off(1, ANNA, "news")])
    assert server.updates == [
        {
            "TopicPreferences": [{"TopicName": "11", "SubscriptionStatus": "OPT_OUT"}, events],
            "UnsubscribeAll": True,
            "AttributesData": '{"name": "Anna"}',
        }
    ]


def test_a_contact_that_is_as_it_should_be_is_not_written_to(rig: Rig, server: SesStandIn) -> None:
    for _ in range(2):
        assert results(rig.make().push([off(1, ANNA, "news")])) == {1: PushResult.REFLECTED}
    assert len(server.updates) == 1


def test_who_unsubscribed_from_the_list_is_off_everywhere_and_stays_so(
    rig: Rig, server: SesStandIn
) -> None:  # I5, I13
    contact = server.add(ANNA)
    contact["UnsubscribeAll"] = True
    connector = connect(rig)
    assert connector.read([off(1, ANNA)]) == {1: frozenset(TOPICS)}
    assert results(connector.push([lift(1, ANNA, "news")])) == {1: PushResult.REFLECTED}
    assert contact["UnsubscribeAll"] is True
    assert {n.target for n in whole(connector.pull)[0]} == {None}


def test_a_topic_that_is_off_by_default_is_no_opt_out(rig: Rig, server: SesStandIn) -> None:
    server.add(ANNA)["TopicDefaultPreferences"] = [
        {"TopicName": "11", "SubscriptionStatus": "OPT_OUT"}
    ]
    (seen,) = whole(connect(rig).scan)[0]
    assert seen.off == frozenset()
    assert whole(connect(rig).pull)[0] == []


def test_bounces_and_complaints_are_pulled_too(rig: Rig, server: SesStandIn) -> None:  # I13
    when = datetime(2026, 11, 25, 10, tzinfo=UTC)
    server.page = 1
    for address, reason in [(ANNA, "BOUNCE"), (BO, "COMPLAINT")]:
        server.suppressed.append(
            {"EmailAddress": address, "Reason": reason, "LastUpdateTime": when.timestamp()}
        )
    assert whole(connect(rig).pull)[0] == [
        VendorEvent(VendorEventKind.BOUNCED, ANNA, occurred_at=when),
        VendorEvent(VendorEventKind.COMPLAINED, BO, occurred_at=when),
    ]


def test_a_list_that_is_gone_is_no_reason_to_call_everybody_absent(
    rig: Rig, server: SesStandIn
) -> None:
    server.lists.clear()
    for attempt in (connect(rig).push, connect(rig).read):
        with pytest.raises(DeliveryError, match="no such contact list") as caught:
            attempt([off(1, ANNA, "news")])
        assert caught.value.permanent


def test_a_topic_that_is_gone_stops_the_destination(rig: Rig, server: SesStandIn) -> None:
    del server.topics["12"]
    with pytest.raises(DeliveryError, match="offers") as caught:
        rig.make().push([off(1, ANNA, "news"), off(2, BO, "offers")])
    assert caught.value.permanent
    assert server.updates == []


def test_being_too_fast_is_no_fault_of_the_address(rig: Rig, server: SesStandIn) -> None:
    header = {"x-amzn-ErrorType": "ThrottlingException"}
    server.fail(Fault(400, header, after=2))
    with pytest.raises(DeliveryError, match="throttled") as caught:
        rig.make().push([off(1, ANNA, "news")])
    assert not caught.value.permanent


def test_a_key_is_half_a_key_without_its_secret(rig: Rig) -> None:
    half = with_settings(rig, secret_access_key="")
    assert any("go together" in p for p in half.make().check().problems)
    with pytest.raises(UnsupportedByDestination, match="go together"):
        half.make().push([off(1, ANNA, "news")])


@pytest.mark.parametrize("region", ["eu", "evil.example/", "eu-central-1.evil.example"])
def test_a_region_is_no_other_host(rig: Rig, server: SesStandIn, region: str) -> None:
    wrong = with_settings(rig, region=region)
    (problem,) = wrong.make().check().problems
    assert "eu-central-1" in problem
    with pytest.raises(DeliveryError, match="region") as caught:
        wrong.make().push([off(1, ANNA, "news")])
    assert caught.value.permanent
    assert server.seen == []


def test_without_a_key_the_role_of_the_worker_counts(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyless = with_settings(rig, access_key_id="", secret_access_key="")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    (problem,) = keyless.make().check().problems
    assert "has no role" in problem
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    assert keyless.make().check().ok


def test_without_the_library_the_error_names_what_to_install(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "botocore.auth", None)
    for name in ("client", "signing"):
        monkeypatch.delitem(
            sys.modules, f"preference_center.integrations.ses.{name}", raising=False
        )
    with pytest.raises(DestinationConfigError, match=r"pip install 'preference-center\[ses\]'"):
        rig.make()


def test_every_exchange_is_held_to_the_model(rig: Rig, server: SesStandIn) -> None:
    rig.make().check()
    rig.make().push([off(1, ANNA, "news")])
    assert server.checked == len(server.seen) == 7
