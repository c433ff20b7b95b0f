"""From the bytes of a body to its lines, for any input, in bounded memory."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from preference_center.core.errors import UnreadableBody

MAX_LINE = 1 << 16
"""Bytes of the longest line, and of the longest CSV record of several lines."""

MAX_RATIO = 200
"""Maximum compression ratio of a gzip body. Lists of addresses reach 20, decompression bombs
1,000."""

_BLOCK_SIZE = 1 << 16
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
                data = member.decompress(rest, _BLOCK_SIZE)
            except zlib.error:
                raise UnreadableBody("The body is not a gzip file, or is damaged.") from None
            decompressed += len(data)
            if decompressed > MAX_RATIO * compressed + _BLOCK_SIZE:
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
