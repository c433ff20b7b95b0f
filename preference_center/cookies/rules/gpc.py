"""Global Privacy Control: what the signal means for an address (docs/decisions/0079)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from preference_center.core.events import SHARING, Event, ScopeFact
from preference_center.decisions.rules import newest_opt_in

SOURCE = "global_privacy_control"
"""The source, and the method, of the opt-outs that the signal records."""


class GpcStatus(StrEnum):
    """How the signal is treated; shown by `gpc_notice.html`."""

    PENDING = "pending"
    """It is recorded once any button is pressed: a GET never writes (I7)."""
    HONOURED = "honoured"
    """Sale and sharing of what belongs to this address is opted out of."""
    OVERRIDDEN = "overridden"
    """The person has agreed to it since the signal was recorded (11 CCR 7025(c)(3))."""


def gpc_status(facts: Sequence[ScopeFact], first_signal_at: datetime | None) -> GpcStatus:
    """The status of the signal, given the exact facts of the address (I9).

    `first_signal_at` is when it was first recorded for the address, if ever. A consent from before
    that does not outweigh the signal: the person may have turned the signal on since.
    """
    if any(fact.exact and fact.scope == SHARING and fact.state.is_suppressed for fact in facts):
        return GpcStatus.HONOURED
    consent = newest_opt_in(SHARING, facts)
    if consent and first_signal_at and consent.at > first_signal_at:
        return GpcStatus.OVERRIDDEN
    return GpcStatus.PENDING


def find_first_signal(events: Iterable[Event], retracted: Collection[UUID]) -> datetime | None:
    """When the signal was first recorded, by the events of exactly one address."""
    return min(
        (
            event.counts_at
            for event in events
            if event.source == SOURCE and event.scope == SHARING and event.id not in retracted
        ),
        default=None,
    )
