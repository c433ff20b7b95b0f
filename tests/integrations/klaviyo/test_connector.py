from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from preference_center.core.addresses import Channel
from preference_center.integrations.base.contract import (
    DeliveryError,
    DestinationConfig,
    PushItem,
    PushResult,
    SupportsErase,
    SupportsFind,
)
from preference_center.integrations.base.multi_channel import connector_for_channel
from preference_center.integrations.base.vendor_events import VendorEvent, VendorEventKind
from preference_center.integrations.klaviyo.connector import Klaviyo
from tests.integrations import sms_contract
from tests.integrations.both_ways_contract import (
    AbsentContract,
    FieldContract,
    PullContract,
    ReadContract,
    ScanContract,
    with_settings,
)
from tests.integrations.both_ways_contract import whole as listed
from tests.integrations.contract import ANNA, BO, CY, JsonApiContract, Rig, lift, off, results
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
from tests.integrations.sms_contract import (
    TOPIC,
    RigOfTexts,
    SmsAbsentContract,
    SmsContract,
    SmsOddAnswersContract,
    SmsPullContract,
    SmsReadContract,
    SmsScanContract,
    text_lift,
    text_off,
    with_texts,
)
from tests.integrations.tools.described import Description
from tests.integrations.tools.klaviyo import KEY, KlaviyoStandIn
from tests.integrations.tools.stand_in import Fault
from tests.shared import SHARED, shared_path

TOPICS = {"news": "11", "offers": "12"}
DESCRIPTION = "contracts/klaviyo-consent.json"
WHEN = datetime(2026, 11, 25, 10, tzinfo=UTC)
SUPPRESS, UNSUPPRESS = (f"profile-suppression-bulk-{what}-jobs" for what in ("create", "delete"))


@dataclass(slots=True)
class Lists:
    server: KlaviyoStandIn

    def off(self, address: str) -> set[str]:
        known = address in self.server.profiles
        return {t for t, i in TOPICS.items() if known and address not in self.server.on[i]}

    def turn_off(self, address: str, topic: str) -> None:
        self.server.unsubscribe(address, TOPICS[topic])

    def requests(self) -> int:
        return len(self.server.seen)

    def reject(self, address: str) -> None:
        self.server.invalid.add(address)

    def add(self, address: str) -> None:
        self.server.add(address)

    def has(self, address: str) -> bool:
        return address in self.server.profiles

    def finish_erasures(self) -> None:
        self.server.finish_deleting()

    def link(self, address: str) -> str | None:
        link = self.server.profiles[address]["properties"].get("Choices")
        return cast("str | None", link)


@pytest.fixture(scope="module")
def description() -> Description | None:
    if not (SHARED / DESCRIPTION).exists():
        return None  # only the stand-in has it; see one test below
    elsewhere = ("/api/lists", "/api/profiles/")
    return Description(
        SHARED / DESCRIPTION, ignored=lambda p: p.startswith(elsewhere), fix=add_deletions
    )


def add_deletions(spec: dict[str, Any]) -> None:
    """What the cut of Klaviyo's description leaves out: `request_profile_deletion`."""
    text = {"type": "string", "nullable": True}
    profile = {
        "type": "object",
        "required": ["type", "attributes"],
        "properties": {
            "type": {"enum": ["profile"]},
            "id": text,
            "attributes": {"type": "object", "properties": {"email": text, "phone_number": text}},
        },
    }
    for name in ("data", "profile"):
        profile = {"type": "object", "required": [name], "properties": {name: profile}}
    data = {
        "type": "object",
        "required": ["type", "attributes"],
        "properties": {"type": {"enum": ["data-privacy-deletion-job"]}, "attributes": profile},
    }
    body = {"type": "object", "required": ["data"], "properties": {"data": data}}
    spec["paths"]["/api/data-privacy-deletion-jobs"] = {
        "post": {
            "requestBody": {
                "required": True,
                "content": {"application/vnd.api+json": {"schema": body}},
            },
            "responses": {"202": {"description": "Success"}},
        }
    }


@pytest.fixture
def server(description: Description | None) -> Iterator[KlaviyoStandIn]:
    if description:
        description.faults.clear()
    with KlaviyoStandIn(description.watch if description else None) as server:
        yield server
    if description:
        assert description.faults == []


@pytest.fixture
def rig(server: KlaviyoStandIn) -> Rig:
    settings = {"api_key": KEY, "base_url": server.url, "link_field": "Choices"}
    # A push looks for the profiles, then for those on the list.
    return Rig(
        "klaviyo",
        DestinationConfig("klaviyo-main", settings, TOPICS),
        Lists(server),
        requests_before_writing=2,
        requests_before_erasing=1,
    )


