"""A file of the spool after a crash, or on a bad disk."""

from __future__ import annotations

from contextlib import suppress

from fuzz.targets.tokens import LINKS
from preference_center.core.errors import InvalidLink
from preference_center.ledger.spool.frames import Frame, decode_frames, encode_frame


def spool_file(data: bytes) -> None:
    """Every byte is part of an intact frame or of damage, in order, and nothing is made up."""
    whole = b""
    for offset, part in decode_frames(data):
        assert offset == len(whole)
        if isinstance(part, Frame):
            whole += encode_frame(part.payload, part.received_at)
            with suppress(InvalidLink):
                LINKS.open_request(part.payload)
        else:
            whole += part.content
    assert whole == data
