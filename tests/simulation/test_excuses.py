"""What the simulation excuses is counted, and bounded."""

from __future__ import annotations

from dataclasses import replace

import pytest

from simulation.excuses import BOUNDS, ENOUGH, MEASURED, Excuse, beyond


def test_every_excuse_has_a_bound() -> None:
    assert set(BOUNDS) == set(Excuse)


@pytest.mark.parametrize("runs", [ENOUGH, 1000])
def test_a_run_fails_when_an_excuse_grows_beyond_its_bound(runs: int) -> None:
    within: dict[str, int] = {excuse: int(bound * runs) for excuse, bound in BOUNDS.items()}
    assert not beyond(within, runs, MEASURED)
    grown = within | {Excuse.DOWN: within[Excuse.DOWN] * 5}
    (line,) = beyond(grown, runs, MEASURED)
    assert line.startswith(str(Excuse.DOWN))


def test_few_seeds_may_scatter_more_than_many() -> None:
    few, many = ({Excuse.DOWN.value: int(BOUNDS[Excuse.DOWN] * 1.5 * n)} for n in (ENOUGH, 1000))
    assert not beyond(few, ENOUGH, MEASURED)
    assert beyond(many, 1000, MEASURED)


def test_so_few_seeds_that_one_may_be_most_of_them_are_not_compared_with_a_mean() -> None:
    counts = {Excuse.WAITING.value: int(BOUNDS[Excuse.WAITING]) * 5 * ENOUGH}
    assert not beyond(counts, ENOUGH - 1, MEASURED)
    assert beyond(counts, ENOUGH, MEASURED)


def test_with_more_people_more_may_be_excused() -> None:
    thousand = {Excuse.DOWN.value: int(BOUNDS[Excuse.DOWN] * 3 * 1000)}
    assert beyond(thousand, 1000, MEASURED)
    assert not beyond(thousand, 1000, replace(MEASURED, people=3 * MEASURED.people))
    assert beyond(thousand, 1000, replace(MEASURED, people=MEASURED.people // 3))
