"""Watermarks: how far a reader has followed the ledger.

Events are ordered by the transaction that wrote them and, within it, by `seq`. Neither an
id nor `seq` alone would do: they are given out before the commit, so a transaction that
commits late would lie behind a reader who has passed it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from preference_center.core.errors import InvalidWatermark

_WATERMARK_TEXT = re.compile(r"([0-9a-f]{8})\.(0|[1-9][0-9]{0,19})\.(0|[1-9][0-9]{0,18})")
_EPOCH_TEXT = re.compile(r"[0-9a-f]{8}")
_XID_END = 1 << 64
_SEQ_END = 1 << 63


@dataclass(frozen=True, slots=True)
class Watermark:
    """The point after transaction `xid` up to its event `seq`, in the epoch `epoch`.

    `epoch` (8 of 0-9 and a-f) names the database's line of history: transactions of two
    epochs can't be compared. `xid` is PostgreSQL's 64-bit transaction id; 0 stands for all
    that was recorded before the epoch. `seq` 0 is the point before all events of `xid`.
    """

    epoch: str
    xid: int
    seq: int = 0

    def __post_init__(self) -> None:
        if not _EPOCH_TEXT.fullmatch(self.epoch):
            raise ValueError("an epoch is 8 of 0-9 and a-f")
        if not (0 <= self.xid < _XID_END and 0 <= self.seq < _SEQ_END):
            raise ValueError("xid has 64 bits, seq 63, and neither is negative")

    def __str__(self) -> str:
        """The text form, e.g. `9f86d081.48213.0`: fit for a URL as it stands."""
        return f"{self.epoch}.{self.xid}.{self.seq}"

    @property
    def position(self) -> tuple[int, int]:
        """What watermarks of one epoch are ordered by."""
        return self.xid, self.seq


def parse_watermark(text: str) -> Watermark:
    """The watermark with exactly this text form. Raises InvalidWatermark."""
    match = _WATERMARK_TEXT.fullmatch(text)
    if match:
        epoch, xid, seq = match.groups()
        if int(xid) < _XID_END and int(seq) < _SEQ_END:
            return Watermark(epoch, int(xid), int(seq))
    raise InvalidWatermark("this is no watermark: give one exactly as we gave it to you")


def first_watermark(epoch: str) -> Watermark:
    """The point before the first event of all."""
    return Watermark(epoch, 0)
