from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, cast

import pytest

from preference_center.integrations.base.contract import (
    DeliveryError,
    DestinationConfig,
    PushResult,
    UnsupportedByDestination,
)
from preference_center.integrations.base.http import HttpContext
from preference_center.integrations.base.vendor_events import (
    WHOLE_LIST,
    VendorEvent,
    VendorEventKind,
)
from preference_center.integrations.mailchimp.connector import (
    Mailchimp,
    MailchimpWithContactCreation,
)
from tests.integrations.both_ways_contract import (
    AbsentContract,
    FieldContract,
    ReadContract,
    ScanContract,
    WholePullContract,
    with_settings,
)
from tests.integrations.both_ways_contract import whole as listed
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
    SmsPullContract,
    SmsReadContract,
    SmsScanContract,
    text_lift,
    text_off,
    with_texts,
)
from tests.integrations.tools.described import Description
from tests.integrations.tools.mailchimp import AUDIENCE, KEY, WHEN, MailchimpStandIn, member_id
from tests.integrations.tools.stand_in import Fault

TOPICS = {"news": "11", "offers": "12"}


@dataclass(slots=True)
class Groups:
    """An audience whose groups are topics."""

    server: MailchimpStandIn

    def off(self, address: str) -> set[str]:
        interests = self.server.of(address)["interests"]
        return {topic for topic, group in TOPICS.items() if not interests[group]}

    def turn_off(self, address: str, topic: str) -> None:
        self.server.of(address)["interests"][TOPICS[topic]] = False

    def requests(self) -> int:
        return len(self.server.seen)

    def reject(self, address: str) -> None:
        self.server.invalid.add(member_id(address))

    def add(self, address: str) -> None:
        self.server.add(address, "subscribed", NOW.isoformat())

    def has(self, address: str) -> bool:
        return member_id(address) in self.server.members

    def bars(self, address: str) -> bool:
        return member_id(address) in self.server.forgotten

    def link(self, address: str) -> str | None:
        return cast("str | None", self.server.of(address)["merge_fields"].get("PREFS"))

    def leave(self, address: str) -> None:
        self.server.add(address, "unsubscribed", NOW.isoformat())

    def has_left(self, address: str) -> bool:
        return bool(self.server.of(address)["status"] == "unsubscribed")


@pytest.fixture(scope="module")
def description() -> Description:
    """Ours, from Mailchimp's documentation: see its `info`."""
    return Description(Path(__file__).parents[1] / "contracts" / "mailchimp.json")


@pytest.fixture
def server(description: Description) -> Iterator[MailchimpStandIn]:
    description.faults.clear()
    with MailchimpStandIn(description.watch) as server:
        yield server
    assert description.faults == []


@pytest.fixture
def rig(server: MailchimpStandIn) -> Rig:
    settings = {
        "api_key": KEY,
        "audience": AUDIENCE,
        "base_url": server.url,
        "link_field": "PREFS",
    }
    # A push looks whether the audience is there, then at each member.
    return Rig(
        "mailchimp",
        DestinationConfig("chimp", settings, TOPICS),
        Groups(server),
        requests_before_writing=2,
        one_by_one=True,
    )


class TestMailchimp(JsonApiContract, MappedContract, ReadContract):
    pass


class TestErase(EraseContract, EraseHttpContract):
    @pytest.fixture(autouse=True)
    def _known_only(self, server: MailchimpStandIn) -> None:
        server.strict = True


def test_who_was_erased_can_not_be_added_again(rig: Rig, server: MailchimpStandIn) -> None:  # I6
    server.add(ANNA, "subscribed")
    erase(rig, ANNA)
    whole_list = with_settings(rig, create_contacts="yes")
    whole_list = replace(whole_list, setup=replace(whole_list.setup, topics={"news": WHOLE_LIST}))
    assert results(whole_list.make().push([off(1, ANNA, "news")])) == {1: PushResult.REFUSED}
    assert member_id(ANNA) not in server.members


