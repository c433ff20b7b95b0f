"""What only Ghost itself can show: its filters, its events, and what makes none."""

from __future__ import annotations

from typing import cast

import pytest

from preference_center.integrations.base.contract import (
    ContactPage,
    ContactSnapshot,
    DestinationConfig,
    PushResult,
)
from preference_center.integrations.base.http import HttpContext, utc_now
from preference_center.integrations.base.vendor_events import VendorEvent, VendorEventKind
from preference_center.integrations.ghost.connector import Ghost
from preference_center.integrations.registry import make_connector
from tests.integrations.both_ways_contract import whole
from tests.integrations.contract import off, results
from tests.real.conftest import Start
from tests.real.tools.ghost import Ghost as Site
from tests.real.tools.running import NEWS, OFFERS

ANNA, BO = "anna@example.com", "bo@example.com"


@pytest.fixture
def site(start: Start) -> Site:
    site = cast("Site", start("ghost"))
    site.forget()
    return site


def connect(site: Site) -> Ghost:
    topics = {"news": site.mapping[NEWS], "offers": site.mapping[OFFERS]}
    return cast(
        "Ghost",
        make_connector(
            "ghost",
            DestinationConfig("blog", site.settings, topics),
            HttpContext(allow_private=True),
        ),
    )


def test_a_member_is_found_in_whatever_case_they_signed_up(site: Site) -> None:  # I9
    site.add("Anna@Example.com", "ANNA@example.com", "joanna@example.com", "Ünal@example.com")
    assert site.found(f"email:'{ANNA}'") == [], "so that equality alone will not do"
    items = [off(1, ANNA, "news"), off(2, "Ünal@example.com", "offers")]
    assert results(connect(site).push(items)) == {1: PushResult.REFLECTED, 2: PushResult.REFLECTED}
    assert site.off("Anna@Example.com") == site.off("ANNA@example.com") == {NEWS}
    assert site.off("Ünal@example.com") == {OFFERS}
    assert site.off("joanna@example.com") == set()


def test_who_was_unsubscribed_in_bulk_is_found_by_the_sweep_alone(site: Site) -> None:  # I13
    site.add(ANNA)
    site.add(BO, newsletters=[site.mapping[OFFERS]])
    site.turn_off_in_bulk(NEWS)
    connector = connect(site)
    assert whole(connector.pull)[0] == []
    assert whole(connector.scan)[0] == [
        ContactSnapshot(ANNA, off=frozenset({"news"})),
        ContactSnapshot(BO, off=frozenset()),
    ], "who never had it did not opt out"


def test_an_opt_out_comes_with_its_time_and_who_made_it(site: Site) -> None:  # I5, I13
    site.add(ANNA, BO)
    connector = connect(site)
    before = utc_now().replace(microsecond=0)
    site.turn_off(ANNA, NEWS)
    connector.push([off(1, BO, "offers")])
    found = {event.address: event for event in whole(connector.pull)[0]}
    assert found[ANNA].by_person
    assert not found[BO].by_person, "our own"
    for event in found.values():
        assert event.occurred_at is not None
        assert before <= event.occurred_at <= utc_now()
    at = found[ANNA].occurred_at
    assert found[ANNA] == VendorEvent(
        VendorEventKind.OPTED_OUT, ANNA, site.mapping[NEWS], at, by_person=True
    )


def test_events_are_listed_over_as_many_pages_as_it_takes(site: Site) -> None:
    """Several share a second."""
    everybody = [f"p{n}@example.com" for n in range(60)]
    site.add(*everybody)
    connector = connect(site)
    for start in (0, 50):
        connector.push(
            [off(n, a, "news", "offers") for n, a in enumerate(everybody[start : start + 50])]
        )
    pages: list[ContactPage[VendorEvent]] = []
    cursor = None
    while not pages or not pages[-1].done:
        pages.append(connector.pull(cursor))
        cursor = pages[-1].cursor
    assert len(pages) > 1
    assert {(n.address, n.target) for page in pages for n in page.rows} == {
        (address, id_) for address in everybody for id_ in site.mapping.values()
    }


def test_an_archived_newsletter_makes_nobody_opt_out(site: Site) -> None:  # I13
    site.add(ANNA)
    site.set_status(site.mapping[NEWS], "archived")
    try:
        assert site.off(ANNA) == {NEWS}, "it is in nobody's list"
        connector = connect(site)
        assert whole(connector.scan)[0] == [ContactSnapshot(ANNA, off=frozenset())]
        assert any("not active" in problem for problem in connector.check().problems)
    finally:
        site.set_status(site.mapping[NEWS], "active")


def test_newsletters_that_are_not_mapped_stay_as_they_are(site: Site) -> None:  # I13
    other = site.make_newsletter("acme.events")
    archived = site.make_newsletter("acme.old")
    site.add(ANNA, newsletters=[*site.mapping.values(), other, archived])
    site.set_status(archived, "archived")
    connect(site).push([off(1, ANNA, "news", "offers")])
    site.set_status(archived, "active")
    member = site.member(ANNA)
    assert member
    assert {each["id"] for each in member["newsletters"]} == {other, archived}
    for each in (other, archived):
        site.set_status(each, "archived")
