"""Erasing people in tools, on real PostgreSQL and an injected clock (GDPR art. 19; I6)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from preference_center.contacts.rules.contact import ContactRef
from preference_center.core.events import ALL_MARKETING, EventKind
from preference_center.destinations.connect import connect
from preference_center.destinations.erase import erase_due
from preference_center.destinations.store import destinations
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.integrations.base.contract import (
    LINK_FIELD,
    DeliveryError,
    EraseItem,
    EraseMode,
    LeaseExpired,
    PushItem,
    PushOutcome,
    PushResult,
    RateLimited,
)
from preference_center.integrations.registry import get_spec
from preference_center.ledger.rules import RequestOrigin
from preference_center.rights.erasure.erase import erase_contacts, tidy_erasures
from preference_center.rights.rules.requests import Extent
from tests.clock import Clock
from tests.destinations.erasing_tool import (
    ErasingTool,
    begin_erasure,
    erase,
    erasing,
    set_task,
    suppress_and_begin,
    task,
)
from tests.destinations.steps import ANNA, BO, TOPIC, person, say, work
from tests.destinations.two_way_tool import add_destination

pytestmark = pytest.mark.usefixtures("in_context")

LATER = PushOutcome(PushResult.RETRY_LATER)


@pytest.fixture
def tool() -> ErasingTool:
    tool = ErasingTool()
    tool.add(ANNA, BO)
    return tool


def test_a_person_is_erased_once_suppressed_and_read_back(
    destination: int, tool: ErasingTool, clock: Clock
) -> None:
    suppress_and_begin(destination, tool)
    erase(destination, tool)
    assert ANNA not in tool.contacts
    assert BO in tool.contacts
    assert task("erased_at", ANNA) == clock()
    assert task("outcome", ANNA) == ""
    clock.advance(timedelta(minutes=5))
    erase(destination, tool)
    assert [name for name, _ in tool.calls] == ["erase", "read back"]
    assert task("outcome", ANNA) == "erased"
    assert task("confirmed_at", ANNA) == clock()
    assert task("next_at", ANNA) is None
    assert task("ack", ANNA) == "204"


def test_a_tool_is_never_made_to_erase_before_it_suppresses(
    destination: int, tool: ErasingTool, clock: Clock
) -> None:  # I6: a tool that forgets the opt-out must have had it
    def is_down(_: Sequence[PushItem]) -> None:
        raise DeliveryError("no answer")

    tool.before = is_down
    suppress_and_begin(destination, tool)
    for _ in range(24):
        erase(destination, tool)
        assert tool.calls == []
        assert task("suppressed_at", ANNA) is None
        clock.advance(timedelta(hours=1))
        work(destination, tool)
    tool.before = None
    clock.advance(timedelta(hours=1))
    work(destination, tool)
    clock.advance(timedelta(hours=1))
    erase(destination, tool)
    assert task("suppressed_at", ANNA) == clock()
    assert ANNA not in tool.contacts


def test_an_opt_out_that_is_newer_than_the_pushed_one_is_waited_for(
    destination: int, tool: ErasingTool
) -> None:  # I6
    suppress_and_begin(destination, tool)
    say(EventKind.OPTED_OUT, ANNA)
    erase(destination, tool)
    assert tool.calls == []


def test_who_must_be_suppressed_again_before_the_tool_could_erase_is_suppressed_first(
    destination: int, tool: ErasingTool, clock: Clock
) -> None:  # I6: the tool may have gained the contact again since, with everything on
    def fails(_: Sequence[EraseItem]) -> None:
        raise DeliveryError("no answer")

    tool.before_erase = fails
    suppress_and_begin(destination, tool)
    erase(destination, tool)
    assert task("suppressed_at", ANNA) == clock()
    tool.before_erase, tool.calls = None, []
    say(EventKind.OPTED_OUT, ANNA)
    clock.advance(timedelta(hours=1))
    erase(destination, tool)
    assert tool.calls == []
    assert task("suppressed_at", ANNA) is None
    work(destination, tool)
    clock.advance(timedelta(hours=1))
    erase(destination, tool)
    assert ANNA not in tool.contacts


@pytest.mark.parametrize("acts", [True, False])
@pytest.mark.parametrize("step", ["erase", "read back"])
def test_a_worker_that_is_killed_delays_an_erasure_and_no_more(
    destination: int, tool: ErasingTool, clock: Clock, step: str, *, acts: bool
) -> None:
    def die(batch: Sequence[EraseItem]) -> None:
        if acts:
            tool.delete(batch[0].address)
        raise KeyboardInterrupt

    suppress_and_begin(destination, tool)
    if step == "erase":
        tool.before_erase = die
    else:
        erase(destination, tool)
        clock.advance(timedelta(minutes=5))
        tool.before_read_back = lambda: die([EraseItem(0, ANNA, None)])  # type: ignore[arg-type]
    with suppress(KeyboardInterrupt):
        erase(destination, tool)
    assert task("lease", ANNA)
    tool.before_erase = tool.before_read_back = None
    assert erase(destination, tool) == 0, "its lease lasts"
    clock.advance(timedelta(seconds=90))
    erase(destination, tool)
    clock.advance(timedelta(minutes=5))
    erase(destination, tool)
    assert task("outcome", ANNA) in {"erased", "absent"}
    assert ANNA not in tool.contacts


def test_a_tool_that_is_down_for_a_day_erases_afterwards(
    destination: int, tool: ErasingTool, clock: Clock
) -> None:
    def is_down(_: Sequence[EraseItem]) -> None:
        raise DeliveryError("HTTP 503")

    suppress_and_begin(destination, tool)
    tool.before_erase = is_down
    for _ in range(24):
        erase(destination, tool)
        clock.advance(timedelta(hours=1))
    assert ANNA in tool.contacts
    assert task("by_hand_since", ANNA) is None
    assert len(tool.calls) <= 24
    found = run_in_transaction(lambda c: destinations.find_by_id(c, services().keys, destination))
    assert found
    assert found.allows_requests(clock()), "opt-outs go on (I3)"
    tool.before_erase = None
    erase(destination, tool)
    assert ANNA not in tool.contacts


def test_a_deletion_that_the_tool_does_later_is_asked_about_and_begun_once(
    destination: int, tool: ErasingTool, clock: Clock
) -> None:
    is_done = False

    def answer(batch: Sequence[EraseItem]) -> dict[int, PushOutcome]:
        minutes = timedelta(minutes=10)
        pending = PushOutcome(PushResult.RETRY_LATER, "202", minutes, job="job-1")
        return {i.ref: tool.delete(i.address) if is_done else pending for i in batch}

    suppress_and_begin(destination, tool)
    tool.before_erase = answer
    for _ in range(3):
        erase(destination, tool)
        assert task("job", ANNA) == "job-1"
        clock.advance(timedelta(minutes=9))
        assert erase(destination, tool) == 0, "not before the tool said"
        clock.advance(timedelta(minutes=1))
    is_done = True
    erase(destination, tool)
    assert tool.jobs == ["", "job-1", "job-1", "job-1"]
    assert task("job", ANNA) == ""
    assert task("erased_at", ANNA) == clock()


def test_a_job_is_remembered_over_a_failure(
    destination: int, tool: ErasingTool, clock: Clock
) -> None:
    answers = [{0: PushOutcome(PushResult.RETRY_LATER, job="job-1")}, {0: LATER}, {0: LATER}]
    suppress_and_begin(destination, tool)
    tool.before_erase = lambda _: answers.pop(0)
    for _ in range(3):
        erase(destination, tool)
        clock.advance(timedelta(minutes=2))
    assert tool.jobs == ["", "job-1", "job-1"]


def test_whom_the_tool_does_not_know_is_done(destination: int, tool: ErasingTool) -> None:
    del tool.contacts[ANNA]
    suppress_and_begin(destination, tool)
    erase(destination, tool)
    assert task("outcome", ANNA) == "absent"
    assert task("confirmed_at", ANNA)


def test_what_the_tool_still_holds_is_erased_again(
    destination: int, tool: ErasingTool, clock: Clock
) -> None:
    suppress_and_begin(destination, tool)
    erase(destination, tool)
    tool.add(ANNA)
    clock.advance(timedelta(minutes=5))
    erase(destination, tool)
    assert task("erased_at", ANNA) is None
    clock.advance(timedelta(minutes=5))
    erase(destination, tool)
    assert ANNA not in tool.contacts
    clock.advance(timedelta(minutes=5))
    erase(destination, tool)
    assert task("outcome", ANNA) == "erased"


def test_two_workers_erase_nobody_twice(destination: int, tool: ErasingTool) -> None:
    suppress_and_begin(destination, tool, ANNA, BO)
    other = ErasingTool(contacts=tool.contacts)

    def work_beside(_: Sequence[EraseItem]) -> None:
        erase(destination, other)

    tool.before_erase = work_beside
    erase(destination, tool)
    ((name, erased),) = tool.calls
    assert (name, sorted(erased)) == ("erase", sorted([ANNA, BO]))
    assert other.calls == []


def test_a_tool_that_holds_only_the_suppression_is_done_once_it_has_it(
    destination: int, tool: ErasingTool, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ErasingTool, "capabilities", erasing(EraseMode.NOTHING_HELD))
    say(EventKind.OPTED_OUT, ANNA, ALL_MARKETING)
    begin_erasure(destination, ANNA)
    erase(destination, tool)
    assert task("outcome", ANNA) == ""
    work(destination, tool)
    clock.advance(timedelta(minutes=1))
    erase(destination, tool)
    assert task("outcome", ANNA) == "nothing_held"
    assert tool.calls == []


def test_the_link_is_removed_before_the_person(
    destination: int, tool: ErasingTool, monkeypatch: pytest.MonkeyPatch
) -> None:
    links: list[str] = []
    tool.contacts[ANNA] = "https://choices.example.com/p/token"
    tool.before_erase = lambda _: links.append(tool.contacts[ANNA])
    run_in_transaction(
        lambda c: destinations.set_settings(c, services().keys, "mailer", {LINK_FIELD: "link"})
    )
    suppress_and_begin(destination, tool)
    erase(destination, tool)
    assert links == [""]

    later = {0: PushOutcome(PushResult.RETRY_LATER)}
    monkeypatch.setattr(ErasingTool, "write_field", lambda *_: later)
    suppress_and_begin(destination, tool, BO)
    erase(destination, tool)
    assert links == [""]
    assert BO in tool.contacts


def test_a_person_on_whom_the_connector_fails_holds_up_nobody(
    destination: int, tool: ErasingTool
) -> None:
    def fail_on_bo(batch: Sequence[EraseItem]) -> None:
        if any(item.address == BO for item in batch):
            raise KeyError("contact")

    tool.before_erase = fail_on_bo
    suppress_and_begin(destination, tool, ANNA, BO)
    erase(destination, tool)
    assert ANNA not in tool.contacts
    assert BO in tool.contacts
    assert task("attempts", BO) == 1


@pytest.mark.parametrize("error", [LeaseExpired("late"), RateLimited("full")])
def test_a_task_that_was_not_tried_is_as_it_was(
    destination: int, tool: ErasingTool, clock: Clock, error: Any
) -> None:
    def stop(_: Sequence[EraseItem]) -> None:
        clock.advance(timedelta(seconds=10))
        raise error

    suppress_and_begin(destination, tool)
    tool.before_erase = stop
    erase(destination, tool)
    assert task("attempts", ANNA) == 0
    assert task("lease", ANNA) is None
    tool.before_erase = None
    erase(destination, tool)
    assert ANNA not in tool.contacts


def test_a_worker_that_lost_its_lease_settles_nothing(destination: int, tool: ErasingTool) -> None:
    other = uuid4()
    suppress_and_begin(destination, tool)
    tool.before_erase = lambda _: set_task(other)
    erase(destination, tool)
    assert task("lease", ANNA) == other
    assert task("erased_at", ANNA) is None


def test_what_nobody_can_read_any_more_is_not_erased(destination: int, tool: ErasingTool) -> None:
    suppress_and_begin(destination, tool)
    run_in_transaction(lambda c: c.execute("UPDATE erasure SET ciphertext = NULL"))
    assert erase(destination, tool) == 0
    assert tool.calls == []


def erase_person(address: str = ANNA) -> None:
    """Erase a person here, as a request of theirs does."""
    now = services().now()
    ref = ContactRef(address=person(address))
    erase_contacts([ref], Extent.ACCOUNT, origin=RequestOrigin("test", "test", now))


def test_a_person_who_is_erased_here_is_suppressed_and_erased_there_and_forgotten(
    destination: int, tool: ErasingTool, clock: Clock
) -> None:
    say(EventKind.OPTED_IN)
    erase_person()
    assert work(destination, tool) == 1
    assert tool.off == {ANNA: {TOPIC}}
    erase(destination, tool)
    clock.advance(timedelta(minutes=5))
    erase(destination, tool)
    assert ANNA not in tool.contacts
    tidy_erasures(clock())
    readable = run_in_transaction(
        lambda c: c.execute("SELECT ciphertext FROM erasure WHERE finished_at IS NOT NULL")
    ).fetchall()
    assert readable == [(None,)]


def test_who_was_erased_there_is_not_pushed_again_while_others_are_open(
    destination: int, tool: ErasingTool, clock: Clock
) -> None:  # a tool that adds everybody that it is sent would hold the person again
    other = add_destination("other", TOPIC)
    say(EventKind.OPTED_IN)
    erase_person()
    work(destination, tool)
    erase(destination, tool)
    clock.advance(timedelta(minutes=5))
    erase(destination, tool)
    tidy_erasures(clock())
    pushes = len(tool.pushes)
    say(EventKind.OPTED_OUT)
    work(destination, tool)
    assert len(tool.pushes) == pushes
    assert work(other, tool) == 1


def test_a_tool_that_only_reports_is_a_task_for_a_person(in_context: None) -> None:
    reports = add_destination("reports", kind="mailtrap", pulls=False)
    run_in_transaction(lambda c: c.execute("UPDATE destination SET channels = '{}'"))
    say(EventKind.OPTED_IN)
    erase_person()
    until = services().now() + timedelta(seconds=5)
    erase_due(reports, connect, until=until, stop=lambda: False)
    note = get_spec("mailtrap").capabilities.erase_note
    assert (task("reason", ANNA), task("by_hand_since", ANNA)) == (note, services().now())
