"""What senders' keys are used for: counts per day, kept in memory and added up once a minute.

A request writes nothing of its own. What a process has counted is stored with the first request
after a minute; what it counted since is lost if it ends before. So `last_used_at` may be a minute
old, and the counts of a busy key are exact to about a minute.
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from flask import current_app

from preference_center.core.errors import Unavailable
from preference_center.infra.db.transactions import Connection, run_autocommit

FLUSH_SECONDS = 60.0
USAGE_RETENTION = timedelta(days=35)

EXTENSION_KEY = "preference_center.key_usage"


class KeyUse(StrEnum):
    """What is counted, by the name of its column."""

    REQUESTS = "requests"
    DECISIONS = "decisions"
    DENIED = "denied"
    """Decisions that say "do not send"."""
    REFUSED = "refused"
    """Requests of a key that lacks the scope or the message type."""
    LIMITED = "limited"
    """Requests above the rate of the key."""


@dataclass(frozen=True, slots=True)
class KeyUsage:
    """The counts of one key on one day (UTC)."""

    name: str
    day: date
    requests: int = 0
    decisions: int = 0
    denied: int = 0
    refused: int = 0
    limited: int = 0


class KeyUsageCounter:
    """Counts of one process. Thread-safe."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, date], Counter[KeyUse]] = defaultdict(Counter)
        self._next_flush = -math.inf

    def add(self, name: str, now: datetime, counts: Mapping[KeyUse, int]) -> None:
        """Count for the key of this name; stores what is due, unless the database is away."""
        with self._lock:
            self._counts[name, now.date()].update(counts)
            if self._monotonic() < self._next_flush:
                return
            self._next_flush = self._monotonic() + FLUSH_SECONDS
            due, self._counts = self._counts, defaultdict(Counter)
        try:
            run_autocommit(lambda connection: _store(connection, due, now))
        except Unavailable:  # a request must not fail for it
            with self._lock:
                for key, counted in due.items():
                    self._counts[key].update(counted)


def count_key_use(name: str, now: datetime, **counts: int) -> None:
    """Count for a key: `count_key_use("shop", now, decisions=10, denied=2)`."""
    counter: KeyUsageCounter = current_app.extensions.setdefault(EXTENSION_KEY, KeyUsageCounter())
    counter.add(name, now, {KeyUse(use): count for use, count in counts.items() if count})


def _store(
    connection: Connection, counted: Mapping[tuple[str, date], Counter[KeyUse]], now: datetime
) -> None:
    rows = sorted(counted)  # in the same order in every process, so that none waits in a circle
    connection.execute(
        """WITH used AS (
            UPDATE api_key SET last_used_at = GREATEST(last_used_at, %(now)s)
            WHERE name = ANY(%(names)s)
        )
        INSERT INTO key_usage AS u (name, day, requests, decisions, denied, refused, limited)
        SELECT * FROM unnest(%(names)s::text[], %(days)s::date[], %(requests)s::bigint[],
            %(decisions)s::bigint[], %(denied)s::bigint[], %(refused)s::bigint[],
            %(limited)s::bigint[])
        ON CONFLICT (name, day) DO UPDATE SET requests = u.requests + EXCLUDED.requests,
            decisions = u.decisions + EXCLUDED.decisions, denied = u.denied + EXCLUDED.denied,
            refused = u.refused + EXCLUDED.refused, limited = u.limited + EXCLUDED.limited""",
        {
            "now": now,
            "names": [name for name, _ in rows],
            "days": [day for _, day in rows],
            **{use.value: [counted[row][use] for row in rows] for use in KeyUse},
        },
    )


def list_usage(connection: Connection, since: date) -> list[KeyUsage]:
    """The counts of every key from that day on, summed up per key; by name."""
    rows = connection.execute(
        """SELECT name, max(day), sum(requests)::bigint, sum(decisions)::bigint,
            sum(denied)::bigint, sum(refused)::bigint, sum(limited)::bigint
        FROM key_usage WHERE day >= %s GROUP BY name ORDER BY name""",
        (since,),
    )
    return [KeyUsage(*row) for row in rows]


def list_daily_usage(connection: Connection, name: str, since: date) -> list[KeyUsage]:
    """The counts of one key per day from that day on, the newest first."""
    rows = connection.execute(
        """SELECT name, day, requests, decisions, denied, refused, limited
        FROM key_usage WHERE name = %s AND day >= %s ORDER BY day DESC""",
        (name, since),
    )
    return [KeyUsage(*row) for row in rows]


def delete_old_usage(connection: Connection, now: datetime) -> int:
    """Delete the counts of days that are over for longer than USAGE_RETENTION; how many."""
    return connection.execute(
        "DELETE FROM key_usage WHERE day < %s", ((now - USAGE_RETENTION).date(),)
    ).rowcount
