"""One server process of ours: started, waited for, stopped, found again.

What is known of it (port, password, process id) is in a file next to its data, so any
process can stop it, and the supervisor that comes after one that was killed finds it.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import ClassVar

from dev.accounts import Account, write_private
from dev.errors import EngineError
from dev.processes import POLL, command_line, wait_until

# What a server writes when a moment later may do: its port is in use, or the children of
# a killed PostgreSQL have not noticed yet.
PORT_IN_USE = "Address already in use"
_PORTS = range(10_000, 32_000)
CHILDREN_LEFT = "shared memory block"


@dataclass(frozen=True, slots=True)
class State:
    """What must be known of a server to reach and to stop it."""

    port: int
    password: str
    pid: int | None = None


class Server(ABC):
    """A server with its data in `folder/<name>/`, reachable on the loopback only.

    Not `durable` means that the data may be lost with the machine: faster, for tests.
    """

    name: ClassVar[str]
    stop_signals: ClassVar[tuple[tuple[signal.Signals, float], ...]]
    """What to send, and the seconds to wait after each."""
    patience: ClassVar[float] = 60
    """Seconds a start may take, with recovery after a crash."""

    def __init__(self, folder: Path, account: Account, *, durable: bool) -> None:
        self.folder = folder
        self.account = account
        self.durable = durable
        self._process: subprocess.Popen[bytes] | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """Where it listens, with the password. Raises EngineError before the first start."""

    @abstractmethod
    def _prepare(self, state: State) -> list[str | Path]:
        """Make the data folder ready and return the command that starts the server."""

    @property
    @abstractmethod
    def _markers(self) -> tuple[str, ...]:
        """Texts of which the command line of this very server holds at least one."""

    @abstractmethod
    def _answers(self) -> bool:
        """Whether the server does work now."""

    @property
    def data(self) -> Path:
        """The folder that belongs to the server's account."""
        return self.folder / self.name

    @property
    def log(self) -> Path:
        """What the server wrote."""
        return self.folder / f"{self.name}.log"

    @property
    def state(self) -> State:
        """Port, password and process id. Raises EngineError before the first start."""
        try:
            return State(**json.loads(self._state_file.read_text()))
        except FileNotFoundError:
            raise EngineError(f"{self.name} was never started in {self.folder}") from None

    @property
    def running(self) -> bool:
        """Whether the process is there, no matter who started it."""
        if not self._state_file.exists():
            return False
        pid = self.state.pid
        if pid is None:
            return False
        if self._process is not None and self._process.pid == pid:
            return self._process.poll() is None
        # a process id may have gone to another program since
        line = command_line(pid)
        return any(marker in line for marker in self._markers)

    def start(self) -> None:
        """Start the server and wait until it answers, on the port of last time if it is free.

        One that a killed supervisor left behind is stopped first. Raises EngineError with
        the end of the server's log if it does not come up within `patience`.
        """
        ours = self._process is not None
        if ours and self.running:
            return
        self.stop()
        deadline = time.monotonic() + self.patience
        while not self._launch(keep_port=ours, deadline=deadline):
            time.sleep(POLL)

    def stop(self) -> None:
        """Shut the server down cleanly, no matter who started it; by force if it does not obey."""
        for number, seconds in self.stop_signals:
            if self._signal(number, seconds):
                return
        raise EngineError(f"{self.name} does not stop; see {self.log}")

    def kill(self) -> None:
        """End the server with SIGKILL, as a crash would."""
        self._signal(signal.SIGKILL, self.patience)

    def restart(self) -> None:
        """Stop and start; port, password and data stay."""
        self.stop()
        self.start()

    @property
    def _state_file(self) -> Path:
        return self.folder / f"{self.name}.json"

    def _save(self, state: State) -> None:
        write_private(self._state_file, json.dumps(asdict(state)))

    def _next_state(self, *, keep_port: bool) -> State:
        if not self._state_file.exists():
            return State(free_port(), secrets.token_urlsafe(24))
        state = replace(self.state, pid=None)
        if keep_port or is_free(state.port):
            return state
        return replace(state, port=free_port())

    def _launch(self, *, keep_port: bool, deadline: float) -> bool:
        """Start the process once. Returns False if trying again may help."""
        state = self._next_state(keep_port=keep_port)
        self._save(state)
        command = self._prepare(state)
        with self.log.open("ab") as log:
            begin = log.tell()
            self._process = self.account.popen(command, cwd=self.folder, output=log)
        self._save(replace(state, pid=self._process.pid))
        process = self._process
        if not wait_until(
            lambda: process.poll() is not None or self._answers(), deadline - time.monotonic()
        ):
            self.stop()
            raise EngineError(f"{self.name} did not answer in time:\n{self._tail(begin)}")
        if process.poll() is None:
            return True
        output = self._tail(begin)
        passing = PORT_IN_USE in output or CHILDREN_LEFT in output
        if passing and time.monotonic() < deadline:
            return False
        raise EngineError(f"{self.name} did not start:\n{output}")

    def _signal(self, number: signal.Signals, seconds: float) -> bool:
        """Send a signal; return whether the server is gone within `seconds`."""
        if not self.running:
            return True
        pid = self.state.pid
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        return wait_until(lambda: not self.running, seconds)

    def _tail(self, begin: int) -> str:
        with self.log.open("rb") as log:
            log.seek(begin)
            return log.read().decode(errors="replace")[-4000:]


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """Return a loopback port that nobody uses just now.

    It lies below those that kernels choose for connections and for port 0: it is bound only
    later.
    """
    port = secrets.choice(_PORTS)
    while not is_free(port):
        port = secrets.choice(_PORTS)
    return port
