"""Lists as text: their encoding and line ends, made plain for every reader.

Imports and scrubs read UTF-8 with lines that end with LF or CR LF. A file in UTF-16 (Excel's
"Unicode Text", by its byte order mark), one in another encoding that is stated, and one whose lines
end with a lone CR (Excel's "CSV (Macintosh)") are converted while they are read.
"""

from __future__ import annotations

import codecs
import io
import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from preference_center.core.errors import InvalidInput

_UTF16_BOMS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


_BLOCK = 64 * 1024


_QUOTED_OR_LINE_END = re.compile(rb'"[^"]*(?:"|\Z)|\r\n|\r\Z|\r|\n')


@dataclass(frozen=True, slots=True)
class TextFormat:
    """How a text is stored."""

    encoding: str
    ends_lines_with_cr: bool

    @property
    def is_plain(self) -> bool:
        """Whether it can be read as it is."""
        return self.encoding == "utf-8" and not self.ends_lines_with_cr


def detect_format(head: bytes, encoding: str = "utf-8") -> TextFormat:
    """The format of a text that begins with `head`; a byte order mark outranks `encoding`."""
    if head.startswith(_UTF16_BOMS):
        encoding = "utf-16"
        head = head[: len(head) // 2 * 2].decode(encoding, "replace").encode()
    elif head.startswith(codecs.BOM_UTF8):
        encoding = "utf-8"
    ends = (m[0] for m in _QUOTED_OR_LINE_END.finditer(head) if not m[0].startswith(b'"'))
    return TextFormat(encoding, next(ends, b"\n") == b"\r")


def to_plain_text(blocks: Iterable[bytes], encoding: str = "utf-8") -> Iterator[bytes]:
    """The text in UTF-8 with lines that end with LF or CR LF; unchanged if it is so.

    Converted from UTF-16, it begins with a byte order mark. Raises InvalidInput where it is not in
    its encoding.
    """
    remaining = iter(blocks)
    head = b""
    for block in remaining:
        head += block
        if len(head) >= _BLOCK:
            break
    found = detect_format(head, encoding)
    decode = _decoder(found.encoding)
    for block in itertools.chain([head], remaining):
        text = decode(block, False) if decode else block
        yield text.replace(b"\r", b"\n") if found.ends_lines_with_cr else text
    if decode:
        yield decode(b"", True)


def _decoder(encoding: str) -> Callable[[bytes, bool], bytes] | None:
    if encoding == "utf-8":
        return None
    decoder = codecs.getincrementaldecoder(encoding)()
    mark = [codecs.BOM_UTF8 if encoding == "utf-16" else b""]

    def decode(block: bytes, final: bool) -> bytes:  # noqa: FBT001 - as codecs have it
        try:
            text = decoder.decode(block, final).encode()
        except UnicodeError:
            raise InvalidInput(f"the file is damaged: it is not in {encoding} throughout") from None
        return (mark.pop() if mark else b"") + text

    return decode


def read_plain_text(stream: BinaryIO, encoding: str = "utf-8") -> BinaryIO:
    """A seekable stream of a seekable stream's text as `to_plain_text` has it.

    To seek in a text that is converted reads it again from its beginning.
    """
    head = stream.read(_BLOCK)
    stream.seek(0)
    if detect_format(head, encoding).is_plain:
        return stream
    return ConvertedText(_ConvertedBlocks(stream, encoding))


class ConvertedText(io.BufferedReader):
    """A text that is converted while it is read."""


class _ConvertedBlocks(io.RawIOBase):
    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        self._stream, self._encoding = stream, encoding
        self._restart()

    def _restart(self) -> None:
        self._stream.seek(0)
        blocks = iter(lambda: self._stream.read(_BLOCK), b"")
        self._blocks = to_plain_text(blocks, self._encoding)
        self._left, self._at = b"", 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        wanted = offset + (self._at if whence == io.SEEK_CUR else 0)
        if whence == io.SEEK_END:
            raise io.UnsupportedOperation("the length of a converted text is not known")
        if wanted < self._at:
            self._restart()
        while self._at < wanted and self.read(min(_BLOCK, wanted - self._at)):
            pass
        return self._at

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        while not self._left:
            block = next(self._blocks, None)
            if block is None:
                return 0
            self._left = block
        piece = self._left[: len(buffer)]
        buffer[: len(piece)] = piece
        self._left = self._left[len(piece) :]
        self._at += len(piece)
        return len(piece)
