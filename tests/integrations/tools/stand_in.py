"""A vendor's API on a real socket of this machine, and the ways it may fail.

Connectors of a `Rig` reach it without the socket: see `in_process`.
"""

from __future__ import annotations

import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

Watch = Callable[[Request, Response], None]
Change = Callable[[Request, Response], Response]


class Silence(Exception):
    """No answer comes, and there is no socket on which to be silent."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A bad answer to one request; `after` lets that many good ones pass first.

    `acts`: what was asked is done all the same, without a response.
    """

    status: int = 500
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = '{"errors": []}'
    after: int = 0
    hang: bool = False
    drip: bool = False
    acts: bool = False


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002
        """The test's output is not the server's."""


class StandIn:
    """Serves `handle`, which a vendor's stand-in overrides; keeps what it was sent."""

    def __init__(self, watch: Watch | None = None) -> None:
        self.seen: list[tuple[str, str]] = []
        self.change: Change | None = None
        """Makes another answer of a good one, after it was watched."""
        self._faults: deque[Fault] = deque()
        self._passes = 0
        self._released = threading.Event()
        self._watch = watch
        self._server = make_server("127.0.0.1", 0, self, threaded=True, request_handler=_Quiet)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._is_ending = False
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"

    def handle(self, request: Request) -> Response:
        raise NotImplementedError

    def fail(self, *faults: Fault) -> None:
        """Answer the next requests with `faults`, in order."""
        self._faults.extend(faults)
        self._passes = faults[0].after

    def unwatch(self) -> None:
        """Hold requests and answers to no description from now on: that takes its time."""
        self._watch = None

    def __enter__(self) -> Self:
        self._thread.start()
        LISTENING[self.port] = self
        return self

    def __exit__(self, *_: object) -> None:
        """To be called again by `with` after a test did, that wants it down."""
        if self._is_ending:
            return
        LISTENING.pop(self.port)
        self._is_ending = True
        self._released.set()
        # Wakes the thread, which polls for nothing.
        socket.create_connection(("127.0.0.1", self.port)).close()
        self._thread.join()
        self._server.server_close()

    def _serve(self) -> None:
        while not self._is_ending:
            self._server.handle_request()

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return self.respond(Request(environ))(environ, start_response)

    def respond(self, request: Request) -> Response:
        """The response, as it is or at fault. Raises Silence for a Fault that hangs."""
        self.seen.append((request.method, request.path))
        fault = self._next_fault()
        if fault and fault.acts:
            self.handle(request)
        response = self._faulty(fault, request) if fault else self.handle(request)
        if not fault and self._watch:
            self._watch(request, response)
        if not fault and self.change:
            response = self.change(request, response)
        return response

    def _next_fault(self) -> Fault | None:
        if not self._faults:
            return None
        if self._passes:
            self._passes -= 1
            return None
        fault = self._faults.popleft()
        self._passes = self._faults[0].after if self._faults else 0
        return fault

    def _faulty(self, fault: Fault, request: Request) -> Response:
        if (fault.hang or fault.drip) and "werkzeug.socket" not in request.environ:
            raise Silence
        if fault.hang:
            self._released.wait(30)
        if fault.drip:
            return Response(self._dripping(), status=fault.status)
        return Response(fault.body, fault.status, dict(fault.headers))

    def _dripping(self) -> Iterator[bytes]:
        for _ in range(200):  # 4 s: longer than any limit a test sets
            yield b" "
            if self._released.wait(0.02):
                return


LISTENING: dict[int, StandIn] = {}
"""By port, all that run in this process."""
