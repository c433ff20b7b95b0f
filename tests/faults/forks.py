"""Processes of the Procfile that begin with everything imported.

To import what the service imports takes two seconds of a core, in each process of each test. Here
one server imports it and forks itself for each process. What a process does from there on is what
its command line says. `Service.forks` asks for it.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from dev.processes import wait_until

_CONTEXT = multiprocessing.get_context("forkserver")
_PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class Fork:
    """One of them, with what tests use of `subprocess.Popen`."""

    _process: ForkServerProcess

    @property
    def pid(self) -> int:
        """Its number, and that of its process group."""
        assert self._process.pid
        return self._process.pid

    def poll(self) -> int | None:
        """The exit code; None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, once it has ended. Raises subprocess.TimeoutExpired."""
        self._process.join(timeout)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout or 0)
        return code

    def terminate(self) -> None:
        """Send it SIGTERM."""
        self._process.terminate()


def fork(command: str, folder: Path, environ: Mapping[str, str], log: Path) -> Fork:
    """Run `python -m MODULE` with its arguments in a session of its own."""
    _CONTEXT.set_forkserver_preload(["tests.faults.loaded"])
    shell = ["/bin/sh", "-c", f"printf '%s\\0' {command}"]
    words = subprocess.run(shell, env=environ, capture_output=True, text=True, check=True).stdout
    arguments = words.split("\0")[:-1]
    process = _CONTEXT.Process(target=_become, args=(arguments, folder, dict(environ), log))
    process.start()
    forked = Fork(process)
    assert wait_until(lambda: _leads_its_group(forked), _PATIENCE), log.read_text()
    return forked


def _leads_its_group(process: Fork) -> bool:
    try:
        return os.getpgid(process.pid) == process.pid
    except ProcessLookupError:  # it has ended
        return True


def _become(arguments: list[str], folder: Path, environ: dict[str, str], log: Path) -> None:
    multiprocessing.set_start_method("fork", force=True)  # the web server's workers have it, too
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    with log.open("ab") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    sys.stdout.reconfigure(write_through=True)  # type: ignore[union-attr]
    _python, _m, module, *rest = arguments
    sys.argv = [module, *rest]
    for loaded in {module, *rest[:1]}:
        sys.modules.pop(loaded, None)  # it runs as `__main__`, as with `python -m`
    runpy.run_module(module, run_name="__main__", alter_sys=True)
