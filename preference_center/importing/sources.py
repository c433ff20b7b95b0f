"""Where the octets of a file come from: a path of this machine, or parts in the database."""

from __future__ import annotations

import bisect
import gzip
import hashlib
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO, Protocol, cast
from uuid import UUID

from preference_center.errors import InvalidInput
from preference_center.storage import import_parts
from preference_center.storage.database import run

_GZIP = b"\x1f\x8b"  # RFC 1952 2.3.1
_BLOCK = 1024 * 1024


class Source(Protocol):
    """A file that can be read again and again."""

    @property
    def octets(self) -> int:
        """Its size, as stored."""
        ...

    def digest(self) -> bytes:
        """The SHA-256 of the file as it is now."""
        ...

    def open(self) -> BinaryIO:
        """A stream of its octets from the beginning; it can seek."""
        ...


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file of this machine."""

    path: Path

    @property
    def octets(self) -> int:
        """Its size."""
        return self.path.stat().st_size

    def digest(self) -> bytes:
        """Reads all of it."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()

    def open(self) -> BinaryIO:
        """Raises OSError."""
        return self.path.open("rb", buffering=_BLOCK)


@dataclass(frozen=True, slots=True)
class Spooled:
    """An uploaded file, kept sealed in the database. Nobody can change it."""

    import_id: UUID
    octets: int
    known_digest: bytes

    def digest(self) -> bytes:
        """What was worked out as it came in."""
        return self.known_digest

    def open(self) -> BinaryIO:
        """Reads one part at a time."""
        return cast("BinaryIO", io.BufferedReader(_Parts(self.import_id), _BLOCK))


@contextmanager
def unpacked(source: Source) -> Iterator[BinaryIO]:
    """The content; of a file in gzip, what is inside.

    Raises InvalidInput within, once the reader comes to where such a file is damaged.
    """
    with source.open() as stream:
        magic = stream.read(len(_GZIP))
        stream.seek(0)
        if magic != _GZIP:
            yield stream
            return
        try:
            with gzip.open(stream) as inside:
                yield cast("BinaryIO", inside)
        except (EOFError, gzip.BadGzipFile, zlib.error):
            raise InvalidInput(
                "the gzip file is damaged or cut short: get it again, or pack it anew"
            ) from None


class _Parts(io.RawIOBase):
    """The parts of an upload, one after another."""

    def __init__(self, import_id: UUID) -> None:
        self._import_id = import_id
        self._sizes = run(lambda connection: import_parts.sizes(connection, import_id))
        self._ends = list(accumulate(self._sizes))
        self._at = 0
        self._loaded: tuple[int, bytes] = (-1, b"")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        size = self._ends[-1] if self._ends else 0
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: size}[whence]
        return self._at

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        number = bisect.bisect_right(self._ends, self._at)
        if number == len(self._ends):
            return 0
        if self._loaded[0] != number:
            content = run(lambda c: import_parts.read(c, self._import_id, number))
            self._loaded = (number, content)
        begin = self._at - (self._ends[number] - self._sizes[number])
        piece = self._loaded[1][begin : begin + len(buffer)]
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)
