"""One account whose channels have a connector each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import ClassVar

import pytest

from preference_center.core.addresses import Channel
from preference_center.integrations.base.contract import (
    Capabilities,
    CheckReport,
    ContactPage,
    ContactSnapshot,
    DeliveryError,
    DestinationConfig,
    EraseItem,
    FieldItem,
    LeaseExpired,
    ListingMode,
    PushItem,
    PushOutcome,
    PushResult,
    SupportedScope,
    UnsupportedByDestination,
)
from preference_center.integrations.base.http import HttpContext
from preference_center.integrations.base.multi_channel import (
    MultiChannelConnector,
    connector_for_channel,
)
from preference_center.integrations.base.vendor_events import VendorEvent, VendorEventKind
from tests.integrations.both_ways_contract import whole
from tests.integrations.contract import ANNA, off, results
from tests.integrations.sms_contract import ANNA as PHONE
from tests.integrations.sms_contract import text_off

CAPABILITIES = Capabilities(
    channels=frozenset({Channel.EMAIL, Channel.SMS}),
    scopes=frozenset(SupportedScope),
    can_lift=True,
    batch_size=10,
    can_read=True,
    scans=ListingMode.CHANGES,
    pulls=ListingMode.CHANGES,
)
TOPICS = {"news": "1", "flash": "sms"}


@dataclass
class Books:
    """What both parts have been asked, and what they say."""

    pushed: list[list[int]] = field(default_factory=list)
    errors: dict[Channel, Exception] = field(default_factory=dict)
    pages: dict[Channel, list[str]] = field(default_factory=dict)
    asked: list[tuple[Channel, str | None]] = field(default_factory=list)
    sweeps: bool = False


BOOKS = Books()


class Part:
    kind: ClassVar[str] = "trial"
    capabilities: ClassVar[Capabilities] = CAPABILITIES
    settings: ClassVar[Mapping[str, str]] = {}
    channel: ClassVar[Channel]

    def __init__(self, setup: DestinationConfig, http: HttpContext) -> None:
        self.setup = setup
        self.http = http

    def check(self) -> CheckReport:
        return CheckReport(("bad key",), tuple(self.setup.topics))

    def push(self, batch: Sequence[PushItem]) -> Mapping[int, PushOutcome]:
        if error := BOOKS.errors.get(self.channel):
            raise error
        BOOKS.pushed.append([item.ref for item in batch])
        return {item.ref: PushOutcome(PushResult.REFLECTED) for item in batch}

    def read(self, batch: Sequence[PushItem]) -> Mapping[int, frozenset[str] | None]:
        return {item.ref: frozenset(self.setup.topics) for item in batch}

    def scan(self, cursor: str | None) -> ContactPage[ContactSnapshot]:
        addresses, following, done = self._next(cursor)
        return ContactPage(
            tuple(ContactSnapshot(a, self.channel) for a in addresses), following, done
        )

    def pull(self, cursor: str | None) -> ContactPage[VendorEvent]:
        addresses, following, done = self._next(cursor)
        rows = tuple(
            VendorEvent(VendorEventKind.OPTED_OUT, a, channel=self.channel) for a in addresses
        )
        return ContactPage(rows, following, done)

    def _next(self, cursor: str | None) -> tuple[list[str], str | None, bool]:
        BOOKS.asked.append((self.channel, cursor))
        pages, at = BOOKS.pages[self.channel], int(cursor or 0)
        done = at + 1 >= len(pages)
        return pages[at : at + 1], None if done and BOOKS.sweeps else str(at + 1), done


class Emails(Part):
    channel: ClassVar[Channel] = Channel.EMAIL

    def write_field(self, field: str, batch: Sequence[FieldItem]) -> Mapping[int, PushOutcome]:
        assert field == "LINK"
        return {item.ref: PushOutcome(PushResult.REFLECTED) for item in batch}

    def erase(self, batch: Sequence[EraseItem]) -> Mapping[int, PushOutcome]:
        if error := BOOKS.errors.get(self.channel):
            raise error
        return {item.ref: PushOutcome(PushResult.REFLECTED) for item in batch}

    def find_held(self, batch: Sequence[EraseItem]) -> Mapping[int, bool]:
        return {item.ref: False for item in batch}


class Texts(Part):
    channel: ClassVar[Channel] = Channel.SMS


class Both(MultiChannelConnector):
    kind: ClassVar[str] = "trial"
    capabilities: ClassVar[Capabilities] = CAPABILITIES
    settings: ClassVar[Mapping[str, str]] = {}
    connector_factories = {Channel.EMAIL: Emails, Channel.SMS: Texts}  # noqa: RUF012


@pytest.fixture(autouse=True)
def books(monkeypatch: pytest.MonkeyPatch) -> Books:
    made = Books(pages={Channel.EMAIL: ["a@example.com", "b@example.com"], Channel.SMS: [PHONE]})
    monkeypatch.setattr(f"{__name__}.BOOKS", made)
    return made


def both(**topics: str) -> Both:
    setup = DestinationConfig("both", {}, topics or TOPICS, channels={"flash": Channel.SMS})
    return Both(setup, HttpContext())


ERASED = [EraseItem(1, ANNA, Channel.EMAIL), EraseItem(2, PHONE, Channel.SMS)]


def test_who_can_not_be_erased_by_a_channel_is_left_to_a_person() -> None:
    assert results(both().erase(ERASED)) == {1: PushResult.REFLECTED, 2: PushResult.REFUSED}
    assert both().find_held(ERASED) == {1: False}


def test_an_address_of_a_channel_without_topics_is_not_reported_as_erased() -> None:
    assert results(both(news="1").erase(ERASED)) == {1: PushResult.REFLECTED}


def test_an_erasure_that_fails_by_its_first_channel_fails_as_a_whole(books: Books) -> None:
    books.errors[Channel.EMAIL] = DeliveryError("no answer")
    with pytest.raises(DeliveryError, match="no answer"):
        both().erase(ERASED)


def test_each_item_goes_to_the_connector_of_its_channel(books: Books) -> None:
    batch = [off(1, ANNA, "news"), text_off(2, PHONE), off(3, ANNA, "news")]
    assert set(results(both().push(batch)).values()) == {PushResult.REFLECTED}
    assert books.pushed == [[1, 3], [2]]


def test_a_channel_that_fails_for_now_does_not_undo_what_was_done_on_the_other(
    books: Books,
) -> None:
    books.errors[Channel.SMS] = DeliveryError("busy", retry_after=timedelta(seconds=9))
    found = both().push([off(1, ANNA, "news"), text_off(2, PHONE)])
    assert results(found) == {1: PushResult.REFLECTED, 2: PushResult.RETRY_LATER}
    assert found[2].retry_after == timedelta(seconds=9)


@pytest.mark.parametrize(
    "error",
    [DeliveryError("gone", permanent=True), LeaseExpired("over")],
    ids=["permanent", "lease-over"],
)
def test_a_failure_that_stops_the_destination_is_raised(books: Books, error: Exception) -> None:
    books.errors[Channel.SMS] = error
    with pytest.raises(type(error)):
        both().push([off(1, ANNA, "news"), text_off(2, PHONE)])


def test_a_topic_of_the_other_channel_is_refused_before_anything_is_sent(books: Books) -> None:
    with pytest.raises(UnsupportedByDestination):
        both(news="1").push([off(1, ANNA, "news"), text_off(2, PHONE)])
    assert books.pushed == []


def test_reading_answers_with_the_topics_of_the_addresss_channel() -> None:
    found = both().read([off(1, ANNA), text_off(2, PHONE)])
    assert found == {1: frozenset({"news"}), 2: frozenset({"flash"})}


def test_a_fault_that_both_find_is_reported_once() -> None:
    assert both().check() == CheckReport(("bad key",), ("news", "flash"))


def test_a_channel_without_topics_is_left_alone(books: Books) -> None:
    rows, cursor = whole(both(news="1").pull)
    assert [each.address for each in rows] == ["a@example.com", "b@example.com"]
    assert cursor == "2", "as it was before the tool held another channel"
    assert {channel for channel, _ in books.asked} == {Channel.EMAIL}


def test_one_channel_is_listed_after_the_other_and_each_keeps_its_cursor(books: Books) -> None:
    connector = both()
    rows, cursor = whole(connector.pull)
    assert [each.address for each in rows] == ["a@example.com", "b@example.com", PHONE]
    books.pages[Channel.SMS].append("+393331234568")
    rows, _ = whole(connector.pull, cursor)
    assert [each.address for each in rows] == ["+393331234568"]


def test_the_last_cursor_of_a_sweep_is_none(books: Books) -> None:
    books.sweeps = True
    rows, cursor = whole(both().scan)
    assert (len(rows), cursor) == (3, None)


def test_a_cursor_of_the_time_before_texts_is_good_for_email(books: Books) -> None:
    rows, _ = whole(both().pull, "1")
    assert [each.address for each in rows] == ["b@example.com", PHONE]
    assert books.asked[0] == (Channel.EMAIL, "1")


def test_only_email_addresses_are_given_links() -> None:
    items = [FieldItem(1, ANNA, Channel.EMAIL, "x"), FieldItem(2, PHONE, Channel.SMS, "y")]
    assert results(both().write_field("LINK", items)) == {1: PushResult.REFLECTED}


def test_the_part_of_a_channel_is_there_without_topics_too() -> None:
    connector = both(news="1")
    assert isinstance(connector_for_channel(connector, Channel.SMS), Texts)
    other = Emails(DestinationConfig("x", {}), HttpContext())
    assert connector_for_channel(other, Channel.SMS) is other


def test_a_setup_of_one_channel_has_its_topics_only() -> None:
    setup = DestinationConfig("x", {}, TOPICS, channels={"flash": Channel.SMS})
    assert setup.for_channel(Channel.SMS) == replace(setup, topics={"flash": "sms"})
    assert setup.for_channel(Channel.PHONE).topics == {}
