"""What the checks count as uncertain."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from preference_center.infra.context import EXTENSION_NAME, services
from simulation.checking import Checks
from simulation.comparing import Comparison
from simulation.crew import Redis
from simulation.excuses import Excuse
from simulation.ground import Clock
from simulation.oracle import OptOut, Oracle
from simulation.people import EVER, NEWS, START, Form
from simulation.violation import Violation
from tests.simulation.idle_tool import idle_tool

pytestmark = pytest.mark.usefixtures("in_context")

WHO = Form(2, "only", "only2@example.net")


def test_an_undone_opt_out_is_not_uncertain_in_the_end_whether_or_not_it_was_recorded() -> None:
    unused: Any = None
    oracle = Oracle()
    for is_gone in (True, None, False):
        oracle.add_opt_out(OptOut(WHO, NEWS, START, EVER, START, sure=False, gone=is_gone))
    oracle.add_opt_out(OptOut(WHO, NEWS, START, EVER, START))
    checks = Checks(oracle, Comparison(oracle, {}, {}, unused, {}), {}, "")
    checks.count_unsure()
    assert checks.comparison.excused[Excuse.NEVER_SURE] == 2


@pytest.mark.parametrize("hours, late", [(36, False), (37, True)])
@pytest.mark.parametrize("back", [0, 30])
def test_what_a_tool_reports_is_recorded_within_a_night_of_when_it_was_up(
    hours: int,
    back: int,
    app: Flask,
    monkeypatch: pytest.MonkeyPatch,
    *,
    late: bool,
) -> None:  # I13
    clock, oracle = Clock(), Oracle()
    monkeypatch.setitem(app.extensions, EXTENSION_NAME, replace(services(), now=clock))
    tool = idle_tool(clock)
    comparison = Comparison(oracle, {"tool-0": tool}, {}, Redis(clock), {})
    checks = Checks(oracle, comparison, {}, "")
    opt_out = oracle.add_opt_out(OptOut(WHO, NEWS, START, EVER, START, sure=False))
    checks.await_event(opt_out, tool)
    tool.good_since = START + timedelta(hours=back)
    clock.reach(tool.good_since + timedelta(hours=hours))
    with pytest.raises(Violation, match="I13") if late else nullcontext():
        checks.recorded_in_time()
