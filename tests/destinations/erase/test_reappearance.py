"""An erased person whom a tool shows again is suppressed and erased there once more (I6, I13)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from preference_center.contacts.rules.contact import ContactRef
from preference_center.core.events import EventKind
from preference_center.destinations.rules.states import DestinationStatus
from preference_center.destinations.store import destinations
from preference_center.destinations.store.listings import ListingKind
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.integrations.base.contract import PushItem, PushOutcome
from preference_center.rights.erasure.erase import erase_contacts, tidy_erasures
from preference_center.rights.erasure.store import READABLE_FOR
from preference_center.rights.rules.requests import Extent
from tests.clock import Clock
from tests.destinations.erasing_tool import ErasingTool, erase
from tests.destinations.steps import ANNA, BO, OTHER, TOPIC, person, read, say, work
from tests.destinations.two_way_tool import add_destination
from tests.rights.erasing import origin, row, rows, tables_with

pytestmark = pytest.mark.usefixtures("in_context")

DAY = timedelta(days=1)


@pytest.fixture
def tool() -> ErasingTool:
    tool = ErasingTool()
    tool.add(ANNA)
    return tool


@pytest.fixture
def destination() -> int:
    return add_destination("mailer", TOPIC, OTHER, pulls=False)


def begin(extent: Extent = Extent.ACCOUNT) -> None:
    erase_contacts([ContactRef(address=person(ANNA))], extent, origin=origin())


def finish(destination: int, tool: ErasingTool, clock: Clock) -> None:
    """Push, erase and read back until nothing is open."""
    for _ in range(4):
        work(destination, tool)
        erase(destination, tool)
        clock.advance(timedelta(minutes=10))
    tidy_erasures(clock())


def gone(destination: int, tool: ErasingTool, clock: Clock) -> None:
    """Erased everywhere, and forgotten."""
    begin()
    finish(destination, tool, clock)
    assert ANNA not in tool.contacts
    assert tables_with(ANNA) == set()


def scan(destination: int, tool: ErasingTool) -> None:
    read(destination, tool, ListingKind.SCAN)


def open_tasks() -> list[tuple[Any, ...]]:
    return rows("SELECT destination FROM erasure_task WHERE outcome = ''")


def test_who_comes_back_in_a_tool_is_suppressed_and_erased_there(
    destination: int, tool: ErasingTool, clock: Clock
) -> None:
    add_destination("other", TOPIC, pulls=False)
    begin()
    run_in_transaction(
        lambda c: c.execute(
            "UPDATE erasure_task SET outcome = 'absent', next_at = NULL WHERE destination = 'other'"
        )
    )
    finish(destination, tool, clock)
    clock.advance(DAY)
    tool.add(ANNA)
    scan(destination, tool)
    assert open_tasks() == [("mailer",)]
    assert tables_with(ANNA) == {"erasure"}
    finish(destination, tool, clock)
    assert ANNA not in tool.contacts
    assert tables_with(ANNA) == set()


def test_the_address_is_kept_for_30_days_at_most(
    destination: int, tool: ErasingTool, clock: Clock
) -> None:
    gone(destination, tool, clock)
    tool.add(ANNA)
    scan(destination, tool)
    assert tables_with(ANNA) == {"erasure"}
    clock.advance(READABLE_FOR)
    tidy_erasures(clock())
    assert tables_with(ANNA) == set()


def test_a_scan_that_shows_it_again_and_again_opens_one_task(
    destination: int, tool: ErasingTool, clock: Clock
) -> None:
    gone(destination, tool, clock)
    for _ in range(3):
        tool.add(ANNA)
        scan(destination, tool)
        clock.advance(timedelta(minutes=20))
    assert open_tasks() == [("mailer",)]
    assert row("SELECT count(*) FROM erasure") == (2,)


def test_an_erasure_that_is_under_way_elsewhere_is_used(
    destination: int, tool: ErasingTool, clock: Clock
) -> None:
    add_destination("other", TOPIC, pulls=False)
    begin()
    finish(destination, tool, clock)  # the other one is not brought to it
    clock.advance(DAY)
    tool.add(ANNA)
    scan(destination, tool)
    assert sorted(open_tasks()) == [("mailer",), ("other",)]
    assert row("SELECT count(*) FROM erasure") == (1,)


def test_what_was_erased_a_minute_ago_may_still_be_shown(
    destination: int, tool: ErasingTool, clock: Clock
) -> None:
    begin()
    work(destination, tool)
    clock.advance(timedelta(minutes=1))
    erase(destination, tool)
    clock.advance(timedelta(minutes=10))
    erase(destination, tool)
    tidy_erasures(clock())
    tool.add(ANNA)
    scan(destination, tool)
    assert open_tasks() == []


def test_what_a_person_erased_by_hand_is_suppressed_and_asked_of_nobody_again(
    destination: int, tool: ErasingTool, clock: Clock
) -> None:
    begin()
    run_in_transaction(
        lambda c: c.execute("UPDATE erasure_task SET outcome = 'by_hand', next_at = NULL")
    )
    tidy_erasures(clock())
    clock.advance(DAY)
    scan(destination, tool)
    assert open_tasks() == []
    assert tool.off[ANNA] == {TOPIC, OTHER}
    assert tables_with(ANNA) == set()


def test_nothing_is_opened_where_nothing_may_be_written(
    destination: int, tool: ErasingTool, clock: Clock
) -> None:
    gone(destination, tool, clock)
    run_in_transaction(lambda c: destinations.set_status(c, destination, DestinationStatus.OBSERVE))
    tool.add(ANNA)
    scan(destination, tool)
    assert tables_with(ANNA) == set()


def test_others_are_left_alone(destination: int, tool: ErasingTool, clock: Clock) -> None:
    gone(destination, tool, clock)
    say(EventKind.OPTED_OUT, BO)
    tool.add(BO)
    scan(destination, tool)
    assert open_tasks() == []
    assert BO in tool.contacts


def test_an_erased_person_gets_no_permanent_link_again(tool: ErasingTool, clock: Clock) -> None:
    destination = add_destination("mailer", TOPIC, link_field="choices", pulls=False)
    scan(destination, tool)
    assert tool.contacts[ANNA]
    begin()
    tool.contacts[ANNA] = ""
    tool.add(ANNA)
    clock.advance(DAY)
    scan(destination, tool)
    assert tool.contacts.get(ANNA, "") == ""


def test_a_worker_that_pushes_during_the_erasure_does_not_settle_it(
    destination: int, tool: ErasingTool, clock: Clock
) -> None:  # I6: it has read the state from before
    say(EventKind.OPTED_OUT, ANNA, TOPIC)

    def erase_meanwhile(_: Sequence[PushItem]) -> dict[int, PushOutcome] | None:
        tool.before = None
        begin()
        return None

    tool.before = erase_meanwhile
    work(destination, tool)
    work(destination, tool)
    assert tool.off[ANNA] == {TOPIC, OTHER}
    finish(destination, tool, clock)
    assert ANNA not in tool.contacts
    assert tables_with(ANNA) == set()
