"""Looking for bursts of opt-outs, from the scheduler: no opt-out waits for it."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog

from preference_center.domain.bursts import bursts
from preference_center.extensions import services
from preference_center.storage.db.database import Connection, run, run_at_once
from preference_center.storage.mail import bursts as stored
from preference_center.storage.mail.bursts import Flag

log = structlog.get_logger()

EVERY = timedelta(seconds=30)
"""How long after a look the next one is; a burst is flagged about that long after it."""
MOST = timedelta(hours=1)
"""How much is looked through at once, after a time without a scheduler."""


def look_for_bursts(now: datetime) -> list[Flag]:
    """Flag what came since the last look, if it is time for one; what is new or has grown."""
    context = services()
    rule = context.settings.burst_rule

    def look(connection: Connection) -> list[Flag] | None:
        looked_at = stored.begin(connection, now, EVERY)
        if looked_at is None:
            return None
        until = min(now, looked_at + MOST)
        found = bursts(stored.acts_between(connection, looked_at, until, rule), rule)
        flags = [stored.keep(connection, burst, context.new_id(), now) for burst in found]
        stored.end(connection, until)
        return [flag for flag in flags if flag is not None]

    flags = run(look)
    if flags is None:
        return []
    for flag in flags:
        log.warning(
            "burst_flagged",
            burst=str(flag.id),
            events=flag.events,
            addresses=flag.addresses,
            known=flag.known,
        )
    if run_at_once(stored.is_to_fill):
        run(lambda connection: stored.fill(connection, context.keys))
    return flags
