"""Lists at a tool that is slow by the address go by passes over its contacts (I3, I13)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import ClassVar
from uuid import uuid4

import pytest

from preference_center.core.events import ALL_MARKETING, Change, EventKind
from preference_center.destinations.store import destinations, states
from preference_center.destinations.store.backfills import backfill, claim_bulk_rows
from preference_center.destinations.store.listings import ListingKind
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.integrations.base.contract import (
    Capabilities,
    ContactPage,
    ContactSnapshot,
    ListingMode,
    PushItem,
    PushOutcome,
    PushResult,
    RateLimited,
)
from preference_center.ledger import record
from tests.clock import Clock
from tests.destinations.steps import (
    ANNA,
    BO,
    CY,
    OTHER,
    TOPIC,
    begin,
    outcomes,
    person,
    read,
    say,
    state,
    work,
)
from tests.destinations.two_way_tool import TwoWayTool, add_destination
from workers.scheduler import scan_backfill_kinds

pytestmark = pytest.mark.usefixtures("in_context")
DONE_BY = timedelta(hours=6)


@dataclass
class SlowTool(TwoWayTool):
    """Shows who is off; takes many at once by a job that is done when `finish` is called."""

    capabilities: ClassVar[Capabilities] = replace(
        TwoWayTool.capabilities,
        scans=ListingMode.FULL,
        can_write_fields=False,
        can_hold_link=False,
        backfills_by_scan=True,
    )
    imports: bool = True
    busy: bool = False
    jobs: list[list[PushItem]] = field(default_factory=list)
    pushed: list[str] = field(default_factory=list)
    scanned: int = 0

    def scan(self, cursor: str | None) -> ContactPage[ContactSnapshot]:
        self.scanned += 1
        start, everybody = int(cursor or 0), list(self.contacts)
        rows = [
            ContactSnapshot(
                address, off=frozenset(self.off.get(address, ())), connector_data=address
            )
            for address in everybody[start : start + 2]
        ]
        done = start + 2 >= len(everybody)
        return ContactPage(tuple(rows), None if done else str(start + 2), done=done)

    def push_scanned(
        self, batch: Sequence[tuple[PushItem, ContactSnapshot]]
    ) -> Mapping[int, PushOutcome]:
        if self.busy:
            raise RateLimited("busy", retry_after=timedelta(seconds=30))
        found, left = {}, []
        for item, seen in batch:
            assert seen.connector_data == item.address
            if item.off <= (seen.off or frozenset()):
                found[item.ref] = PushOutcome(PushResult.REFLECTED, "as listed")
            elif self.imports:
                found[item.ref] = PushOutcome(PushResult.RETRY_LATER, "import 1", DONE_BY)
                left.append(item)
            else:
                found[item.ref] = PushOutcome(PushResult.RETRY_LATER, "one by one")
        if left:
            self.jobs.append(left)
        return found

    def push(self, batch: Sequence[PushItem]) -> Mapping[int, PushOutcome]:
        self.pushed += [item.address for item in batch]
        return super().push(batch)

    def finish(self, *lost: str) -> None:
        """The jobs are done, but for some addresses."""
        for job in self.jobs:
            self.apply([item for item in job if item.address not in lost])
        self.jobs.clear()


def import_no(address: str) -> None:
    now = services().now()
    change = Change(
        uuid4(), EventKind.OPTED_OUT, person(address), TOPIC, now, now, "import", "test"
    )
    record([change], bulk=True)


@pytest.fixture
def tool() -> SlowTool:
    return SlowTool()


@pytest.fixture
def destination(tool: SlowTool) -> int:
    """Joined after Anna, Bo and Cy opted out; only Anna and Bo are its contacts."""
    for address in (ANNA, BO, CY):
        say(EventKind.OPTED_OUT, address)
    tool.add(ANNA, BO)
    number = add_destination("mailer", TOPIC, OTHER, kind="ses")
    backfill(number)
    run_in_transaction(lambda c: destinations.mark_pulled(c, number, services().now()))
    return number


def test_a_pass_imports_who_is_there_and_finds_the_others_absent(
    destination: int, tool: SlowTool, clock: Clock
) -> None:
    read(destination, tool, ListingKind.SCAN)
    assert {item.address for job in tool.jobs for item in job} == {ANNA, BO}
    assert outcomes(CY) == [PushResult.ABSENT]
    assert state(CY, "due_at") is None
    assert state(ANNA, "due_at") is not None  # not done until it is seen (I3)
    tool.finish()
    clock.advance(timedelta(hours=1))
    read(destination, tool, ListingKind.SCAN)
    assert outcomes(ANNA)[-1] == PushResult.REFLECTED
    assert state(ANNA, "due_at") is None
    assert tool.pushed == []
    assert tool.off == {ANNA: {TOPIC}, BO: {TOPIC}}


def test_who_is_off_there_already_is_settled_by_the_page(destination: int, tool: SlowTool) -> None:
    tool.off[ANNA] = {TOPIC}
    read(destination, tool, ListingKind.SCAN)
    assert outcomes(ANNA) == [PushResult.REFLECTED]
    assert {item.address for job in tool.jobs for item in job} == {BO}


def test_who_an_import_failed_for_is_reported_alone(
    destination: int, tool: SlowTool, clock: Clock
) -> None:  # I3: a lost job costs hours, and is retried
    read(destination, tool, ListingKind.SCAN)
    tool.finish(BO)
    clock.advance(timedelta(hours=1))
    read(destination, tool, ListingKind.SCAN)
    work(destination, tool)
    assert tool.pushed == []
    clock.advance(DONE_BY)
    work(destination, tool)
    assert tool.pushed == [BO]
    assert outcomes(BO)[-1] == PushResult.REFLECTED


def test_without_a_job_of_the_tool_only_those_who_are_there_are_pushed(
    destination: int, tool: SlowTool, clock: Clock
) -> None:
    tool.imports = False
    assert work(destination, tool) == 0
    read(destination, tool, ListingKind.SCAN)
    clock.advance(timedelta(minutes=10))
    work(destination, tool)
    assert sorted(tool.pushed) == [ANNA, BO]
    assert outcomes(CY) == [PushResult.ABSENT]


def test_a_click_waits_for_no_pass(destination: int, tool: SlowTool) -> None:  # I3
    say(EventKind.OPTED_OUT, ANNA, ALL_MARKETING)
    assert work(destination, tool) == 1
    assert tool.off[ANNA] == {TOPIC, OTHER}


def test_a_page_waits_while_the_tool_is_busy_and_nobody_is_called_absent(
    destination: int, tool: SlowTool, clock: Clock
) -> None:
    tool.busy = True
    read(destination, tool, ListingKind.SCAN)
    assert outcomes(CY) == []
    tool.busy = False
    clock.advance(timedelta(minutes=1))
    read(destination, tool, ListingKind.SCAN)
    assert {item.address for job in tool.jobs for item in job} == {ANNA, BO}
    assert outcomes(CY) == [PushResult.ABSENT]


def test_who_opts_out_while_a_pass_goes_on_is_not_called_absent_by_it(
    destination: int, tool: SlowTool, clock: Clock
) -> None:
    late = "late@example.com"
    tool.contacts.pop(BO)
    tool.add(late, BO)  # two pages
    begin(destination)
    tool.busy = True
    read(destination, tool, ListingKind.SCAN)  # begun
    tool.busy = False
    clock.advance(timedelta(minutes=1))
    import_no("other@example.com")
    read(destination, tool, ListingKind.SCAN)
    assert outcomes("other@example.com") == []
    clock.advance(timedelta(minutes=10))
    read(destination, tool, ListingKind.SCAN)
    assert outcomes("other@example.com") == [PushResult.ABSENT]


@pytest.mark.parametrize("creates, found", [("no", [PushResult.ABSENT]), ("yes", [])])
def test_who_was_claimed_by_a_worker_that_died_and_is_gone_is_settled_by_the_next_pass(
    tool: SlowTool, clock: Clock, creates: str, found: list[PushResult]
) -> None:  # I3
    say(EventKind.OPTED_OUT, BO)
    number = add_destination("mailer", TOPIC, kind="ses", create_contacts=creates)
    backfill(number)
    run_in_transaction(lambda c: destinations.mark_pulled(c, number, clock()))
    ends_at, ref = clock() + timedelta(seconds=90), state(BO, "address_id")
    run_in_transaction(
        lambda c: claim_bulk_rows(c, number, uuid4(), [ref], now=clock(), until=ends_at)
    )
    read(number, tool, ListingKind.SCAN)
    assert outcomes(BO) == []
    assert (state(BO, "bulk"), state(BO, "next_at")) == (True, ends_at)  # its lease has not ended
    clock.advance(timedelta(hours=2))
    read(number, tool, ListingKind.SCAN)
    assert outcomes(BO) == found
    assert state(BO, "lease") is None
    assert state(BO, "bulk") is (creates == "no")


def test_somebody_absent_who_comes_later_is_suppressed(
    destination: int, tool: SlowTool, clock: Clock
) -> None:  # I13
    read(destination, tool, ListingKind.SCAN)
    tool.add(CY)
    for _ in range(2):  # seen by the first pass, brought by the next, which begins soon
        clock.advance(timedelta(hours=1))
        read(destination, tool, ListingKind.SCAN)
    assert CY in {item.address for job in tool.jobs for item in job}


def test_where_contacts_are_to_be_created_nobody_is_absent(tool: SlowTool, clock: Clock) -> None:
    say(EventKind.OPTED_OUT, CY)
    number = add_destination("mailer", TOPIC, kind="ses", create_contacts="yes")
    backfill(number)
    run_in_transaction(lambda c: destinations.mark_pulled(c, number, services().now()))
    read(number, tool, ListingKind.SCAN)
    work(number, tool)
    assert tool.pushed == [CY]


def test_what_the_tool_reports_itself_is_read_first(tool: SlowTool) -> None:  # I13
    say(EventKind.OPTED_OUT, ANNA)
    tool.add(ANNA)
    number = add_destination("mailer", TOPIC, kind="ses")
    backfill(number)
    read(number, tool, ListingKind.SCAN)
    assert tool.jobs == []
    assert outcomes(ANNA) == []


def test_lists_that_wait_for_a_pass_keep_no_worker_busy(destination: int) -> None:
    assert run_in_transaction(scan_backfill_kinds) == ["ses"]
    now = services().now()
    assert run_in_transaction(lambda c: states.list_due(c, now, scan_backfill_kinds(c))) == []
    assert [due.bulk for due in run_in_transaction(lambda c: states.list_due(c, now))] == [3]
