"""How long each kind of work may wait for the database: no wait is without a limit (I2).

`create_app` chooses the limits of a process; `infra.db.database.override_limits` changes
them temporarily.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class DatabaseTimeouts:
    """All in seconds.

    PostgreSQL enforces `lock`, `statement` and `idle`: one wait for a lock, one statement, and
    the time between two statements of a transaction (`lock_timeout`, `statement_timeout`,
    `idle_in_transaction_session_timeout`).

    The client enforces the others. `retry`: no further attempt begins after this time.
    `total`: all attempts together; a connection that has not responded by then is closed,
    since its server may be frozen. `round_trip`: the same for what takes one round trip, and
    for a new connection.
    """

    lock: float
    statement: float
    idle: float
    retry: float
    total: float
    round_trip: float

    def has_same_session_settings(self, other: DatabaseTimeouts | None) -> bool:
        """Whether the limits that PostgreSQL enforces are the same."""
        return self is other or (
            other is not None
            and (self.lock, self.statement, self.idle) == (other.lock, other.statement, other.idle)
        )


WEB_TIMEOUTS = DatabaseTimeouts(lock=1.25, statement=10, idle=10, retry=2, total=12, round_trip=1.5)
"""A person waits for the response: a click that meets no lock gets it within two seconds.

`lock` is longer than PostgreSQL's `deadlock_timeout` of a second, so that a deadlock aborts only
one of two transactions; and shorter than `round_trip`, so that a locked row is not taken for an
unavailable server.
"""

LINK_CLICK_TIMEOUTS = replace(WEB_TIMEOUTS, total=1.5)
"""The same, for requests to a person's link."""

WORKER_TIMEOUTS = DatabaseTimeouts(
    lock=1, statement=120, idle=60, retry=60, total=240, round_trip=150
)
"""No person waits for the response.

But others may wait for rows that a long list has locked already, so the transaction is rolled
back and retried when it can't get a lock soon.
"""

COMMAND_TIMEOUTS = DatabaseTimeouts(
    lock=1, statement=1800, idle=600, retry=120, total=3600, round_trip=1800
)
"""An operator waits, and can interrupt it."""
