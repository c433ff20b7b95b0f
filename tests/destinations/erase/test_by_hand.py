"""Erasures that a tool's API can't do, or that wait for somebody, are tasks of a person (I6)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

from preference_center.destinations.erase import NO_NOTE
from preference_center.destinations.rules.states import DestinationStatus
from preference_center.destinations.store import destinations, erasure_tasks
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.integrations.base.contract import (
    DeliveryError,
    EraseItem,
    EraseMode,
    PushOutcome,
    PushResult,
    RequestRejected,
)
from tests.clock import Clock
from tests.destinations.erasing_tool import (
    NOTE,
    ErasingTool,
    erase,
    erasing,
    suppress_and_begin,
    task,
)
from tests.destinations.steps import ANNA, BO
from tests.destinations.two_way_tool import TwoWayTool

pytestmark = pytest.mark.usefixtures("in_context")


@pytest.fixture
def tool() -> ErasingTool:
    tool = ErasingTool()
    tool.add(ANNA, BO)
    return tool


def set_status(destination: int, status: DestinationStatus) -> None:
    run_in_transaction(lambda c: destinations.set_status(c, destination, status))


def hand_over() -> None:
    run_in_transaction(lambda c: erasure_tasks.hand_over_inactive(c, services().now()))


def test_whom_the_tool_refuses_to_suppress_is_left_to_a_person(
    destination: int, tool: ErasingTool
) -> None:
    tool.before = lambda batch: {item.ref: PushOutcome(PushResult.REFUSED) for item in batch}
    suppress_and_begin(destination, tool)
    erase(destination, tool)
    assert tool.calls == []
    assert task("by_hand_since", ANNA)
    assert task("reason", ANNA) == f"The tool refuses the opt-out of this address. {NOTE}"


def test_what_the_api_will_not_delete_is_left_to_a_person(
    destination: int, tool: ErasingTool
) -> None:
    suppress_and_begin(destination, tool)
    tool.before_erase = lambda batch: {
        item.ref: PushOutcome(PushResult.REFUSED, "staff member") for item in batch
    }
    erase(destination, tool)
    assert task("reason", ANNA) == f"The tool did not delete it (staff member). {NOTE}"
    assert task("by_hand_since", ANNA)
    assert task("next_at", ANNA) is None


def test_a_missing_right_is_reported_at_once_and_the_erasure_done_when_it_is_there(
    destination: int, tool: ErasingTool, clock: Clock
) -> None:
    def forbid(_: Sequence[EraseItem]) -> None:
        raise DeliveryError("mailer: HTTP 403", permanent=True)

    suppress_and_begin(destination, tool)
    tool.before_erase = forbid
    erase(destination, tool)
    assert task("by_hand_since", ANNA)
    assert task("reason", ANNA) == f"mailer: HTTP 403. {NOTE}"
    tool.before_erase = None
    clock.advance(timedelta(days=1))
    erase(destination, tool)
    clock.advance(timedelta(minutes=5))
    erase(destination, tool)
    assert task("outcome", ANNA) == "erased"
    assert task("by_hand_since", ANNA) is None


def test_a_request_that_the_tool_rejects_is_left_to_a_person_and_tried_daily(
    destination: int, tool: ErasingTool, clock: Clock
) -> None:
    def reject(_: Sequence[EraseItem]) -> None:
        raise RequestRejected("mailer: HTTP 400", 400)

    suppress_and_begin(destination, tool)
    tool.before_erase = reject
    erase(destination, tool)
    assert task("by_hand_since", ANNA)
    assert task("next_at", ANNA) > clock() + timedelta(hours=22)


def test_a_tool_that_can_not_erase_leaves_it_to_a_person_at_once(
    destination: int, tool: ErasingTool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ErasingTool, "capabilities", erasing(EraseMode.BY_HAND))
    suppress_and_begin(destination, tool)
    erase(destination, tool)
    assert tool.calls == []
    assert task("by_hand_since", ANNA)
    assert task("reason", ANNA) == NOTE
    assert task("next_at", ANNA) is None


def test_a_connector_that_declares_nothing_leaves_it_to_a_person(
    destination: int, tool: ErasingTool, monkeypatch: pytest.MonkeyPatch
) -> None:  # as one of another distribution may
    monkeypatch.setattr(ErasingTool, "capabilities", TwoWayTool.capabilities)
    suppress_and_begin(destination, tool)
    erase(destination, tool)
    assert tool.calls == []
    assert task("reason", ANNA) == NO_NOTE


def test_a_tool_whose_credential_for_erasing_is_missing_leaves_it_to_a_person(
    destination: int, tool: ErasingTool, monkeypatch: pytest.MonkeyPatch
) -> None:
    can = erasing(EraseMode.KEEPS_OPT_OUT, erase_setting="account_token")
    monkeypatch.setattr(ErasingTool, "capabilities", can)
    suppress_and_begin(destination, tool)
    erase(destination, tool)
    assert tool.calls == []
    assert task("reason", ANNA) == f"The destination has no account_token. {NOTE}"


@pytest.mark.parametrize("status", [DestinationStatus.PAUSED, DestinationStatus.OBSERVE])
def test_tasks_of_a_destination_that_is_not_active_are_a_persons_until_it_is(
    destination: int, tool: ErasingTool, clock: Clock, status: DestinationStatus
) -> None:
    suppress_and_begin(destination, tool)
    set_status(destination, status)
    hand_over()
    since = task("by_hand_since", ANNA)
    assert since == clock()
    assert task("reason", ANNA) == erasure_tasks.NOT_ACTIVE
    assert erase(destination, tool) == 0
    clock.advance(timedelta(days=1))
    hand_over()
    assert task("by_hand_since", ANNA) == since
    set_status(destination, DestinationStatus.ACTIVE)
    erase(destination, tool)
    assert ANNA not in tool.contacts


def test_tasks_of_a_destination_that_was_removed_are_a_persons(
    destination: int, tool: ErasingTool
) -> None:
    suppress_and_begin(destination, tool)
    run_in_transaction(lambda c: c.execute("DELETE FROM destination WHERE id = %s", (destination,)))
    hand_over()
    assert task("by_hand_since", ANNA)
    assert task("reason", ANNA) == erasure_tasks.REMOVED
    assert task("next_at", ANNA) is None
