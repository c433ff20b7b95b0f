"""One request and its response, shared by the event loop and the request's thread."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

import structlog
from werkzeug.exceptions import ClientDisconnected, HTTPException, RequestTimeout

from preference_center.infra.request_ids import HEADER, request_id
from preference_center.infra.wsgi_environ import content_length, has_body

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from flask import Flask

log = structlog.get_logger()

T = TypeVar("T")

AsgiMessage = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[AsgiMessage]]
Send = Callable[[AsgiMessage], Awaitable[None]]

_RETRY_AFTER_SECONDS = 10  # seconds


class HttpExchange:
    """Both directions of one request.

    `stall_timeout` is the number of seconds for which a thread waits for the client.
    """

    def __init__(
        self,
        app: Flask,
        environ: dict[str, Any],
        receive: Receive,
        send: Send,
        stall_timeout: float,
    ) -> None:
        self.environ = environ
        self.client_disconnected = False
        """Whether the client has closed the connection, or has timed out."""
        self._app = app
        self._receive, self._send, self._stall_timeout = receive, send, stall_timeout
        self._loop = asyncio.get_running_loop()
        self._body_complete = not has_body(environ)
        self._remaining_bytes = content_length(environ) or -1  # without Content-Length never 0
        self._responding = self._logged = False
        self._disconnect_task: asyncio.Task[None] | None = None

    @property
    def endpoint(self) -> str | None:
        """The name of the route; never the path, which may contain a token (I12)."""
        with self._app.app_context():  # a converter of a path may need it
            try:
                name: str = self._app.url_map.bind_to_environ(self.environ).match()[0]
            except HTTPException:
                return None
        return name

    def log_once(self, event: str, **values: object) -> None:
        """Log why the exchange ended, with the name of the route; only the first cause."""
        if self._logged:
            return
        self._logged = True
        method = self.environ["REQUEST_METHOD"]
        number = request_id(self.environ)
        log.warning(event, endpoint=self.endpoint, method=method, request_id=number, **values)

    async def receive_chunk(self) -> bytes:
        """The next bytes of the body, b"" at its end. Raises ClientDisconnected."""
        while not self._body_complete:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self.client_disconnected = self._body_complete = True
                raise ClientDisconnected
            part: bytes = message.get("body", b"")
            self._remaining_bytes -= len(part)
            if self._remaining_bytes == 0 or not message.get("more_body", False):
                self._body_complete = True
                self._watch_disconnect()
            if part:
                return part
        return b""

    async def send_response(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Send a complete response."""
        await self._send(_response_start(status, headers))
        await self._send({"type": "http.response.body", "body": body})

    async def send_error(self, status: int, detail: str) -> None:
        """Send an error before any view runs: problem details for the API, else plain text."""
        title, body = HTTPStatus(status).phrase, f"{detail}\n"
        kind = "text/plain; charset=utf-8"
        if self.environ["PATH_INFO"].startswith("/v1/"):
            kind = "application/problem+json"
            body = json.dumps({"title": title, "status": status, "detail": detail})
        headers = [("Content-Type", kind), ("Retry-After", str(_RETRY_AFTER_SECONDS))]
        headers += [("Connection", "close"), (HEADER, request_id(self.environ))]
        await self.send_response(status, headers, body.encode())

    def start_response(self, status: int, headers: list[tuple[str, str]]) -> None:
        """In the thread: begin a response that is sent in chunks."""
        self._run_in_loop(lambda: self._start_response(status, headers))

    def write_chunk(self, chunk: bytes, *, more: bool = True) -> None:
        """In the thread: send a chunk, once the client has read most of those before.

        Raises ClientDisconnected if it has disconnected, or read nothing for
        `stall_timeout` seconds.
        """
        if self.client_disconnected:
            raise ClientDisconnected
        message = {"type": "http.response.body", "body": chunk, "more_body": more}
        try:
            self._run_in_loop(lambda: self._send(message))
        except TimeoutError:
            self.client_disconnected = True
            self.log_once("client_stalled", stage="answer")
            raise ClientDisconnected from None

    def close(self) -> None:
        """In the event loop: end the exchange."""
        if self._disconnect_task:
            self._disconnect_task.cancel()

    def read_chunk(self) -> bytes:
        """In a thread: the next bytes of the body.

        Raises ClientDisconnected, and RequestTimeout if none came for `stall_timeout` seconds.
        """
        try:
            return self._run_in_loop(self.receive_chunk)
        except TimeoutError:
            self.client_disconnected = self._body_complete = True
            self.log_once("request_timed_out", stage="body")
            raise RequestTimeout from None

    async def _start_response(self, status: int, headers: list[tuple[str, str]]) -> None:
        self._responding = True
        if self._body_complete:
            self._watch_disconnect()
        await self._send(_response_start(status, headers))

    def _watch_disconnect(self) -> None:
        """Begin to wait for the end of the connection, the only message that can still come."""
        if self._responding and not self._disconnect_task:
            self._disconnect_task = self._loop.create_task(self._wait_for_disconnect())

    async def _wait_for_disconnect(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.client_disconnected = True

    def _run_in_loop(self, call: Callable[[], Awaitable[T]]) -> T:
        async def limited() -> T:
            async with asyncio.timeout(self._stall_timeout):
                return await call()

        return asyncio.run_coroutine_threadsafe(limited(), self._loop).result()


class RequestBodyStream(io.RawIOBase):
    """The request body as a raw stream, for the thread that reads it while it arrives."""

    def __init__(self, exchange: HttpExchange) -> None:
        self._exchange = exchange
        self._buffered = b""

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Read into `buffer`; 0 at the end. Raises as `HttpExchange.read_chunk`."""
        view = memoryview(buffer)
        if not self._buffered:
            self._buffered = self._exchange.read_chunk()
        part, self._buffered = self._buffered[: len(view)], self._buffered[len(view) :]
        view[: len(part)] = part
        return len(part)


def _response_start(status: int, headers: list[tuple[str, str]]) -> AsgiMessage:
    encoded = [(name.lower().encode("latin-1"), text.encode("latin-1")) for name, text in headers]
    return {"type": "http.response.start", "status": status, "headers": encoded}
