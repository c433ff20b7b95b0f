"""A way to PostgreSQL on which a session can be stopped at a statement, before it or after."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

_CHUNK = 2**17


@dataclass(frozen=True, slots=True)
class Stop:
    """Where a session is stopped: at the last of `texts`, once the others went by in this order."""

    name: str
    texts: tuple[bytes, ...]
    """Each a part of a statement or of its parameters."""
    executed: bool = True
    """Whether the server executes it, so that only its answer is held back."""

    def __str__(self) -> str:
        return self.name


@dataclass(slots=True)
class Gate:
    """Passes connections on to a server, and holds the one that comes to `stop_at`."""

    server: str
    """URL of the database."""
    reached: threading.Event = field(default_factory=threading.Event)
    """Set while a session is held."""
    _free: threading.Event = field(default_factory=threading.Event)
    _held: bytes = b""
    """The statement at which a session was held last."""
    _left: list[bytes] = field(default_factory=list)
    _executed: bool = False
    _listener: socket.socket = field(init=False)
    _sockets: list[socket.socket] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        """Reset all connections; what is held never arrives."""
        for each in (self._listener, *self._sockets):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self._free.set()

    @property
    def url(self) -> str:
        """The same database through the gate."""
        parts = urlsplit(self.server)
        port = self._listener.getsockname()[1]
        netloc = f"{parts.netloc.rpartition(':')[0]}:{port}"
        query = "sslmode=disable&gssencmode=disable"
        return parts._replace(netloc=netloc, query=query).geturl()

    def stop_at(self, stop: Stop) -> None:
        """Hold the next session that comes there; one that is held goes on."""
        begun = len(stop.texts) > 1 and stop.texts[0] in self._held
        self._left, self._executed = list(stop.texts[begun:]), stop.executed
        self.reached.clear()
        self._free.set()
        self._free = threading.Event()

    def let_go(self) -> None:
        """Pass on what is held."""
        self._free.set()

    def _start(self, work: object, *given: object) -> None:
        assert callable(work)
        threading.Thread(target=work, args=given, daemon=True).start()

    def _accept(self) -> None:
        parts = urlsplit(self.server)
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection((parts.hostname, parts.port or 5432))
                self._sockets += [client, server]
                held = threading.Event()
                self._start(self._ask, client, server, held)
                self._start(self._answer, server, client, held)

    def _ask(self, client: socket.socket, server: socket.socket, held: threading.Event) -> None:
        with _ending(client, server):
            while content := client.recv(_CHUNK):
                if self._comes_to_the_stop(content):
                    if self._executed:
                        held.set()
                    else:
                        self._hold()
                server.sendall(content)

    def _answer(self, server: socket.socket, client: socket.socket, held: threading.Event) -> None:
        with _ending(server, client):
            while content := server.recv(_CHUNK):
                if held.is_set():
                    self._hold()
                    held.clear()
                client.sendall(content)

    def _comes_to_the_stop(self, content: bytes) -> bool:
        if not self._left or self._left[0] not in content:
            return False
        del self._left[0]
        if not self._left:
            self._held = content
        return not self._left

    def _hold(self) -> None:
        free = self._free
        self.reached.set()
        free.wait()


@contextmanager
def _ending(source: socket.socket, target: socket.socket) -> Iterator[None]:
    """When one side of a connection has ended, so does the other."""
    try:
        with suppress(OSError):
            yield
    finally:
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
