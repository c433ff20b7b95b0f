"""Reaches every process of the web server, though all share one port."""

from __future__ import annotations

import http.client
import json
import os
import select
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from chaos.timing import LOST, Asked, Sample

HEADER = "X-Process"
"""What chaos.web puts into every answer; only the web server can import that."""
PATH = "/livez"
"""Answered whatever the database does."""
TRIES = 12
"""Connections opened to find a process that has none yet."""
PATIENCE = 10.0
"""Seconds to wait for an answer."""
FAILED = (OSError, http.client.HTTPException)


def expected() -> int:
    """How many processes the web server has, according to the Procfile."""
    return int(os.environ.get("WEB_WORKERS", "2"))


@dataclass(slots=True)
class Webs:
    """A connection to each process. For one thread."""

    port: int
    samples: list[Sample] = field(default_factory=list)
    """How long each process took to answer."""
    _open: dict[str, http.client.HTTPConnection] = field(default_factory=dict)

    def whole(self) -> bool:
        """Whether every process answers now."""
        self.close()
        try:
            self._reach()
        except FAILED:
            return False
        found = len(self._open)
        self.close()
        return found >= expected()

    def ask_all(
        self, path: str, body: Mapping[str, object], headers: Mapping[str, str]
    ) -> dict[str, tuple[int, bytes]]:
        """POST the same to every process that can be reached: status and body by process."""
        try:
            self._reach()
        except FAILED:
            return {}
        came = {}
        for name, connection in list(self._open.items()):
            begin, status = time.monotonic(), LOST
            try:
                connection.request(
                    "POST",
                    path,
                    json.dumps(body),
                    {"Content-Type": "application/json", **headers},
                )
                answer = connection.getresponse()
                came[name] = (answer.status, answer.read())
                status = answer.status
            except FAILED:
                self._open.pop(name).close()
            self.samples.append(Sample(begin, time.monotonic(), status, Asked.CHECK))
        return came

    def close(self) -> None:
        """Close all connections."""
        for connection in self._open.values():
            connection.close()
        self._open.clear()

    def _reach(self) -> None:
        """Connect to processes that have no connection. Raises one of `FAILED`."""
        for name in [name for name, kept in self._open.items() if is_dropped(kept)]:
            self._open.pop(name).close()
        spare = []
        try:
            for _ in range(TRIES):
                if len(self._open) >= expected():
                    return
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
                spare.append(connection)  # kept open meanwhile: the next goes elsewhere
                connection.request("GET", PATH)
                answer = connection.getresponse()
                answer.read()
                name = answer.headers[HEADER]  # none where it was too busy for the service
                if name and self._open.setdefault(name, connection) is connection:
                    spare.remove(connection)
        finally:
            for connection in spare:
                connection.close()


def is_dropped(connection: http.client.HTTPConnection) -> bool:
    """Whether the server has closed it since its last use, as HTTP clients look before the next.

    It ends with its process, and after an answer that was given before the body was read.
    """
    return connection.sock is not None and bool(select.select([connection.sock], [], [], 0)[0])
