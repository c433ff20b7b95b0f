from __future__ import annotations

from itertools import pairwise

import pytest

from chaos.plan import HABITS, Deed, draw
from preference_center.__main__ import read_procfile
from tests.faults.service import ROOT

TEN_MINUTES = 600.0


def test_a_seed_gives_the_same_strikes() -> None:
    assert draw("7", TEN_MINUTES) == draw("7", TEN_MINUTES)
    assert draw("7", TEN_MINUTES) != draw("8", TEN_MINUTES)


def test_every_victim_is_struck_in_every_way_sooner_or_later() -> None:
    plan = draw("1", 100 * TEN_MINUTES)
    assert {name: {strike.deed for strike in plan[name]} for name in HABITS} == {
        name: {*habit.lasts, *habit.once} for name, habit in HABITS.items()
    }


@pytest.mark.parametrize("seed", ["1", "2", "3", "4", "5"])
def test_ten_minutes_hold_all_that_is_to_happen_once_for_its_full_length(seed: str) -> None:
    plan = draw(seed, TEN_MINUTES)
    for name, habit in HABITS.items():
        for deed, lasts in habit.once.items():
            assert any(s.deed is deed and s.lasts == lasts for s in plan[name])


def test_a_short_run_holds_them_too_and_shorter() -> None:
    plan = draw("1", 60)
    assert {Deed.FAIL_OVER, Deed.GO_AWAY} <= {strike.deed for strike in plan["database"]}
    assert max(strike.lasts for strike in plan["database"]) < 60


def test_everybody_is_back_when_the_time_is_over() -> None:
    for strikes in draw("1", TEN_MINUTES).values():
        assert strikes[-1].at + strikes[-1].lasts <= TEN_MINUTES


def test_nobody_is_struck_while_down() -> None:
    for strikes in draw("1", TEN_MINUTES).values():
        assert all(one.at + one.lasts <= next_.at for one, next_ in pairwise(strikes))


def test_every_process_that_sends_or_serves_is_struck() -> None:
    # These have tests of their own, see tests/faults, tests/workers and tests/deploy.
    processes = read_procfile(ROOT / "Procfile").keys() - {"console", "mail", "publisher"}
    assert processes <= {name.partition("-")[0] for name in HABITS}
