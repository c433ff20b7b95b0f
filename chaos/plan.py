"""What is done to whom and when, drawn from a seed: the same seed, the same strikes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from random import Random


class Deed(StrEnum):
    """What can be done to a victim; each ends with the victim at work again."""

    KILL = "kill"
    """SIGKILL for all of it; started again after a while."""
    KILL_ONE = "kill one process"
    """SIGKILL for one process of several; whoever supervises it starts another."""
    STOP = "stop"
    """Asked to end, as a deployment does; started again after a while."""
    FREEZE = "freeze"
    """SIGSTOP for all of it; it goes on after a while where it was."""
    FLUSH = "flush"
    """Everything it holds is forgotten."""
    REFUSE = "refuse"
    """A tool answers some requests with an error, having done nothing."""
    ACT_AND_FAIL = "act and fail"
    """A tool does what it was asked and answers with an error."""
    THROTTLE = "throttle"
    """A tool asks to be left alone for some seconds."""
    HOLD = "hold"
    """A tool holds what it is sent and acts on it only after a while."""


@dataclass(frozen=True, slots=True)
class Habit:
    """How often a victim is struck (mean seconds between), how, and for how long at most."""

    every: float
    lasts: Mapping[Deed, float]


PROCESS = {Deed.KILL: 5.0, Deed.STOP: 3.0, Deed.FREEZE: 20.0}
# A worker frozen for longer than its lease thaws with a batch that is no longer its own.
WORKER = Habit(15.0, PROCESS | {Deed.FREEZE: 130.0})
TOOL = Habit(15.0, {Deed.REFUSE: 5.0, Deed.ACT_AND_FAIL: 5.0, Deed.THROTTLE: 5.0, Deed.HOLD: 40.0})
HABITS: Mapping[str, Habit] = {
    "web": Habit(15.0, {Deed.KILL: 3.0, Deed.KILL_ONE: 1.0, Deed.STOP: 2.0, Deed.FREEZE: 12.0}),
    "worker-1": WORKER,
    "worker-2": WORKER,
    "scheduler": Habit(25.0, PROCESS),
    "postgres": Habit(40.0, {Deed.KILL: 3.0, Deed.STOP: 3.0, Deed.FREEZE: 6.0}),
    "valkey": Habit(20.0, {Deed.KILL: 5.0, Deed.STOP: 5.0, Deed.FREEZE: 8.0, Deed.FLUSH: 0.0}),
    "tool-1": TOOL,
    "tool-2": TOOL,
}


@dataclass(frozen=True, slots=True)
class Strike:
    """`deed`, `at` so many seconds from the start; the victim is back `lasts` seconds later."""

    at: float
    deed: Deed
    lasts: float


def draw(seed: str, seconds: float) -> dict[str, list[Strike]]:
    """For each victim its strikes; all of them are over when `seconds` are."""
    return {name: list(_strikes(f"{seed}/{name}", HABITS[name], seconds)) for name in HABITS}


def _strikes(seed: str, habit: Habit, seconds: float) -> Iterator[Strike]:
    chance = Random(seed)  # noqa: S311 - a test's dice
    at = 0.0
    while True:
        at += chance.expovariate(1 / habit.every)
        deed = chance.choice(sorted(habit.lasts))
        lasts = chance.uniform(0, habit.lasts[deed])
        if at + lasts > seconds:
            return
        yield Strike(at, deed, lasts)
        at += lasts
