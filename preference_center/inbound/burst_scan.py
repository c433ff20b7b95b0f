"""Find bursts of opt-outs, from the scheduler: no opt-out waits for it."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog

from preference_center.core.bursts import BurstRecord, find_bursts
from preference_center.inbound import bursts as stored
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction

log = structlog.get_logger()

SCAN_INTERVAL = timedelta(seconds=30)
"""Time between scans; a burst is flagged about that long after it."""
MAX_SCAN_SPAN = timedelta(hours=1)
"""The most that one scan covers, after a time without a scheduler."""


def flag_bursts(now: datetime) -> list[BurstRecord]:
    """Flag bursts since the last scan, if one is due. Returns those that are new or have grown."""
    context = services()
    rule = context.settings.burst_rule

    def scan(connection: Connection) -> list[BurstRecord] | None:
        scanned_until = stored.claim_scan(connection, now, SCAN_INTERVAL)
        if scanned_until is None:
            return None
        until = min(now, scanned_until + MAX_SCAN_SPAN)
        found = find_bursts(
            stored.list_opt_outs_between(connection, scanned_until, until, rule), rule
        )
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
