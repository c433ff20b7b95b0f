"""A contact's own switch for all that the account sends: it has no date, and is listed again and
again while it is off. Only seeing it on makes the next "off" another act (I5, I13)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import ClassVar

import pytest

from preference_center.core.events import ALL_MARKETING, EventKind
from preference_center.decisions.rules import find_denial, is_marketing_suppressed
from preference_center.destinations.ingest import ingest
from preference_center.destinations.rules.classify import PROPAGATION_DELAY
from preference_center.destinations.store.listings import ListingKind
from preference_center.infra.context import services
from preference_center.integrations.base.contract import (
    Capabilities,
    ContactPage,
    ContactSnapshot,
    ListingMode,
    PushItem,
)
from preference_center.integrations.base.vendor_events import VendorEvent, VendorEventKind
from preference_center.ledger.store.lookup import load_facts
from tests.clock import Clock
from tests.destinations.steps import ANNA, OTHER, TOPIC, events, person, read, say, work
from tests.destinations.two_way_tool import TwoWayTool, add_destination, look

DAY = timedelta(days=1)
WIDE = ("opted_out", ALL_MARKETING, "destination", "mailer", False)

pytestmark = pytest.mark.usefixtures("in_context")


@dataclass
class SwitchedTool(TwoWayTool):
    """Has a switch that stops all it mails a contact; pushes leave it alone.

    Its listings are sweeps: `pull` tells whose switch is off, `scan` how each one is.
    """

    capabilities: ClassVar[Capabilities] = replace(
        TwoWayTool.capabilities,
        scans=ListingMode.FULL,
        pulls=ListingMode.FULL,
        can_write_fields=False,
        can_hold_link=False,
    )
    switched_off: set[str] = field(default_factory=set)
    since: datetime | None = None
    """When they were, of a tool that reports it. Such a one need not show who is on."""

    def read(self, batch: Sequence[PushItem]) -> Mapping[int, frozenset[str] | None]:
        everything = frozenset({TOPIC, OTHER})
        off = {item.ref: everything for item in batch if item.address in self.switched_off}
        return {**super().read(batch), **off}

    def scan(self, cursor: str | None) -> ContactPage[ContactSnapshot]:  # noqa: ARG002 - one page
        everything = frozenset({TOPIC, OTHER})
        return ContactPage(
            tuple(
                ContactSnapshot(each)
                if self.since
                else ContactSnapshot(each, off=everything, all_off=True)
                if each in self.switched_off
                else ContactSnapshot(each, all_off=False)
                for each in self.contacts
            ),
            None,
            done=True,
        )

    def pull(self, cursor: str | None) -> ContactPage[VendorEvent]:  # noqa: ARG002 - one page
        gone = sorted(self.switched_off)
        rows = tuple(
            VendorEvent(
                VendorEventKind.OPTED_OUT, each, occurred_at=self.since, unsubscribed_from_all=True
            )
            for each in gone
        )
        return ContactPage(rows, None, done=True)


@pytest.fixture
def tool() -> SwitchedTool:
    tool = SwitchedTool()
    tool.add(ANNA)
    return tool


@pytest.fixture
def destination(tool: SwitchedTool) -> int:
    number = add_destination("mailer", TOPIC, OTHER)
    read(number, tool)
    return number


def night(destination: int, tool: SwitchedTool, clock: Clock, *parts: ListingKind) -> None:
    """Read all of the tool a day later, and push what comes of it."""
    clock.advance(DAY)
    read(destination, tool, *parts)
    work(destination, tool)


def opt_in(destination: int, tool: SwitchedTool, clock: Clock, scope: str = TOPIC) -> None:
    """The person's own, on our page; what it leads to is pushed."""
    clock.advance(DAY)
    say(EventKind.OPTED_IN, scope=scope)
    work(destination, tool)


def is_on() -> bool:
    (facts,) = load_facts([person(ANNA)])
    return find_denial(TOPIC, facts, services().now()) is None


@pytest.mark.parametrize("scope", [TOPIC, ALL_MARKETING])
def test_a_switch_that_stays_off_does_not_end_the_persons_newer_opt_in(
    destination: int, tool: SwitchedTool, clock: Clock, scope: str
) -> None:  # I5, I13
    tool.switched_off.add(ANNA)
    for _ in range(2):
        night(destination, tool, clock)
    assert events() == [WIDE]
    opt_in(destination, tool, clock, scope)
    for _ in range(3):
        night(destination, tool, clock)
    assert [event[0] for event in events()] == ["opted_out", "opted_in"]
    assert is_on()


def test_reading_the_address_back_after_the_opt_in_finds_no_new_opt_out(
    destination: int, tool: SwitchedTool, clock: Clock
) -> None:  # I5, I13
    tool.switched_off.add(ANNA)
    night(destination, tool, clock)
    opt_in(destination, tool, clock)
    for _ in range(3):
        clock.advance(PROPAGATION_DELAY)
        read(destination, tool, ListingKind.READ)
    assert tool.reads
    assert len(events()) == 2
    assert is_on()


