"""What holds back the feed's horizon: the oldest running transaction that has written.

Transaction ids belong to the server, not to a database. So a migration left open in another
database, or a prepared transaction that is never ended, delays the feed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from preference_center.infra.db.transactions import Connection
from preference_center.ledger.feed_watermarks import Horizon

MAX_COUNTED = 10_000
"""Waiting events are counted up to this number."""


@dataclass(frozen=True, slots=True)
class BlockingTransaction:
    """A transaction that has written and not ended.

    `age` is None if the role of DATABASE_URL may not see it (it lacks `pg_read_all_stats`);
    `pid` is None for a prepared transaction, whose id is `name` then.
    """

    xid: int
    pid: int | None
    database: str
    name: str
    state: str
    age: timedelta | None


@dataclass(frozen=True, slots=True)
class FeedLag:
    """Events that are recorded but can't be delivered in order yet, up to MAX_COUNTED.

    `blocking_age` is the age of the transaction that they wait for: zero if it has ended
    meanwhile, None if it is not visible.
    """

    events: int
    blocking_age: timedelta | None


# Ages are computed with the server's clock, which also set the start times.
_SELECT_BLOCKING = """
WITH blocking AS (
    SELECT backend_xid AS xid, pid, COALESCE(datname, '') AS database,
        COALESCE(application_name, '') AS name, COALESCE(state, '') AS state,
        xact_start AS started_at
    FROM pg_stat_activity WHERE backend_xid IS NOT NULL
    UNION ALL
    SELECT transaction, NULL, database, gid, 'prepared', prepared FROM pg_prepared_xacts
)
SELECT xid::text, pid, database, name, state, clock_timestamp() - started_at FROM blocking
"""

_COUNT_WAITING = """
SELECT count(*) FROM (SELECT FROM event
    WHERE xid >= %(xmin)s::xid8 AND seq > %(floor)s LIMIT %(max_counted)s) AS waiting
"""


def count_waiting_events(connection: Connection, horizon: Horizon) -> int:
    """How many events are beyond the horizon, up to MAX_COUNTED."""
    given = {"xmin": str(horizon.xmin), "floor": horizon.timeline.floor, "max_counted": MAX_COUNTED}
    row = connection.execute(_COUNT_WAITING, given).fetchone()
    assert row  # an aggregate
    return int(row[0])


def list_blocking_transactions(
    connection: Connection, horizon: Horizon
) -> list[BlockingTransaction]:
    """Every running transaction of the server that has written, the oldest first."""
    found = [_to_blocking_transaction(row, horizon) for row in connection.execute(_SELECT_BLOCKING)]
    return sorted(found, key=lambda blocking: blocking.xid)


def load_feed_lag(connection: Connection, horizon: Horizon) -> FeedLag | None:
    """The events beyond the horizon; None if there are none."""
    events = count_waiting_events(connection, horizon)
    if not events:
        return None
    oldest = next(
        (h for h in list_blocking_transactions(connection, horizon) if h.xid == horizon.xmin), None
    )
    return FeedLag(events, oldest.age if oldest else timedelta(0))


def _to_blocking_transaction(row: tuple[Any, ...], horizon: Horizon) -> BlockingTransaction:
    xid, *rest = row
    return BlockingTransaction(_full_xid(int(xid), horizon.xmin), *rest)


def _full_xid(xid: int, near: int) -> int:
    """The 64-bit id of a running transaction whose lower 32 bits are `xid`.

    Ids in use are within 2^31 of each other (PostgreSQL's manual, 24.1.5).
    """
    return near + (xid - near + (1 << 31)) % (1 << 32) - (1 << 31)
