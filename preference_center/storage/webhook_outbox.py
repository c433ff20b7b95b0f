"""The outboxes of webhooks to the company: each is a table, and the queue is the database."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

from preference_center.storage.db.database import Connection


@dataclass(frozen=True, slots=True)
class ClaimedRow:
    """A webhook that this worker holds until its lease ends. Each field is a column."""

    id: UUID
    created_at: datetime
    attempts: int


W = TypeVar("W", bound=ClaimedRow)


@dataclass(frozen=True, slots=True)
class Outbox(Generic[W]):
    """One table of webhooks, which has the columns of `claimed`, `next_at` and `outcome`."""

    table: str
    claimed: type[W]

    def count_due(self, connection: Connection, now: datetime) -> int:
        """How many are due (to 1,000)."""
        query = f"""SELECT count(*) FROM (
            SELECT FROM {self.table} WHERE next_at <= %s LIMIT 1000) AS due"""  # noqa: S608 - a constant
        row = connection.execute(query.encode(), (now,)).fetchone()
        assert row
        return int(row[0])

    def claim(self, connection: Connection, *, now: datetime, until: datetime) -> W | None:
        """Claim the webhook that has been due for longest; the lease ends at `until`."""
        columns = ", ".join(f"w.{column.name}" for column in fields(self.claimed))
        query = f"""WITH due AS (SELECT id FROM {self.table} WHERE next_at <= %(now)s
                ORDER BY next_at, created_at, id LIMIT 1 FOR UPDATE SKIP LOCKED)
            UPDATE {self.table} w SET next_at = %(until)s, attempts = attempts + 1
            FROM due WHERE w.id = due.id RETURNING {columns}"""  # noqa: S608 - constants
        row = connection.execute(query.encode(), {"now": now, "until": until}).fetchone()
        return self.claimed(*row) if row else None

    def settle(
        self, connection: Connection, webhook_id: UUID, outcome: str, next_at: datetime | None
    ) -> None:
        """Record how an attempt ended; without `next_at` the webhook is done.

        One that was delivered stays so, whatever a worker that lost its lease reports.
        """
        query = f"""UPDATE {self.table} SET outcome = %s, next_at = %s
            WHERE id = %s AND next_at IS NOT NULL"""  # noqa: S608 - a constant
        connection.execute(query.encode(), (outcome, next_at, webhook_id))