class TestKlaviyo(JsonApiContract, MappedContract, ReadContract, PullContract):
    pass


class TestOddAnswers(OddAnswersContract):
    pass


class TestKlaviyosContacts(
    AbsentContract, FieldContract, ScanContract, EraseContract, EraseHttpContract
):
    @pytest.fixture(autouse=True)
    def _only_who_was_added(self, server: KlaviyoStandIn) -> None:
        server.strict = True


class Texts(Lists):
    """Email addresses and phone numbers."""

    def off(self, address: str) -> set[str]:
        if not address.startswith("+"):
            return super().off(address)
        known = self.server.phones.get(address, {"consent": "SUBSCRIBED"})
        return set() if known["consent"] == "SUBSCRIBED" else {TOPIC}

    def turn_off(self, address: str, topic: str) -> None:
        if topic != TOPIC:
            super().turn_off(address, topic)
        else:
            self.server.revoke(address)

    def add(self, address: str) -> None:
        if address.startswith("+"):
            self.server.add_phone(address)
        else:
            super().add(address)

    def has(self, address: str) -> bool:
        return address in self.server.phones or super().has(address)


@pytest.fixture
def texts(rig: Rig, server: KlaviyoStandIn) -> Rig:
    """The same account, with a topic by SMS besides."""
    return with_texts(rig, Texts(server))


class TestOddAnswersAboutTexts(SmsOddAnswersContract):
    pass


class TestKlaviyosTexts(
    RigOfTexts, SmsContract, SmsReadContract, SmsScanContract, SmsPullContract, SmsAbsentContract
):
    pass


class TestErasingKlaviyosTexts(RigOfTexts, SmsEraseContract):
    @pytest.fixture(autouse=True)
    def _only_who_was_added(self, server: KlaviyoStandIn) -> None:
        server.strict = True


def connect(rig: Rig) -> Klaviyo:
    return cast("Klaviyo", rig.make())


def whole(ref: int, address: str) -> PushItem:
    """An opt-out from all marketing."""
    return replace(off(ref, address, "news", "offers"), all_off=True)


def test_requests_and_answers_obey_klaviyos_own_description(
    rig: Rig, description: Description | None
) -> None:
    shared_path(DESCRIPTION)
    assert description is not None
    before = description.checked
    connector = connect(with_settings(rig, suppress_all="yes"))
    connector.push([whole(1, ANNA), off(2, BO, "news")])
    connector.push([lift(1, ANNA, "news")])
    listed(connector.pull)
    assert description.checked - before == 9  # find, job, find, twice; three listings
    assert description.faults == []


def test_nobody_is_ever_unsubscribed_or_made(rig: Rig, server: KlaviyoStandIn) -> None:
    """Klaviyo unsubscribes from everything who is not on the list that was named."""  # I10
    connector = rig.make()
    server.on["11"].clear()
    server.strict = True
    server.add(ANNA)
    server.on["11"].remove(ANNA)
    found = connector.push([off(1, ANNA, "news"), off(2, BO, "news")])
    assert results(found) == {1: PushResult.REFLECTED, 2: PushResult.ABSENT}
    assert not [path for _, path in server.seen if "subscription-bulk" in path]
    assert [method for method, _ in server.seen] == ["GET", "GET"]


def test_a_hundred_are_taken_off_a_list_by_one_change(rig: Rig, server: KlaviyoStandIn) -> None:
    batch = [off(n, f"p{n}@example.com", "news") for n in range(100)]
    assert set(results(rig.make().push(batch)).values()) == {PushResult.REFLECTED}
    assert [method for method, _ in server.seen] == ["GET"] * 4 + ["DELETE"]


def test_all_marketing_is_held_by_lists_unless_asked_otherwise(
    rig: Rig, server: KlaviyoStandIn
) -> None:  # I10
    assert results(rig.make().push([whole(1, ANNA)])) == {1: PushResult.REFLECTED}
    assert server.jobs == []
    assert rig.tool.off(ANNA) == {"news", "offers"}


def test_an_opt_out_from_all_marketing_suppresses_where_asked_for(
    rig: Rig, server: KlaviyoStandIn
) -> None:
    asked = with_settings(rig, suppress_all="yes")
    assert asked.make().check().ok
    server.suppress(CY, "UNSUBSCRIBE")
    found = asked.make().push([whole(1, ANNA), off(2, BO, "news"), whole(3, CY)])
    assert set(results(found).values()) == {PushResult.REFLECTED}
    assert server.jobs == [(SUPPRESS, [ANNA])]
    assert rig.tool.off(BO) == {"news"}
    assert connect(asked).read([off(1, ANNA)]) == {1: frozenset(TOPICS)}


