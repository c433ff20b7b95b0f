"""What is read of a tool, and from when on."""

from __future__ import annotations

from datetime import timedelta

import pytest

from preference_center.destinations.scan import schedule_new_listings
from preference_center.destinations.store import listings
from preference_center.destinations.store.listings import ListingKind
from preference_center.destinations.store.samples import list_pending
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.integrations.base.contract import RateLimited
from preference_center.monitoring.measure import Heartbeat
from tests.clock import Clock
from tests.destinations.steps import TOPIC, progress, read, refuse
from tests.destinations.two_way_tool import TwoWayTool, add_destination, look
from workers.scheduler import keep_house

pytestmark = pytest.mark.usefixtures("in_context")


def test_active_destinations_are_read_by_what_their_connector_can(clock: Clock) -> None:
    number = add_destination("mailer", TOPIC)
    schedule_new_listings(clock())
    assert {p.kind for p in progress(number)} == set(ListingKind)
    at_once = {(number, part) for part in ListingKind if part is not ListingKind.SWEEP}
    assert set(run_in_transaction(lambda c: listings.list_due_listings(c, clock()))) == at_once
    clock.advance(listings.FIRST_SWEEP_DELAY)
    assert (number, ListingKind.SWEEP) in run_in_transaction(
        lambda c: listings.list_due_listings(c, clock())
    )


def test_a_listing_of_a_new_kind_is_begun_next_to_the_others(clock: Clock) -> None:
    number = add_destination("mailer", TOPIC)
    schedule_new_listings(clock())
    run_in_transaction(lambda c: c.execute("DELETE FROM listing WHERE kind = 'sweep'"))
    schedule_new_listings(clock.advance(timedelta(days=3)))
    begun = {p.kind: p.next_at for p in progress(number)}
    assert begun[ListingKind.SCAN] == clock() - timedelta(days=3)
    assert begun[ListingKind.SWEEP] == clock() + listings.FIRST_SWEEP_DELAY


def test_a_listing_that_a_newer_connector_has_is_begun_and_the_others_go_on(
    clock: Clock,
) -> None:  # I13
    number, old = add_destination("mailer", TOPIC), [ListingKind.READ]
    run_in_transaction(lambda c: listings.schedule_listings(c, number, old, clock()))
    schedule_new_listings(clock())
    assert {p.kind for p in progress(number)} == set(old)
    keep_house(Heartbeat(clock.advance(timedelta(days=3))))
    assert {p.kind: p.next_at for p in progress(number)} == {
        ListingKind.PULL: clock(),
        ListingKind.SCAN: clock(),
        ListingKind.SWEEP: clock() + listings.FIRST_SWEEP_DELAY,
        ListingKind.READ: clock() - timedelta(days=3),
    }


def test_a_listing_that_a_tool_has_not_is_never_begun(clock: Clock) -> None:
    number = add_destination("drop", TOPIC, kind="file_drop")
    schedule_new_listings(clock())
    keep_house(Heartbeat(clock()))
    assert progress(number) == []


def test_a_listing_that_the_rate_limit_never_lets_through_is_shown_until_a_page_is_read(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:  # I3, I13: it waited for ever, and nobody saw it
    number, tool, begun_at = add_destination("mailer", TOPIC), TwoWayTool(), clock()
    reasons = []
    with monkeypatch.context() as busy:
        refuse(tool, busy, "pull", RateLimited("busy", retry_after=timedelta(minutes=5)))
        for _ in range(4):
            read(number, tool, ListingKind.PULL)
            reasons.append(_pull(number).reason)
            clock.advance(timedelta(minutes=5))
    assert reasons == ["", "", "busy", "busy"]
    (pending,) = run_in_transaction(list_pending)
    assert pending.unread_since == begun_at  # of the alert ReadingFails
    read(number, tool, ListingKind.PULL)
    assert _pull(number).reason == ""


def test_lists_wait_half_a_day_at_most_for_a_tool_whose_rate_limit_is_used_up(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:  # I3
    number, tool = add_destination("mailer", TOPIC), TwoWayTool()
    refuse(tool, monkeypatch, "pull", RateLimited("busy"))
    read(number, tool, ListingKind.PULL)
    assert look(number).pulled_at is None
    clock.advance(timedelta(hours=12, seconds=1))
    read(number, tool, ListingKind.PULL)
    assert look(number).pulled_at == clock()


def _pull(number: int) -> listings.ListingProgress:
    (found,) = [each for each in progress(number) if each.kind is ListingKind.PULL]
    return found