def test_a_member_that_mailchimp_will_not_delete_is_left_to_a_person(
    rig: Rig, server: MailchimpStandIn
) -> None:
    server.add(ANNA, "subscribed")
    server.fail(Fault(405, after=1))
    assert results(eraser(rig).erase(erase_items([ANNA]))) == {0: PushResult.REFUSED}


def test_an_audience_that_is_gone_makes_nobody_absent(rig: Rig, server: MailchimpStandIn) -> None:
    server.audiences.clear()
    with pytest.raises(DeliveryError, match="the audience is gone"):
        eraser(rig).erase(erase_items([ANNA]))


class TestOddAnswers(OddAnswersContract):
    pass


class TestWhoLeftTheAudience(WholePullContract):
    whole: ClassVar[str | None] = WHOLE_LIST


class TestMailchimpsMembers(AbsentContract, FieldContract, ScanContract):
    @pytest.fixture(autouse=True)
    def _only_who_was_added(self, server: MailchimpStandIn) -> None:
        server.strict = True

    def test_who_is_not_there_is_created_where_asked_for(self, rig: Rig) -> None:
        """Only as unsubscribed from the audience; see below."""
        with pytest.raises(UnsupportedByDestination, match="create_contacts"):
            with_settings(rig, create_contacts="yes").make().push([off(1, BO, "news")])


def connect(rig: Rig, **changes: Any) -> Mailchimp:
    return cast("Mailchimp", replace(rig, setup=replace(rig.setup, **changes)).make())


def whole(rig: Rig, **settings: str) -> Mailchimp:
    """One topic for the whole audience."""
    return connect(with_settings(rig, **settings), topics={"news": "audience"})


def statuses(server: MailchimpStandIn, *addresses: str) -> list[str]:
    return [server.of(address)["status"] for address in addresses]


def test_a_member_that_is_as_it_should_be_is_not_written_to(
    rig: Rig, server: MailchimpStandIn
) -> None:
    for _ in range(2):
        assert results(rig.make().push([off(1, ANNA, "news")])) == {1: PushResult.REFLECTED}
    assert server.written == [{"interests": {"11": False}}]


def test_who_is_not_in_the_audience_is_absent_and_stays_so(
    rig: Rig, server: MailchimpStandIn
) -> None:
    server.unknown.add(member_id(BO))
    connector = cast("Mailchimp", rig.make())
    found = connector.push([off(1, ANNA, "news"), off(2, BO, "news")])
    assert results(found) == {1: PushResult.REFLECTED, 2: PushResult.ABSENT}
    assert connector.read([off(2, BO)]) == {2: None}
    assert {method for method, _ in server.seen} == {"GET", "PATCH"}


def test_an_archived_member_is_absent_and_is_not_brought_back(
    rig: Rig, server: MailchimpStandIn
) -> None:
    server.add(ANNA, "archived")
    assert results(whole(rig).push([off(1, ANNA, "news")])) == {1: PushResult.ABSENT}
    assert statuses(server, ANNA) == ["archived"]


def test_an_audience_that_is_gone_is_not_an_audience_without_members(
    rig: Rig, server: MailchimpStandIn
) -> None:
    server.audiences.clear()
    for act in (rig.make().push, cast("Mailchimp", rig.make()).read):
        with pytest.raises(DeliveryError, match="the audience is gone") as caught:
            act([off(1, ANNA, "news")])
        assert caught.value.permanent
    (problem,) = rig.make().check().problems
    assert "404" in problem


def test_a_group_that_is_gone_stops_the_destination(rig: Rig, server: MailchimpStandIn) -> None:
    del server.groups["12"]
    with pytest.raises(DeliveryError, match="offers") as caught:
        rig.make().push([off(1, ANNA, "offers")])
    assert caught.value.permanent


