"""The processes of the Procfile and the engines, and what can be done to each."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Lock
from typing import Protocol

from redis import Redis

from chaos.plan import Deed, Strike
from chaos.tools import Moody
from dev.postgres import Postgres
from dev.server import Server
from dev.valkey import Valkey
from tests.faults.service import Process, Service

GRACE = 60.0
"""Seconds a process may take to stop when asked: a worker finishes its batch."""

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
    ended: list[str] = field(default_factory=list)
    """When it had ended though nobody had touched it."""

    def __post_init__(self) -> None:
        self._start()

    def strike(self, deed: Deed) -> None:
        """See Victim."""
        if not self.process.alive:
            self.ended.append(f"{self.name} ended by itself: {self.process.log.name}")
        match deed:
            case Deed.KILL:
                self.process.end()
            case Deed.KILL_ONE:
                for child in children(self.process.popen.pid)[:1]:
                    with suppress(ProcessLookupError):
                        os.kill(child, signal.SIGKILL)
            case Deed.STOP:
                self.process.popen.terminate()
                with suppress(subprocess.TimeoutExpired):
                    self.process.popen.wait(GRACE)
                self.process.end()
            case Deed.FREEZE:
                self.process.signal(signal.SIGSTOP)

    def recover(self, deed: Deed) -> None:
        """See Victim."""
        if deed is Deed.FREEZE:
            self.process.signal(signal.SIGCONT)
        if not self.process.alive:
            self._start()

    def _start(self) -> None:
        with _STARTING:  # names of logs are numbered
            self.process = self.service.start(self.name, ready=False)


@dataclass(frozen=True, slots=True)
class Served:
    """PostgreSQL or Valkey."""

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
        for each in (pid, *children(pid)):  # the parent first: it shall have no more
            with suppress(ProcessLookupError):
                os.kill(each, number)


@dataclass(frozen=True, slots=True)
class Told:
    """A tool."""

    tool: Moody

    def strike(self, deed: Deed) -> None:
        """See Victim."""
        self.tool.suffer(deed)

    def recover(self, deed: Deed) -> None:  # noqa: ARG002 - a mood is over, whichever
        """See Victim."""
        self.tool.recover()


def muster(service: Service, tools: tuple[Moody, Moody]) -> dict[str, Victim]:
    """Start every process; all victims by the names of the plan."""
    database, redis = service.engines.database, service.engines.redis
    assert isinstance(database, Postgres)
    assert isinstance(redis, Valkey)
    return {
        "web": Running(service, "web"),
        "worker-1": Running(service, "worker"),
        "worker-2": Running(service, "worker"),
        "scheduler": Running(service, "scheduler"),
        "postgres": Served(database),
        "valkey": Served(redis),
        "tool-1": Told(tools[0]),
        "tool-2": Told(tools[1]),
    }


def carry_out(plan: Mapping[str, list[Strike]], crew: Mapping[str, Victim], seconds: float) -> None:
    """Strike all as planned, side by side; returns when every one is back.

    Whoever is late, having taken long to stop, is left alone from `seconds` on.
    """
    begin = time.monotonic()

    def lane(name: str) -> None:
        for strike in plan[name]:
            # late, perhaps: the last one may have taken long to stop
            time.sleep(max(0.0, begin + strike.at - time.monotonic()))
            at = time.monotonic() - begin
            if at + strike.lasts > seconds + 1:
                return
            print(f"{at:6.1f} s  {name}: {strike.deed} for {strike.lasts:.1f} s", flush=True)
            crew[name].strike(strike.deed)
            try:
                time.sleep(strike.lasts)
            finally:
                crew[name].recover(strike.deed)

    with ThreadPoolExecutor(len(crew)) as pool:
        for ended in [pool.submit(lane, name) for name in plan]:
            ended.result()


def children(pid: int) -> list[int]:
    """The processes that this one started."""
    said = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid="], check=True, capture_output=True, text=True
    ).stdout
    rows = (line.split() for line in said.splitlines())
    return sorted(int(child) for child, parent in rows if int(parent) == pid)
