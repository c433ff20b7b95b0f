from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest

from preference_center.core.addresses import Channel
from preference_center.integrations.base.contract import (
    ContactSnapshot,
    DestinationConfig,
    PushItem,
    PushResult,
)
from preference_center.integrations.base.vendor_events import VendorEvent, VendorEventKind
from preference_center.integrations.brevo.client import parse_rate_limit_headers
from preference_center.integrations.brevo.connector import Brevo
from tests.integrations.both_ways_contract import (
    AbsentContract,
    FieldContract,
    PullContract,
    ReadContract,
    ScanContract,
    with_settings,
)
from tests.integrations.both_ways_contract import whole as listed
from tests.integrations.contract import ANNA, BO, CY, NOW, JsonApiContract, Rig, lift, off, results
from tests.integrations.erase_contract import (
    EraseContract,
    EraseHttpContract,
    SmsEraseContract,
    erase,
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
    text_off,
    with_texts,
)
from tests.integrations.tools.brevo import KEY, BrevoStandIn
from tests.integrations.tools.described import Description
from tests.integrations.tools.stand_in import Fault

TOPICS = {"news": "11", "offers": "12"}
REMOVE_NEWS = ("POST", "/v3/contacts/lists/11/contacts/remove")
DI = "di@example.com"
OLDEST = datetime(2026, 8, 27, tzinfo=UTC)
"""90 days before NOW."""
BLOCKED = {
    "unsubscribedViaMA": (VendorEventKind.OPTED_OUT, True),
    "unsubscribedViaEmail": (VendorEventKind.OPTED_OUT, True),
    "adminBlocked": (VendorEventKind.OPTED_OUT, False),
    "unsubscribedViaApi": (VendorEventKind.OPTED_OUT, False),
    "hardBounce": (VendorEventKind.BOUNCED, False),
    "contactFlaggedAsSpam": (VendorEventKind.COMPLAINED, True),
}


@dataclass(slots=True)
class Lists:
    server: BrevoStandIn

    def off(self, address: str) -> set[str]:
        contact = self.server.contacts.get(address)
        return {t for t, i in TOPICS.items() if contact and int(i) not in contact["listIds"]}

    def turn_off(self, address: str, topic: str) -> None:
        contact = self.server.add(address)
        contact["listIds"].remove(int(TOPICS[topic]))
        contact["listUnsubscribed"] = [*(contact["listUnsubscribed"] or ()), int(TOPICS[topic])]

    def requests(self) -> int:
        return len(self.server.seen)

    def reject(self, address: str) -> None:
        self.server.invalid.add(address)

    def add(self, address: str) -> None:
        self.server.add(address)

    def has(self, address: str) -> bool:
        return address in self.server.contacts

    def link(self, address: str) -> str | None:
        return cast("str | None", self.server.contacts[address]["attributes"].get("CHOICES"))


@pytest.fixture(scope="module")
def description() -> Description:
    """Ours, from Brevo's documentation: see its `info`."""
    return Description(Path(__file__).parents[1] / "contracts" / "brevo.json")


@pytest.fixture
def server(description: Description) -> Iterator[BrevoStandIn]:
    description.faults.clear()
    with BrevoStandIn(description.watch) as server:
        yield server
    assert description.faults == []


@pytest.fixture
def rig(server: BrevoStandIn) -> Rig:
    settings = {"api_key": KEY, "base_url": server.url, "link_field": "CHOICES"}
    return Rig("brevo", DestinationConfig("brevo-main", settings, TOPICS), Lists(server))


class TestBrevo(JsonApiContract, MappedContract, ReadContract, PullContract):
    def _two_requests_worth(self) -> list[PushItem]:
        return [off(1, ANNA, "news"), off(2, BO, "offers")]


class TestOddAnswers(OddAnswersContract):
    pass


class TestBrevosContacts(
    AbsentContract, FieldContract, ScanContract, EraseContract, EraseHttpContract
):
    @pytest.fixture(autouse=True)
    def _only_who_was_added(self, server: BrevoStandIn) -> None:
        server.strict = True


def connect(rig: Rig) -> Brevo:
    return cast("Brevo", rig.make())


def test_a_full_batch_is_one_request_a_list(rig: Rig, server: BrevoStandIn) -> None:
    batch = [off(n, f"p{n}@example.com", "news") for n in range(150)]
    assert set(results(rig.make().push(batch)).values()) == {PushResult.REFLECTED}
    assert server.seen == [REMOVE_NEWS]


