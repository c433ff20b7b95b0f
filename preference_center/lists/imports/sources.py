"""Where the bytes of a file come from: a local path, or parts in the database."""

from __future__ import annotations

import bisect
import gzip
import hashlib
import io
import itertools
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO, Protocol, cast
from uuid import UUID

from preference_center.core.errors import InvalidInput
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.lists.store import uploaded_parts

_GZIP = b"\x1f\x8b"  # RFC 1952 2.3.1
_GZIP_BITS = 16 + zlib.MAX_WBITS
_BLOCK = 1024 * 1024
_MIN_UNPACKED_LIMIT = 64 * 1024 * 1024
_MAX_COMPRESSION_RATIO = 200
"""How many times larger than itself a gzip file may be unpacked, above _MIN_UNPACKED_LIMIT. Lists
of addresses reach 3 to 20 times; 1,032 is possible (zlib's own limit), as a decompression bomb."""
_DAMAGED = "the gzip file is damaged or cut short: get it again, or pack it again"


class ImportSource(Protocol):
    """A file that can be read repeatedly."""

    @property
    def size(self) -> int:
        """Its size, as stored."""
        ...

    def digest(self) -> bytes:
        """The SHA-256 of the file as it is now."""
        ...

    def open(self) -> BinaryIO:
        """A seekable stream of its bytes from the beginning."""
        ...


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file of this machine."""

    path: Path

    @property
    def size(self) -> int:
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
class UploadedFile:
    """An uploaded file, stored encrypted in the database. It can't be changed."""

    import_id: UUID
    size: int
    known_digest: bytes

    def digest(self) -> bytes:
        """The digest that was computed during the upload."""
        return self.known_digest

    def open(self) -> BinaryIO:
        """Reads one part at a time."""
        return cast("BinaryIO", io.BufferedReader(_PartsReader(self.import_id), _BLOCK))


@contextmanager
def open_unpacked(source: ImportSource) -> Iterator[BinaryIO]:
    """The content; of a gzip file, the unpacked content.

    Raises InvalidInput within the block, when the reader reaches a damaged place.
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
            raise InvalidInput(_DAMAGED) from None


def unpack_blocks(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The content of a file that arrives in blocks; a gzip file is unpacked (RFC 1952).

    Raises InvalidInput if it is damaged, truncated, or unpacks to too much.
    """
    remaining = iter(blocks)
    head = b""
    for block in remaining:
        head += block
        if len(head) >= len(_GZIP):
            break
    if not head.startswith(_GZIP):
        yield head
        yield from remaining
        return
    yield from _unpack_members(itertools.chain([head], remaining))


def _unpack_members(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The unpacked content of the members of a gzip file, which may be several."""
    member, packed, unpacked_size = zlib.decompressobj(_GZIP_BITS), 0, 0
    for block in blocks:
        packed += len(block)
        left = block
        while left:
            if member.eof:
                left = left.lstrip(b"\0")  # padding is allowed, as `gzip` has it
                member = zlib.decompressobj(_GZIP_BITS) if left else member
                continue
            try:
                piece = member.decompress(left, _BLOCK)
            except zlib.error:
                raise InvalidInput(_DAMAGED) from None
            left = member.unconsumed_tail or member.unused_data
            unpacked_size += len(piece)
            if unpacked_size > max(_MIN_UNPACKED_LIMIT, _MAX_COMPRESSION_RATIO * packed):
                raise InvalidInput(
                    "the gzip file unpacks to more than a list can be: send it unpacked"
                )
            yield piece
    if not member.eof:
        raise InvalidInput(_DAMAGED)


class _PartsReader(io.RawIOBase):
    """The parts of an upload as one stream."""

    def __init__(self, import_id: UUID) -> None:
        self._import_id = import_id
        self._sizes = run_in_transaction(
            lambda connection: uploaded_parts.list_part_sizes(connection, import_id)
        )
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
            content = run_in_transaction(
                lambda c: uploaded_parts.load_part(c, self._import_id, number)
            )
            self._loaded = (number, content)
        begin = self._at - (self._ends[number] - self._sizes[number])
        piece = self._loaded[1][begin : begin + len(buffer)]
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)
