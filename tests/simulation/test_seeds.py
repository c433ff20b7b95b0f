"""How a seed fails."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from types import SimpleNamespace
from typing import cast

import pytest

from simulation import seeds
from simulation.__main__ import gathered
from simulation.acts import Options
from simulation.seeds import Grounds, Result
from simulation.violation import Violation


class Here:
    """The ground of any history."""

    def of(self, _: object) -> AbstractContextManager[None]:
        return nullcontext()


def failure(monkeypatch: pytest.MonkeyPatch, error: BaseException | None) -> tuple[str, list[str]]:
    def go() -> None:
        if error:
            raise error

    run = SimpleNamespace(trace=["before"], go=go)
    monkeypatch.setattr(seeds, "Run", lambda *_: run)
    _, failed = seeds.tried(cast("Grounds", Here()), 1, Options(), [])
    return failed, run.trace


def test_a_violation_is_a_failure_and_a_run_that_ends_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert failure(monkeypatch, Violation("I3: late")) == ("I3: late", ["before"])
    assert failure(monkeypatch, None) == ("", ["before"])


def test_an_error_of_the_service_is_a_failure_with_its_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failed, trace = failure(monkeypatch, KeyError("merged\nand more"))
    assert failed == "KeyError: 'merged\\nand more'"
    assert trace[0] == "before"
    assert any("in go" in line for line in trace)


def test_a_run_that_somebody_interrupts_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyboardInterrupt):
        failure(monkeypatch, KeyboardInterrupt())


def test_a_run_that_fails_while_it_is_set_up_fails_by_that() -> None:
    def empty(*_: object) -> None:
        raise KeyError("no such table")

    here = cast("Grounds", SimpleNamespace(of=lambda _: nullcontext(SimpleNamespace(empty=empty))))
    one = seeds.result(here, 1, Options(hours=1, people=3), shrink=0)
    assert one.failure == "KeyError: 'no such table'"
    assert not one.excused


def test_what_was_found_up_to_an_interruption_is_reported() -> None:
    def results() -> Iterator[Result]:
        yield Result(2, "", steps=1, cpu=0.1)
        yield Result(1, "", steps=1, cpu=0.1, failure="I3: late")
        raise KeyboardInterrupt

    found = gathered(results(), Namespace(runs=500, until_red=False))
    assert [each.seed for each in found] == [1, 2]
