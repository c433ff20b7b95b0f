"""A seed makes one history, and one history one trace."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from simulation.acts import HOUR, Act, Options
from simulation.history import draw
from simulation.shrinking import shrunk

ROOT = Path(__file__).resolve().parents[2]


def traces(*words: str) -> list[str]:
    command = [sys.executable, "-m", "simulation", "--trace", "--shrink", "0", *words]
    run = subprocess.run(
        [*command, "--hours", "6", "--people", "15", "--tools", "3"],
        cwd=ROOT, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    return re.split(r"(?<=\n)seed \d+: trace .*\n", run.stdout)[:-1]


@pytest.mark.faults
def test_the_same_seed_makes_the_same_trace_whatever_is_run_before_or_meanwhile() -> None:
    first, second = traces("--runs", "2", "--processes", "1")
    assert "every tool agrees with every person" in first
    assert first != second
    assert [first, second] == traces("--runs", "2", "--processes", "2")


def test_another_seed_makes_another_history() -> None:
    assert draw("1", Options()) == draw("1", Options())
    assert draw("1", Options()) != draw("2", Options())


def test_a_failing_history_is_cut_down_to_what_fails() -> None:
    acts = [Act(at, "one_click", who=at) for at in range(50)]

    def fails(less: Sequence[Act]) -> bool:
        return {7, 33} <= {act.at for act in less}

    assert [act.at for act in shrunk(acts, fails, 10)] == [7, 33]


def test_histories_close_an_account_again_after_an_opt_in_and_reopen_it() -> None:  # I5, I6
    drawn = [[(act.who, act.form, act.what) for act in draw(str(n), Options())] for n in range(10)]
    rests = [acts[acts.index(one) :] for acts in drawn for one in acts if one[2] == "close"]
    assert any(
        [what for *who, what in rest if who == [*rest[0][:2]]][:4]
        == ["close", "opt_in", "close", "reopen"]
        for rest in rests
    )


def test_histories_have_people_erased_who_come_back_or_whom_tools_gain_again() -> None:  # I6
    drawn = [act for seed in range(10) for act in draw(str(seed), Options())]
    erased = {(act.who, act.form) for act in drawn if act.what == "erase"}
    assert {act.scope for act in drawn if act.what == "erase"} == {"marketing", "account"}
    assert erased & {(act.who, act.form) for act in drawn if act.what == "comes_back"}
    assert erased & {one for act in drawn if act.what == "gains" for one in act.many}
    assert any(act.what == "killed" and act.scope == "erase" for act in drawn)


def test_histories_have_mailboxes_that_are_disabled_on_two_days_while_their_people_act() -> None:
    drawn = [(seed, act) for seed in range(10) for act in draw(str(seed), Options())]
    times: dict[tuple[int, int, int], list[int]] = {}
    for seed, act in drawn:
        if act.what == "soft_bounce":
            times.setdefault((seed, act.who, act.form), []).append(act.at)
    suppressed = {own for own, at in times.items() if max(at) - min(at) > 24 * HOUR}
    for what in ("opt_in", "one_click"):
        assert suppressed & {(seed, act.who, act.form) for seed, act in drawn if act.what == what}
