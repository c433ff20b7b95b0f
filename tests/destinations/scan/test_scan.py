"""Contacts that a tool has are suppressed there as they should be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import uuid4

import pytest

from preference_center.core.addresses import Channel, parse_hashed_address
from preference_center.core.events import ALL_MARKETING, Change, EventKind
from preference_center.core.links.tokens import Link
from preference_center.destinations.ingest import ingest
from preference_center.destinations.scan import SHORT_PASS_INTERVAL, verify
from preference_center.destinations.store import listings
from preference_center.destinations.store.listings import ListingKind
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.integrations.base.contract import (
    ContactPage,
    ContactSnapshot,
    NoResponse,
    PushItem,
    PushResult,
)
from preference_center.integrations.base.vendor_events import VendorEvent, VendorEventKind
from preference_center.ledger import record
from tests.clock import Clock
from tests.destinations.steps import (
    ANNA,
    BO,
    CY,
    OTHER,
    TOPIC,
    begin,
    events,
    outcomes,
    person,
    progress,
    read,
    say,
    state,
    stats,
    work,
)
from tests.destinations.two_way_tool import TwoWayTool, add_destination, look

pytestmark = pytest.mark.usefixtures("in_context")


@pytest.fixture
def tool() -> TwoWayTool:
    return TwoWayTool()


@pytest.fixture
def destination() -> int:
    return add_destination("mailer", TOPIC, OTHER, pulls=False)


def test_a_contact_that_comes_after_its_no_is_suppressed(
    destination: int, tool: TwoWayTool, clock: Clock
) -> None:  # I13
    say(EventKind.OPTED_OUT, ANNA)
    work(destination, tool)
    assert outcomes(ANNA) == [PushResult.ABSENT]
    clock.advance(timedelta(minutes=20))
    tool.add(ANNA)
    read(destination, tool, ListingKind.SCAN)
    work(destination, tool)
    assert tool.off[ANNA] == {TOPIC}
    assert outcomes(ANNA) == [PushResult.ABSENT, PushResult.REFLECTED]
    assert stats(destination).newly_suppressed == 1


def test_nothing_counts_as_turned_off_where_the_contact_is_absent(
    destination: int, tool: TwoWayTool
) -> None:  # I13: else what its owner turns off there one day would pass for our doing
    say(EventKind.OPTED_OUT, ANNA)
    work(destination, tool)
    assert outcomes(ANNA) == [PushResult.ABSENT]
    assert state(ANNA, "turned_off") == []


def test_another_form_of_the_mailbox_is_suppressed(
    destination: int, tool: TwoWayTool
) -> None:  # I9
    say(EventKind.OPTED_OUT, ANNA, ALL_MARKETING)
    tool.add("anna+shop@example.com")
    read(destination, tool, ListingKind.SCAN)
    work(destination, tool)
    assert tool.off["anna+shop@example.com"] == {TOPIC, OTHER}


def test_a_form_that_was_there_before_the_no_is_found_though_it_never_changes(
    destination: int, tool: TwoWayTool, clock: Clock
) -> None:  # I9, I13
    tool.add("anna+shop@example.com", "bo+shop@example.com", CY, "di@example.com")
    read(destination, tool)
    say(EventKind.OPTED_OUT, ANNA)
    clock.advance(listings.FIRST_SWEEP_DELAY)
    read(destination, tool)
    work(destination, tool)
    assert tool.off == {"anna+shop@example.com": {TOPIC}}
    say(EventKind.OPTED_OUT, BO)
    clock.advance(SHORT_PASS_INTERVAL)
    read(destination, tool)
    work(destination, tool)
    assert tool.off == {"anna+shop@example.com": {TOPIC}, "bo+shop@example.com": {TOPIC}}


def test_a_sweep_that_takes_longer_than_a_day_is_followed_at_once(
    destination: int, tool: TwoWayTool, clock: Clock
) -> None:  # I3
    tool.add(*(f"p{number}@example.com" for number in range(4)))
    begin(destination)
    stops = iter([False, True])
    clock.advance(listings.FIRST_SWEEP_DELAY)
    until = clock() + timedelta(days=9)
    verify(destination, ListingKind.SWEEP, tool.connect, until=until, stop=lambda: next(stops))
    clock.advance(timedelta(hours=30))
    read(destination, tool, ListingKind.SWEEP)
    (sweep,) = [p for p in progress(destination) if p.kind is ListingKind.SWEEP]
    assert (sweep.finished_at, sweep.next_at) == (clock(), clock())


def test_a_sweep_has_nobody_read_back(
    destination: int, tool: TwoWayTool, clock: Clock
) -> None:  # else everybody who ever opted out would be read every night
    tool.add(ANNA)
    say(EventKind.OPTED_OUT, ANNA)
    work(destination, tool)
    begin(destination)
    for part, planned in ((ListingKind.SWEEP, False), (ListingKind.SCAN, True)):
        run_in_transaction(lambda c: c.execute("UPDATE sync_state SET verify_at = NULL"))
        clock.advance(listings.FIRST_SWEEP_DELAY)
        read(destination, tool, part)
        assert (state(ANNA, "verify_at") is not None) is planned


def test_an_opt_out_of_which_only_a_digest_is_known_is_pushed_once_the_scan_reveals_it(
    destination: int, tool: TwoWayTool
) -> None:  # I6, I9
    import hashlib

    now, hashed = services().now(), hashlib.sha256(ANNA.encode()).hexdigest()
    who = parse_hashed_address(hashed, Channel.EMAIL)
    record([Change(uuid4(), EventKind.OPTED_OUT, who, TOPIC, now, now, "test", "test")])
    tool.add(ANNA, BO)
    read(destination, tool, ListingKind.SCAN)
    work(destination, tool)
    assert tool.off == {ANNA: {TOPIC}}


def test_somebody_erased_is_suppressed_and_stays_unreadable(
    destination: int, tool: TwoWayTool
) -> None:  # I6
    say(EventKind.OPTED_OUT, ANNA)
    work(destination, tool)
    run_in_transaction(
        lambda c: c.execute("UPDATE address SET ciphertext = NULL, erased_at = now()")
    )
    tool.add(ANNA)
    read(destination, tool, ListingKind.SCAN)
    assert tool.off == {ANNA: {TOPIC}}
    left = run_in_transaction(lambda c: c.execute("SELECT ciphertext FROM address").fetchall())
    assert left == [(None,)]
    assert outcomes(ANNA)[-1] == PushResult.REFLECTED


def test_an_opt_out_on_the_page_of_somebody_erased_waits_for_no_push_to_the_tool(
    destination: int, tool: TwoWayTool
) -> None:  # I6, I13
    def fail(_: Sequence[PushItem]) -> None:
        raise NoResponse("no response")

    say(EventKind.OPTED_OUT, ANNA)
    work(destination, tool)
    run_in_transaction(
        lambda c: c.execute("UPDATE address SET ciphertext = NULL, erased_at = now()")
    )
    tool.add(ANNA)
    page: list[ContactSnapshot | VendorEvent] = [
        ContactSnapshot(ANNA),
        VendorEvent(VendorEventKind.OPTED_OUT, BO, TOPIC, services().now(), by_person=True),
    ]
    tool.before = fail
    for _ in range(2):
        with pytest.raises(NoResponse):
            ingest(look(destination), tool, page, in_transaction=lambda _: pytest.fail("is done"))
    assert [event[0] for event in events()] == ["opted_out", "opted_out"]
    tool.before = None
    ingest(look(destination), tool, page)
    assert tool.off == {ANNA: {TOPIC}}


def test_an_opt_out_waits_for_no_link(tool: TwoWayTool) -> None:  # I13
    number = add_destination("mailer", TOPIC, link_field="choices")
    tool.broken_fields = {"choices"}
    tool.add(ANNA)
    tool.opt_out(BO, TOPIC)
    ingest(look(number), tool, [*tool.scan(None).rows, *tool.pull(None).rows])
    assert [event[0] for event in events()] == ["opted_out"]


def test_who_has_set_nothing_is_not_stored(destination: int, tool: TwoWayTool) -> None:
    tool.add(ANNA, "no address")
    read(destination, tool, ListingKind.SCAN)
    assert run_in_transaction(lambda c: c.execute("SELECT FROM address").fetchall()) == []
    assert (stats(destination).contacts, stats(destination).unreadable) == (1, 1)


def test_our_own_change_of_a_contact_makes_no_more_work(
    destination: int, tool: TwoWayTool, clock: Clock
) -> None:
    tool.add(ANNA)
    say(EventKind.OPTED_OUT, ANNA)
    for _ in range(4):
        read(destination, tool)
        work(destination, tool)
        clock.advance(timedelta(minutes=6))
    assert len(tool.pushes) == 1


def test_contacts_get_their_permanent_link_once(tool: TwoWayTool, clock: Clock) -> None:
    destination = add_destination("mailer", TOPIC, link_field="choices")
    tool.add(ANNA, BO)
    for _ in range(3):
        read(destination, tool, ListingKind.SCAN)
        clock.advance(timedelta(minutes=6))
    assert stats(destination).links_written == 2
    token = tool.contacts[ANNA].rpartition("/")[2]
    link = services().links.read_token(token, clock())
    assert link == Link(person(ANNA), TOPIC, "", link.issued_at, "l1", destination_id=destination)


@dataclass
class Preparing(TwoWayTool):
    """Lists its contacts by a job of its own, which takes its time."""

    asked: list[str | None] = field(default_factory=list)

    def scan(self, cursor: str | None) -> ContactPage[ContactSnapshot]:
        self.asked.append(cursor)
        if cursor != "job 1" or len(self.asked) < 4:
            return ContactPage((), "job 1", done=False, poll_after=timedelta(minutes=2))
        return ContactPage(tuple(map(ContactSnapshot, self.contacts)), "0", done=True)


def test_a_listing_that_the_tool_prepares_is_waited_for_and_survives_its_worker(
    destination: int, clock: Clock
) -> None:  # I13
    tool = Preparing()
    tool.add(ANNA)
    for minutes in range(1, 5):
        read(destination, tool, ListingKind.SCAN)
        read(destination, tool, ListingKind.SCAN)  # asked again no sooner than the tool asked
        assert len(tool.asked) == minutes
        clock.advance(timedelta(minutes=2))
    assert tool.asked == [None, "job 1", "job 1", "job 1"]
    assert stats(destination).contacts == 1
    assert {each.reason for each in progress(destination)} == {""}


def test_a_list_that_may_lag_behind_a_lift_that_timed_out_settles_no_later_opt_out(
    clock: Clock,
) -> None:  # I3: the lift acted, so the tool would mail for good
    def times_out(_: Sequence[PushItem]) -> None:
        raise NoResponse("timed out")

    tool = TwoWayTool()
    number = add_destination("mailer", TOPIC)
    tool.add(ANNA)
    say(EventKind.OPTED_OUT)
    work(number, tool)
    clock.advance(timedelta(days=1))
    say(EventKind.OPTED_IN)
    tool.before = times_out
    work(number, tool)
    tool.before = None
    clock.advance(timedelta(minutes=8))
    say(EventKind.OPTED_OUT)
    tool.off[ANNA].clear()
    tool.reported.append((ANNA, TOPIC))  # as the list shows it for a while
    read(number, tool, ListingKind.PULL)
    clock.advance(timedelta(minutes=5))
    work(number, tool)
    assert tool.off[ANNA] == {TOPIC}


def test_a_list_that_may_lag_behind_drift_settles_nothing_that_was_read_since(
    clock: Clock,
) -> None:  # I3: the person subscribed in the tool again, which must be turned off
    tool = TwoWayTool()
    number = add_destination("mailer", TOPIC)
    tool.add(ANNA)
    say(EventKind.OPTED_OUT)
    work(number, tool)
    clock.advance(timedelta(hours=1))
    tool.off[ANNA].clear()
    read(number, tool, ListingKind.READ)  # it shows the topic on
    tool.reported.append((ANNA, TOPIC))  # as the list shows it for a while
    clock.advance(timedelta(minutes=9))
    read(number, tool, ListingKind.PULL)
    work(number, tool)
    assert tool.off[ANNA] == {TOPIC}


def test_a_list_that_may_lag_behind_a_subscription_there_settles_no_newer_opt_out(
    clock: Clock,
) -> None:  # I3: found by the simulation
    tool = TwoWayTool()
    number = add_destination("mailer", TOPIC)
    tool.add(ANNA)
    say(EventKind.OPTED_OUT)
    work(number, tool)
    clock.advance(timedelta(hours=1))
    tool.off[ANNA].clear()  # the person subscribes there, and then opts out with us
    clock.advance(timedelta(minutes=1))
    say(EventKind.OPTED_OUT)
    tool.reported.append((ANNA, TOPIC))  # as the list shows it for a while
    clock.advance(timedelta(minutes=8))
    read(number, tool, ListingKind.PULL)
    work(number, tool)
    assert tool.off[ANNA] == {TOPIC}