def test_a_bare_403_is_throttling_and_no_refusal(rig: Rig, server: MailchimpStandIn) -> None:
    server.fail(Fault(403, body="<html>Access denied</html>"))
    with pytest.raises(DeliveryError) as caught:
        rig.make().push([off(1, ANNA, "news")])
    assert not caught.value.permanent
    assert caught.value.retry_after == timedelta(seconds=30)


# The whole audience as a topic.


def test_the_audience_may_stand_for_the_one_topic_that_it_is_sent(
    rig: Rig, server: MailchimpStandIn
) -> None:  # I10
    connector = whole(rig)
    assert connector.check().ok
    server.add(BO, "pending")
    server.add(CY, "cleaned")
    batch = [off(1, ANNA, "news"), off(2, BO, "news"), off(3, CY, "news")]
    assert set(results(connector.push(batch)).values()) == {PushResult.REFLECTED}
    assert statuses(server, ANNA, BO, CY) == ["unsubscribed", "unsubscribed", "cleaned"]
    assert connector.read(batch) == dict.fromkeys([1, 2, 3], frozenset({"news"}))
    assert results(connector.push([lift(1, ANNA, "news")])) == {1: PushResult.REFLECTED}
    assert statuses(server, ANNA) == ["subscribed"]


@pytest.mark.parametrize(
    "changes, remedy",
    [
        ({"topics": {"news": "audience", "offers": "12"}}, "would stop offers too"),
        ({"topics": {"news": "audience"}, "sends_service": True}, "service mail"),
        ({"topics": {"news": "audience", "offers": "audience"}}, "share group audience"),
    ],
)
def test_the_audience_stands_for_nothing_that_it_would_exceed(
    rig: Rig, changes: dict[str, Any], remedy: str
) -> None:  # I10, I4
    problems = connect(rig, **changes).check().problems
    assert any(remedy in problem for problem in problems)


def test_a_mapping_that_would_exceed_an_opt_out_is_not_pushed_either(
    rig: Rig, server: MailchimpStandIn
) -> None:  # I10
    connector = connect(rig, topics={"news": "audience"}, sends_service=True)
    with pytest.raises(UnsupportedByDestination, match="service mail"):
        connector.push([off(1, ANNA, "news")])
    assert server.seen == []


def test_who_unsubscribed_in_person_is_not_subscribed_again(
    rig: Rig, server: MailchimpStandIn
) -> None:  # I5, I13
    server.in_person.add(member_id(ANNA))
    server.add(ANNA, "unsubscribed")
    connector = whole(rig)
    found = connector.push([lift(1, ANNA, "news"), lift(2, BO, "news")])
    assert results(found) == {1: PushResult.REFUSED, 2: PushResult.REFLECTED}
    assert found[1].ack == "Member In Compliance State"
    assert statuses(server, ANNA) == ["unsubscribed"]


def test_a_lift_that_mailchimp_acknowledges_and_does_not_make_is_refused(
    rig: Rig, server: MailchimpStandIn
) -> None:  # I5: it doesn't count as on
    server.ignored.add(member_id(ANNA))
    server.add(ANNA, "unsubscribed")
    server.add(BO, "unsubscribed")
    found = whole(rig).push([lift(1, ANNA, "news"), lift(2, BO, "news")])
    assert results(found) == {1: PushResult.REFUSED, 2: PushResult.REFLECTED}


def test_a_lifted_group_leaves_an_unsubscribed_member_unsubscribed(
    rig: Rig, server: MailchimpStandIn
) -> None:  # I13
    server.add(ANNA, "unsubscribed")
    rig.tool.turn_off(ANNA, "news")
    connector = cast("Mailchimp", rig.make())
    assert results(connector.push([lift(1, ANNA, "news")])) == {1: PushResult.REFLECTED}
    assert server.written == [{"interests": {"11": True}}]
    assert connector.read([off(1, ANNA)]) == {1: frozenset(TOPICS)}


# Unknown addresses, where they are to be added.


