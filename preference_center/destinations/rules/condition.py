"""What is the matter with a destination, so that a person knows what to do next."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import assert_never

from preference_center.destinations.rules.destination import DestinationStatus


class Condition(StrEnum):
    """The first of these that holds is what to see to."""

    OBSERVED = "observed"
    """Nothing is pushed before it is resumed."""
    PAUSED = "paused"
    RATE_LIMITED = "rate_limited"
    """It works, and takes no more requests for now."""
    FAILED = "failed"
    """Its circuit is open: it is tried again later."""
    TRIED_AGAIN = "tried_again"
    """Its circuit is open, and due to be tried."""
    NOT_READABLE = "not_readable"
    """It is pushed to, but a listing of it fails."""
    DRIFTED = "drifted"
    """It has lost opt-outs, which are being pushed again."""
    WELL = "well"


def find_condition(
    status: DestinationStatus,
    retry_at: datetime | None,
    failures: int,
    now: datetime,
    *,
    reads_fail: bool = False,
    has_drift: bool = False,
) -> Condition:
    """The condition of a destination; `failures` and `retry_at` are those of its circuit."""
    match status:
        case DestinationStatus.OBSERVE:
            return Condition.OBSERVED
        case DestinationStatus.PAUSED:
            return Condition.PAUSED
        case DestinationStatus.ACTIVE if retry_at is not None:
            if not failures:
                return Condition.RATE_LIMITED
            return Condition.FAILED if retry_at > now else Condition.TRIED_AGAIN
        case DestinationStatus.ACTIVE:
            if reads_fail:
                return Condition.NOT_READABLE
            return Condition.DRIFTED if has_drift else Condition.WELL
        case _:
            assert_never(status)
