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

IN_MEMORY = 1 << 20
"""Octets that wait in memory before the file is made; it lies where TMPDIR says."""

MOST = 1 << 30
"""Octets that may wait in all; the client must read answers before it can send more."""

FIRST_READ, LAST_READ = 1 << 12, 1 << 18
"""Octets asked for at a time: ever more. The server waits until it has them all, and so
does the answer; but each asking also waits for its turn with Python."""

BLOCK = 1 << 16
"""Most octets that are handed on at a time."""


class Source(Protocol):
    """`wsgi.input`: the octets of the body, b"" at its end."""

    def read(self, size: int, /) -> bytes:
        """`size` octets, or fewer where the body ends."""


class Backlog:
    """The octets of a body in blocks, each once, to be iterated over by one thread.

    `length` is what the client said it would send. Iterating raises UnreadableBody when
    fewer came, or when the body can't be read or put by.
    """

    def __init__(self, source: Source, length: int | None = None) -> None:
        self._source, self._length = source, length
        self._file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - see close
        # Bytes are written and read once each, in one order, so no part of the key stream is
        # used twice, though the file begins again from its start.
        cipher = Cipher(AES(os.urandom(32)), CTR(os.urandom(16)))
        self._seal, self._open = cipher.encryptor(), cipher.decryptor()
        self._changed = Condition()
        self._came = self._handed_on = 0
        self._at_end = self._closed = False
        self._fault: str | None = None
        Thread(target=self._take_in, name="backlog", daemon=True).start()

    def __iter__(self) -> Iterator[bytes]:
        while block := self._next():
            yield block

    def close(self, patience: float = 0) -> None:
        """Forget what waits, and for at most `patience` seconds let the client send on.

        A client that has not sent everything when an answer ends can't read that answer:
        its connection breaks.
        """
        with self._changed:
            self._closed = True
            self._file.close()
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._at_end, timeout=patience)

    def _next(self) -> bytes:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._at_end or self._came > 0)
            if self._closed:
                return b""
            if not self._came:
                if self._fault:
                    raise UnreadableBody(self._fault)
                return b""
            self._file.seek(self._handed_on)
            sealed = self._file.read(min(BLOCK, self._came - self._handed_on))
            block = self._open.update(sealed)
            self._handed_on += len(block)
            if self._handed_on == self._came:
                self._file.seek(0)
                self._file.truncate()
                self._came = self._handed_on = 0
            self._changed.notify_all()
            return block

    def _take_in(self) -> None:
        size, total, fault = FIRST_READ, 0, None
        try:
            while octets := self._source.read(size):
                total += len(octets)
                size = min(2 * size, LAST_READ)
                self._put_by(octets)
            if self._length is not None and total < self._length:
                fault = "The body ended before the length that was announced: send it again."
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody may wait for ever
            fault = f"The body could not be taken in ({type(error).__name__}): send it again."
        with self._changed:
            self._fault, self._at_end = fault, True
            self._changed.notify_all()

    def _put_by(self, octets: bytes) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._came - self._handed_on < MOST)
            if not self._closed:
                self._file.seek(self._came)
                self._file.write(self._seal.update(octets))
                self._came += len(octets)
                self._changed.notify_all()