def test_unknown_addresses_are_added_unsubscribed_where_asked_for(
    rig: Rig, server: MailchimpStandIn
) -> None:
    server.unknown |= {member_id(ANNA), member_id(CY)}
    server.invalid.add(member_id(CY))
    connector = whole(rig, create_contacts="yes")
    assert connector.check().ok
    server.seen.clear()
    batch = [off(1, ANNA, "news"), off(2, BO, "news"), off(3, CY, "news")]
    found = connector.push(batch)
    assert results(found) == {
        1: PushResult.REFLECTED,
        2: PushResult.REFLECTED,
        3: PushResult.REFUSED,
    }
    assert server.seen == [("GET", f"/3.0/lists/{AUDIENCE}"), ("POST", f"/3.0/lists/{AUDIENCE}")]
    assert statuses(server, ANNA, BO) == ["unsubscribed", "unsubscribed"]


def test_a_full_batch_is_added_by_one_request(rig: Rig, server: MailchimpStandIn) -> None:
    connector = whole(rig, create_contacts="yes")
    batch = [off(n, f"p{n}@example.com", "news") for n in range(500)]
    assert connector.capabilities.batch_size == len(batch)
    assert set(results(connector.push(batch)).values()) == {PushResult.REFLECTED}
    assert len(server.seen) == 2


def test_more_lifts_than_fit_a_lease_wait_for_the_next_push(rig: Rig) -> None:
    connector = whole(rig, create_contacts="yes")
    assert isinstance(connector, MailchimpWithContactCreation)
    found = results(connector.push([lift(n, f"p{n}@example.com", "news") for n in range(52)]))
    assert [ref for ref, result in found.items() if result is PushResult.DEFERRED] == [50, 51]


def test_an_added_address_that_is_not_named_in_the_answer_is_no_acknowledgement(
    rig: Rig, server: MailchimpStandIn
) -> None:
    empty = '{"new_members": [], "updated_members": [], "errors": []}'
    server.fail(Fault(200, body=empty, after=1))
    found = whole(rig, create_contacts="yes").push([off(1, ANNA, "news")])
    assert results(found) == {1: PushResult.RETRY_LATER}


def test_members_are_not_added_to_no_group_at_all(rig: Rig) -> None:
    (problem,) = with_settings(rig, create_contacts="yes").make().check().problems
    assert "create_contacts" in problem


# What people did there.


def test_scanning_and_pulling_tell_who_is_there_and_who_unsubscribed(
    rig: Rig, server: MailchimpStandIn
) -> None:  # I13
    server.add(ANNA, "subscribed")
    server.add(BO, "unsubscribed", "2026-11-25T10:00:01+00:00")
    server.add(CY, "archived")
    rig.tool.turn_off(ANNA, "news")
    connector = cast("Mailchimp", rig.make())
    page = connector.scan(None)
    assert {seen.address: (seen.off, seen.link) for seen in page.rows} == {
        ANNA: (frozenset({"news"}), ""),
        BO: (frozenset(TOPICS), ""),
    }
    pulled = connector.pull(None)
    when = datetime(2026, 11, 25, 10, 0, 1, tzinfo=UTC)
    assert pulled.rows == (VendorEvent(VendorEventKind.OPTED_OUT, BO, "audience", when),)
    assert pulled.done
    assert pulled.done


def test_members_who_get_texts_only_hold_up_nobody(rig: Rig, server: MailchimpStandIn) -> None:
    rows: list[dict[str, Any]] = [
        {"email_address": None, "status": "unsubscribed", "sms_phone_number": "+15550100"},
        {"status": "unsubscribed", "last_changed": ""},
        {"email_address": ANNA, "status": "unsubscribed", "last_changed": NOW.isoformat()},
    ]
    connector = cast("Mailchimp", rig.make())
    for listing in (connector.scan, connector.pull):
        server.fail(Fault(200, body=json.dumps({"members": rows})))
        page = listing(None)
        assert [row.address for row in page.rows] == [ANNA]
        assert page.done


