"""A destination: one configured account of a connected tool."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from preference_center.core.addresses import Channel
from preference_center.core.events import SHARING


class DestinationStatus(StrEnum):
    """Whether a destination is pushed to."""

    OBSERVE = "observe"
    """New: it shows what would be pushed; nothing is pushed until it is resumed."""
    ACTIVE = "active"
    PAUSED = "paused"
    """Stopped by staff, or by the receiver itself; its rows keep their deadlines (I3)."""


def status_label(status: DestinationStatus, retry_at: datetime | None) -> str:
    """The status as one word, `broken` for an active one whose circuit is open."""
    return "broken" if status is DestinationStatus.ACTIVE and retry_at is not None else status.value


@dataclass(frozen=True, slots=True)
class Destination:
    """One configured account of a connected tool.

    `sends` are the topics it may mail, and SHARING if data is shared with it; `mapping`: each of
    them -> its target in the tool. While `retry_at` is ahead the circuit is open: nothing is sent,
    for the given `reason`. `failures` (at most 12) halves the batches that often: where a batch
    fails as a whole, only a small one shows which row causes it.
    """

    id: int
    name: str
    kind: str
    settings: Mapping[str, str]
    channels: frozenset[Channel]
    sends: frozenset[str]
    mapping: Mapping[str, str]
    sends_service: bool
    can_lift: bool
    """Whether the tool can turn on again what we turned off there, and so hold a pause (I10)."""
    status: DestinationStatus
    reason: str
    failures: int
    retry_at: datetime | None
    pulled_at: datetime | None
    """When its own opt-outs had been read; until then its back-fill waits."""
    slow_until: datetime | None
    """Until when it counts as slow, so that it gets one push at a time."""

    def allows_requests(self, now: datetime) -> bool:
        """Whether the tool may be sent requests: it is active and its circuit is not open."""
        is_closed = self.retry_at is None or self.retry_at <= now
        return self.status is DestinationStatus.ACTIVE and is_closed

    @property
    def topics(self) -> frozenset[str]:
        """The topics that it may mail."""
        return self.sends - {SHARING}

    @property
    def shares(self) -> bool:
        """Whether people's data is used there for advertising elsewhere, as in an audience."""
        return SHARING in self.sends

    def is_slow(self, now: datetime) -> bool:
        """Whether a recent push took long."""
        return self.slow_until is not None and self.slow_until > now
