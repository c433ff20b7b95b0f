"""What the checks count as uncertain."""

from __future__ import annotations

from typing import Any

from simulation.checking import Checks
from simulation.comparing import Comparison
from simulation.excuses import Excuse
from simulation.oracle import OptOut, Oracle
from simulation.people import EVER, NEWS, START, Form

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
