"""What holds the feed's horizon back: the oldest transaction that writes, anywhere.

Transaction ids are the server's, not the database's. So a migration left open in another
database, or a prepared transaction that nobody ends, keeps changes from being told.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from preference_center.storage.db.database import Connection
from preference_center.storage.feed.watermarks import Horizon

COUNTED = 10_000
"""Waiting events are counted up to here."""


@dataclass(frozen=True, slots=True)
class Holder:
    """A transaction that has written and not ended.

    `age` is None if the role of DATABASE_URL may not see others' (it lacks
    `pg_read_all_stats`), `pid` is None for a prepared transaction, which `name` then names.
    """

    xid: int
    pid: int | None
    database: str
    name: str
    state: str
    age: timedelta | None


@dataclass(frozen=True, slots=True)
class HeldBack:
    """Events that are recorded but can't be told in order yet, up to `COUNTED`.

    `age` of what they wait for; zero if that ended meanwhile, None if it can't be seen.
    """

    events: int
    age: timedelta | None


# Ages are taken by the clock that gave these transactions their start, not by ours.
_HOLDERS = """
WITH holder AS (
    SELECT backend_xid AS xid, pid, COALESCE(datname, '') AS database,
        COALESCE(application_name, '') AS name, COALESCE(state, '') AS state,
        xact_start AS began
    FROM pg_stat_activity WHERE backend_xid IS NOT NULL
    UNION ALL
    SELECT transaction, NULL, database, gid, 'prepared', prepared FROM pg_prepared_xacts
)
SELECT xid::text, pid, database, name, state, clock_timestamp() - began FROM holder
"""

_WAITING = """
SELECT count(*) FROM (SELECT FROM event
    WHERE xid >= %(xmin)s::xid8 AND seq > %(floor)s LIMIT %(counted)s) AS waiting
"""


def waiting(connection: Connection, at: Horizon) -> int:
    """How many events lie behind the horizon, up to `COUNTED`."""
    given = {"xmin": str(at.xmin), "floor": at.line.floor, "counted": COUNTED}
    row = connection.execute(_WAITING, given).fetchone()
    assert row  # an aggregate
    return int(row[0])


def holders(connection: Connection, at: Horizon) -> list[Holder]:
    """Every transaction of the server that has written and not ended, the oldest first."""
    found = [_holder(row, at) for row in connection.execute(_HOLDERS)]
    return sorted(found, key=lambda holder: holder.xid)


def held_back(connection: Connection, at: Horizon) -> HeldBack | None:
    """What waits behind the horizon, if anything."""
    events = waiting(connection, at)
    if not events:
        return None
    oldest = next((h for h in holders(connection, at) if h.xid == at.xmin), None)
    return HeldBack(events, oldest.age if oldest else timedelta(0))


def _holder(row: tuple[Any, ...], at: Horizon) -> Holder:
    xid, *rest = row
    return Holder(_full(int(xid), at.xmin), *rest)


def _full(xid: int, near: int) -> int:
    """The 64-bit id of a running transaction whose lower 32 bits are `xid`.

    Ids in use lie within 2^31 of each other (PostgreSQL's manual, 24.1.5).
    """
    return near + (xid - near + (1 << 31)) % (1 << 32) - (1 << 31)
