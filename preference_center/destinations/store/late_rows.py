"""Sync states with an opt-out that is at risk, past its target or overdue (I3)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from preference_center.core.deadlines import DeadlineStage, late_stages
from preference_center.infra.db.transactions import Connection


@dataclass(frozen=True, slots=True)
class LateRows:
    """Rows of one destination in one stage beyond `on_time`, and the earliest of them.

    `count` stops at MAX_LATE_PER_STAGE, or sooner (see `list_late`); `at_least` is set then.
    """

    destination: str
    stage: DeadlineStage
    count: int
    due_at: datetime
    at_least: bool
    """Whether there may be more than `count`."""


MAX_LATE_PER_STAGE = 1_000
"""Late rows of one stage are counted up to here, so that the cost of the query has a limit."""
MAX_LATE_IN_ALL = 10_000
"""Late rows of all destinations together, which share this limit equally ..."""
MIN_LATE_PER_STAGE = 100
"""... but up to this many are counted for each."""


def list_late(connection: Connection, now: datetime) -> list[LateRows]:
    """Pending opt-outs that are at risk or worse, counted per destination and stage.

    The most urgent first. Reads by index at most MAX_LATE_PER_STAGE rows of a destination and
    stage, and fewer if there are so many destinations that each one's share of MAX_LATE_IN_ALL
    is less.
    """
    stages = late_stages(now)
    rows = connection.execute(
        """WITH row_limit AS MATERIALIZED (
            SELECT GREATEST(%s, LEAST(%s, %s / GREATEST(count(*), 1))) AS max_rows FROM destination)
        SELECT d.name, stages.stage, found.count, found.earliest,
            found.count >= (SELECT max_rows FROM row_limit)
        FROM destination d
        CROSS JOIN unnest(%s::text[], %s::timestamptz[], %s::timestamptz[])
            AS stages (stage, after, upto)
        CROSS JOIN LATERAL (
            SELECT count(*) AS count, min(first.due_at) AS earliest FROM (
                SELECT s.due_at FROM sync_state s
                WHERE s.destination_id = d.id AND s.due_at <= stages.upto
                    AND s.due_at > COALESCE(stages.after, '-infinity')
                ORDER BY s.due_at LIMIT (SELECT max_rows FROM row_limit)) AS first) AS found
        WHERE found.count > 0 ORDER BY found.earliest, d.name""",
        (
            min(MAX_LATE_PER_STAGE, MIN_LATE_PER_STAGE),
            MAX_LATE_PER_STAGE,
            MAX_LATE_IN_ALL,
            [name for name, _, _ in stages],
            [after for _, after, _ in stages],
            [upto for _, _, upto in stages],
        ),
    )
    return [
        LateRows(name, DeadlineStage(stage), count, due_at, more)
        for name, stage, count, due_at, more in rows
    ]