def test_only_who_was_not_moved_is_looked_at_and_only_once(rig: Rig, server: BrevoStandIn) -> None:
    server.strict = True
    server.add(ANNA)
    server.add(BO, listIds=[99])
    batch = [off(n, a, "news", "offers") for n, a in enumerate((ANNA, BO, CY))]
    assert results(rig.make().push(batch)) == {
        0: PushResult.REFLECTED,
        1: PushResult.REFLECTED,
        2: PushResult.ABSENT,
    }
    looked_at = [path for method, path in server.seen if method == "GET"]
    assert looked_at == [f"/v3/contacts/{BO}", f"/v3/contacts/{CY}"]


def test_a_rejected_request_that_nobody_needed_is_no_failure(
    rig: Rig, server: BrevoStandIn
) -> None:
    """Brevo answers 400 when there is nobody to move."""
    server.add(ANNA, listIds=[])
    assert results(rig.make().push([off(1, ANNA, "news")])) == {1: PushResult.REFLECTED}
    server.strict = True
    assert results(rig.make().push([off(2, BO, "news")])) == {2: PushResult.ABSENT}


def test_what_brevo_calls_no_address_is_refused_alone(rig: Rig, server: BrevoStandIn) -> None:
    server.no_address.add(BO)
    batch = [off(1, ANNA, "news"), off(2, BO, "news"), off(3, CY, "news")]
    assert results(rig.make().push(batch)) == {
        1: PushResult.REFLECTED,
        2: PushResult.REFUSED,
        3: PushResult.REFLECTED,
    }


def test_an_address_that_stays_on_the_list_is_not_reflected(rig: Rig, server: BrevoStandIn) -> None:
    server.fail(Fault(201, body='{"contacts": {"success": []}}'))
    assert results(rig.make().push([off(1, ANNA, "news")])) == {1: PushResult.RETRY_LATER}


def test_opt_outs_go_before_lifts(rig: Rig, server: BrevoStandIn) -> None:
    rig.tool.turn_off(BO, "news")
    found = rig.make().push([lift(2, BO, "news"), off(1, ANNA, "offers")])
    assert set(results(found).values()) == {PushResult.REFLECTED}
    assert [path.rsplit("/")[-1] for _, path in server.seen] == ["remove", "add"]


def test_a_blocklisted_contact_gets_nothing_and_is_never_freed(
    rig: Rig, server: BrevoStandIn
) -> None:  # I5, I13
    server.add(ANNA, emailBlacklisted=True, listIds=[99])
    connector = connect(rig)
    assert results(connector.push([lift(1, ANNA, "news")])) == {1: PushResult.REFLECTED}
    assert server.contacts[ANNA]["emailBlacklisted"]
    assert connector.read([off(1, ANNA)]) == {1: frozenset(TOPICS)}


def test_why_somebody_is_blocklisted_comes_home(rig: Rig, server: BrevoStandIn) -> None:  # I13
    def at(day: int) -> list[dict[str, str]]:
        return [{"eventTime": f"2026-11-{day:02d}T10:00:00.000+00:00"}]

    def when(day: int) -> datetime:
        return datetime(2026, 11, day, 10, tzinfo=UTC)

    unsubscribed = {"userUnsubscription": at(3) + at(1), "adminUnsubscription": at(2)}
    server.add(ANNA, emailBlacklisted=True, statistics={"unsubscriptions": unsubscribed})
    server.add(BO, emailBlacklisted=True, statistics={"complaints": at(4)})
    server.add(CY, emailBlacklisted=True, statistics={"hardBounces": at(5)})
    server.add(DI, emailBlacklisted=True, modifiedAt="2026-11-25T10:00:00.000+00:00")
    server.add("ed@example.com")
    events, _ = listed(connect(rig).pull)
    assert events == [
        VendorEvent(VendorEventKind.OPTED_OUT, ANNA, occurred_at=when(3)),
        VendorEvent(VendorEventKind.COMPLAINED, BO, occurred_at=when(4)),
        VendorEvent(VendorEventKind.BOUNCED, CY, occurred_at=when(5)),
        VendorEvent(VendorEventKind.OPTED_OUT, DI, occurred_at=OLDEST),
    ]


