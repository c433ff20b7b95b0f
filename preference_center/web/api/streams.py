"""Streamed bodies of the API have a limit, a buffer in bounded memory, and a split into lines.

Each streamed response occupies a thread for as long as its reader takes, so their number is limited
(`acquire_stream_slot`). Bytes become lines for any input, in bounded memory.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from threading import BoundedSemaphore, Condition, Thread
from typing import Protocol, TypeVar

from flask import Flask, current_app
from pydantic import Field

from preference_center.core.errors import InvalidWatermark, UnreadableBody
from preference_center.infra.context import services
from preference_center.ledger.restore_gate import require_complete_database
from preference_center.ledger.watermarks import Watermark, parse_watermark
from preference_center.web.api.errors import RETRY_AFTER_SECONDS
from preference_center.web.api.problems import UNAVAILABLE, ApiError, InvalidQuery, ParameterError

WATERMARK_SCHEMA = Field(
    json_schema_extra={
        "format": "watermark",
        "pattern": r"^[0-9a-f]{8}\.(0|[1-9][0-9]{0,19})\.(0|[1-9][0-9]{0,18})$",
    },
)


_EXTENSION_KEY = "preference_center.stream_slots"


def acquire_stream_slot() -> BoundedSemaphore:
    """A slot for one more stream, which the caller releases. Raises ApiError if none is free.

    The limit keeps threads free for opt-outs.
    """
    slots: BoundedSemaphore = current_app.extensions.setdefault(
        _EXTENSION_KEY, BoundedSemaphore(services().settings.max_streams)
    )
    if not slots.acquire(blocking=False):
        raise ApiError(
            UNAVAILABLE,
            "Too many streams are open: try again later.",
            {"Retry-After": str(RETRY_AFTER_SECONDS)},
        )
    return slots


T = TypeVar("T")


def while_complete(parts: Generator[T]) -> Generator[T]:
    """The parts of a response, the last included, while the database is known to lack nothing.

    Raises ReplayPending where that is found out meanwhile: then the last line is never sent.
    """
    # The response outlives the request, so it needs the app itself, not the proxy.
    app = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001
    return _while_complete(app, parts)


def _while_complete(app: Flask, parts: Generator[T]) -> Generator[T]:
    with closing(parts):
        for part in parts:
            with app.app_context():
                require_complete_database()
            yield part


def parse_after(text: str | None) -> Watermark | None:
    """The watermark of the parameter `after`. Raises InvalidQuery."""
    try:
        return None if text is None else parse_watermark(text)
    except InvalidWatermark as error:
        raise InvalidQuery([ParameterError("after", "invalid-value", str(error))]) from None


MAX_AHEAD = 32 << 20
"""Bytes of a body that are read before they are processed; then the client has to wait."""


MIN_READ_SIZE, MAX_READ_SIZE = 1 << 12, 1 << 18
"""Bytes per read, growing. A read returns only when it is complete, so small reads keep the
response timely; but each read also waits for the interpreter lock, so large ones are faster."""


BLOCK_SIZE = 1 << 16
"""Maximum bytes per block."""


class ByteSource(Protocol):
    """`wsgi.input`: the bytes of the body, b"" at its end."""

    def read(self, size: int, /) -> bytes:
        """`size` bytes, or fewer at the end of the body."""


class RequestBuffer:
    """The bytes of a body in blocks, each once, to be iterated over by one thread.

    Most HTTP clients send a short list before they read any of the response. If we read only as
    much as we have processed, both sides would block once the buffers between them are full. So a
    thread reads the body, up to MAX_AHEAD bytes more than are processed. It reads no more until
    some of these are: so any length takes the same memory, and a longer list needs a client that
    reads while it sends.

    `length` is the announced Content-Length. Iterating raises UnreadableBody if the body is
    shorter, or if it can't be read.
    """

    def __init__(self, source: ByteSource, length: int | None = None) -> None:
        self._source, self._length = source, length
        self._changed = Condition()
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._at_end = self._closed = False
        self._error: str | None = None
        Thread(target=self._receive, name="request-buffer", daemon=True).start()

    def __iter__(self) -> Iterator[bytes]:
        while block := self._next_block():
            yield block

    def close(self, timeout: float = 0) -> None:
        """Discard what waits, and for at most `timeout` seconds let the client send the rest.

        A client that is still sending when the response ends can't read the response: its
        connection is reset.
        """
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._at_end, timeout=timeout)

    def _next_block(self) -> bytes:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._at_end or self._waiting)
            if self._waiting:
                block = self._waiting.popleft()
                self._waiting_bytes -= len(block)
                self._changed.notify_all()
                return block
            if self._error and not self._closed:
                raise UnreadableBody(self._error)
            return b""

    def _receive(self) -> None:
        size, total, error_text = MIN_READ_SIZE, 0, None
        try:
            while data := self._source.read(size):
                total += len(data)
                size = min(2 * size, MAX_READ_SIZE)
                self._append(data)
            if self._length is not None and total < self._length:
                error_text = "The body is shorter than its Content-Length: send it again."
        except Exception as error:  # noqa: BLE001 - the reader must not wait forever
            error_text = f"The body could not be read ({type(error).__name__}): send it again."
        with self._changed:
            self._error, self._at_end = error_text, True
            self._changed.notify_all()

    def _append(self, data: bytes) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._waiting_bytes < MAX_AHEAD)
            if not self._closed:
                self._waiting += (
                    data[at : at + BLOCK_SIZE] for at in range(0, len(data), BLOCK_SIZE)
                )
                self._waiting_bytes += len(data)
                self._changed.notify_all()


MAX_LINE = 1 << 16
"""Bytes of the longest line, and of the longest CSV record of several lines."""


MAX_RATIO = 200
"""Maximum compression ratio of a gzip body. Lists of addresses reach 20, decompression bombs
1,000."""


_GZIP_WBITS = 16 + zlib.MAX_WBITS


def gunzip(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The content of a gzip file (RFC 1952), of any number of members.

    Raises UnreadableBody if it is not gzip, is damaged or truncated, or decompresses to more
    than `MAX_RATIO` times its size.
    """
    member, in_member = zlib.decompressobj(_GZIP_WBITS), False
    compressed = decompressed = 0
    for block in blocks:
        rest, compressed = block, compressed + len(block)
        # Some programs pad with zeros between members and after the last.
        while rest := rest if in_member else rest.lstrip(b"\0"):
            in_member = True
            try:
                data = member.decompress(rest, BLOCK_SIZE)
            except zlib.error:
                raise UnreadableBody("The body is not a gzip file, or is damaged.") from None
            decompressed += len(data)
            if decompressed > MAX_RATIO * compressed + BLOCK_SIZE:
                raise UnreadableBody(f"The body decompresses to over {MAX_RATIO} times its size.")
            if data:
                yield data
            rest = member.unconsumed_tail
            if member.eof:
                rest = member.unused_data
                member, in_member = zlib.decompressobj(_GZIP_WBITS), False
    if in_member:
        raise UnreadableBody("The gzip file is truncated: send it again.")


def split_lines(blocks: Iterable[bytes]) -> Iterator[list[bytes]]:
    """The lines of each block that end in it, without the line feed; the last may lack one.

    A line longer than `MAX_LINE` is truncated, to a length that still exceeds it.
    """
    rest = b""
    for block in blocks:
        lines = (rest + block).split(b"\n")
        rest = lines.pop()[: MAX_LINE + 1]
        yield lines
    if rest:
        yield [rest]
