"""What every destination still has to be told, for people who look."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from preference_center.storage.database import Connection
from preference_center.storage.destinations import Status


@dataclass(frozen=True, slots=True)
class Pending:
    """One destination and how many addresses wait for it.

    `due_at` is the earliest deadline among them. `retry_at` is set while its circuit is
    open, for `reason`.
    """

    destination: str
    status: Status
    reason: str
    retry_at: datetime | None
    waiting: int
    due_at: datetime | None

    @property
    def state(self) -> str:
        """The status in a word, `broken` for an active one that the tool turns away."""
        if self.status is Status.ACTIVE and self.retry_at is not None:
            return "broken"
        return self.status.value


def pending(connection: Connection) -> dict[str, Pending]:
    """All destinations by name, also those for which nothing waits."""
    rows = connection.execute(
        """SELECT d.name, d.status, d.reason, d.retry_at, count(s.due_at), min(s.due_at)
        FROM destination d
        LEFT JOIN sync_state s ON s.destination_id = d.id AND s.due_at IS NOT NULL
        GROUP BY d.id ORDER BY d.name"""
    )
    return {
        name: Pending(name, Status(status), reason, retry_at, waiting, due_at)
        for name, status, reason, retry_at, waiting, due_at in rows
    }