def test_a_job_that_is_only_accepted_is_not_reflected(rig: Rig, server: KlaviyoStandIn) -> None:
    server.slow_jobs = True
    found = with_settings(rig, suppress_all="yes").make().push([whole(1, ANNA)])
    assert results(found) == {1: PushResult.RETRY_LATER}
    assert found[1].retry_after == timedelta(seconds=30)


def test_a_lift_frees_from_our_suppression_only(
    rig: Rig, server: KlaviyoStandIn
) -> None:  # I5, I13
    asked = with_settings(rig, suppress_all="yes")
    asked.make().push([whole(1, ANNA), whole(2, BO)])
    server.suppress(BO, "UNSUBSCRIBE")
    server.jobs.clear()
    back = replace(off(1, ANNA, "offers"), lift=frozenset({"news"}))
    found = asked.make().push([back, lift(2, BO, "news")])
    assert set(results(found).values()) == {PushResult.REFLECTED}
    assert server.jobs == [(UNSUPPRESS, [ANNA, BO])]
    assert connect(asked).read([off(1, ANNA), off(2, BO)]) == {
        1: frozenset({"offers"}),
        2: frozenset(TOPICS),
    }


@pytest.mark.parametrize(
    "item", [replace(off(1, ANNA, "news"), all_off=True), off(1, ANNA, "news", "offers")]
)
def test_a_suppression_never_stops_more_than_the_opt_out(
    rig: Rig, server: KlaviyoStandIn, item: PushItem
) -> None:  # I5, I10
    with_settings(rig, suppress_all="yes").make().push([item])
    assert server.jobs == []


def test_suppressing_is_refused_where_service_mail_goes_out(
    rig: Rig, server: KlaviyoStandIn
) -> None:  # I4, I10
    asked = with_settings(rig, suppress_all="yes")
    shared = replace(asked, setup=replace(asked.setup, sends_service=True))
    (problem,) = shared.make().check().problems
    assert "service mail" in problem
    shared.make().push([whole(1, ANNA)])
    assert server.jobs == []


def test_every_kind_of_suppression_comes_home(rig: Rig, server: KlaviyoStandIn) -> None:  # I13
    server.suppress(ANNA, "UNSUBSCRIBE")
    server.suppress(BO, "SPAM_COMPLAINT")
    server.suppress(CY, "HARD_BOUNCE")
    server.unsubscribe("di@example.com", "99")  # no topic maps to it
    events, _ = listed(connect(rig).pull)
    assert events == [
        VendorEvent(VendorEventKind.OPTED_OUT, ANNA, occurred_at=WHEN),
        VendorEvent(VendorEventKind.COMPLAINED, BO, occurred_at=WHEN),
        VendorEvent(VendorEventKind.BOUNCED, CY, occurred_at=WHEN),
    ]


def test_a_scan_tells_the_link_of_who_joined(rig: Rig, server: KlaviyoStandIn) -> None:
    server.add(ANNA)["properties"]["Choices"] = "https://choices.example.com/p/a"
    server.add(BO)
    seen, _ = listed(connect(rig).scan)
    assert {(s.address, s.link) for s in seen} == {
        (ANNA, "https://choices.example.com/p/a"),
        (BO, ""),
    }


def test_a_cursor_that_klaviyo_forgot_begins_its_listing_again(
    rig: Rig, server: KlaviyoStandIn
) -> None:
    for n in range(150):
        server.add(f"p{n}@example.com")
    connector = connect(rig)
    page = connector.scan(None)
    server.old_cursors = True
    again = connector.scan(page.cursor)
    assert again.rows == page.rows


def test_a_list_that_is_gone_stops_the_push(rig: Rig, server: KlaviyoStandIn) -> None:
    del server.lists["12"]
    with pytest.raises(DeliveryError, match="404"):
        rig.make().push([off(1, ANNA, "offers")])


def test_a_key_without_a_scope_is_reported(rig: Rig, server: KlaviyoStandIn) -> None:
    server.fail(Fault(403, after=1))
    (problem,) = rig.make().check().problems
    assert "scopes" in problem


def test_a_setting_that_makes_no_sense_is_reported(rig: Rig) -> None:
    (problem,) = with_settings(rig, suppress_all="maybe").make().check().problems
    assert "write yes or no" in problem


