"""A destination's first rows: every suppression there is, and none between two stools."""

from __future__ import annotations

from preference_center.extensions import services
from preference_center.ledger.statements import GATE
from preference_center.storage import syncs
from preference_center.storage.database import run


def backfill(destination_id: int) -> int:
    """Raise a sync state for all that is suppressed now; returns how many were missing.

    To be called once the destination is committed. A writer that began before that does
    not know of it, so all such writers are waited for: what they wrote is then seen here,
    and what comes later raises its own row. Safe to repeat.
    """
    now = services().now()
    run(lambda connection: connection.execute("SELECT pg_advisory_xact_lock(%s)", (GATE,)))
    return run(lambda connection: syncs.backfill(connection, destination_id, now))