def test_a_full_page_without_times_is_gone_on_from(rig: Rig, server: MailchimpStandIn) -> None:
    rows = [{"email_address": f"p{n}@example.com", "status": "unsubscribed"} for n in range(1_000)]
    server.fail(Fault(200, body=json.dumps({"members": rows})))
    page = cast("Mailchimp", rig.make()).pull(None)
    assert not page.done
    assert json.loads(page.cursor or "{}")["token"] == "|900"


def test_the_next_run_lists_what_changed_since_with_an_overlap(
    rig: Rig, server: MailchimpStandIn
) -> None:
    connector = cast("Mailchimp", rig.make())
    server.add(ANNA, "unsubscribed", (NOW - timedelta(hours=2)).isoformat())
    first = connector.pull(None)
    server.add(BO, "unsubscribed", (NOW - timedelta(minutes=1)).isoformat())
    assert [event.address for event in connector.pull(first.cursor).rows] == [BO]


def test_an_import_of_thousands_in_one_second_is_listed_whole(
    rig: Rig, server: MailchimpStandIn
) -> None:
    imported = [f"p{n}@example.com" for n in range(2_500)]
    for address in imported:
        server.add(address, "subscribed")
    server.add(ANNA, "subscribed", "2026-11-25T09:00:00+00:00")
    server.add(CY, "subscribed", "2026-11-25T11:00:00+00:00")
    connector, cursor, seen, pages = cast("Mailchimp", rig.make()), None, set(), 0
    while True:
        page = connector.scan(cursor)
        seen |= {row.address for row in page.rows}
        cursor, pages = page.cursor, pages + 1
        if page.done:
            break
    assert seen == {*imported, ANNA, CY}
    assert pages <= 5
    assert cursor is not None
    assert "@" not in cursor  # I12


@pytest.mark.parametrize("field", ["NONE", "AGE"])
def test_a_field_that_can_hold_no_link_is_reported(rig: Rig, field: str) -> None:
    (problem,) = with_settings(rig, link_field=field).make().check().problems
    assert field in problem


# Set-up.


def test_a_key_of_an_author_is_reported(rig: Rig, server: MailchimpStandIn) -> None:
    server.role = "author"
    (problem,) = rig.make().check().problems
    assert "role author" in problem


def test_a_key_without_a_data_centre_is_reported() -> None:
    setup = DestinationConfig("chimp", {"api_key": "0123", "audience": AUDIENCE}, TOPICS)
    (problem,) = Mailchimp(setup, HttpContext()).check().problems
    assert "-us21" in problem


class Texts(Groups):
    """Email addresses and phone numbers."""

    def off(self, address: str) -> set[str]:
        if not address.startswith("+"):
            return super().off(address)
        return {TOPIC} if value_of(self.server, address) == "unsubscribed" else set()

    def turn_off(self, address: str, topic: str) -> None:
        if topic != TOPIC:
            super().turn_off(address, topic)
        else:
            self.server.add_phone(address, "unsubscribed", NOW.isoformat())

    def add(self, address: str) -> None:
        if address.startswith("+"):
            self.server.add_phone(address, changed=NOW.isoformat())
        else:
            super().add(address)

    def has(self, address: str) -> bool:
        return address in self.server.texts or super().has(address)

    def reject(self, address: str) -> None:
        self.server.invalid.add(member_id(address))


def value_of(server: MailchimpStandIn, number: str) -> str:
    """What comes of a contact's consents."""
    return str(server.texts[number]["sms_channel"]["effective_subscription_status"]["value"])


@pytest.fixture
def texts(rig: Rig, server: MailchimpStandIn) -> Rig:
    """The same audience, with a topic by SMS besides."""
    return with_texts(rig, Texts(server))


class TestOddAnswersAboutTexts(SmsOddAnswersContract):
    pass


