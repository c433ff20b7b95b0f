"""Runs a few programs side by side, and stops all of them together.

Each has a session of its own: Ctrl-C in the terminal is for us, who stop them in order.
Simpler than honcho's manager, which may leave programs behind when it is interrupted
while it starts them.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from dev.accounts import write_private
from dev.processes import command_line

PATIENCE = 15.0
"""Seconds a program gets to stop before it is killed."""
WIDTH = 9


@dataclass(slots=True)
class Supervisor:
    """Programs by name. `register` is a file that lists them for a later supervisor."""

    register: Path
    cwd: Path
    programs: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _printers: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Self:
        """Stop what a supervisor that was killed left behind."""
        if self.register.exists():
            for pid, line in json.loads(self.register.read_text()):
                # a process id may have gone to another program since
                if line and command_line(pid) == line:
                    _signal_group(pid, signal.SIGKILL)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop all, the last one first."""
        for program in reversed(self.programs.values()):
            _signal_group(program.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                program.wait(PATIENCE)
            _signal_group(program.pid, signal.SIGKILL)  # whatever of the group is left
            program.wait()
        for printer in self._printers:
            printer.join(timeout=1)
        self.register.unlink(missing_ok=True)

    def start(self, name: str, command: str, environ: Mapping[str, str]) -> None:
        """Start a command line of the shell; what it prints comes out with its name before it."""
        program = subprocess.Popen(
            # without `exec` a signal might end the shell and not what it runs
            ["sh", "-c", f"exec {command}"],
            cwd=self.cwd,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.programs[name] = program
        assert program.stdout
        printer = threading.Thread(target=_relay, args=(name, program.stdout), daemon=True)
        printer.start()
        self._printers.append(printer)

    def note(self) -> None:
        """Write the register: call it once all have become what they run."""
        rows = [(program.pid, command_line(program.pid)) for program in self.programs.values()]
        write_private(self.register, json.dumps(rows))

    def ended(self) -> str | None:
        """The name of a program that ended by itself, if any has."""
        gone = (name for name, program in self.programs.items() if program.poll() is not None)
        return next(gone, None)


def _signal_group(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _relay(name: str, output: IO[bytes]) -> None:
    for line in output:
        print(f"{name:{WIDTH}}| {line.decode(errors='replace').rstrip()}", flush=True)
