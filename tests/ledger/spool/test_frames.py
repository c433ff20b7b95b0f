"""The file format: what was written is read, and damage costs what is damaged."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preference_center.ledger.spool.frames import (
    HEADER_BYTES,
    MAX_PAYLOAD_BYTES,
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


@pytest.mark.parametrize(
    "payload", [b"x" * (MAX_PAYLOAD_BYTES + 1), b"\xff"], ids=["too large", "no ASCII"]
)
def test_a_payload_that_could_not_be_read_is_refused(payload: bytes) -> None:
    with pytest.raises(ValueError, match="ASCII of at most 64 KiB"):
        encode_frame(payload, datetime(2026, 11, 26, tzinfo=UTC))