class TestMailchimpsTexts(
    RigOfTexts,
    SmsContract,
    SmsReadContract,
    SmsScanContract,
    SmsPullContract,
    SmsAbsentContract,
    SmsEraseContract,
):
    pass


def test_a_contact_is_found_by_its_numbers_hash_and_changed_by_its_id(
    texts: Rig, server: MailchimpStandIn
) -> None:
    server.add_phone(PHONE)
    texts.make().push([text_off(1, PHONE)])
    contacts = f"/3.0/audiences/{AUDIENCE}/contacts"
    (_, looked), (method, changed) = server.seen[-2:]
    assert looked.startswith(f"{contacts}/sms:")
    assert (method, changed) == ("PATCH", f"{contacts}/C0")


@pytest.mark.parametrize("asks_twice", [False, True], ids=["once", "twice"])
def test_a_lift_consents_as_the_audience_has_it(
    texts: Rig, server: MailchimpStandIn, *, asks_twice: bool
) -> None:
    server.double_optin = asks_twice
    server.add_phone(PHONE, "unsubscribed")
    assert results(texts.make().push([text_lift(1, PHONE)])) == {1: PushResult.REFLECTED}
    assert value_of(server, PHONE) == "subscribed"


def test_an_archived_number_is_absent(texts: Rig, server: MailchimpStandIn) -> None:
    server.add_phone(PHONE)
    server.texts[PHONE]["status"] = "archived"
    connector = connect(texts)
    assert results(connector.push([text_off(1, PHONE)])) == {1: PushResult.ABSENT}
    assert connector.read([text_off(1, PHONE)]) == {1: None}


def test_one_number_that_mailchimp_rejects_does_not_hold_up_the_others(
    texts: Rig, server: MailchimpStandIn
) -> None:
    server.add_phone(PHONE)
    server.add_phone(OTHER_PHONE)
    server.invalid.add(member_id(OTHER_PHONE))
    found = texts.make().push([text_off(1, PHONE), text_off(2, OTHER_PHONE)])
    assert results(found) == {1: PushResult.REFLECTED, 2: PushResult.REFUSED}


def test_numbers_that_are_hashed_otherwise_are_reported(
    texts: Rig, server: MailchimpStandIn
) -> None:
    """Nobody would be found, and all of them be taken for absent."""  # I3
    server.add_phone(PHONE)
    server.texts[PHONE]["sms_channel"]["hashed_sms_phone"] = "0" * 64
    (problem,) = texts.make().check().problems
    assert "hashes numbers differently" in problem


def test_a_token_that_mailchimp_forgot_begins_its_listing_again(
    texts: Rig, server: MailchimpStandIn
) -> None:
    for number in range(150):
        server.add_phone(f"+39333{number:07}")
    alone = replace(texts, setup=replace(texts.setup, topics={TOPIC: "sms"}))
    page = connect(alone).scan(None)
    server.fail(Fault(400))
    assert connect(alone).scan(page.cursor).rows == page.rows


def test_null_in_one_contact_never_fails_those_of_others(
    texts: Rig, server: MailchimpStandIn
) -> None:
    server.unwatch()
    server.add_phone(PHONE, "unsubscribed")
    server.add_phone(OTHER_PHONE)
    server.texts[OTHER_PHONE] |= {"sms_channel": None, "last_updated_at": WHEN, "status": None}
    alone = replace(texts, setup=replace(texts.setup, topics={TOPIC: "sms"}))
    assert [each.address for each in listed(connect(alone).pull)[0]] == [PHONE]
    assert [each.address for each in listed(connect(alone).scan)[0]] == [PHONE]


def test_one_number_that_can_not_be_read_leaves_the_others_readable(
    texts: Rig, server: MailchimpStandIn
) -> None:
    for number in (PHONE, OTHER_PHONE):
        server.add_phone(number)
    server.fail(Fault(200, body="[]", after=1))
    assert connect(texts).read([text_off(1, PHONE), text_off(2, OTHER_PHONE)]).keys() == {2}
