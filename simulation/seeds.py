"""Seeds, run one after another by a process that has a database of its own."""

from __future__ import annotations

import gc
import hashlib
import re
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import ClassVar

from dev.engines import Engines, at
from simulation.acts import Act, Options
from simulation.ground import Ground, ground, prepare, rotating_ground
from simulation.history import draw
from simulation.rotations import ROTATE
from simulation.run import Run
from simulation.shrinking import about, shrunk
from simulation.violation import Violation

_WHO = re.compile(r"(?:per\.?so\.?n|p|only|moved)(\d+)[+@]")


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one seed. `digest` is that of its trace."""

    seed: int
    digest: str
    steps: int
    cpu: float
    failure: str = ""
    excused: Mapping[str, int] = field(default_factory=dict)
    history: tuple[str, ...] = ()
    trace: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Grounds:
    """What the runs of one process stand on."""

    engines: Engines
    usual: Ground

    def of(self, acts: Sequence[Act]) -> AbstractContextManager[Ground]:
        """That of a history with these acts."""
        if any(act.what == ROTATE for act in acts):
            return rotating_ground(self.engines)
        return nullcontext(self.usual)


def tried(found: Grounds, seed: int, options: Options, acts: Sequence[Act]) -> tuple[Run, str]:
    """One run, and how it failed, "" if it did not: by a violation, or by any other error."""
    with found.of(acts) as here:
        one = Run(here, str(seed), options, acts)
        try:
            one.go()
        except Violation as error:
            return one, str(error)
        except Exception as error:  # noqa: BLE001 - the service must not end so either
            one.trace += traceback.format_exc().splitlines()
            return one, "".join(traceback.format_exception_only(error)).splitlines()[0]
        return one, ""


def result(found: Grounds, seed: int, options: Options, shrink: float) -> Result:
    """Run a seed; if it fails, find a shorter history that does."""
    begun, acts = time.process_time(), draw(str(seed), options)
    one, failure = tried(found, seed, options, acts)
    digest = hashlib.sha256("\n".join(one.trace).encode()).hexdigest()[:12]
    cpu = time.process_time() - begun
    if not failure or not shrink:
        return Result(
            seed, digest, len(one.trace), cpu, failure, one.excused, trace=tuple(one.trace)
        )
    rule = failure.split(":")[0]

    def fails(less: Sequence[Act]) -> bool:
        return tried(found, seed, options, less)[1].split(":")[0] == rule

    who = _WHO.search(failure)
    if who and fails(about(acts, int(who[1]))):
        acts = about(acts, int(who[1]))
    acts = shrunk(acts, fails, shrink)
    one, failure = tried(found, seed, options, acts)
    return Result(
        seed, digest, len(one.trace), cpu, failure, {}, tuple(map(str, acts)), tuple(one.trace)
    )


_FOR_GOOD = ExitStack()


class Process:
    """Where one process runs its seeds: on engines of its own, made once for all of them."""

    mine: ClassVar[Process]

    def __init__(self, found: Grounds, options: Options, shrink: float) -> None:
        self._grounds, self._options, self._shrink = found, options, shrink

    @classmethod
    def begin(cls, folders: SimpleQueue[Path], options: Options, shrink: float) -> None:
        """Make this process ready, with the next of these engines; what it made goes with them."""
        gc.set_threshold(50_000, 20, 50)  # a run makes little that lasts, and nothing large
        engines = at(folders.get(), durable=False)
        prepare(engines)
        found = _FOR_GOOD.enter_context(ground(engines))
        cls.mine = cls(Grounds(engines, found), options, shrink)

    def run(self, seed: int) -> Result:
        """The result of a seed. Only this process's first failure is shrunk."""
        one = result(self._grounds, seed, self._options, self._shrink)
        if one.failure:
            self._shrink = 0
        return one


def run(seed: int) -> Result:
    """The result of a seed in this process."""
    return Process.mine.run(seed)