def test_profiles_that_a_webhook_names_are_found(rig: Rig, server: KlaviyoStandIn) -> None:
    server.add(ANNA)
    connector = cast("SupportsFind", connector_for_channel(rig.make(), Channel.EMAIL))
    assert connector.find([f"id:{ANNA}", "id:gone"]) == {f"id:{ANNA}": ANNA}
    assert connector.find([]) == {}
    asked = [f"id:{number}" for number in range(99)]
    assert connector.find([*asked, f"id:{ANNA}"]) == {f"id:{ANNA}": ANNA}


PHONE, OTHER_PHONE = sms_contract.ANNA, sms_contract.BO
SUBSCRIBE, UNSUBSCRIBE = (f"profile-subscription-bulk-{what}-jobs" for what in ("create", "delete"))


def test_texts_are_asked_for_as_klaviyos_own_description_has_it(
    texts: Rig, server: KlaviyoStandIn, description: Description | None
) -> None:
    shared_path(DESCRIPTION)
    assert description is not None
    server.add_phone(PHONE)
    before = description.checked
    connector = connect(texts)
    connector.push([text_off(1, PHONE)])
    connector.push([text_lift(1, PHONE)])
    connector.read([text_off(1, PHONE)])
    listed(connector.scan)
    assert description.checked - before == 7  # find, job, find; find, job; read; listing
    assert description.faults == []
    assert server.jobs == [(UNSUBSCRIBE, [PHONE]), (SUBSCRIBE, [PHONE])]


def test_texts_of_several_topics_have_one_switch_and_are_refused(texts: Rig) -> None:  # I10
    channels = {"flash": Channel.SMS, "deals": Channel.SMS}
    for topics in ({"flash": "11"}, {"flash": "sms", "deals": "sms"}):
        setup = replace(texts.setup, topics=topics, channels=channels)
        (problem,) = replace(texts, setup=setup).make().check().problems
        assert "switch for every text message" in problem or "map it to sms" in problem


def test_who_was_never_texted_is_unsubscribed_all_the_same(
    texts: Rig, server: KlaviyoStandIn
) -> None:
    """A later import does not subscribe a number that is unsubscribed."""  # I5
    server.add_phone(PHONE).update(can_receive_sms_marketing=False, consent="NEVER_SUBSCRIBED")
    assert results(texts.make().push([text_off(1, PHONE)])) == {1: PushResult.REFLECTED}
    assert server.phones[PHONE]["consent"] == "UNSUBSCRIBED"


def test_an_sms_job_that_is_only_accepted_is_not_reflected(
    texts: Rig, server: KlaviyoStandIn
) -> None:
    server.add_phone(PHONE)
    server.slow_jobs = True
    found = texts.make().push([text_off(1, PHONE)])
    assert results(found) == {1: PushResult.RETRY_LATER}
    assert found[1].retry_after == timedelta(seconds=30)


def test_one_address_that_klaviyo_rejects_leaves_the_others_readable(
    texts: Rig, server: KlaviyoStandIn
) -> None:
    server.add_phone(PHONE)
    server.invalid |= {OTHER_PHONE, BO}
    connector = connect(texts)
    assert connector.read([text_off(1, PHONE), text_off(2, OTHER_PHONE)]) == {1: frozenset()}
    assert connector.read([off(1, ANNA), off(2, BO)]).keys() == {1}


def test_one_number_that_klaviyo_rejects_does_not_hold_up_the_others(
    texts: Rig, server: KlaviyoStandIn
) -> None:
    server.add_phone(PHONE)
    server.invalid.add(OTHER_PHONE)
    found = texts.make().push([text_off(1, PHONE), text_off(2, OTHER_PHONE)])
    assert results(found) == {1: PushResult.REFLECTED, 2: PushResult.REFUSED}


def test_numbers_of_profiles_that_a_webhook_names_are_found(
    texts: Rig, server: KlaviyoStandIn
) -> None:
    server.add_phone(PHONE)
    part = cast("SupportsFind", connector_for_channel(texts.make(), Channel.SMS))
    assert part.find([f"id:{PHONE}", "id:gone"]) == {f"id:{PHONE}": PHONE}


def test_of_two_profiles_with_a_number_one_that_is_texted_counts(
    texts: Rig, server: KlaviyoStandIn
) -> None:
    server.add_phone(PHONE)
    server.twins[PHONE] = {"can_receive_sms_marketing": False, "consent": "UNSUBSCRIBED"}
    assert connect(texts).read([text_off(1, PHONE)]) == {1: frozenset()}


NULLABLE = {
    "id": ("id",),
    "properties": ("attributes", "properties"),
    "subscriptions": ("attributes", "subscriptions"),
    "email": ("attributes", "subscriptions", "email"),
    "marketing": ("attributes", "subscriptions", "email", "marketing"),
    "suppression": ("attributes", "subscriptions", "email", "marketing", "suppression"),
    "attributes": ("attributes",),
}


