"""The processes of the Procfile and the engines, and what can be done to each."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Event, Lock
from typing import IO, Protocol

from redis import Redis

from chaos.cluster import Cluster
from chaos.database import Database, Locks
from chaos.plan import Deed, Strike
from chaos.rotation import Rotation
from chaos.spool import SpoolDisk
from chaos.timing import Window
from chaos.tools import Moody
from chaos.webs import Webs
from dev.processes import children, wait_until
from dev.server import Server
from dev.valkey import Valkey
from tests.faults.service import Process, Service

GRACE = 100.0
"""Seconds a process may take to stop when asked: a worker finishes its batch, inside its lease."""
WEB_GRACE = 15.0
"""The same for the web server, and then it is killed, as any supervisor would: Granian serves on
for ever if it is asked while it starts its processes (seen with 2.8.7)."""
WHOLE = 90.0
"""Seconds until all processes of the web server must answer again."""

RIGHT = timedelta()
WRONG = {Deed.CLOCK_AHEAD: timedelta(days=40), Deed.CLOCK_BEHIND: timedelta(seconds=-20)}
"""By how much a clock is wrong."""

_STARTING = Lock()


class Victim(Protocol):
    """Something that can be struck, and comes back."""

    def strike(self, deed: Deed) -> None:
        """Do it."""

    def recover(self, deed: Deed) -> None:
        """Undo it: at work again."""


@dataclass(slots=True)
class Running:
    """A line of the Procfile."""

    service: Service
    name: str
    process: Process = field(init=False)
    odd: list[str] = field(default_factory=list)
    """It ended though nobody had touched it, or did not end when it was asked to."""
    shot: int = 0
    """How many of its own processes were killed alone."""
    whole: Callable[[], bool] = field(default=lambda: True)
    """Whether it is at work with all its processes."""

    def __post_init__(self) -> None:
        self._start()

    def strike(self, deed: Deed) -> None:
        """See Victim."""
        if not self.process.alive:
            self.odd.append(f"{self.name} ended by itself: {self.process.log.name}")
            return  # there is nothing to strike; `recover` starts it again
        match deed:
            case Deed.KILL:
                self.process.end()
            case Deed.KILL_ONE:
                for child in children(self.process.popen.pid)[:1]:
                    with suppress(ProcessLookupError):
                        os.kill(child, signal.SIGKILL)
                        self.shot += 1
            case Deed.STOP:
                self.process.popen.terminate()
                if not self._stops() and self.name != "web":
                    self.odd.append(f"{self.name} did not stop: {self.process.log.name}")
                self.process.end()
            case Deed.FREEZE:
                self.process.signal(signal.SIGSTOP)
            case Deed.CLOCK_AHEAD | Deed.CLOCK_BEHIND:
                self.process.end()
                self._start(WRONG[deed])

    def recover(self, deed: Deed) -> None:
        """See Victim."""
        if deed is Deed.FREEZE and self.process.alive:
            self.process.signal(signal.SIGCONT)
        if deed in WRONG:
            self.process.end()
        if not self.process.alive:
            self._start()
        if not wait_until(self.whole, WHOLE):
            self.odd.append(f"{self.name} was not whole again: {self.process.log.name}")

    def _stops(self) -> bool:
        try:
            self.process.popen.wait(WEB_GRACE if self.name == "web" else GRACE)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _start(self, wrong: timedelta = RIGHT) -> None:
        with _STARTING, self.service.wrong_clock(wrong):  # names of logs are numbered
            # A shifted clock is not corrected by the database's: that is for tests.
            is_right = wrong == RIGHT
            self.process = self.service.start(self.name, ready=False, shifts=is_right)


@dataclass(frozen=True, slots=True)
class Served:
    """Valkey."""

    server: Server

    def strike(self, deed: Deed) -> None:
        """See Victim."""
        match deed:
            case Deed.KILL:
                self.server.kill()
            case Deed.STOP:
                self.server.stop()
            case Deed.FREEZE:
                self._signal(signal.SIGSTOP)
            case Deed.FLUSH:
                with Redis.from_url(self.server.url) as redis:
                    redis.flushall()

    def recover(self, deed: Deed) -> None:
        """See Victim."""
        if deed is Deed.FREEZE:
            self._signal(signal.SIGCONT)
        else:
            self.server.start()

    def _signal(self, number: signal.Signals) -> None:
        pid = self.server.state.pid
        assert pid is not None
        for each in (pid, *children(pid)):
            with suppress(ProcessLookupError):
                os.kill(each, number)


@dataclass(frozen=True, slots=True)
class ToolVictim:
    """A tool."""

    tool: Moody

    def strike(self, deed: Deed) -> None:
        """See Victim."""
        self.tool.suffer(deed)

    def recover(self, deed: Deed) -> None:  # noqa: ARG002 - a mood is over, whichever
        """See Victim."""
        self.tool.recover()


def muster(
    service: Service, cluster: Cluster, tools: tuple[Moody, Moody], locks: Locks
) -> dict[str, Victim]:
    """Start every process; all victims by the names of the plan."""
    redis = service.engines.redis
    assert isinstance(redis, Valkey)
    assert cluster.proxy
    return {
        "web": Running(service, "web", whole=Webs(service.port).whole),
        "worker-1": Running(service, "worker"),
        "worker-2": Running(service, "worker"),
        "fresh": Running(service, "fresh"),
        "scheduler": Running(service, "scheduler"),
        "database": Database(cluster, cluster.proxy, locks, SpoolDisk.of(service)),
        "rotation": Rotation(service, cluster),
        "valkey": Served(redis),
        "tool-1": ToolVictim(tools[0]),
        "tool-2": ToolVictim(tools[1]),
    }


@dataclass(slots=True)
class Score:
    """What was carried out so far, and where it is written down, a line each."""

    book: IO[str]
    strikes: int = 0
    last: str = "none yet"
    windows: list[Window] = field(default_factory=list)
    """From each strike until its victim was back."""
    _writing: Lock = field(default_factory=Lock)

    @contextmanager
    def add(self, at: float, name: str, strike: Strike) -> Iterator[None]:
        """Count one and write it down; the block strikes and has the victim back."""
        with self._writing:
            self.strikes += 1
            self.last = f"{name}: {strike.deed}"
            print(f"{at:6.1f} s  {self.last} for {strike.lasts:.1f} s", file=self.book, flush=True)
        window = Window(name, strike.deed, time.monotonic())
        self.windows.append(window)
        yield
        window.end = time.monotonic()


def carry_out(
    plan: Mapping[str, list[Strike]], crew: Mapping[str, Victim], seconds: float, score: Score
) -> None:
    """Strike all as planned, side by side; returns after `seconds`, when every one is back.

    Anyone who is late, having taken long to stop, is left alone from `seconds` on, but for what
    must be. If anything fails or is interrupted, everybody is brought back at once.
    """
    begin, over = time.monotonic(), Event()

    def lane(name: str) -> None:
        for strike in plan[name]:
            # late, perhaps: the last one may have taken long to stop
            if over.wait(max(0.0, begin + strike.at - time.monotonic())):
                return
            at = time.monotonic() - begin
            if at + strike.lasts > seconds + 1 and not strike.must:
                continue
            with score.add(at, name, strike):
                crew[name].strike(strike.deed)
                over.wait(strike.lasts)
                crew[name].recover(strike.deed)

    with ThreadPoolExecutor(len(crew)) as pool:
        try:
            lanes = [pool.submit(lane, name) for name in plan]
            wait(lanes, return_when=FIRST_EXCEPTION)
        finally:
            over.set()
    for ended in lanes:
        ended.result()
    time.sleep(max(0.0, begin + seconds - time.monotonic()))
