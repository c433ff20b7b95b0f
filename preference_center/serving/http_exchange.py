"""One request and its answer, as seen by the event loop and by the thread that works on it."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

import structlog
from werkzeug.exceptions import ClientDisconnected, HTTPException, RequestTimeout

from preference_center.serving.wsgi_environ import announced_length, sends_body

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from flask import Flask

log = structlog.get_logger()

T = TypeVar("T")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_RETRY_AFTER = 10  # seconds


class Exchange:
    """Both directions of one request. `stall` is how many seconds a thread waits for the client."""

    def __init__(
        self, app: Flask, environ: dict[str, Any], receive: Receive, send: Send, stall: float
    ) -> None:
        self.environ = environ
        self.gone = False
        """Whether the client has closed the connection, or was given up."""
        self._app = app
        self._receive, self._send, self._stall = receive, send, stall
        self._loop = asyncio.get_running_loop()
        self._ended = not sends_body(environ)
        self._missing = announced_length(environ) or -1  # of no announced length: never 0
        self._answering = self._noted = False
        self._watching: asyncio.Task[None] | None = None

    @property
    def endpoint(self) -> str | None:
        """The name of the route; never the path, which may hold a token (I12)."""
        with self._app.app_context():  # a converter of a path may need it
            try:
                name: str = self._app.url_map.bind_to_environ(self.environ).match()[0]
            except HTTPException:
                return None
        return name

    def note(self, event: str, **values: object) -> None:
        """Log what ended the exchange, with the name of the route; only the first cause."""
        if self._noted:
            return
        self._noted = True
        method = self.environ["REQUEST_METHOD"]
        log.warning(event, endpoint=self.endpoint, method=method, **values)

    async def part(self) -> bytes:
        """The next bytes of the body, b"" at its end. Raises ClientDisconnected."""
        while not self._ended:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self.gone = self._ended = True
                raise ClientDisconnected
            part: bytes = message.get("body", b"")
            self._missing -= len(part)
            if self._missing == 0 or not message.get("more_body", False):
                self._ended = True
                self._watch()
            if part:
                return part
        return b""

    async def answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Send an answer as a whole."""
        await self._send(_start(status, headers))
        await self._send({"type": "http.response.body", "body": body})

    async def refuse(self, status: int, detail: str) -> None:
        """Answer what no view has seen, in the form of the API or of a page."""
        title, body = HTTPStatus(status).phrase, f"{detail}\n"
        kind = "text/plain; charset=utf-8"
        if self.environ["PATH_INFO"].startswith("/v1/"):
            kind = "application/problem+json"
            body = json.dumps({"title": title, "status": status, "detail": detail})
        headers = [("Content-Type", kind), ("Retry-After", str(_RETRY_AFTER))]
        await self.answer(status, [*headers, ("Connection", "close")], body.encode())

    def begin(self, status: int, headers: list[tuple[str, str]]) -> None:
        """In the thread: begin an answer that comes in parts."""
        self._wait_for(lambda: self._begin(status, headers))

    def write(self, part: bytes, *, more: bool = True) -> None:
        """In the thread: send a part, once the client has read most of what came before.

        Raises ClientDisconnected if it has gone, and if it read nothing for `stall` seconds.
        """
        if self.gone:
            raise ClientDisconnected
        message = {"type": "http.response.body", "body": part, "more_body": more}
        try:
            self._wait_for(lambda: self._send(message))
        except TimeoutError:
            self.gone = True
            self.note("client_stalled", stage="answer")
            raise ClientDisconnected from None

    def close(self) -> None:
        """In the loop: the exchange is over."""
        if self._watching:
            self._watching.cancel()

    def read(self) -> bytes:
        """In a thread: the next bytes of the body.

        Raises ClientDisconnected, and RequestTimeout if none came for `stall` seconds.
        """
        try:
            return self._wait_for(self.part)
        except TimeoutError:
            self.gone = self._ended = True
            self.note("request_timed_out", stage="body")
            raise RequestTimeout from None

    async def _begin(self, status: int, headers: list[tuple[str, str]]) -> None:
        self._answering = True
        if self._ended:
            self._watch()
        await self._send(_start(status, headers))

    def _watch(self) -> None:
        """From here on nothing but the end of the connection can come."""
        if self._answering and not self._watching:
            self._watching = self._loop.create_task(self._until_gone())

    async def _until_gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.gone = True

    def _wait_for(self, work: Callable[[], Awaitable[T]]) -> T:
        async def limited() -> T:
            async with asyncio.timeout(self._stall):
                return await work()

        return asyncio.run_coroutine_threadsafe(limited(), self._loop).result()


class BodyStream(io.RawIOBase):
    """The body of an exchange as a file, for the thread that reads it while it arrives."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._left = b""

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Fill the beginning of `buffer`; 0 at the end. Raises as `Exchange.read`."""
        view = memoryview(buffer)
        if not self._left:
            self._left = self._exchange.read()
        part, self._left = self._left[: len(view)], self._left[len(view) :]
        view[: len(part)] = part
        return len(part)


def _start(status: int, headers: list[tuple[str, str]]) -> Message:
    encoded = [(name.lower().encode("latin-1"), text.encode("latin-1")) for name, text in headers]
    return {"type": "http.response.start", "status": status, "headers": encoded}
