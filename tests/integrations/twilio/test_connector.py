"""Twilio's consents. The contracts speak of email addresses: each stands for a number here."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, cast
from zlib import crc32

import pytest
from openapi_schema_validator import OAS30Validator

from preference_center.core.addresses import Channel
from preference_center.integrations.base.contract import (
    Connector,
    DeliveryError,
    DestinationConfig,
    PushItem,
    PushOutcome,
    PushResult,
    UnsupportedByDestination,
)
from preference_center.integrations.base.http import HttpContext
from preference_center.integrations.registry import get_integration, get_spec, make_connector
from preference_center.integrations.twilio.connector import Twilio
from tests.integrations.contract import ANNA, BO, CY, JsonApiContract, Rig, lift, off, results
from tests.integrations.mapped_contract import MappedContract
from tests.integrations.odd_answers_contract import OddAnswersContract
from tests.integrations.sms_contract import ANNA as PHONE
from tests.integrations.sms_contract import (
    CHANNELS,
    TOPIC,
    RigOfTexts,
    SmsContract,
    text_lift,
    text_off,
)
from tests.integrations.tools.described import Description
from tests.integrations.tools.stand_in import Fault
from tests.integrations.tools.twilio import KEY, SECRET, TwilioStandIn

NUMBER, SERVICE = "+15550100", "MG00000000000000000000000000000001"
TOPICS = {"news": NUMBER, "offers": SERVICE}
DESCRIPTION = Path(__file__).parents[1] / "contracts" / "twilio.json"


def number(address: str) -> str:
    """A number of its own for each address; a number is its own."""
    return address if address.startswith("+") else f"+3933{crc32(address.encode()):010}"


class Numbered(Twilio):
    """Takes the contracts' email addresses for numbers."""

    def push(self, batch: Sequence[PushItem]) -> Mapping[int, PushOutcome]:
        return super().push([_numbered(item) for item in batch])


def _numbered(item: PushItem) -> PushItem:
    if item.channel is not Channel.EMAIL:
        return item
    return replace(item, address=number(item.address), channel=Channel.SMS)


class NumberedRig(Rig):
    def make(self, **http: Any) -> Connector:
        return Numbered(self.setup, replace(self.http, **http))


@dataclass(slots=True)
class Senders:
    server: TwilioStandIn
    topics: Mapping[str, str]

    def off(self, address: str) -> set[str]:
        held = self.server.off.get(number(address), set())
        return {topic for topic, sender in self.topics.items() if sender in held}

    def turn_off(self, address: str, topic: str) -> None:
        self.server.off.setdefault(number(address), set()).add(self.topics[topic])

    def requests(self) -> int:
        return len(self.server.seen)

    def reject(self, address: str) -> None:
        self.server.invalid.add(number(address))


@pytest.fixture(scope="module")
def description() -> Description:
    return Description(DESCRIPTION)


@pytest.fixture
def server(description: Description) -> Iterator[TwilioStandIn]:
    description.faults.clear()
    with TwilioStandIn(description.watch) as server:
        yield server
    assert description.faults == []
    schema = json.loads(DESCRIPTION.read_text())["components"]["schemas"]["Consent"]
    for consent in server.consents[:100]:
        OAS30Validator(schema).validate(consent)


@pytest.fixture
def rig(server: TwilioStandIn) -> Rig:
    settings = {"api_key": KEY, "api_secret": SECRET, "base_url": server.url}
    setup = DestinationConfig(
        "texts", settings, TOPICS, channels=dict.fromkeys(TOPICS, Channel.SMS)
    )
    return NumberedRig("twilio", setup, Senders(server, TOPICS))


class TestTwilio(JsonApiContract, MappedContract):
    target: ClassVar[str] = NUMBER
    missing: ClassVar[str] = "Acme"
    unmapped: ClassVar[tuple[str, ...]] = ()

    # It can't be read; and channels are tried below, where email stands for nothing else.
    test_reading_back_tells_what_is_off_and_changes_nothing = None  # type: ignore[assignment]
    test_an_address_of_a_channel_that_it_has_not_is_refused = None  # type: ignore[assignment]

    def test_a_request_that_is_rejected_for_every_address_is_no_fault_of_theirs(
        self, rig: Rig
    ) -> None:
        """Each consent has a result, so that nothing has to be guessed."""
        rig.tool.reject(ANNA)  # type: ignore[attr-defined]
        rig.tool.reject(BO)  # type: ignore[attr-defined]
        found = rig.make().push([off(1, ANNA, "news"), off(2, BO, "news")])
        assert results(found) == {1: PushResult.REFUSED, 2: PushResult.REFUSED}


