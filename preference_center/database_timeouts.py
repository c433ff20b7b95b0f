"""How long each kind of work may wait for the database: no wait is without a limit (I2).

The composition root chooses the limits of a process; `storage.database.within` changes them
for a while.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class DatabaseTimeouts:
    """All in seconds.

    `lock`, `statement` and `idle` are kept by PostgreSQL: one wait for a lock, one statement,
    and the time that an open transaction may spend between two statements (`lock_timeout`,
    `statement_timeout`, `idle_in_transaction_session_timeout`).

    The others are kept on our side. `retry`: no further attempt begins once so much has
    passed. `total`: all attempts together; a connection that has not answered by then is
    closed, since its server may be frozen. `at_once`: the same for what takes one round trip,
    and for a new connection.
    """

    lock: float
    statement: float
    idle: float
    retry: float
    total: float
    round_trip: float

    def has_same_session_settings(self, other: DatabaseTimeouts | None) -> bool:
        """Whether PostgreSQL keeps the same of both."""
        return self is other or (
            other is not None
            and (self.lock, self.statement, self.idle) == (other.lock, other.statement, other.idle)
        )


WEB_TIMEOUTS = DatabaseTimeouts(lock=1.25, statement=10, idle=10, retry=2, total=12, round_trip=1.5)
"""Somebody waits for the answer: a click that meets no lock gets it within two seconds.

`lock` is longer than PostgreSQL's `deadlock_timeout` of a second, so that only one of two gives
way; and shorter than `at_once`, else a locked row would pass for a server that is away.
"""

LINK_CLICK_TIMEOUTS = replace(WEB_TIMEOUTS, total=1.5)
"""The same, for all that a person's link does."""

WORKER_TIMEOUTS = DatabaseTimeouts(
    lock=1, statement=120, idle=60, retry=60, total=240, round_trip=150
)
"""Nobody waits for the answer.

But others may wait for what a long list has locked already, so a lock that is not free soon
is given up with all the others, and everything is tried again.
"""

COMMAND_TIMEOUTS = DatabaseTimeouts(
    lock=1, statement=1800, idle=600, retry=120, total=3600, round_trip=1800
)
"""An operator waits, and can interrupt it."""