@pytest.mark.parametrize(
    "modified, at",
    [
        ("2026-11-25T10:00:00.000+00:00", datetime(2026, 8, 27, tzinfo=UTC)),
        ("2025-01-02T10:00:00.000+00:00", datetime(2025, 1, 2, 10, tzinfo=UTC)),
    ],
    ids=["edited-now", "edited-long-ago"],
)
def test_a_block_without_a_trace_is_older_than_the_statistics(
    rig: Rig, server: BrevoStandIn, modified: str, at: datetime
) -> None:
    """Else an edit of the contact would beat the person's act since."""  # I5
    server.add(ANNA, emailBlacklisted=True, modifiedAt=modified)
    events, _ = listed(connect(rig).pull)
    assert events == [VendorEvent(VendorEventKind.OPTED_OUT, ANNA, occurred_at=at)]


def test_who_is_blocked_for_transactional_mail_comes_home(rig: Rig, server: BrevoStandIn) -> None:
    for number, code in enumerate(BLOCKED):
        server.block(f"p{number}@example.com", code, f"2026-11-{number + 1:02d}T10:00:00.000Z")
    events, _ = listed(connect(rig).pull)
    found = {each.address: (each.kind, each.by_person, each.occurred_at) for each in events}
    assert found == {
        f"p{number}@example.com": (kind, person, datetime(2026, 11, number + 1, 10, tzinfo=UTC))
        for number, (kind, person) in enumerate(BLOCKED.values())
    }


def test_all_blocks_are_found_and_later_only_the_new_ones(rig: Rig, server: BrevoStandIn) -> None:
    for number in range(230):
        server.block(f"p{number}@example.com", "hardBounce", "2026-11-25T10:00:00.000Z")
    connector = connect(rig)
    events, cursor = listed(connector.pull)
    assert len({each.address for each in events}) == 230
    server.block(ANNA, "unsubscribedViaEmail", "2026-11-25T11:58:00.000Z")
    server.seen.clear()
    events, _ = listed(connector.pull, cursor)
    assert [each.address for each in events] == [ANNA]
    assert [path for _, path in server.seen] == ["/v3/contacts", "/v3/smtp/blockedContacts"]


def test_null_in_one_contact_never_fails_those_of_others(rig: Rig, server: BrevoStandIn) -> None:
    server.unwatch()
    server.add(ANNA, attributes=None, listIds=None, modifiedAt=None, statistics=None)
    server.add(BO, emailBlacklisted=True, statistics={"complaints": None, "unsubscriptions": None})
    connector = connect(rig)
    assert {each.address for each in listed(connector.scan)[0]} == {ANNA, BO}
    assert [each.address for each in listed(connector.pull)[0]] == [BO]
    assert connector.read([off(1, ANNA)]) == {1: frozenset(TOPICS)}


class Texts(Lists):
    """Email addresses and phone numbers."""

    def off(self, address: str) -> set[str]:
        if not address.startswith("+"):
            return super().off(address)
        known = self.server.contacts.get(address, {})
        return {TOPIC} if known.get("smsBlacklisted") else set()

    def turn_off(self, address: str, topic: str) -> None:
        if topic != TOPIC:
            super().turn_off(address, topic)
        else:
            self.server.add_phone(address, smsBlacklisted=True)

    def add(self, address: str) -> None:
        (self.server.add_phone if address.startswith("+") else self.server.add)(address)


@pytest.fixture
def texts(rig: Rig, server: BrevoStandIn) -> Rig:
    """The same account, with a topic by SMS besides."""
    return with_texts(rig, Texts(server))


class TestOddAnswersAboutTexts(SmsOddAnswersContract):
    pass


class TestBrevosTexts(
    RigOfTexts, SmsContract, SmsReadContract, SmsScanContract, SmsPullContract, SmsAbsentContract
):
    pass


class TestErasingBrevosTexts(RigOfTexts, SmsEraseContract):
    @pytest.fixture(autouse=True)
    def _only_who_was_added(self, server: BrevoStandIn) -> None:
        server.strict = True