@pytest.mark.parametrize("part", [ListingKind.PULL, ListingKind.SCAN])
def test_a_switch_that_was_on_in_between_is_another_act(
    destination: int, tool: SwitchedTool, clock: Clock, part: ListingKind
) -> None:  # I13
    tool.switched_off.add(ANNA)
    night(destination, tool, clock)
    opt_in(destination, tool, clock)
    tool.switched_off.clear()
    night(destination, tool, clock)
    tool.switched_off.add(ANNA)
    night(destination, tool, clock, part)
    assert events()[2:] == [WIDE]
    night(destination, tool, clock)
    assert events()[3:] == []
    assert not is_on()


@pytest.mark.parametrize("part", [ListingKind.PULL, ListingKind.SCAN])
def test_a_switch_is_recorded_though_each_topic_was_turned_off_by_us(
    destination: int, tool: SwitchedTool, clock: Clock, part: ListingKind
) -> None:
    """It covers more than those topics, and no push of ours ever sets it (I13)."""
    for topic in (TOPIC, OTHER):
        say(EventKind.OPTED_OUT, scope=topic)
    work(destination, tool)
    tool.switched_off.add(ANNA)
    night(destination, tool, clock, part)
    assert events()[2:] == [WIDE]
    (facts,) = load_facts([person(ANNA)])
    assert is_marketing_suppressed(facts)


def test_a_switch_that_was_seen_when_all_was_off_already_adds_nothing_later(
    destination: int, tool: SwitchedTool, clock: Clock
) -> None:  # I5
    say(EventKind.OPTED_OUT, scope=ALL_MARKETING)
    work(destination, tool)
    tool.switched_off.add(ANNA)
    night(destination, tool, clock)
    opt_in(destination, tool, clock)
    night(destination, tool, clock)
    assert len(events()) == 2
    assert is_on()


def test_a_contact_that_was_gone_in_between_is_recorded_again(
    destination: int, tool: SwitchedTool, clock: Clock
) -> None:
    """What was deleted and came back with its switch off was turned off again (I13)."""
    tool.switched_off.add(ANNA)
    night(destination, tool, clock)
    del tool.contacts[ANNA]
    tool.switched_off.clear()
    opt_in(destination, tool, clock)
    tool.add(ANNA)
    tool.switched_off.add(ANNA)
    night(destination, tool, clock)
    assert events()[2:] == [WIDE]


@pytest.mark.parametrize(
    "after, recorded",
    [(DAY, 1), (PROPAGATION_DELAY / 2, 0)],
    ids=["by itself", "after a push of ours"],
)
def test_a_dated_report_counts_also_where_the_switch_was_off_already(
    destination: int, tool: SwitchedTool, clock: Clock, after: timedelta, recorded: int
) -> None:
    """Nobody knows that it is no act of its own, and the opt-out wins (I5); but a push of ours
    changes the contact, and a tool reports that with its switch as it stood."""
    tool.switched_off.add(ANNA)
    night(destination, tool, clock)
    opt_in(destination, tool, clock)
    clock.advance(after)
    found = VendorEvent(
        VendorEventKind.OPTED_OUT, ANNA, occurred_at=clock.now, unsubscribed_from_all=True
    )
    ingest(look(destination), tool, [found])
    assert len(events()) == 2 + recorded


def test_a_switch_that_a_webhook_reported_first_adds_nothing_in_the_listing(
    destination: int, tool: SwitchedTool, clock: Clock
) -> None:  # I5, I13
    tool.switched_off.add(ANNA)
    found = VendorEvent(
        VendorEventKind.OPTED_OUT, ANNA, occurred_at=clock.now, unsubscribed_from_all=True
    )
    ingest(look(destination), tool, [found])
    opt_in(destination, tool, clock)
    night(destination, tool, clock)
    assert len(events()) == 2


def test_a_webhook_that_tells_of_a_switch_turned_on_makes_the_next_off_an_act(
    destination: int, tool: SwitchedTool, clock: Clock
) -> None:  # I13
    tool.switched_off.add(ANNA)
    night(destination, tool, clock)
    opt_in(destination, tool, clock)
    found = VendorEvent(
        VendorEventKind.CONTACT_CHANGED, ANNA, occurred_at=clock.now, unsubscribed_from_all=False
    )
    ingest(look(destination), tool, [found])
    night(destination, tool, clock)
    assert events()[2:] == [WIDE]


def test_a_dated_switch_that_stays_off_does_not_end_the_persons_newer_opt_in(
    destination: int, tool: SwitchedTool, clock: Clock
) -> None:
    """Nor does reading the address back, which shows every topic off without a date (I5)."""
    tool.since = clock.now
    tool.switched_off.add(ANNA)
    night(destination, tool, clock)
    opt_in(destination, tool, clock)
    for _ in range(3):
        clock.advance(PROPAGATION_DELAY)
        read(destination, tool, ListingKind.READ)
    night(destination, tool, clock)
    assert len(events()) == 2
    assert is_on()


def test_a_switch_with_a_newer_date_is_another_act(
    destination: int, tool: SwitchedTool, clock: Clock
) -> None:  # I13
    tool.since = clock.now
    tool.switched_off.add(ANNA)
    night(destination, tool, clock)
    opt_in(destination, tool, clock)
    clock.advance(DAY)
    tool.since = clock.now
    night(destination, tool, clock)
    assert events()[2:] == [WIDE]
    assert not is_on()
