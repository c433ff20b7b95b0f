"""A client that sends a list and reads answers at the same time, over one connection."""

from __future__ import annotations

import http.client
import json
import socket
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from tests.faults.service import PATIENCE, Service

PATH = "/v1/decisions/stream?message_type=offers.weekly"


@dataclass(slots=True)
class Stream:
    """An upload under way. Reading it may raise what `http.client` raises."""

    service: Service
    key: str
    proxy: http.client.HTTPConnection | None = None
    """What is connected to instead of the service."""
    _connection: http.client.HTTPConnection = field(init=False)
    _answer: http.client.HTTPResponse | None = None

    def __enter__(self) -> Self:
        self._connection = self.proxy or http.client.HTTPConnection(
            "127.0.0.1", self.service.port, timeout=PATIENCE
        )
        self._connection.putrequest("POST", PATH)
        for name, value in (
            ("Authorization", f"Bearer {self.key}"),
            ("Content-Type", "application/x-ndjson"),
            ("Transfer-Encoding", "chunked"),
        ):
            self._connection.putheader(name, value)
        self._connection.endheaders()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self._answer:
            self._answer.close()
        self._connection.close()

    def send(self, first: int, count: int) -> None:
        """Ask about so many people more; what they are called is padded to be sent at once."""
        lines = (
            json.dumps({"recipient": f"person-{number}@example.com", "padding": "x" * 500})
            for number in range(first, first + count)
        )
        block = "".join(f"{line}\n" for line in lines).encode()
        self._socket.sendall(b"%x\r\n%b\r\n" % (len(block), block))

    def finish(self) -> None:
        """Say that no more comes."""
        self._socket.sendall(b"0\r\n\r\n")

    def read(self) -> dict[str, Any]:
        """The next line of the answer."""
        line = self.answer.readline()
        return dict(json.loads(line))

    def hang_up(self) -> None:
        """Go away in the middle."""

    def abort(self) -> None:
        """Go away with a reset, as when a machine on the way is switched off."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    @property
    def answer(self) -> http.client.HTTPResponse:
        if self._answer is None:
            self._answer = self._connection.getresponse()
        return self._answer

    @property
    def _socket(self) -> socket.socket:
        found: socket.socket = self._connection.sock
        return found
