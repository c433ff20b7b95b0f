"""From the octets of a body to its lines, whatever was sent, in bounded memory."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from preference_center.errors import UnreadableBody

MAX_LINE = 1 << 16
"""Octets of the longest line, and of the longest CSV record of several lines."""

MAX_RATIO = 200
"""How often its own size a gzip body may unpack to. Lists of addresses reach 20; what is
made to keep us busy, a thousand."""

_BLOCK_SIZE = 1 << 16
_GZIP_WBITS = 16 + zlib.MAX_WBITS


def gunzip(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The content of a gzip file (RFC 1952), of any number of members.

    Raises UnreadableBody if it is none, is damaged or cut short, or unpacks to more than
    `MAX_RATIO` times its size.
    """
    member, begun = zlib.decompressobj(_GZIP_WBITS), False
    came = went = 0
    for packed in blocks:
        rest, came = packed, came + len(packed)
        # Between members and after the last some put zeros.
        while rest := rest if begun else rest.lstrip(b"\0"):
            begun = True
            try:
                octets = member.decompress(rest, _BLOCK_SIZE)
            except zlib.error:
                raise UnreadableBody("The body is no gzip file, or a damaged one.") from None
            went += len(octets)
            if went > MAX_RATIO * came + _BLOCK_SIZE:
                raise UnreadableBody(f"The body unpacks to over {MAX_RATIO} times its size.")
            if octets:
                yield octets
            rest = member.unconsumed_tail
            if member.eof:
                rest = member.unused_data
                member, begun = zlib.decompressobj(_GZIP_WBITS), False
    if begun:
        raise UnreadableBody("The gzip file was cut short: send it again.")


def split_lines(blocks: Iterable[bytes]) -> Iterator[list[bytes]]:
    """The lines of each block that end in it, without the line feed; the last may lack one.

    Of a line longer than `MAX_LINE` some is left out, but it stays longer than that.
    """
    rest = b""
    for block in blocks:
        found = (rest + block).split(b"\n")
        rest = found.pop()[: MAX_LINE + 1]
        yield found
    if rest:
        yield [rest]
