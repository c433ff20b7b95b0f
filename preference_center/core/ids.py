"""Event ids: UUID version 7, so that they sort by time (RFC 9562, 5.7)."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

_RANDOM_BITS = 74


def uuid7(now: datetime, random: int) -> UUID:
    """The id of time `now`, to the millisecond, with 74 random bits."""
    milliseconds = int(now.timestamp() * 1000)
    high, low = divmod(random % (1 << _RANDOM_BITS), 1 << 62)
    return UUID(int=milliseconds << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low)
