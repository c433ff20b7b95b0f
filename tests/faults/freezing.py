"""PostgreSQL that stands still, with connections open and nothing answered, or is gone."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

import psycopg

from dev.engines import Engine
from dev.processes import children


@contextmanager
def frozen(url: str) -> Iterator[None]:
    """The database at `url`, on this machine, stands still inside."""
    with psycopg.connect(url) as connection:
        ((data,),) = connection.execute("SHOW data_directory").fetchall()
    postmaster = int(Path(data, "postmaster.pid").read_text().split()[0])
    _signal([postmaster], signal.SIGSTOP)  # from now on it starts no process
    pids = [postmaster, *children(postmaster)]
    _signal(pids, signal.SIGSTOP)
    try:
        yield
    finally:
        _signal(pids, signal.SIGCONT)


def freeze_for(url: str, seconds: float) -> Thread:
    """It stands still once this returns, and the thread ends after so many seconds."""
    begun = Event()

    def work() -> None:
        with frozen(url):
            begun.set()
            Event().wait(seconds)

    thread = Thread(target=work, name="freezing")
    thread.start()
    begun.wait()
    return thread


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def kill_for(database: Engine, seconds: float) -> Thread:
    """It is gone once this returns; the thread starts it again after so many seconds."""
    database.kill()

    def work() -> None:
        Event().wait(seconds)
        database.start()

    thread = Thread(target=work, name="killing")
    thread.start()
    return thread
