"""The demo's ports: all are found, and held, before anything that uses them starts."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from dev.errors import EngineError
from dev.server import free_port

HOST = "127.0.0.1"
LAST = 65535


class Ports:
    """Ports that no other program gets, nor another demo that starts just now."""

    def __init__(self) -> None:
        self._held: list[socket.socket] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def release(self) -> None:
        """Let go of all, for the programs that are to listen there."""
        for held in self._held:
            held.close()

    def take(self, wanted: int, what: str, setting: str) -> int:
        """`wanted`, or another port if that is taken, which is printed; `setting` states it."""
        wanted = min(wanted, LAST)
        if self._hold(wanted):
            return wanted
        port = free_port()
        while not self._hold(port):
            port = free_port()
        print(f"Port {wanted} ({setting}) is taken: port {port} for {what}", flush=True)
        return port

    def take_row(self, first: int, names: Sequence[str], setting: str) -> None:
        """One port for each name, from `first` on. Raises EngineError if one is taken.

        Others have been told of these, so they can't be replaced.
        """
        for port, name in enumerate(names, first):
            if port > LAST or not self._hold(port):
                raise EngineError(
                    f"Port {port}, where {name} answers probes, is taken: {setting}={first} needs"
                    f" {first} to {first + len(names) - 1}. Name another, or stop what listens"
                    " there"
                )

    def _hold(self, port: int) -> bool:
        try:
            self._held.append(socket.create_server((HOST, port)))
        except OSError:
            return False
        return True
