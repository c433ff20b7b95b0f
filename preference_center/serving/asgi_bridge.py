"""The ASGI application around a Flask one."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from werkzeug.exceptions import ClientDisconnected, RequestTimeout

from preference_center.serving.http_exchange import BodyStream, Exchange, Message, Receive, Send
from preference_center.serving.request_threads import RequestThreads
from preference_center.serving.wsgi_environ import announced_length, environ_of, sends_body

if TYPE_CHECKING:
    from flask import Flask

STREAMED = frozenset({"senders.post_decisions_stream", "senders.put_import_file"})
"""Endpoints that read a body of any length while it arrives: they take a thread at once, all
together at most half of the threads."""

SMALL = 1 << 16
"""Bytes of a body for which there is always memory."""
PROGRESS = 10.0
"""Seconds in which a client must send the rest of its body, or the next SMALL bytes of it."""
STALL = 60.0
"""Seconds for which a client of a stream may send nothing, or read nothing (docs/feed.md)."""
LARGE_BODIES = 1 << 26
"""Bytes that all bodies over SMALL together may take while they arrive, in one process."""

_LATE = "The request did not arrive in time. Nothing was changed: send it again."
_BUSY = "Too many large requests at once. Nothing was changed: try again shortly."

Answer = tuple[int, list[tuple[str, str]], bytes]


class _Full(Exception):
    """There is no memory for more large bodies."""


@dataclass(slots=True)
class Bridge:
    """`app` in at most `threads` threads. One object serves one event loop."""

    app: Flask
    threads: int
    progress: float = PROGRESS
    stall: float = STALL
    _large: int = field(default=0, init=False)
    _streams: int = field(default=0, init=False)
    _pool: RequestThreads = field(init=False)

    def __post_init__(self) -> None:
        self._pool = RequestThreads(self.threads)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request. Raises NotImplementedError for what is no HTTP request."""
        if scope["type"] != "http":
            raise NotImplementedError(f"this application does not serve {scope['type']}")
        exchange = Exchange(self.app, environ_of(scope), receive, send, self.stall)
        try:
            await self._serve(exchange)
        finally:
            exchange.close()

    async def _serve(self, exchange: Exchange) -> None:
        length = announced_length(exchange.environ)
        limit = self.app.config["MAX_CONTENT_LENGTH"] or LARGE_BODIES
        if not sends_body(exchange.environ):
            await self._answer(exchange, io.BytesIO())
        elif (length is None or length > SMALL) and exchange.endpoint in STREAMED:
            await self._stream(exchange)
        elif length is not None and length > limit:
            await self._answer(exchange, io.BytesIO())  # refused by its length, and not read
        else:
            await self._buffer(exchange, limit)

    async def _stream(self, exchange: Exchange) -> None:
        if self._streams >= max(1, self.threads // 2):
            await exchange.refuse(503, _BUSY)
            return
        self._streams += 1
        try:
            await self._answer(exchange, io.BufferedReader(BodyStream(exchange)))
        finally:
            self._streams -= 1

    async def _buffer(self, exchange: Exchange, limit: int) -> None:
        body = bytearray()
        try:
            if await self._whole(body, exchange, limit):
                exchange.environ.pop("HTTP_TRANSFER_ENCODING", None)  # it has been undone
                exchange.environ["CONTENT_LENGTH"] = str(len(body))
                await self._answer(exchange, io.BytesIO(body))
        finally:
            self._large -= len(body) if len(body) > SMALL else 0

    async def _whole(self, body: bytearray, exchange: Exchange, limit: int) -> bool:
        """Whether `body` has all of it, or enough to be refused as too large."""
        try:
            await self._fill(body, exchange, limit)
        except TimeoutError:
            exchange.note("request_timed_out", stage="body", received=len(body))
            await exchange.refuse(408, _LATE)
        except ClientDisconnected:
            exchange.note("client_gone", stage="body", received=len(body))
        except _Full:
            exchange.note("request_refused", stage="body", received=len(body))
            await exchange.refuse(503, _BUSY)
        else:
            return True
        return False

    async def _fill(self, body: bytearray, exchange: Exchange, limit: int) -> None:
        clock = asyncio.get_running_loop().time
        async with asyncio.timeout(self.progress) as patience:
            while len(body) <= limit and (part := await exchange.part()):
                before = len(body)
                body += part
                if len(body) <= SMALL:
                    continue
                self._large += len(part) if before > SMALL else len(body)
                if self._large > LARGE_BODIES:
                    raise _Full
                if len(body) // SMALL > before // SMALL:
                    patience.reschedule(clock() + self.progress)

    async def _answer(self, exchange: Exchange, body: io.BufferedIOBase) -> None:
        exchange.environ["wsgi.input"] = body
        answer = await self._pool.run(lambda: _call(self.app, exchange))
        if answer is not None:
            await exchange.answer(*answer)


def _call(app: Flask, exchange: Exchange) -> Answer | None:
    """What the application answers; None if it was sent in parts already."""
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
                exchange.begin(status, headers)
                sent = True
            exchange.write(part)
        if not sent:
            return status, headers, b""
        exchange.write(b"", more=False)
    except ClientDisconnected:
        exchange.note("client_gone", stage="answer")
    except RequestTimeout:
        pass  # of a body that was being answered: it has been logged
    finally:
        with suppress(AttributeError):
            parts.close()  # type: ignore[attr-defined]  # PEP 3333: if it has one
    return None
