"""When a tool will have what waits for it, at the rate at which it was pushed to lately (I3)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from preference_center.core.deadlines import WINDOW
from preference_center.destinations.rules.states import Condition
from preference_center.destinations.store.samples import (
    RecentDeliveries,
    list_pending,
    list_states,
    load_recent_deliveries,
)
from preference_center.infra.db.transactions import Connection

SEEN = timedelta(minutes=30)
"""How far back pushes are counted for the rate."""

SLOW = timedelta(minutes=15)
"""How long the oldest opt-out has waited before there is a forecast: until then, none is needed."""

MAX_COUNTED = 10_000
"""How many of those that wait are looked at, the first to be due first."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What was pushed since a time, how many wait, and when the last of them is pushed.

    `pending` and `late` count to MAX_COUNTED; `late` are those whose 72 hours end before their
    turn comes. Without a push there is no `done_at`, and `late` are those that are overdue.
    """

    since: datetime
    pushed: int
    pending: int
    late: int
    done_at: datetime | None

    @property
    def is_capped(self) -> bool:
        """Whether more may wait."""
        return self.pending >= MAX_COUNTED

    def per_hour(self, now: datetime) -> int:
        """The rate at which it was pushed to."""
        return round(self.pushed * timedelta(hours=1) / (now - self.since))

    def describe_slowed(self, now: datetime) -> str:
        """How fast a tool is that takes no more requests, and when it is through at that rate."""
        if self.done_at is None:
            return f"slowed by the tool: nothing was pushed since {self.since:%H:%M} UTC"
        per_hour = self.per_hour(now)
        rate = (
            f"{per_hour / 60:,.0f} a minute"
            if per_hour >= _SHOWN_BY_MINUTE
            else f"{per_hour} an hour"
        )
        by = "not before" if self.is_capped else "by"
        at = f"{self.done_at:%Y-%m-%d %H:%M} UTC"
        return f"slowed by the tool: {rate}; the last pending opt-out at this rate {by} {at}"


_SHOWN_BY_MINUTE = 120
"""From how many an hour on a rate is given by the minute."""


_COUNT_LATE = """
SELECT count(*), count(*) FILTER (WHERE due_at < %(now)s + place * %(each)s)
FROM (SELECT due_at, row_number() OVER (ORDER BY due_at) AS place FROM (
    SELECT due_at FROM sync_state WHERE destination_id = %(destination)s AND due_at IS NOT NULL
    ORDER BY due_at LIMIT %(limit)s) AS first) AS waiting
"""


def needs_forecast(due_at: datetime | None, now: datetime) -> bool:
    """Whether a tool is slow whose first pending opt-out is `due_at`."""
    return due_at is not None and now - (due_at - WINDOW) >= SLOW


def load_forecast(
    connection: Connection,
    destination: int,
    due_at: datetime | None,
    recent: RecentDeliveries,
    now: datetime,
) -> Forecast | None:
    """The forecast of a tool whose first pending opt-out is `due_at`; None where none is needed.

    `recent` are deliveries of the last SEEN.
    """
    if due_at is None or not needs_forecast(due_at, now):
        return None
    since = max(recent.since, due_at - WINDOW)
    pushed = sum(
        each.count
        for each in recent.counts
        if each.destination_id == destination and each.is_pushed and each.minute >= since - _MINUTE
    )
    interval = (now - since) / pushed if pushed else timedelta(0)
    row = connection.execute(
        _COUNT_LATE,
        {"now": now, "each": interval, "destination": destination, "limit": MAX_COUNTED},
    ).fetchone()
    pending, late = row or (0, 0)
    if not pending:
        return None
    return Forecast(since, pushed, pending, late, now + pending * interval if pushed else None)


def find_forecast(
    connection: Connection, destination: int, due_at: datetime | None, now: datetime
) -> Forecast | None:
    """`load_forecast`, by the deliveries that are needed for it."""
    if not needs_forecast(due_at, now):
        return None
    recent = load_recent_deliveries(connection, now - SEEN)
    return load_forecast(connection, destination, due_at, recent, now)


def describe_slowed(connection: Connection, name: str, now: datetime) -> str:
    """How fast a destination is that its tool slows; empty of any other, or without a forecast."""
    found = [each for each in list_pending(connection) if each.destination == name]
    states = list_states(connection, name)
    if not found or not states or states[0].condition(now) is not Condition.RATE_LIMITED:
        return ""
    forecast = find_forecast(connection, states[0].id, found[0].due_at, now)
    return forecast.describe_slowed(now) if forecast else ""


_MINUTE = timedelta(minutes=1)
"""Deliveries are counted by the minute in which they were made."""
