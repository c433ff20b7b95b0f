"""What is done to whom and when, drawn from a seed: the same seed, the same strikes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random


class Deed(StrEnum):
    """What can be done to a victim; each ends with the victim at work again."""

    KILL = "kill"
    """SIGKILL for all of it; started again after a while."""
    KILL_ONE = "kill one process"
    """SIGKILL for one process of several; anyone who supervises it starts another."""
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
    FAIL_OVER = "fail over"
    """The primary is lost for good: its standby is promoted after a while, and gets another."""
    GO_AWAY = "go away"
    """Primary and standby are both shut down, and started again after a long while."""
    SILENCE_OLD = "silence connections"
    """Connections that exist carry nothing, new ones work; what was held goes through later."""
    SILENCE_ALL = "silence all connections"
    """Nothing goes through; what was held does later."""
    DROP = "drop connections"
    """All connections are reset, and so is every new one."""
    LOCK = "lock"
    """A transaction locks the rows of some people and stays open."""
    LOCK_TABLE = "lock a table"
    """A transaction lets nobody write to a table and stays open, as while an index is built."""
    REWRITE = "rewrite a table"
    """A transaction lets nobody read or write a table and stays open, as VACUUM FULL does."""
    FILL_SPOOL = "fill the spool"
    """Primary and standby are shut down, and the spool is full, with a torn record in each file."""
    ROTATE = "rotate"
    """The digest keys begin to change, once in a run."""
    CLOCK_AHEAD = "clock ahead"
    """Ended, and at work for a while with a clock that is days ahead of the database's."""
    CLOCK_BEHIND = "clock behind"
    """The same, with one that is seconds behind."""


@dataclass(frozen=True, slots=True)
class Habit:
    """How often a victim is struck (mean seconds between), how, and for how long at most."""

    every: float
    lasts: Mapping[Deed, float]
    once: Mapping[Deed, float] = field(default_factory=dict)
    """What every run does at least once, and for how long; less in one shorter than `FULL`."""


FULL = 600.0
"""Seconds of a run from which on one-time deeds last as long as planned."""
LEAST = 5.0
"""Seconds that it lasts in any run; but all of it together half of the run at most."""
MARGIN = 0.8
"""Share of the time before it that is drawn from: what came before may take longer."""

PROCESS = {
    Deed.KILL: 5.0,
    Deed.STOP: 3.0,
    Deed.FREEZE: 20.0,
    Deed.CLOCK_AHEAD: 20.0,
    Deed.CLOCK_BEHIND: 20.0,
}
# A worker frozen for longer than its lease thaws with a batch that is no longer its own.
WORKER = Habit(15.0, PROCESS | {Deed.FREEZE: 130.0})
TOOL = Habit(15.0, {Deed.REFUSE: 5.0, Deed.ACT_AND_FAIL: 5.0, Deed.THROTTLE: 5.0, Deed.HOLD: 40.0})
HABITS: Mapping[str, Habit] = {
    # Clicks are not timed while it is struck: it must be whole for most of the run.
    "web": Habit(
        40.0,
        {
            Deed.KILL: 3.0,
            Deed.KILL_ONE: 1.0,
            Deed.STOP: 2.0,
            Deed.FREEZE: 12.0,
            Deed.CLOCK_AHEAD: 10.0,
            Deed.CLOCK_BEHIND: 10.0,
        },
    ),
    "worker-1": WORKER,
    "worker-2": WORKER,
    "fresh": WORKER,
    "scheduler": Habit(25.0, PROCESS),
    # One after the other, so that the cause of a wait is known.
    "database": Habit(
        25.0,
        {
            Deed.KILL: 3.0,
            Deed.STOP: 3.0,
            Deed.FREEZE: 6.0,
            Deed.DROP: 5.0,
            Deed.SILENCE_OLD: 20.0,
            Deed.SILENCE_ALL: 10.0,
            Deed.LOCK: 20.0,
            Deed.LOCK_TABLE: 20.0,
            Deed.REWRITE: 20.0,
        },
        {
            Deed.FAIL_OVER: 5.0,
            Deed.GO_AWAY: 120.0,
            Deed.DROP: 5.0,
            Deed.SILENCE_OLD: 30.0,
            Deed.SILENCE_ALL: 20.0,
            Deed.LOCK: 60.0,
            Deed.LOCK_TABLE: 30.0,
            Deed.REWRITE: 15.0,
            Deed.FILL_SPOOL: 15.0,
        },
    ),
    "valkey": Habit(20.0, {Deed.KILL: 5.0, Deed.STOP: 5.0, Deed.FREEZE: 8.0, Deed.FLUSH: 0.0}),
    # Often: it takes seconds for the rows of a short run, and is to be met at work.
    "rotation": Habit(8.0, {Deed.KILL: 2.0, Deed.FREEZE: 10.0}, {Deed.ROTATE: 5.0}),
    "tool-1": TOOL,
    "tool-2": TOOL,
}


@dataclass(frozen=True, slots=True)
class Strike:
    """`deed`, `at` so many seconds from the start; the victim is back `lasts` seconds later."""

    at: float
    deed: Deed
    lasts: float
    must: bool = False
    """It is carried out even if the run takes longer for it."""


def draw(seed: str, seconds: float) -> dict[str, list[Strike]]:
    """For each victim its strikes; all of them are over when `seconds` are."""
    return {name: list(_strikes(f"{seed}/{name}", HABITS[name], seconds)) for name in HABITS}


def _strikes(seed: str, habit: Habit, seconds: float) -> Iterator[Strike]:
    """What is done once, in any order, and the habit before, between and after."""
    chance = Random(seed)  # noqa: S311 - a test's dice
    once = chance.sample(sorted(habit.once), len(habit.once))
    lengths = [max(LEAST, habit.once[deed] * min(1.0, seconds / FULL)) for deed in once]
    least = [min(length, seconds / 2 / len(once)) for length in lengths]
    lengths = lengths if sum(lengths) <= seconds / 2 else least
    gap = (seconds - sum(lengths)) / max(1, len(once))
    end = 0.0
    for number, (deed, lasts) in enumerate(zip(once, lengths, strict=True)):
        begin = gap * (number + chance.uniform(0, MARGIN)) + sum(lengths[:number])
        yield from _between(chance, habit, end, begin)
        yield Strike(begin, deed, lasts, must=True)
        end = begin + lasts
    yield from _between(chance, habit, end, seconds)


def _between(chance: Random, habit: Habit, at: float, end: float) -> Iterator[Strike]:
    while True:
        at += chance.expovariate(1 / habit.every)
        deed = chance.choice(sorted(habit.lasts))
        lasts = chance.uniform(0, habit.lasts[deed])
        if at + lasts > end:
            return
        yield Strike(at, deed, lasts)
        at += lasts