@pytest.mark.parametrize("path", NULLABLE.values(), ids=NULLABLE)
def test_null_in_one_profile_never_fails_those_of_others(
    rig: Rig, server: KlaviyoStandIn, path: tuple[str, ...]
) -> None:
    server.unwatch()  # the library that checks takes what may be null for a fault
    batch = [off(n, f"p{n}@example.com", "news") for n in range(20)]
    for item in batch:
        server.add(item.address)
    server.suppress(BO, "UNSUBSCRIBE")
    server.nulls, server.null_for = path, batch[7].address
    connector = connect(with_settings(rig, suppress_all="yes"))
    found = results(connector.push(batch))
    others = {ref: result for ref, result in found.items() if ref != 7}
    assert set(others.values()) == {PushResult.REFLECTED}
    assert all(rig.tool.off(item.address) == {"news"} for item in batch if item.ref != 7)
    read = connector.read(batch)
    assert {ref for ref, off in read.items() if off == frozenset({"news"})} >= others.keys()
    assert len(listed(connector.scan)[0]) >= 20
    assert {event.address for event in listed(connector.pull)[0]} == {BO}


@pytest.mark.parametrize(
    "consent",
    [None, {}, {"sms": None}, {"sms": {"marketing": None}}],
    ids=["subscriptions", "missing", "sms", "marketing"],
)
def test_a_number_without_consent_is_sent_nothing(
    texts: Rig, server: KlaviyoStandIn, consent: object
) -> None:
    server.unwatch()
    server.add_phone(PHONE)
    server.blank = {"subscriptions": consent}
    connector = connect(texts)
    assert connector.read([text_off(1, PHONE)]) == {1: frozenset({TOPIC})}
    assert results(connector.push([text_off(1, PHONE)])) == {1: PushResult.REFLECTED}
    assert [each.off for each in listed(connector.scan)[0] if each.address == PHONE]


def test_addresses_that_could_not_be_looked_up_are_tried_again(
    rig: Rig, server: KlaviyoStandIn
) -> None:
    """More rejections than one push is given: nothing is known of the rest."""  # I3
    batch = [off(n, f"p{n}@example.com", "news") for n in range(100)]
    server.invalid |= {item.address for item in batch[1:]}
    found = results(rig.make().push(batch))
    assert set(found.values()) == {
        PushResult.REFLECTED,
        PushResult.REFUSED,
        PushResult.RETRY_LATER,
    }
    assert [ref for ref, result in found.items() if result is PushResult.REFLECTED] == [0]


def test_a_deletion_is_requested_once_a_day_until_it_has_happened(
    rig: Rig, server: KlaviyoStandIn
) -> None:
    server.add(ANNA)
    (found,) = eraser(rig).erase(erase_items([ANNA])).values()
    assert found.result is PushResult.RETRY_LATER
    assert found.retry_after == timedelta(minutes=10)
    asked = [replace(item, job=found.job) for item in erase_items([ANNA])]
    for hours, requests in [(23, 1), (24, 2)]:
        later = rig.http.now() + timedelta(hours=hours)
        connector = cast("SupportsErase", rig.make(now=lambda later=later: later))
        assert results(connector.erase(asked)) == {0: PushResult.RETRY_LATER}
        assert len(server.deleting) == requests
    server.finish_deleting()
    server.strict = True
    assert results(eraser(rig).erase(asked)) == {0: PushResult.REFLECTED}


def test_a_key_that_may_not_delete_leaves_it_to_a_person(rig: Rig, server: KlaviyoStandIn) -> None:
    server.add(ANNA)
    server.may_delete = False
    (found,) = eraser(rig).erase(erase_items([ANNA])).values()
    assert found.result is PushResult.REFUSED
    assert "data-privacy:write" in found.ack


def test_an_address_that_klaviyo_calls_invalid_is_nobodys(rig: Rig, server: KlaviyoStandIn) -> None:
    server.add(ANNA)
    server.invalid.add(BO)
    found = eraser(rig).erase(erase_items([ANNA, BO]))
    assert results(found) == {0: PushResult.RETRY_LATER, 1: PushResult.ABSENT}


def test_a_number_is_taken_from_a_profile_that_has_an_email_address_too(
    texts: Rig, server: KlaviyoStandIn
) -> None:
    """They may be two people with one telephone."""
    server.strict = True
    server.add(BO)
    server.add_phone(PHONE)
    server.emails[PHONE] = BO
    assert results(erase(texts, PHONE)) == {0: PushResult.REFLECTED}
    assert PHONE not in server.phones
    assert BO in server.profiles
    assert server.deleting == []
