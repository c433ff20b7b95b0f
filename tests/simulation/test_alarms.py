"""What the service reports as late is compared with who waits."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import timedelta

import pytest

from preference_center.core.deadlines import DeadlineStage
from preference_center.destinations.store.states import LateRows
from simulation.alarms import compare
from simulation.comparing import RETRIED, Comparison, Difference
from simulation.crew import Redis
from simulation.ground import Clock
from simulation.oracle import OptOut, Oracle
from simulation.people import NEWS, START, forms_of
from simulation.violation import Violation
from tests.simulation.idle_tool import idle_tool

FORM, *_ = forms_of(2)
AT_RISK, PAST_TARGET, OVERDUE = list(DeadlineStage)[1:]


def check(
    hours: float, stage: DeadlineStage | None, *, is_up: bool, is_mailed: bool = True
) -> None:
    """Somebody opted out so many hours ago, and one row in this stage is reported."""
    clock, oracle, tool = Clock(), Oracle(), idle_tool()
    oracle.add_opt_out(OptOut(FORM, NEWS, START, START, START))
    tool.good_since = START if is_up else None
    comparison = Comparison(oracle, {tool.name: tool}, {FORM: START}, Redis(clock), {})
    found = [Difference(tool, FORM, NEWS, START, caused=False)] if is_mailed else []
    late = [LateRows(tool.name, stage, 1, START, at_least=False, refused=0)] if stage else []
    compare(comparison, found, late, START + timedelta(hours=hours))


@pytest.mark.parametrize(
    "hours, stage, is_right",
    [
        (35, None, True),
        (35, AT_RISK, False),
        (37, AT_RISK, True),
        (37, None, False),
        (37, PAST_TARGET, False),
        (49, PAST_TARGET, True),
        (49, AT_RISK, False),
        (73, OVERDUE, True),
        (73, PAST_TARGET, False),
    ],
)
def test_who_waits_is_reported_in_their_stage(
    hours: float, stage: DeadlineStage | None, *, is_right: bool
) -> None:  # I3
    with nullcontext() if is_right else pytest.raises(Violation, match="I3"):
        check(hours, stage, is_up=False)


def test_nobody_is_reported_at_a_tool_that_has_long_been_up_and_mails_nobody() -> None:  # I3
    hours = 36 + RETRIED / timedelta(hours=1)
    check(hours, None, is_up=True, is_mailed=False)
    with pytest.raises(Violation, match="reported late"):
        check(hours, AT_RISK, is_up=True, is_mailed=False)
