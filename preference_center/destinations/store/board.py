"""What the console shows of every destination. Each query has a limit, as in `measurements`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from preference_center.destinations.rules.condition import Condition, find_condition
from preference_center.destinations.rules.destination import DestinationStatus
from preference_center.infra.db.transactions import Connection
from preference_center.integrations.base.contract import PushResult

MAX_RECENT_DELIVERIES = 20_000
"""How many of the newest deliveries are read, of all destinations together."""
MAX_DRIFT_ROWS = 1_000
"""Among how many pending rows of a destination those that were found missing are counted."""


@dataclass(frozen=True, slots=True)
class DestinationState:
    """One destination without its settings: its state, and what reading it found."""

    id: int
    name: str
    kind: str
    status: DestinationStatus
    reason: str
    """Why it was paused or its circuit is open, in words that may be the tool's own."""
    retry_at: datetime | None
    """When an open circuit is tried again."""
    failures: int
    """How often it failed in a row; 0 with a `retry_at` while its rate limit is reached."""
    sends: Sequence[str]
    drift_total: int
    """Opt-outs that the tool had confirmed and no longer had, since it was set up."""
    drift_pending: int
    """Those of them that are not pushed again yet, among the first MAX_DRIFT_ROWS that wait."""
    read_at: datetime | None
    """When a listing or the read-back last ended."""
    read_problem: str
    """Why reading it fails now, if it does."""
    has_backfill: bool
    """Whether its back-fill is not finished."""

    def condition(self, now: datetime) -> Condition:
        """What is the matter with it."""
        return find_condition(
            self.status,
            self.retry_at,
            self.failures,
            now,
            reads_fail=bool(self.read_problem),
            has_drift=self.drift_pending > 0,
        )


def list_states(connection: Connection, name: str | None = None) -> list[DestinationState]:
    """All destinations by name, or the one of this name."""
    rows = connection.execute(
        """SELECT d.id, d.name, d.kind, d.status, d.reason, d.retry_at, d.failures, d.sends,
            COALESCE(v.drift, 0),
            CASE WHEN COALESCE(v.drift, 0) = 0 THEN 0 ELSE (
                SELECT count(*) FILTER (WHERE first.outcome = 'drift') FROM (
                    SELECT s.outcome FROM sync_state s
                    WHERE s.destination_id = d.id AND s.due_at IS NOT NULL
                    ORDER BY s.due_at LIMIT %(rows)s) AS first) END,
            l.read_at, COALESCE(l.problem, ''), b.destination_id IS NOT NULL
        FROM destination d
        LEFT JOIN verification v ON v.destination_id = d.id
        LEFT JOIN backfill b ON b.destination_id = d.id AND b.finished_at IS NULL
        LEFT JOIN LATERAL (SELECT max(finished_at) AS read_at,
                max(reason) FILTER (WHERE reason <> '') AS problem
            FROM listing WHERE destination_id = d.id) AS l ON true
        WHERE %(name)s::text IS NULL OR d.name = %(name)s ORDER BY d.name""",
        {"rows": MAX_DRIFT_ROWS, "name": name},
    )
    return [
        DestinationState(row[0], row[1], row[2], DestinationStatus(row[3]), *row[4:])
        for row in rows
    ]


@dataclass(frozen=True, slots=True)
class DeliveryCount:
    """Deliveries of one destination in one minute (UTC) with one outcome."""

    destination_id: int
    minute: datetime
    outcome: str
    count: int

    @property
    def is_pushed(self) -> bool:
        """Whether the tool holds our state by it, or does not know the address."""
        return self.outcome in {PushResult.REFLECTED, PushResult.ABSENT}


@dataclass(frozen=True, slots=True)
class RecentDeliveries:
    """The newest deliveries; complete from `since` on."""

    since: datetime
    counts: Sequence[DeliveryCount]


def load_recent_deliveries(connection: Connection, since: datetime) -> RecentDeliveries:
    """Deliveries since then, at most MAX_RECENT_DELIVERIES: fewer minutes if there are more."""
    rows = connection.execute(
        """WITH newest AS MATERIALIZED (
            SELECT destination_id, outcome, at FROM delivery ORDER BY id DESC LIMIT %(limit)s),
        covered AS (SELECT CASE WHEN count(*) < %(limit)s THEN %(since)s
            ELSE GREATEST(%(since)s, min(at)) END AS since FROM newest)
        SELECT covered.since, destination_id, date_trunc('minute', at), outcome, count(outcome)
        FROM covered LEFT JOIN newest ON at >= covered.since AND outcome <> 'superseded'
        GROUP BY 1, 2, 3, 4 ORDER BY 3 DESC, 2, 4""",
        {"limit": MAX_RECENT_DELIVERIES, "since": since},
    ).fetchall()
    counts = [DeliveryCount(*row[1:]) for row in rows if row[1] is not None]
    return RecentDeliveries(rows[0][0] if rows else since, counts)
