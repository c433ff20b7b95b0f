from __future__ import annotations

from itertools import pairwise

from chaos.plan import HABITS, draw

TEN_MINUTES = 600.0


def test_a_seed_gives_the_same_strikes() -> None:
    assert draw("7", TEN_MINUTES) == draw("7", TEN_MINUTES)
    assert draw("7", TEN_MINUTES) != draw("8", TEN_MINUTES)


def test_every_victim_is_struck_in_every_way_sooner_or_later() -> None:
    plan = draw("1", 100 * TEN_MINUTES)
    assert {name: {strike.deed for strike in plan[name]} for name in HABITS} == {
        name: set(habit.lasts) for name, habit in HABITS.items()
    }


def test_everybody_is_back_when_the_time_is_over() -> None:
    for strikes in draw("1", TEN_MINUTES).values():
        assert strikes[-1].at + strikes[-1].lasts <= TEN_MINUTES


def test_nobody_is_struck_while_down() -> None:
    for strikes in draw("1", TEN_MINUTES).values():
        assert all(one.at + one.lasts <= next_.at for one, next_ in pairwise(strikes))


def test_a_longer_run_begins_as_the_shorter_one() -> None:
    short, long = draw("1", TEN_MINUTES), draw("1", 2 * TEN_MINUTES)
    assert all(long[name][: len(strikes)] == strikes for name, strikes in short.items())
