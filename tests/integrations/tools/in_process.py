"""A network on which connectors reach the stand-ins of their own process without a socket.

A push of a connector is a dozen requests. By a socket each of them costs a connection, a
thread and several turns of the interpreter's lock; here it costs a function call. What a
connector sends is still made, and what it gets still parsed, by its own HTTP client. Tests
of time limits use sockets, since only they can be late.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from io import BytesIO
from typing import Any
from urllib.parse import unquote

import httpcore
from werkzeug.exceptions import InternalServerError
from werkzeug.wrappers import Request, Response

from tests.integrations.tools.stand_in import LISTENING, Silence, StandIn


class InProcess(httpcore.NetworkBackend):
    """Connects to the stand-in that listens at a port; by a socket if there is none."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        if server := LISTENING.get(port):
            return _Connection(server)
        sockets = httpcore.SyncBackend()
        return sockets.connect_tcp(host, port, timeout, local_address, socket_options)


class _Connection(httpcore.NetworkStream):
    """Answers a request when its client begins to wait for the answer."""

    def __init__(self, server: StandIn) -> None:
        self._server = server
        self._sent = bytearray()
        self._answer = BytesIO()

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 - httpcore's
        self._sent += buffer

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 - httpcore's
        if self._sent:
            sent, self._sent = bytes(self._sent), bytearray()
            try:
                self._answer = BytesIO(_exchange(self._server, sent))
            except Silence as silence:
                raise httpcore.ReadTimeout from silence
        return self._answer.read(max_bytes)

    def close(self) -> None:
        """Nothing is open."""

    def get_extra_info(self, info: str) -> Any:  # noqa: ARG002 - neither address nor readable
        return None


def _exchange(server: StandIn, sent: bytes) -> bytes:
    environ = _environ(server, sent)
    try:
        response = server.respond(Request(environ))
    except Silence:
        raise
    except Exception:  # noqa: BLE001 - as a server does
        response = Response(InternalServerError().get_body(), 500)
    response.make_sequence()  # else its length is unknown
    body, status, headers = response.get_wsgi_response(environ)
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode("latin-1") + b"".join(body)


def _environ(server: StandIn, sent: bytes) -> dict[str, Any]:
    """What werkzeug's server makes of a request."""
    head, _, body = sent.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, protocol = first.split(" ")
    path, _, query = target.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote(path).encode().decode("latin-1"),
        "QUERY_STRING": query,
        "RAW_URI": target,
        "REMOTE_ADDR": "127.0.0.1",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": str(server.port),
        "SERVER_PROTOCOL": protocol,
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(body),
        "wsgi.errors": sys.stderr,
    }
    for line in lines:
        name, _, value = line.partition(":")
        key = name.upper().replace("-", "_")
        environ[key if key in _BARE else f"HTTP_{key}"] = value.strip()
    if int(environ.get("CONTENT_LENGTH", 0)) != len(body):
        raise ValueError("the body is not as long as its header says")
    return environ


_BARE = frozenset({"CONTENT_TYPE", "CONTENT_LENGTH"})
