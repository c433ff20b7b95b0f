"""A body on its way from the client to its answers, in bounded memory.

Most HTTP clients send a whole body before they read a line of the answer. If we read no
further than we have answered, both sides would wait for ever once the buffers between
them are full. So a thread takes in what comes, and what can't be answered yet waits in a
file without a name, of which nothing is left when the process ends in whatever way. What is in
it was encrypted with a key that only this object has: its blocks on the disk outlive the file.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from threading import Condition, Thread
from typing import Protocol

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from preference_center.errors import UnreadableBody

MAX_IN_MEMORY = 1 << 20
"""Octets that wait in memory before the file is made; it lies where TMPDIR says."""

MAX_BUFFERED = 1 << 30
"""Octets that may wait in all; the client must read answers before it can send more."""

MIN_READ_SIZE, MAX_READ_SIZE = 1 << 12, 1 << 18
"""Octets asked for at a time: ever more. The server waits until it has them all, and so
does the answer; but each asking also waits for its turn with Python."""

BLOCK_SIZE = 1 << 16
"""Most octets that are handed on at a time."""


class ByteSource(Protocol):
    """`wsgi.input`: the octets of the body, b"" at its end."""

    def read(self, size: int, /) -> bytes:
        """`size` octets, or fewer where the body ends."""


class RequestBuffer:
    """The octets of a body in blocks, each once, to be iterated over by one thread.

    `length` is what the client said it would send. Iterating raises UnreadableBody when
    fewer came, or when the body can't be read or put by.
    """

    def __init__(self, source: ByteSource, length: int | None = None) -> None:
        self._source, self._length = source, length
        self._file = tempfile.SpooledTemporaryFile(max_size=MAX_IN_MEMORY)  # noqa: SIM115 - see close
        # Bytes are written and read once each, in one order, so no part of the key stream is
        # used twice, though the file begins again from its start.
        cipher = Cipher(AES(os.urandom(32)), CTR(os.urandom(16)))
        self._seal, self._open = cipher.encryptor(), cipher.decryptor()
        self._changed = Condition()
        self._write_offset = self._read_offset = 0
        self._at_end = self._closed = False
        self._error: str | None = None
        Thread(target=self._receive, name="backlog", daemon=True).start()

    def __iter__(self) -> Iterator[bytes]:
        while block := self._next_block():
            yield block

    def close(self, timeout: float = 0) -> None:
        """Forget what waits, and for at most `patience` seconds let the client send on.

        A client that has not sent everything when an answer ends can't read that answer:
        its connection breaks.
        """
        with self._changed:
            self._closed = True
            self._file.close()
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._at_end, timeout=timeout)

    def _next_block(self) -> bytes:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._at_end or self._write_offset > 0)
            if self._closed:
                return b""
            if not self._write_offset:
                if self._error:
                    raise UnreadableBody(self._error)
                return b""
            self._file.seek(self._read_offset)
            sealed = self._file.read(min(BLOCK_SIZE, self._write_offset - self._read_offset))
            block = self._open.update(sealed)
            self._read_offset += len(block)
            if self._read_offset == self._write_offset:
                self._file.seek(0)
                self._file.truncate()
                self._write_offset = self._read_offset = 0
            self._changed.notify_all()
            return block

    def _receive(self) -> None:
        size, total, fault = MIN_READ_SIZE, 0, None
        try:
            while octets := self._source.read(size):
                total += len(octets)
                size = min(2 * size, MAX_READ_SIZE)
                self._append(octets)
            if self._length is not None and total < self._length:
                fault = "The body ended before the length that was announced: send it again."
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody may wait for ever
            fault = f"The body could not be taken in ({type(error).__name__}): send it again."
        with self._changed:
            self._error, self._at_end = fault, True
            self._changed.notify_all()

    def _append(self, data: bytes) -> None:
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or self._write_offset - self._read_offset < MAX_BUFFERED
            )
            if not self._closed:
                self._file.seek(self._write_offset)
                self._file.write(self._seal.update(data))
                self._write_offset += len(data)
                self._changed.notify_all()
