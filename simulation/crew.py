"""The workers: real jobs from a simulated queue, killed or frozen between any two steps.

Or there they lose the database, which goes away.

Only one worker runs at a time. A worker that freezes is a thread that waits; its job continues
when simulated time reaches the end of the freeze.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from flask import Flask

from preference_center.core.errors import Unavailable
from preference_center.destinations.connect import ConnectorFactory
from preference_center.destinations.erase import erase_due
from preference_center.destinations.process import ingest_webhooks
from preference_center.destinations.push import sync
from preference_center.destinations.scan import verify
from preference_center.destinations.store.listings import ListingKind
from preference_center.infra.job_queue import (
    CONTINUE_IMPORT,
    ERASE,
    PROCESS_WEBHOOKS,
    SYNC,
    SYNC_FRESH,
    VERIFY,
    JobQueue,
)
from preference_center.lists.imports.apply import ImportBudget, Throttle
from preference_center.lists.imports.uploads import continue_import
from simulation.ground import Clock
from simulation.people import START

PATIENCE = 1800.0
"""Seconds of real time after which a silent thread is a bug of the simulation.

No wait for the database lasts as long, nor does a job on a busy machine.
"""


TURN = timedelta(minutes=10)
"""How long a job goes on while there is something to do: as many short jobs, one after another."""


class Killed(BaseException):
    """The worker is gone: nothing of it runs any more, not even its error handling."""


class Redis(JobQueue):
    """The real `Queue`, in front of a Redis that forgets and goes away on request."""

    def __init__(self, clock: Clock) -> None:
        self._quiet_until = {}
        self._broken_until = 0.0
        self._monotonic = self._wall = lambda: clock().timestamp()
        self.jobs: dict[str, tuple[str, tuple[int | str, ...]]] = {}
        self.away = False
        self.back_at = START
        """When it was last back."""
        self.nudged: Callable[[int], None] = lambda _: None

    def _nudge(self, work: str, job: str, *args: int | str) -> None:
        if job == SYNC_FRESH:
            self.nudged(int(args[0]))
        super()._nudge(work, job, *args)

    def _enqueue(self, name: str, job: str, *args: int | str) -> bool:
        if self.away:
            return False
        self.jobs.setdefault(name, (job, args))
        return True


@dataclass(slots=True)
class Mishap:
    """What befalls the next job at its `step`.

    `killed`, `frozen`, `frozen_dies` or `database_lost`.
    """

    what: str
    step: int
    seconds: int = 0
    job: str = ""
    """How the name of that job begins."""
    call: str = ""
    """How the only steps that count end; it waits for a job that has so many of them."""
    app: Flask | None = None
    woken: threading.Event = field(default_factory=threading.Event)
    rested: threading.Event = field(default_factory=threading.Event)
    error: BaseException | None = None
    frozen: bool = False
    dies: bool = False


@dataclass(slots=True)
class Crew:
    """Does jobs, with what is to go wrong in them."""

    app: Flask
    clock: Clock
    connect: ConnectorFactory
    freezes: Callable[[Mishap, Callable[[], None]], None]
    """Called with a frozen job and the function that continues it."""
    trace: Callable[[str], None]
    struck: Callable[[], None] = lambda: None
    """Called once a job has been killed or frozen."""
    database_goes: Callable[[int], object] = lambda _: None
    """Called with the seconds for which the database is to be away."""
    is_database_away: Callable[[], bool] = lambda: False
    mishaps: list[Mishap] = field(default_factory=list)
    current: Mishap | None = None
    dead: bool = False
    """Whether what runs right now is a worker that was killed: it may do nothing any more."""
    busy: bool = False
    asleep: list[Mishap] = field(default_factory=list)

    def do(self, name: str, job: str, args: tuple[int | str, ...]) -> None:
        """One job, to its end or what befalls it."""
        mishap = next((found for found in self.mishaps if name.startswith(found.job)), None)
        if mishap is not None:
            self.mishaps.remove(mishap)

        def work() -> None:
            self._work(job, args)

        self.busy = True
        try:
            if mishap is None:
                work()
            elif mishap.what in {"killed", "database_lost"}:
                self.cut_off(mishap, name, work)
            else:
                self.freeze_in(mishap, name, work)
        finally:
            self.busy = False
        if mishap is not None and mishap.call and mishap.step:
            self.mishaps.append(mishap)

    def step(self, what: str = "") -> None:
        """Between two steps of whatever job is at work, if one is. `what` comes next."""
        mishap = self.current
        if self.dead:
            raise Killed
        if mishap is None or not what.endswith(mishap.call):
            return
        mishap.step -= 1
        if mishap.step:
            return
        self.current = None
        if mishap.what == "database_lost":
            self.database_goes(mishap.seconds)
            return
        if mishap.what != "killed":
            mishap.frozen = True
            mishap.rested.set()
            mishap.woken.wait()  # however long that takes: it would go on next to another
        if mishap.what == "killed" or mishap.dies:
            self.dead = True
            raise Killed

    def end(self) -> None:
        """Have nothing left behind, also where a run was broken off."""
        for mishap in list(self.asleep):
            mishap.dies = True
            self._wake(mishap)

    def cut_off(self, mishap: Mishap, name: str, work: Callable[[], None]) -> None:
        """Do this work until it is killed, if it lasts that long."""
        self.current = mishap
        try:
            work()
        except Killed:
            self.trace(f"a worker dies in {name}")
        finally:
            died, self.current, self.dead = self.dead, None, False
        if died:
            self.struck()

    def freeze_in(self, mishap: Mishap, name: str, work: Callable[[], None]) -> None:
        """Do this work until it freezes, if it lasts that long."""

        def body() -> None:
            try:
                with self.app.app_context():
                    work()
            except Killed:
                pass
            except BaseException as error:  # noqa: BLE001 - raised again in `_await`
                mishap.error = error
            finally:
                mishap.frozen = False
                mishap.rested.set()

        self.current = mishap
        mishap.rested.clear()
        threading.Thread(target=body, daemon=True).start()
        self._await(mishap)
        if mishap.frozen:
            self.trace(f"a worker freezes in {name}")
            self.asleep.append(mishap)
            self.freezes(mishap, lambda: self._thaw(mishap, name))
            self.struck()

    def _thaw(self, mishap: Mishap, name: str) -> None:
        mishap.dies = mishap.what == "frozen_dies"
        self.trace(f"a worker {'dies' if mishap.dies else 'thaws'} in {name}")
        self._wake(mishap)

    def _wake(self, mishap: Mishap) -> None:
        self.asleep.remove(mishap)
        mishap.rested.clear()
        self.busy = True
        mishap.woken.set()
        try:
            self._await(mishap)
        finally:
            self.busy = False

    def _await(self, mishap: Mishap) -> None:
        if not mishap.rested.wait(PATIENCE):
            raise TimeoutError("a simulated worker hangs")
        self.current, self.dead = None, False
        if mishap.error is not None:
            raise mishap.error

    def _work(self, job: str, args: tuple[int | str, ...]) -> None:
        try:
            self._do_job(job, args)
        except Unavailable:
            if not self.is_database_away():
                raise
            self.trace(f"a worker fails at {job}: the database is away")

    def _do_job(self, job: str, args: tuple[int | str, ...]) -> None:
        until, never = self.clock() + TURN, lambda: False
        if job in {SYNC_FRESH, SYNC}:
            fresh = job == SYNC_FRESH
            sync(int(args[0]), self.connect, until=until, stop=never, fresh=fresh)
        elif job == ERASE:
            erase_due(int(args[0]), self.connect, until=until, stop=never)
        elif job == VERIFY:
            verify(int(args[0]), ListingKind(str(args[1])), self.connect, until=until, stop=never)
        elif job == PROCESS_WEBHOOKS:
            ingest_webhooks(int(args[0]), self.connect, until=until, stop=never)
        elif job == CONTINUE_IMPORT:
            continue_import(
                UUID(str(args[0])),
                ImportBudget(until, never, Throttle(chunk_size=7), lambda _: None, lambda: 0.0),
            )
        else:
            raise NotImplementedError(f"no simulated worker does {job}")
