"""What processes hold while nothing happens, and what a command takes before it does anything.

Memory is PSS: what processes share counts for each by its part. The time of a command is that of
the processor, user and system, the least of the rounds.
"""

from __future__ import annotations

import os
import re
import resource
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench import ground
from bench.reporting import NotHere, Options, say
from dev.engines import Engines
from dev.server import free_port
from preference_center.__main__ import PROGRAM, process_environment

MOST_MIB = 100
MOST_SECONDS = 1.0
PROCESSES = {
    "worker": "workers.worker",
    "fresh": "workers.worker fresh",
    "scheduler": "workers.scheduler",
    "web": "workers.web",
    "console": "workers.web console",
}
COMMANDS = (
    "--help",
    "keys list",
    "destinations list",
    f"catalogue check {ground.CATALOGUE}",
    "alerts list",
    "opt-out --help",
    "db current",
)
SETTLED = 20.0
"""Seconds after which all have done what they do when they start."""


def measure(engines: Engines, options: Options) -> None:
    """Print the time of each command and the memory of each process, as parts of their limits."""
    shown = 1 if options.is_smoke else None
    with ground.ground(engines) as here:
        environ = process_environment(os.environ) | here.environ
        environ.pop("PYTHONDONTWRITEBYTECODE", None)  # the image has bytecode, too
        environ.pop("API_RATE", None)  # few set one
        _measure_commands(COMMANDS[:shown], environ, options.rounds)
        processes = dict([*PROCESSES.items()][:shown])
        _measure_processes(processes, environ, 0 if options.is_smoke else SETTLED)


def _measure_commands(commands: tuple[str, ...], environ: Mapping[str, str], rounds: int) -> None:
    for command in commands:
        seconds = min(_processor_time(command, environ) for _ in range(rounds))
        name = command.replace(f"{ground.ROOT}/", "")
        part = f"{seconds / MOST_SECONDS:.0%} of {MOST_SECONDS:.0f} s"
        say(f"{PROGRAM} {name}: {seconds:.2f} s, {part}")


def _processor_time(command: str, environ: Mapping[str, str]) -> float:
    """Seconds. Raises CalledProcessError if it fails."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    line = [sys.executable, "-m", "preference_center"]
    subprocess.run(
        [*line, *shlex.split(command)],
        env=environ,
        check=True,
        capture_output=True,
        cwd=ground.ROOT,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _measure_processes(
    processes: Mapping[str, str], environ: Mapping[str, str], settled: float
) -> None:
    ports = {"HOST": "127.0.0.1", "PORT": str(free_port()), "CONSOLE_PORT": str(free_port())}
    with ExitStack() as stack:
        started = {
            name: stack.enter_context(_process(module, {**environ, **ports}))
            for name, module in processes.items()
        }
        time.sleep(settled)
        for name, pid in started.items():
            for member in (pid, *_children(pid)):
                mib = read_pss(member)
                say(f"{name}: {mib:.0f} MiB, {mib / MOST_MIB:.0%} of {MOST_MIB} MiB")


@contextmanager
def _process(module: str, environ: Mapping[str, str]) -> Iterator[int]:
    """The id of a process that runs it."""
    with subprocess.Popen(
        [sys.executable, "-m", *module.split()],
        env=environ,
        cwd=ground.ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            yield process.pid
        finally:
            process.terminate()


def _children(pid: int) -> list[int]:
    """The processes that it has started."""
    return [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def read_pss(pid: int) -> float:
    """The proportional set size in MiB. Raises NotHere where the kernel doesn't state it."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except FileNotFoundError:
        raise NotHere("Linux states the memory of a process that runs; here it doesn't") from None
    found = re.search(r"^Pss: +(\d+) kB", text, re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0
