"""The ASGI application that wraps a Flask application."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from werkzeug.exceptions import ClientDisconnected, RequestTimeout

from preference_center.infra.http_exchange import (
    AsgiMessage,
    HttpExchange,
    Receive,
    RequestBodyStream,
    Send,
)
from preference_center.infra.request_threads import RequestThreadPool
from preference_center.infra.wsgi_environ import build_environ, content_length, has_body

if TYPE_CHECKING:
    from flask import Flask

STREAMING_ENDPOINTS = frozenset(
    {"api.post_decisions_stream", "api.put_import_file", "console.upload_import"}
)
"""Endpoints that read a body of any length while it arrives: they get a thread immediately, all
together at most half of the threads."""

SMALL_BODY_BYTES = 1 << 16
"""Size in bytes up to which a body is always accepted."""
PROGRESS_TIMEOUT_SECONDS = 10.0
"""Seconds in which a client must send the rest of its body, or the next SMALL_BODY_BYTES."""
STALL_TIMEOUT_SECONDS = 60.0
"""Seconds for which a client of a stream may neither send nor read (docs/feed.md)."""
MAX_LARGE_BODY_BYTES = 1 << 26
"""Memory in bytes for all bodies over SMALL_BODY_BYTES while they arrive, per process."""

_TIMEOUT_DETAIL = "The request did not arrive in time. Nothing was changed: send it again."
_OVERLOAD_DETAIL = "Too many large requests at once. Nothing was changed: try again shortly."

WsgiResponse = tuple[int, list[tuple[str, str]], bytes]


class _BodyMemoryExhausted(Exception):
    """There is no memory for more large bodies."""


@dataclass(slots=True)
class AsgiBridge:
    """`app` in at most `threads` threads. One object serves one event loop."""

    app: Flask
    threads: int
    progress_timeout: float = PROGRESS_TIMEOUT_SECONDS
    stall_timeout: float = STALL_TIMEOUT_SECONDS
    _large_body_bytes: int = field(default=0, init=False)
    _active_streams: int = field(default=0, init=False)
    _pool: RequestThreadPool = field(init=False)

    def __post_init__(self) -> None:
        self._pool = RequestThreadPool(self.threads)

    async def __call__(self, scope: AsgiMessage, receive: Receive, send: Send) -> None:
        """Handle one request. Raises NotImplementedError unless it is an HTTP request."""
        if scope["type"] != "http":
            raise NotImplementedError(f"this application does not serve {scope['type']}")
        exchange = HttpExchange(self.app, build_environ(scope), receive, send, self.stall_timeout)
        try:
            await self._serve(exchange)
        finally:
            exchange.close()

    async def _serve(self, exchange: HttpExchange) -> None:
        length = content_length(exchange.environ)
        limit = self.app.config["MAX_CONTENT_LENGTH"] or MAX_LARGE_BODY_BYTES
        if not has_body(exchange.environ):
            await self._respond(exchange, io.BytesIO())
        elif (
            length is None or length > SMALL_BODY_BYTES
        ) and exchange.endpoint in STREAMING_ENDPOINTS:
            await self._stream(exchange)
        elif length is not None and length > limit:
            await self._respond(exchange, io.BytesIO())  # rejected by its length, and not read
        else:
            await self._buffer(exchange, limit)

    async def _stream(self, exchange: HttpExchange) -> None:
        if self._active_streams >= max(1, self.threads // 2):
            await exchange.send_error(503, _OVERLOAD_DETAIL)
            return
        self._active_streams += 1
        try:
            await self._respond(exchange, io.BufferedReader(RequestBodyStream(exchange)))
        finally:
            self._active_streams -= 1

    async def _buffer(self, exchange: HttpExchange, limit: int) -> None:
        body = bytearray()
        try:
            if await self._read_body(body, exchange, limit):
                exchange.environ.pop("HTTP_TRANSFER_ENCODING", None)  # already decoded
                exchange.environ["CONTENT_LENGTH"] = str(len(body))
                await self._respond(exchange, io.BytesIO(body))
        finally:
            self._large_body_bytes -= len(body) if len(body) > SMALL_BODY_BYTES else 0

    async def _read_body(self, body: bytearray, exchange: HttpExchange, limit: int) -> bool:
        """Whether `body` is complete, or large enough to be rejected as too large."""
        try:
            await self._receive_into(body, exchange, limit)
        except TimeoutError:
            exchange.log_once("request_timed_out", stage="body", received=len(body))
            await exchange.send_error(408, _TIMEOUT_DETAIL)
        except ClientDisconnected:
            exchange.log_once("client_disconnected", stage="body", received=len(body))
        except _BodyMemoryExhausted:
            exchange.log_once("request_refused", stage="body", received=len(body))
            await exchange.send_error(503, _OVERLOAD_DETAIL)
        else:
            return True
        return False

    async def _receive_into(self, body: bytearray, exchange: HttpExchange, limit: int) -> None:
        clock = asyncio.get_running_loop().time
        async with asyncio.timeout(self.progress_timeout) as deadline:
            while len(body) <= limit and (part := await exchange.receive_chunk()):
                before = len(body)
                body += part
                if len(body) <= SMALL_BODY_BYTES:
                    continue
                self._large_body_bytes += len(part) if before > SMALL_BODY_BYTES else len(body)
                if self._large_body_bytes > MAX_LARGE_BODY_BYTES:
                    raise _BodyMemoryExhausted
                if len(body) // SMALL_BODY_BYTES > before // SMALL_BODY_BYTES:
                    deadline.reschedule(clock() + self.progress_timeout)

    async def _respond(self, exchange: HttpExchange, body: io.BufferedIOBase) -> None:
        exchange.environ["wsgi.input"] = body
        response = await self._pool.run(lambda: _call_app(self.app, exchange))
        if response is not None:
            await exchange.send_response(*response)


def _call_app(app: Flask, exchange: HttpExchange) -> WsgiResponse | None:
    """The application's response; None if it was already sent in chunks."""
    started: list[tuple[int, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], _error: Any = None) -> Any:
        started[:] = [(int(status[:3]), headers)]

    parts: Iterable[bytes] = app(exchange.environ, start_response)
    try:
        status, headers = started[0]
        if any(name.lower() == "content-length" for name, _ in headers):
            return status, headers, b"".join(parts)
        sent = False
        for part in parts:
            if not sent:
                exchange.start_response(status, headers)
                sent = True
            exchange.write_chunk(part)
        if not sent:
            return status, headers, b""
        exchange.write_chunk(b"", more=False)
    except ClientDisconnected:
        exchange.log_once("client_disconnected", stage="response")
    except RequestTimeout:
        pass  # while the body was read: already logged
    finally:
        with suppress(AttributeError):
            parts.close()  # type: ignore[attr-defined]  # PEP 3333: if it has one
    return None