class TestOddAnswers(OddAnswersContract):
    pass


class TestTwiliosTexts(RigOfTexts, SmsContract):
    pass


@pytest.fixture
def texts(rig: Rig, server: TwilioStandIn) -> Rig:
    """As the registry makes it, with the topic of the contract of SMS."""
    topics = {TOPIC: NUMBER}
    setup = replace(rig.setup, topics=topics, channels=CHANNELS)
    return Rig("twilio", setup, Senders(server, topics))


def test_email_addresses_and_calls_are_refused(texts: Rig, server: TwilioStandIn) -> None:  # I10
    for item in (off(1, ANNA, TOPIC), replace(text_off(1, PHONE), channel=Channel.PHONE)):
        with pytest.raises(UnsupportedByDestination, match=item.channel):
            texts.make().push([text_off(2, PHONE), item])
    assert server.seen == []


def test_a_consent_has_all_that_twilio_asks_for(texts: Rig, server: TwilioStandIn) -> None:
    texts.make().push([text_off(1, PHONE)])
    texts.make().push([text_lift(1, PHONE)])
    one, other = (dict(consent) for consent in server.consents)
    assert one.pop("correlation_id") != other.pop("correlation_id")
    common = {"contact_id": PHONE, "sender_id": NUMBER, "source": "others"}
    assert one == common | {"status": "opt-out", "date_of_consent": "2026-11-25T12:00:00Z"}
    assert other == common | {"status": "opt-in"}


def test_twenty_five_go_in_a_request(texts: Rig, server: TwilioStandIn) -> None:
    batch = [text_off(n, f"+39333{n:07}") for n in range(60)]
    assert set(results(texts.make().push(batch)).values()) == {PushResult.REFLECTED}
    assert len(server.seen) == 3


def test_a_sender_of_another_account_stops_the_destination(
    texts: Rig, server: TwilioStandIn
) -> None:
    server.senders.clear()
    with pytest.raises(DeliveryError, match="map the topic to one of this account") as caught:
        texts.make().push([text_off(1, PHONE)])
    assert caught.value.permanent
    assert PHONE not in str(caught.value)  # I12


def test_an_error_that_may_pass_is_tried_again(texts: Rig, server: TwilioStandIn) -> None:
    server.code = 20500
    found = texts.make().push([text_off(1, PHONE)])
    assert found[1] == PushOutcome(PushResult.RETRY_LATER, "20500")


@pytest.mark.parametrize(
    "body",
    ['{"items": null}', "{}", '{"items": [{"error_code": null}]}'],
    ids=["null", "none", "no-id"],
)
def test_a_consent_without_a_result_is_tried_again(
    texts: Rig, server: TwilioStandIn, body: str
) -> None:
    server.fail(Fault(201, body=body))
    assert results(texts.make().push([text_off(1, PHONE)])) == {1: PushResult.RETRY_LATER}


def test_service_messages_by_the_same_sender_are_refused(texts: Rig) -> None:  # I4, I10
    shared = replace(texts, setup=replace(texts.setup, sends_service=True))
    (problem,) = shared.make().check().problems
    assert "by another sender" in problem


def test_an_account_without_consents_is_reported(texts: Rig, server: TwilioStandIn) -> None:
    server.fail(Fault(404))
    (problem,) = texts.make().check().problems
    assert "Consent Management API" in problem


def test_checking_gives_no_consent(texts: Rig, server: TwilioStandIn) -> None:  # I7
    assert texts.make().check().ok
    assert server.consents == []


def test_without_a_key_it_only_listens() -> None:
    listens = make_connector(
        "twilio", DestinationConfig("texts", {"auth_token": "x"}, {TOPIC: NUMBER}), HttpContext()
    )
    assert listens.check().ok
    entry = get_spec("twilio")
    assert entry.capabilities_for({"auth_token": "x"}).webhook_only
    assert not entry.capabilities_for({"api_key": KEY, "api_secret": SECRET}).webhook_only
    secrets = get_integration("twilio").load_secret_settings()
    assert secrets >= {"auth_token", "shared_key", "api_secret"}


def test_who_lifts_from_two_senders_is_sent_to_both(rig: Rig, server: TwilioStandIn) -> None:
    rig.make().push([off(1, CY, "news", "offers")])
    found = cast("Twilio", rig.make()).push([lift(1, CY, "news", "offers")])
    assert results(found) == {1: PushResult.REFLECTED}
    assert server.off[number(CY)] == set()
