"""An `ImportSource` opens the bytes of a file: a local path, or parts in the database.

`JsonRowParser` finds the rows of a JSON document incrementally, with bounded memory and stack.
"""

from __future__ import annotations

import bisect
import gzip
import hashlib
import io
import itertools
import zlib
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast
from uuid import UUID

import ijson

from preference_center.core.errors import InvalidInput
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.lists import store
from preference_center.lists.text_files import read_plain_text

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
        """Reads one part at a time. Raises ImportConflict if the file is gone."""
        return cast("BinaryIO", io.BufferedReader(_PartsReader(self.import_id, self.size), _BLOCK))


@contextmanager
def open_unpacked(source: ImportSource, encoding: str = "utf-8") -> Iterator[BinaryIO]:
    """The content as plain text: see `lists.text_files`; of a gzip file, the unpacked content.

    Raises InvalidInput within the block, when the reader reaches a damaged place.
    """
    with source.open() as stream:
        magic = stream.read(len(_GZIP))
        stream.seek(0)
        if magic != _GZIP:
            stored = isinstance(source, UploadedFile)  # it was converted when it arrived
            yield stream if stored else read_plain_text(stream, encoding)
            return
        try:
            with gzip.open(stream) as inside:
                yield read_plain_text(cast("BinaryIO", inside), encoding)
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

    def __init__(self, import_id: UUID, size: int) -> None:
        self._import_id, self._size = import_id, size
        self._sizes = run_in_transaction(
            lambda connection: store.list_part_sizes(connection, import_id, size)
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
        begin = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = offset + begin
        return self._at

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # its stub takes any buffer
        number = bisect.bisect_right(self._ends, self._at)
        if number == len(self._ends):
            return 0
        if self._loaded[0] != number:
            content = run_in_transaction(lambda c: store.load_part(c, self._import_id, number))
            self._loaded = (number, content)
        begin = self._at - (self._ends[number] - self._sizes[number])
        piece = self._loaded[1][begin : begin + len(buffer)]
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)


TOP_LEVEL_LIST = ""
"""The name for a document that is itself the list."""


MAX_DEPTH = 100
"""Levels of a document. ijson's own `items` keeps the path of each level, which needs memory in
proportion to their square."""


_START_EVENTS = frozenset({"start_map", "start_array"})


_END_EVENTS = frozenset({"end_map", "end_array"})


_START_OR_END_EVENTS = _START_EVENTS | _END_EVENTS


class JsonRowParser:
    """Parses documents, one after another (pages of an API), for the rows of their lists.

    `lists` are the members of a document that are lists, or TOP_LEVEL_LIST. Raises InvalidInput
    where a document is damaged or nested deeper than MAX_DEPTH.
    """

    def __init__(self, lists: Collection[str]) -> None:
        self._lists = lists
        self._events: list[tuple[str, Any]] = ijson.sendable_list()
        self._parser = ijson.basic_parse_coro(self._events, multiple_values=True, use_float=True)
        self._depth = 0
        self._member = TOP_LEVEL_LIST
        self._row_depth = -1
        """The level of a row in the current list; -1 outside of any."""
        self._row: ijson.ObjectBuilder | None = None
        self._count = 0

    def feed(self, block: bytes) -> Iterator[tuple[str, Any]]:
        """Parse a block: each row that ends in it, and the list that it is in."""
        damage: Exception | None = None
        try:
            self._parser.send(block)
        except (ijson.JSONError, UnicodeDecodeError) as error:  # the latter: no UTF-8
            damage = error
        events = self._events.copy()
        self._events.clear()
        yield from self._rows_in(events)
        if damage:
            raise self._damaged_error() from None

    def close(self) -> None:
        """Check that the last document ends here."""
        try:
            self._parser.close()
        except (ijson.JSONError, UnicodeDecodeError):
            raise self._damaged_error() from None

    def _damaged_error(self) -> InvalidInput:
        return InvalidInput(f"the JSON document is damaged after its row {self._count}")

    def _rows_in(self, events: list[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
        for event, value in events:
            if self._row and event not in _START_OR_END_EVENTS:
                self._row.event(event, value)
                continue
            self._depth -= event in _END_EVENTS
            for row in self._completed_row(event, value):
                self._count += 1
                yield self._member, row
            self._depth += event in _START_EVENTS
            if self._depth > MAX_DEPTH:
                raise InvalidInput(f"the JSON document has more than {MAX_DEPTH} levels")

    def _completed_row(self, event: str, value: Any) -> tuple[Any, ...]:
        """The row that ends with this event, if one does."""
        if self._row:
            self._row.event(event, value)
            if self._depth > self._row_depth:
                return ()
            value, self._row = self._row.value, None
            return (value,)
        if event in _END_EVENTS:
            if self._depth < self._row_depth:
                self._row_depth = -1
        elif self._depth != self._row_depth:
            self._track_lists(event, value)
        elif event in _START_EVENTS:
            self._row = ijson.ObjectBuilder()
            self._row.event(event, value)
        else:
            return (value,)
        return ()

    def _track_lists(self, event: str, value: Any) -> None:
        """Track where a list begins that is read."""
        if self._depth == 0:
            self._member = TOP_LEVEL_LIST
        elif self._depth == 1 and event == "map_key":
            self._member = value
        if self._depth <= 1 and event == "start_array" and self._member in self._lists:
            self._row_depth = self._depth + 1
