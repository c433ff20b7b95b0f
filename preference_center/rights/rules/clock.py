"""How far the time of a request has run: its stage, its reminders, and when it ends by itself."""

from __future__ import annotations

from datetime import datetime, timedelta
from fractions import Fraction

from preference_center.core.deadlines import RequestStage
from preference_center.rights.rules.periods import Period

IDENTITY_WAIT = timedelta(days=30)
"""How long a request waits for proof of identity before it lapses."""
REPEAT_WINDOW = timedelta(days=1)
"""Within it the same request, received again, is the same one."""
RETENTION = Period(months=24)
"""How long a closed request is kept (11 CCR 7101(a))."""
MINOR_RETENTION = Period(days=90)
"""How long a closed report of a minor is kept, and with it who reported it."""
REMINDERS = (Fraction(1, 2), Fraction(4, 5), Fraction(1))
"""The shares of its time after which the company is reminded of a request."""

_DUE_SOON = Fraction(4, 5)


def request_stage(
    received_at: datetime, deadline: datetime, now: datetime, *, target: timedelta
) -> RequestStage:
    """The stage of a request that is to be answered by `deadline`.

    `target` is within what the company means to answer; laws allow more.
    """
    if now >= deadline:
        return RequestStage.OVERDUE
    if now >= share_of_time(received_at, deadline, _DUE_SOON):
        return RequestStage.DUE_SOON
    late = now >= received_at + target
    return RequestStage.PAST_TARGET if late else RequestStage.ON_TIME


def share_of_time(received_at: datetime, deadline: datetime, share: Fraction) -> datetime:
    """When this share of the time between the two is gone."""
    return received_at + (deadline - received_at) * share.numerator / share.denominator


def next_reminder(received_at: datetime, deadline: datetime, now: datetime) -> datetime | None:
    """When the company is reminded next; None after the deadline."""
    times = (share_of_time(received_at, deadline, share) for share in REMINDERS)
    return min((time for time in times if time > now), default=None)
