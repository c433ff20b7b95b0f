"""The ASGI application wraps the Flask application, and runs each request in a thread.

`build_environ` makes the WSGI environment (PEP 3333) of an ASGI request. `HttpExchange` is one
request and its response, shared by the event loop and the request's thread.
"""

from __future__ import annotations

import asyncio
import io
import json
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote_to_bytes

import structlog
from werkzeug.exceptions import ClientDisconnected, HTTPException, RequestTimeout

from preference_center.infra.telemetry import HEADER, request_id

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from flask import Flask
if TYPE_CHECKING:
    from flask import Flask

T = TypeVar("T")


_Task = tuple[asyncio.Future[Any], Callable[[], Any]]


class RequestThreadPool:
    """At most `count` daemon threads, started when needed.

    The threads of `concurrent.futures` are no daemons: they keep a process from exiting
    while one of them writes a stream.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._queue: SimpleQueue[_Task] = SimpleQueue()
        self._started = self._busy = 0

    async def run(self, call: Callable[[], T]) -> T:
        """What `call` returns or raises. Call it in the event loop's thread only."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        if self._busy >= self._started < self._count:
            self._started += 1
            Thread(target=self._run_tasks, name=f"request-{self._started}", daemon=True).start()
        self._busy += 1
        try:
            self._queue.put((future, call))
            return await future
        finally:
            self._busy -= 1

    def _run_tasks(self) -> None:
        while True:
            future, call = self._queue.get()
            try:
                done, value = future.set_result, call()
            except BaseException as error:  # noqa: BLE001 - raised again where it is awaited
                done, value = future.set_exception, error
            future.get_loop().call_soon_threadsafe(_set_unless_done, future, done, value)
            del future, call, done, value  # release them before the next request


def _set_unless_done(
    future: asyncio.Future[Any], set_outcome: Callable[[Any], None], value: Any
) -> None:
    if not future.done():
        set_outcome(value)


_CGI_NAMES = {b"content-type": "CONTENT_TYPE", b"content-length": "CONTENT_LENGTH"}


_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def build_environ(scope: Mapping[str, Any]) -> dict[str, Any]:
    """The environment without `wsgi.input`.

    A header whose name has an underscore is dropped: its CGI name is the same as that of the
    header with a hyphen, so that any client could forge a proxy's X-Forwarded-For.
    """
    server, port = scope.get("server") or ("localhost", 80)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(scope["raw_path"]).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": server,
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": (scope.get("client") or ("",))[0],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.errors": sys.stderr,
        "wsgi.input_terminated": True,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in scope["headers"]:
        if b"_" in name:
            continue
        key = _CGI_NAMES.get(name) or f"HTTP_{name.decode('latin-1').upper().replace('-', '_')}"
        text = value.decode("latin-1")
        before = environ.get(key)
        separator = "; " if key == "HTTP_COOKIE" else ","
        environ[key] = text if before is None else f"{before}{separator}{text}"
    return environ


def names_one_host(scope: Mapping[str, Any]) -> bool:
    """Whether a request has the Host header that it must have, once (RFC 9112 3.2).

    HTTP/1.0 may have none, as health checks of load balancers do, and HTTP/2 has another field.
    An empty one is none: Granian adds that.
    """
    hosts = [text for name, text in scope["headers"] if name == b"host"]
    return len(hosts) <= 1 and (any(hosts) or scope["http_version"] != "1.1")


def has_body(environ: Mapping[str, Any]) -> bool:
    """Whether a body follows the header (RFC 9112 6; in HTTP/2 the header may not state it)."""
    if environ.get("CONTENT_LENGTH", "0") != "0" or "HTTP_TRANSFER_ENCODING" in environ:
        return True
    http2 = environ["SERVER_PROTOCOL"] not in {"HTTP/1", "HTTP/1.0", "HTTP/1.1"}
    return http2 and environ["REQUEST_METHOD"] not in _SAFE_METHODS


def content_length(environ: Mapping[str, Any]) -> int | None:
    """Content-Length in bytes, if given; the server has checked its syntax."""
    text = environ.get("CONTENT_LENGTH", "")
    return int(text) if text.isdecimal() else None


log = structlog.get_logger()


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
        headers = [("Content-Type", kind)]
        if status != HTTPStatus.BAD_REQUEST:
            headers.append(("Retry-After", str(_RETRY_AFTER_SECONDS)))
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


_BROKEN_DETAIL = "The body broke off, or its chunks are malformed. Nothing was changed."


_HOST_DETAIL = "Send exactly one Host header. Nothing was changed."


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
            if names_one_host(scope):
                await self._serve(exchange)
            else:
                await exchange.send_error(400, _HOST_DETAIL)
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
            # Gone, or its chunks are malformed: the server tells neither from the other.
            exchange.log_once("client_disconnected", stage="body", received=len(body))
            await exchange.send_error(400, _BROKEN_DETAIL)
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
