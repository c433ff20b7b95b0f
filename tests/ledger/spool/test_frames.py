"""The file format: what was written is read, and damage costs what is damaged."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preference_center.ledger.spool.frames import (
    HEADER_BYTES,
    DamagedBytes,
    Frame,
    decode_frames,
    encode_frame,
)
from tests.clock import START

ASCII = st.binary(max_size=200).map(lambda raw: bytes(byte & 0x7F for byte in raw))
MOMENTS = st.integers(0, 10**10).map(lambda ms: START + timedelta(milliseconds=ms))
FRAMES = st.lists(st.builds(Frame, MOMENTS, ASCII), max_size=8)


def written(frames: list[Frame]) -> bytes:
    return b"".join(encode_frame(frame.payload, frame.received_at) for frame in frames)


def intact(content: bytes) -> list[Frame]:
    return [part for _, part in decode_frames(content) if isinstance(part, Frame)]


@given(FRAMES)
def test_what_was_written_is_read(frames: list[Frame]) -> None:
    assert [part for _, part in decode_frames(written(frames))] == frames


@given(FRAMES, st.data())
def test_one_wrong_byte_costs_one_frame(frames: list[Frame], data: st.DataObject) -> None:
    content = bytearray(written([*frames, Frame(START, b"last")]))
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    found = intact(bytes(content))
    assert len(found) == len(frames)
    assert all(frame in [*frames, Frame(START, b"last")] for frame in found)


@given(FRAMES, st.data())
def test_a_file_that_was_cut_off_keeps_its_whole_frames(
    frames: list[Frame], data: st.DataObject
) -> None:  # I1
    content = written(frames)
    cut = data.draw(st.integers(0, len(content)))
    found = intact(content[:cut])
    assert found == frames[: len(found)]
    assert len(written(frames[: len(found) + 1])) > cut or len(found) == len(frames)


@given(st.binary(max_size=500), FRAMES)
def test_whatever_a_file_holds_every_byte_is_accounted_for(
    junk: bytes, frames: list[Frame]
) -> None:
    content = junk + written(frames)
    at = 0
    for offset, part in decode_frames(content):
        assert offset == at
        size = (
            len(part.content)
            if isinstance(part, DamagedBytes)
            else HEADER_BYTES + len(part.payload)
        )
        at += size
    assert at == len(content)


ON_DISK = bytes.fromhex("f5504331 00000005 000001a210008800 f96a0acb64fffe07") + b"hello"


def test_a_file_of_an_older_version_is_read() -> None:  # I1
    frame = Frame(datetime(2026, 11, 25, tzinfo=UTC), b"hello")
    assert encode_frame(frame.payload, frame.received_at) == ON_DISK
    assert intact(ON_DISK) == [frame]


def test_a_payload_of_64_kib_is_read_back() -> None:  # I1
    largest = Frame(START, b"x" * 64 * 1024)
    assert intact(encode_frame(largest.payload, largest.received_at)) == [largest]


@pytest.mark.parametrize("size", range(6))
def test_a_frame_is_read_after_damage_of_any_size(size: int) -> None:  # I1
    frame = Frame(START, b"one")
    content = ON_DISK[:size] + encode_frame(frame.payload, frame.received_at)
    assert intact(content) == [frame]
    assert intact(b"x" * size + content[size:]) == [frame]


def frame_of(milliseconds: int, payload: bytes = b"") -> bytes:
    """A frame with a checksum that is right, whatever it contains."""
    head = pack(">4sIQ", ON_DISK[:4], len(payload), milliseconds)
    return head + sha256(head + payload).digest()[:8] + payload


LAST_MILLISECOND = 253402300799999
"""Of the year 9999, the last that a date can have."""


def test_a_time_that_no_date_has_is_damage() -> None:
    [last] = intact(frame_of(LAST_MILLISECOND))
    assert last.received_at == datetime(9999, 12, 31, 23, 59, 59, 999000, UTC)
    assert intact(frame_of(LAST_MILLISECOND + 1)) == []


def test_a_payload_that_is_never_written_is_damage() -> None:
    assert len(intact(frame_of(0, b"x" * 64 * 1024))) == 1
    assert intact(frame_of(0, b"x" * (64 * 1024 + 1))) == []
    assert intact(frame_of(0, b"\xff")) == []


@pytest.mark.parametrize(
    "payload", [b"x" * (64 * 1024 + 1), b"\xff"], ids=["too large", "no ASCII"]
)
def test_a_payload_that_could_not_be_read_is_refused(payload: bytes) -> None:
    with pytest.raises(ValueError, match="ASCII of at most 64 KiB"):
        encode_frame(payload, datetime(2026, 11, 26, tzinfo=UTC))
