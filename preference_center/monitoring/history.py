"""Keep what waits for each destination over time: the scheduler makes a sample every 5 minutes."""

from __future__ import annotations

from datetime import datetime

from preference_center.destinations.store import samples
from preference_center.infra.db.transactions import Connection, run_in_transaction


def record_samples(now: datetime) -> bool:
    """Make the samples that are due, once for all schedulers; True if there were any.

    With the first of an hour old ones are thinned.
    """
    at = samples.sample_time(now)

    def record(connection: Connection) -> bool:
        if not samples.insert_samples(connection, at):
            return False
        if at.minute == 0:
            samples.thin_samples(connection, now)
        return True

    return run_in_transaction(record)
