"""Deadlines state when an opt-out is due in every tool, and how retries keep within that window."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from enum import StrEnum

PAUSE_DAYS = (7, 30, 90)
"""The durations of a pause that the page offers, in days; MAX_PAUSE is the longest."""


UNDO_PERIOD = timedelta(minutes=30)
"""How long after a press on the unsubscribe page it can be undone."""


WINDOW = timedelta(hours=72)
"""The promise, counted from `received_at`."""
TARGET = timedelta(hours=48)
"""What Gmail and Yahoo accept (RULES.md B1, B2)."""
AT_RISK = timedelta(hours=36)

MIN_RETRY_DELAY = timedelta(seconds=10)
MAX_RETRY_DELAY = timedelta(hours=1)
OVERDUE_RETRY_INTERVAL = timedelta(minutes=15)
REFUSED_RETRY_INTERVAL = timedelta(days=1)
"""For an address that the tool never accepts, however late: only staff can resolve it."""
MIN_PROBE_DELAY = timedelta(seconds=5)
MAX_EMAIL_RETRY_DELAY = timedelta(minutes=5)
"""Long enough for greylisting, short enough for somebody who waits for a link."""
PROBE_INTERVAL = timedelta(minutes=5)
"""How often an open circuit is probed."""


class DeadlineStage(StrEnum):
    """How late a pending opt-out is."""

    ON_TIME = "on_time"
    AT_RISK = "at_risk"
    PAST_TARGET = "past_target"
    OVERDUE = "overdue"


def deadline_stage(due_at: datetime, now: datetime) -> DeadlineStage:
    """The stage of a row due at `due_at`, i.e. received `WINDOW` before."""
    waited = now - (due_at - WINDOW)
    if waited >= WINDOW:
        return DeadlineStage.OVERDUE
    if waited >= TARGET:
        return DeadlineStage.PAST_TARGET
    return DeadlineStage.AT_RISK if waited >= AT_RISK else DeadlineStage.ON_TIME


def worst_stage(stages: Collection[DeadlineStage]) -> DeadlineStage:
    """The latest of these stages; `on_time` of none."""
    return max(stages, key=list(DeadlineStage).index, default=DeadlineStage.ON_TIME)


def late_stages(now: datetime) -> tuple[tuple[DeadlineStage, datetime | None, datetime], ...]:
    """Each stage beyond `on_time`, worst first, with what `due_at` lies after and up to.

    The same bounds as in `deadline_stage`, so that a database can count by them.
    """
    past_target, at_risk = now + (WINDOW - TARGET), now + (WINDOW - AT_RISK)
    return (
        (DeadlineStage.OVERDUE, None, now),
        (DeadlineStage.PAST_TARGET, now, past_target),
        (DeadlineStage.AT_RISK, past_target, at_risk),
    )


def row_retry(
    attempts: int,
    due_at: datetime | None,
    now: datetime,
    *,
    retry_after: timedelta | None = None,
    jitter: float = 0.0,
) -> datetime:
    """When to try one address again after its `attempts`-th failure in a row.

    Doubles from 10 seconds to an hour, never below the tool's own
    `retry_after` unless that takes more than a third of the time left before
    `due_at`, which is the most it waits, but for the 15 minutes it waits in any case
    near the end; past due, every 15 minutes for ever (I3). `jitter` in 0..1 spreads
    retries over the last quarter of the delay.
    """
    delay = _doubled(MIN_RETRY_DELAY, attempts, MAX_RETRY_DELAY)
    delay = max(delay * (1 - jitter / 4), retry_after or timedelta(0))
    if due_at is not None:
        delay = min(delay, max((due_at - now) / 3, OVERDUE_RETRY_INTERVAL))
    return now + delay


def refused_retry(now: datetime, *, jitter: float = 0.0) -> datetime:
    """When to try an address again that the tool has refused: daily (I3).

    `jitter` in 0..1 spreads those refused together over the last hour.
    """
    return now + REFUSED_RETRY_INTERVAL - timedelta(hours=jitter)


def destination_retry(
    failures: int, now: datetime, *, retry_after: timedelta | None = None, jitter: float = 0.0
) -> datetime:
    """When to probe a tool again that failed as a whole `failures` times in a row.

    Doubles from 5 seconds to the probe interval of an open circuit, 5 minutes (I3). A
    tool's `retry_after` is respected up to an hour: beyond that we probe anyway, since the
    promise is ours and not the tool's.
    """
    delay = _doubled(MIN_PROBE_DELAY, failures, PROBE_INTERVAL) * (1 - jitter / 4)
    return now + max(delay, min(retry_after or timedelta(0), MAX_RETRY_DELAY))


def slowed_retry(
    since: datetime, now: datetime, *, retry_after: timedelta | None = None, jitter: float = 0.0
) -> datetime:
    """When to push again to a tool that has taken no more requests `since` then.

    As long as that has lasted, between 5 seconds and 5 minutes, so that the waits double; the
    tool's `retry_after` is respected up to an hour.
    """
    delay = min(max(now - since, MIN_PROBE_DELAY), PROBE_INTERVAL) * (1 - jitter / 4)
    return now + max(delay, min(retry_after or timedelta(0), MAX_RETRY_DELAY))


def email_retry(
    attempts: int, expires_at: datetime, now: datetime, *, jitter: float = 0.0
) -> datetime:
    """When to send an email again after its `attempts`-th failure in a row.

    Doubles from 10 seconds to 5 minutes, but not beyond `expires_at`.
    """
    delay = _doubled(MIN_RETRY_DELAY, attempts, MAX_EMAIL_RETRY_DELAY) * (1 - jitter / 4)
    return min(now + delay, expires_at)


def _doubled(first: timedelta, failures: int, longest: timedelta) -> timedelta:
    """The delay after so many failures in a row; the exponent's limit prevents an overflow."""
    return min(first * (1 << min(failures - 1, 20)), longest)


class RequestStage(StrEnum):
    """How late an open request is, the worst last."""

    ON_TIME = "on_time"
    PAST_TARGET = "past_target"
    DUE_SOON = "due_soon"
    """Four fifths of its time are gone."""
    OVERDUE = "overdue"
