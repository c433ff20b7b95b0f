"""However a run ends, nobody stays struck."""

from __future__ import annotations

import io
import subprocess
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any, cast

import pytest

from chaos.crew import Running, Score, carry_out
from chaos.plan import PROCESS, Deed, Strike

LONG = 60.0


@dataclass(slots=True)
class Puppet:
    fails_after: Event | None = None
    struck: Event = field(default_factory=Event)
    recovered: list[Deed] = field(default_factory=list)

    def strike(self, deed: Deed) -> None:  # noqa: ARG002 - any
        self.struck.set()
        if self.fails_after:
            self.fails_after.wait(LONG)
            raise RuntimeError("it does not start")

    def recover(self, deed: Deed) -> None:
        self.recovered.append(deed)


def test_all_is_carried_out_and_written_down() -> None:
    one, two, book = Puppet(), Puppet(), io.StringIO()
    score = Score(book)
    plan = {"one": [Strike(0, Deed.KILL, 0), Strike(0, Deed.FREEZE, 0)], "two": []}
    carry_out(plan, {"one": one, "two": two}, 0, score)
    assert one.recovered == [Deed.KILL, Deed.FREEZE]
    assert two.recovered == []
    assert (score.strikes, score.last) == (2, "one: freeze")
    assert "one: kill for 0.0 s" in book.getvalue()


def test_what_must_be_is_carried_out_though_the_time_is_over() -> None:
    one = Puppet()
    plan = {"one": [Strike(0, Deed.FREEZE, 2), Strike(0, Deed.LOCK, 2, must=True)]}
    carry_out(plan, {"one": one}, 0, Score(io.StringIO()))
    assert one.recovered == [Deed.LOCK]


def test_if_one_fails_all_others_are_brought_back_at_once() -> None:
    frozen = Puppet()
    broken = Puppet(fails_after=frozen.struck)
    plan = {
        "frozen": [Strike(0, Deed.FREEZE, LONG), Strike(LONG, Deed.KILL, 0)],
        "broken": [Strike(0, Deed.KILL, 0)],
    }
    with pytest.raises(RuntimeError):
        carry_out(plan, {"frozen": frozen, "broken": broken}, 2 * LONG, Score(io.StringIO()))
    assert frozen.recovered == [Deed.FREEZE]


class Unstoppable:
    """A process that goes on when it is asked to stop, until it is killed."""

    def __init__(self) -> None:
        self.popen = self
        self.log = Path("1-it.log")
        self.alive = True

    def terminate(self) -> None:
        pass

    def wait(self, seconds: float) -> None:
        raise subprocess.TimeoutExpired("it", seconds)

    def end(self) -> None:
        self.alive = False


class Starter:
    """A service that starts nothing else."""

    def wrong_clock(self, by: timedelta) -> AbstractContextManager[None]:  # noqa: ARG002 - any
        return nullcontext()

    def start(self, name: str, *, ready: bool, shifts: bool) -> Unstoppable:  # noqa: ARG002 - any
        return Unstoppable()


@pytest.mark.parametrize("name, odd", [("worker", ["worker did not stop: 1-it.log"]), ("web", [])])
def test_who_does_not_stop_is_killed_and_named_unless_it_is_granian(
    name: str, odd: list[str]
) -> None:
    running = Running(cast("Any", Starter()), name)
    first = running.process
    running.strike(Deed.STOP)
    assert not first.alive
    assert running.odd == odd
    running.recover(Deed.STOP)
    assert running.process.alive


@pytest.mark.parametrize("deed", PROCESS)
def test_who_ended_by_itself_is_named_and_started_again(deed: Deed) -> None:
    running = Running(cast("Any", Starter()), "worker")
    running.process.end()
    running.strike(deed)
    assert running.odd == ["worker ended by itself: 1-it.log"]
    running.recover(deed)
    assert running.process.alive
