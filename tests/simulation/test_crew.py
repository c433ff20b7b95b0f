"""A worker freezes where it is meant to, and goes on from there."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from flask import Flask

from simulation.crew import Crew, Mishap
from simulation.faults import PUSH
from simulation.ground import Clock


class Stepping(Crew):
    """Its jobs are nothing but steps, of these names."""

    def _work(self, job: str, args: tuple[int | str, ...]) -> None:
        for name in args:
            self.step(str(name))
            self.trace(f"{job} {name}")


def crew(*mishaps: Mishap) -> tuple[Stepping, list[str], list[Callable[[], None]]]:
    """One with these mishaps, what it has done, and what continues the frozen."""
    done: list[str] = []
    thaws: list[Callable[[], None]] = []
    connect: Any = None
    made = Stepping(
        Flask(__name__),
        Clock(),
        connect,
        lambda _, thaw: thaws.append(thaw),
        done.append,
        mishaps=list(mishaps),
    )
    return made, done, thaws


def test_a_worker_freezes_as_it_asks_a_tool_and_then_goes_on_with_its_request() -> None:
    workers, done, thaws = crew(Mishap("frozen", 1, 60, call=PUSH))
    workers.do("sync-1-0", "sync", ("", "tool-0 push", "tool-0 pushed"))
    assert done == ["sync ", "a worker freezes in sync-1-0"]
    thaws[0]()
    assert done[2:] == ["a worker thaws in sync-1-0", "sync tool-0 push", "sync tool-0 pushed"]


class Recorded(threading.Event):
    """An event that records how long it is waited for at most."""

    limits: list[float | None]

    def __init__(self) -> None:
        super().__init__()
        self.limits = []

    def wait(self, timeout: float | None = None) -> bool:
        self.limits.append(timeout)
        return super().wait(timeout)


def test_a_frozen_worker_goes_on_when_it_thaws_however_much_real_time_passes() -> None:
    woken = Recorded()
    workers, _, thaws = crew(Mishap("frozen", 1, 60, call=PUSH, woken=woken))
    workers.do("sync-1-0", "sync", ("tool-0 push",))
    thaws[0]()
    assert woken.limits == [None]


def test_that_waits_for_a_job_that_asks_a_tool() -> None:
    workers, done, thaws = crew(Mishap("frozen", 1, 60, call=PUSH))
    workers.do("sync-1-0", "idle", ("", "tool-0 listed"))
    assert not thaws
    workers.do("sync-1-0", "sync", ("tool-0 push",))
    assert done == ["idle ", "idle tool-0 listed", "a worker freezes in sync-1-0"]
    workers.end()
    assert not workers.asleep


def test_a_worker_that_goes_on_is_busy_as_any_other() -> None:
    workers, _, thaws = crew(Mishap("frozen", 1, 60, call=PUSH))
    busy: list[bool] = []
    workers.trace = lambda _: busy.append(workers.busy)
    workers.do("sync-1-0", "sync", ("tool-0 push", "tool-0 pushed"))
    assert not workers.busy
    thaws[0]()
    assert busy[-2:] == [True, True]
    assert not workers.busy
