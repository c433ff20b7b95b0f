"""What the simulation finds while the service calls a tool ends the run."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from preference_center.core.events import ALL_MARKETING, EventKind
from preference_center.integrations.base.contract import EraseItem, PushItem
from simulation.violation import Violation
from tests.destinations.erasing_tool import ErasingTool, begin_erasure, erase
from tests.destinations.steps import ANNA, TOPIC, say, work
from tests.destinations.two_way_tool import add_destination

pytestmark = pytest.mark.usefixtures("in_context")


def find(_: Sequence[PushItem | EraseItem]) -> None:
    raise Violation("I6: found")


@pytest.fixture
def tool() -> ErasingTool:
    tool = ErasingTool()
    tool.add(ANNA)
    return tool


def test_a_violation_found_by_a_push_is_not_handled_as_a_failure_of_the_tool(
    tool: ErasingTool,
) -> None:
    destination = add_destination("mailer", TOPIC, pulls=False)
    say(EventKind.OPTED_OUT, ANNA, ALL_MARKETING)
    tool.before = find
    with pytest.raises(Violation):
        work(destination, tool)


def test_a_violation_found_by_an_erasure_is_not_handled_as_a_failure_of_the_tool(
    tool: ErasingTool,
) -> None:
    destination = add_destination("mailer", TOPIC, pulls=False, kind="tool")
    say(EventKind.OPTED_OUT, ANNA, ALL_MARKETING)
    work(destination, tool)
    begin_erasure(destination, ANNA)
    tool.before_erase = find
    with pytest.raises(Violation):
        erase(destination, tool)
