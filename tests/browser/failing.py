"""The network before a service: it passes everything on, until it is told to fail."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum

CHUNK = 65536
PACE = 0.2
"""Seconds between two bytes of an answer that drips."""


class Fault(StrEnum):
    """What becomes of every new connection."""

    NONE = "none"
    """It reaches the service."""
    CLOSED = "closed"
    """Nothing listens."""
    SILENT = "silent"
    """It is accepted, and no answer comes."""
    DRIPPING = "dripping"
    """The answer begins, and comes byte by byte."""


class Front:
    """Listens at `url`, and passes each connection on to the port of the service behind it."""

    def __init__(self, upstream: int) -> None:
        self._upstream = upstream
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._port = self._listener.getsockname()[1]
        self._over = threading.Event()
        self._open: list[socket.socket] = []
        self.url = f"http://127.0.0.1:{self._port}"
        self.fault = Fault.NONE
        self._accept()

    def fail(self, fault: Fault) -> None:
        """Treat all connections like this from now on; those that are open end."""
        was, self.fault = self.fault, fault
        self._end_connections()
        if fault is Fault.CLOSED:
            self._close_listener()
        elif was is Fault.CLOSED:
            self._listener = socket.create_server(("127.0.0.1", self._port))
            self._accept()

    def close(self) -> None:
        """End it, and what is open."""
        self._over.set()
        self._end_connections()
        self._close_listener()

    def _accept(self) -> None:
        threading.Thread(target=self._serve, args=(self._listener,), daemon=True).start()

    def _close_listener(self) -> None:
        with suppress(OSError):  # is closed already
            self._listener.shutdown(socket.SHUT_RDWR)  # which ends `accept`
        self._listener.close()

    def _end_connections(self) -> None:
        while self._open:
            with suppress(OSError):  # has ended
                self._open.pop().shutdown(socket.SHUT_RDWR)

    def _serve(self, listener: socket.socket) -> None:
        with suppress(OSError):  # closed
            while True:
                near = listener.accept()[0]
                self._open.append(near)
                threading.Thread(target=self._answer, args=(near, self.fault), daemon=True).start()

    def _answer(self, near: socket.socket, fault: Fault) -> None:
        with near, suppress(OSError):  # either side has gone
            if fault is Fault.NONE:
                self._pass_on(near)
            near.recv(CHUNK)
            if fault is Fault.DRIPPING:
                near.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n")
                while not self._over.wait(PACE):
                    near.sendall(b" ")
            near.recv(CHUNK)  # until somebody ends it

    def _pass_on(self, near: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", self._upstream)) as far:
            self._open.append(far)
            forth = threading.Thread(target=_pump, args=(near, far), daemon=True)
            forth.start()
            _pump(far, near)


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):  # either side has gone
        while data := source.recv(CHUNK):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@contextmanager
def front_of(upstream: int) -> Iterator[Front]:
    """A front of the service at this port."""
    front = Front(upstream)
    try:
        yield front
    finally:
        front.close()
