"""`python -m bench.long_list`: one list through nginx, while PostgreSQL stands still in the middle.

Measures what web process and nginx take of memory and disk on the way.
"""

from __future__ import annotations

import argparse
import socket
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import Self

from dev.engines import Engines, for_test
from dev.processes import children
from preference_center.core.events import EventKind
from preference_center.ledger import record
from tests.faults.freezing import freeze_for
from tests.faults.long_lists import LongAnswer, ask, person
from tests.faults.service import Service, change
from tests.nginx import nginx
from tests.web.api.sender import make_sender

OPTED_OUT = range(0, 100, 10)
MIB = 1 << 20


@dataclass(slots=True)
class Watch:
    """The most memory (PSS) and disk that processes have had, in bytes, by a look a second."""

    pids: list[int]
    memory: int = 0
    disk: int = 0
    _stop: Event = field(default_factory=Event)

    def __enter__(self) -> Self:
        Thread(target=self._look_on, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()

    def _look_on(self) -> None:
        while not self._stop.wait(1):
            self.memory = max(self.memory, sum(map(proportional_memory, self.pids)))
            self.disk = max(self.disk, sum(map(unnamed_files, self.pids)))


def proportional_memory(pid: int) -> int:
    """Bytes, of what it shares with others its share."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8")
    return int(rollup.partition("\nPss:")[2].split()[0]) << 10


def unnamed_files(pid: int) -> int:
    """Bytes in files that it has opened and that have no name: so lie bodies of requests."""
    size = 0
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            if entry.readlink().name.endswith(" (deleted)"):
                size += entry.stat().st_size
    return size


def measure(engines: Engines, rows: int, frozen: float) -> None:
    """Print how `rows` went, with PostgreSQL standing still for `frozen` seconds at half of them.

    Raises RuntimeError unless every row is answered in its place.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        service = stack.enter_context(Service(engines, folder, extra={"WEB_WORKERS": "1"}))
        with service.app.app_context():
            record([change(person(number), EventKind.OPTED_OUT) for number in OPTED_OUT])
        key = make_sender(service.app, scopes=["check"]).key
        web = service.start("web")
        front = stack.enter_context(nginx(folder / "nginx", [service.port], service.console_port))
        plain = stack.enter_context(socket.create_connection(("127.0.0.1", front.port), 60))
        connection = front.trust.wrap_socket(plain, server_hostname="127.0.0.1")
        workers = children(web.popen.pid)
        before = sum(map(proportional_memory, workers))
        ours = stack.enter_context(Watch(workers))
        theirs = stack.enter_context(Watch(children(front.process.pid)))
        freezing: list[Thread] = []

        def freeze(answer: LongAnswer) -> None:
            if frozen and not freezing and answer.rows > rows / 2:
                freezing.append(freeze_for(service.settings.database_url, frozen))

        begun = time.monotonic()
        answer = ask(connection, key, rows, freeze)
        took = time.monotonic() - begun
        for thread in freezing:
            thread.join()
    if not answer.last.startswith(b"#end,count=%d," % rows) or answer.rows != rows:
        raise RuntimeError(f"not whole: {answer}")
    if answer.denied != len([number for number in OPTED_OUT if number < rows]):
        raise RuntimeError(f"wrong: {answer}")
    print(
        f"{rows:,} rows in {took:,.0f} s, of which PostgreSQL stood still for {frozen:g}:"
        f" {rows / (took - frozen):,.0f} a second without it\n"
        f"web process: {before / MIB:.0f} MiB before, {ours.memory / MIB:.0f} at most,"
        f" {ours.disk / MIB:.0f} MiB on disk\n"
        f"nginx: {theirs.memory / MIB:.0f} MiB at most, {theirs.disk / MIB:.0f} MiB on disk"
    )


def main() -> None:
    """Measure one list."""
    parser = argparse.ArgumentParser(prog="python -m bench.long_list", description=__doc__)
    parser.add_argument("--rows", type=int, default=30_000_000, help="default: 30,000,000")
    parser.add_argument("--frozen", type=float, default=60, help="seconds (default: 60)")
    given = parser.parse_args()
    with for_test(environ={}) as engines:
        measure(engines, given.rows, given.frozen)


if __name__ == "__main__":
    main()
