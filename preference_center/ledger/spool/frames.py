"""Frames, one after the other, are what a file of the spool contains, each with a checksum.

A frame is a head (magic bytes, size of the payload in bytes, time of receipt in milliseconds since
1970, and the first 8 bytes of the SHA-256 of all that and the payload) and the payload. The payload
is encrypted: nothing personal is in clear text. Without I/O and clock.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from struct import Struct

_MAGIC = b"\xf5PC1"
"""Begins a frame. Its first byte occurs in no payload, which is ASCII."""


_HEADER = Struct(">4sIQ")


_CHECKSUM_BYTES = 8


HEADER_BYTES = _HEADER.size + _CHECKSUM_BYTES


MAX_PAYLOAD_BYTES = 64 * 1024


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


_MAX_MILLISECONDS = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Frame:
    """One intact frame. `received_at` is UTC, to the millisecond."""

    received_at: datetime
    payload: bytes


@dataclass(frozen=True, slots=True)
class DamagedBytes:
    """Bytes of the file that are not an intact frame."""

    content: bytes


def encode_frame(payload: bytes, received_at: datetime) -> bytes:
    """The frame of a payload. Raises ValueError if it is too large or not ASCII."""
    if len(payload) > MAX_PAYLOAD_BYTES or not payload.isascii():
        raise ValueError("a payload is ASCII of at most 64 KiB")
    milliseconds = (received_at - _EPOCH) // timedelta(milliseconds=1)
    head = _HEADER.pack(_MAGIC, len(payload), milliseconds)
    return head + _checksum(head, payload) + payload


def decode_frames(content: bytes) -> Iterator[tuple[int, Frame | DamagedBytes]]:
    """The content of a file, in order, each part with the offset of its first byte.

    After damage it continues with the next intact frame, so that one bad sector costs the frames
    in it and no others. A file that was truncated by a crash ends with damage.
    """
    at = damaged_from = 0
    while at < len(content):
        frame = frame_at(content, at)
        if frame is None:
            following = content.find(_MAGIC, at + 1)
            at = len(content) if following < 0 else following
            continue
        if damaged_from < at:
            yield damaged_from, DamagedBytes(content[damaged_from:at])
        yield at, frame
        at += HEADER_BYTES + len(frame.payload)
        damaged_from = at
    if damaged_from < len(content):
        yield damaged_from, DamagedBytes(content[damaged_from:])


def frame_at(content: bytes, offset: int) -> Frame | None:
    """The frame that begins at `offset`; None if no intact one does."""
    begin = offset + HEADER_BYTES
    if len(content) < begin:
        return None
    mark, size, milliseconds = _HEADER.unpack_from(content, offset)
    if mark != _MAGIC or size > MAX_PAYLOAD_BYTES or milliseconds > _MAX_MILLISECONDS:
        return None
    payload = content[begin : begin + size]
    head = content[offset : offset + _HEADER.size]
    if len(payload) < size or not payload.isascii():
        return None
    if content[offset + _HEADER.size : begin] != _checksum(head, payload):
        return None
    return Frame(_EPOCH + timedelta(milliseconds=milliseconds), payload)


def _checksum(head: bytes, payload: bytes) -> bytes:
    return hashlib.sha256(head + payload).digest()[:_CHECKSUM_BYTES]
