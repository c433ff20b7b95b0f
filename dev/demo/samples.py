"""Samples of the demo's past, as the scheduler makes one every five minutes."""

from __future__ import annotations

from datetime import datetime, timedelta

from preference_center.destinations.store import samples
from preference_center.infra.db.transactions import Connection, run_in_transaction

_HOUR = timedelta(hours=1)

# Between two samples of a past in which nothing happens in between, what waits stays the same.
_FILL = """
INSERT INTO destination_sample (destination_id, at, pending, oldest_received_at, pushed, failed)
SELECT d.id, t, COALESCE(s.pending, 0), s.oldest_received_at, 0, 0
FROM generate_series(%(since)s::timestamptz, %(until)s, %(step)s) AS t CROSS JOIN destination d
LEFT JOIN LATERAL (
    SELECT pending, oldest_received_at FROM destination_sample
    WHERE destination_id = d.id AND at < t ORDER BY at DESC LIMIT 1) s ON true
ON CONFLICT DO NOTHING
"""


def after(moment: datetime) -> datetime:
    """When the sample is made that has what was pushed by then."""
    return samples.sample_time(moment + samples.DELAY) + samples.INTERVAL + samples.DELAY


def fill_gaps(begin: datetime, now: datetime) -> None:
    """Make those between the acts of the past: each hour, and of the last week all."""
    thinned = samples.sample_time(now - samples.THINNED_AFTER).replace(minute=0)

    def fill(connection: Connection) -> None:
        for since, until, step in (
            (begin.replace(minute=0, second=0, microsecond=0), thinned, _HOUR),
            (thinned, samples.sample_time(now), samples.INTERVAL),
        ):
            connection.execute(_FILL, {"since": since, "until": until, "step": step})

    run_in_transaction(fill)
