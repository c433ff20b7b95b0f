"""Looking for bursts of opt-outs, from the scheduler: no opt-out waits for it."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog

from preference_center.context import services
from preference_center.domain.bursts import find_bursts
from preference_center.storage.db.database import Connection, run_in_transaction
from preference_center.storage.mail import bursts as stored
from preference_center.storage.mail.bursts import BurstRecord

log = structlog.get_logger()

SCAN_INTERVAL = timedelta(seconds=30)
"""How long after a look the next one is; a burst is flagged about that long after it."""
MAX_SCAN_SPAN = timedelta(hours=1)
"""How much is looked through at once, after a time without a scheduler."""


def flag_bursts(now: datetime) -> list[BurstRecord]:
    """Flag what came since the last look, if it is time for one; what is new or has grown."""
    context = services()
    rule = context.settings.burst_rule

    def scan(connection: Connection) -> list[BurstRecord] | None:
        looked_at = stored.claim_scan(connection, now, SCAN_INTERVAL)
        if looked_at is None:
            return None
        until = min(now, looked_at + MAX_SCAN_SPAN)
        found = find_bursts(stored.list_opt_outs_between(connection, looked_at, until, rule), rule)
        flags = [stored.record_burst(connection, burst, context.new_id(), now) for burst in found]
        stored.finish_scan(connection, until)
        return [flag for flag in flags if flag is not None]

    flags = run_in_transaction(scan)
    if flags is None:
        return []
    for flag in flags:
        log.warning(
            "burst_flagged",
            burst=str(flag.id),
            events=flag.events,
            addresses=flag.addresses,
            known=flag.known_addresses,
        )
    return flags