@pytest.mark.parametrize("held", ["393331234567", "+393331234567", "00393331234567", 393331234567])
def test_a_number_is_read_however_brevo_holds_it(
    texts: Rig, server: BrevoStandIn, held: object
) -> None:
    server.add(ANNA, attributes={"SMS": held}, smsBlacklisted=True, emailBlacklisted=False)
    seen = [each for each in listed(connect(texts).scan)[0] if each.channel is Channel.SMS]
    assert seen == [ContactSnapshot(PHONE, Channel.SMS, off=frozenset({TOPIC}))]
    events = [each for each in listed(connect(texts).pull)[0] if each.channel is Channel.SMS]
    assert [(each.address, each.occurred_at) for each in events] == [(PHONE, NOW)]


def test_texts_are_blocklisted_and_nothing_else_of_the_contact(
    texts: Rig, server: BrevoStandIn
) -> None:  # I13
    server.add_phone(PHONE)
    before = dict(server.contacts[PHONE])
    texts.make().push([text_off(1, PHONE)])
    assert server.contacts[PHONE] == before | {"smsBlacklisted": True}


def test_more_numbers_than_a_lease_allows_are_left_for_the_next_push(
    texts: Rig, server: BrevoStandIn
) -> None:
    numbers = [f"+39333{n:07}" for n in range(120)]
    for number in numbers:
        server.add_phone(number)
    found = results(texts.make().push([text_off(n, each) for n, each in enumerate(numbers)]))
    assert list(found.values()).count(PushResult.REFLECTED) == 100
    assert list(found.values()).count(PushResult.DEFERRED) == 20


def test_one_number_that_brevo_rejects_does_not_hold_up_the_others(
    texts: Rig, server: BrevoStandIn
) -> None:
    server.add_phone(PHONE)
    server.no_address.add(OTHER_PHONE)
    found = texts.make().push([text_off(1, PHONE), text_off(2, OTHER_PHONE)])
    assert results(found) == {1: PushResult.REFLECTED, 2: PushResult.REFUSED}


def test_a_list_is_no_topics_place_by_sms(texts: Rig) -> None:  # I10
    setup = replace(texts.setup, topics={TOPIC: "11"})
    (problem,) = replace(texts, setup=setup).make().check().problems
    assert "map it to sms" in problem


def test_the_next_run_lists_what_was_modified_since(rig: Rig, server: BrevoStandIn) -> None:
    server.add(ANNA, modifiedAt=(NOW - timedelta(hours=2)).isoformat())
    connector = connect(rig)
    _, cursor = listed(connector.scan)
    server.add(BO, modifiedAt=(NOW - timedelta(minutes=1)).isoformat())
    rows, _ = listed(connector.scan, cursor)
    assert rows == [ContactSnapshot(BO, off=frozenset(), link="")]


@pytest.mark.parametrize(
    "status, left, reset, wait", [(200, "0", "7", 7), (429, None, "30", 30), (200, "3", "7", 0)]
)
def test_a_window_that_is_used_up_is_waited_for(
    status: int, left: str | None, reset: str, wait: int
) -> None:
    headers = {"x-sib-ratelimit-reset": reset}
    headers |= {"x-sib-ratelimit-remaining": left} if left else {}
    assert parse_rate_limit_headers(status, headers, NOW) == (
        timedelta(seconds=wait) if wait else None
    )


@pytest.mark.parametrize("name", ["NONE", "AGE"])
def test_an_attribute_that_can_hold_no_link_is_reported(rig: Rig, name: str) -> None:
    (problem,) = with_settings(rig, link_field=name).make().check().problems
    assert name in problem


@pytest.mark.parametrize("by", [Channel.EMAIL, Channel.SMS])
def test_one_contact_that_can_not_be_read_leaves_the_others_readable(
    texts: Rig, server: BrevoStandIn, by: Channel
) -> None:
    addresses = (PHONE, OTHER_PHONE) if by is Channel.SMS else (ANNA, BO)
    for address in addresses:
        server.add_phone(address) if by is Channel.SMS else server.add(address)
    server.fail(Fault(200, body="[]"))
    batch = [PushItem(n, address, by) for n, address in enumerate(addresses)]
    assert connect(texts).read(batch).keys() == {1}


def test_a_number_is_taken_from_a_contact_who_has_an_email_address_too(
    texts: Rig, server: BrevoStandIn
) -> None:
    """They may be two people with one telephone."""
    server.strict = True
    server.add(BO, attributes={"SMS": PHONE[1:], "CHOICES": "x"})
    assert results(erase(texts, PHONE)) == {0: PushResult.REFLECTED}
    assert server.contacts[BO]["attributes"] == {"SMS": "", "CHOICES": "x"}
