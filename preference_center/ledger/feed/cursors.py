"""Readers of the feed open snapshots here, and see what delays it and how far publishers are.

A snapshot shows everything as of one point in time, read from the replica if there is one that is
up to date. Decisions and pages never use one: an opt-out must be seen at once (I2).

The oldest running transaction that has written holds back the feed's horizon. Transaction ids
belong to the server, not to a database. So a migration left open in another database, or a
prepared transaction that is never ended, delays the feed.

A cursor says how far a publisher has passed on the feed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

import structlog

from preference_center.core.errors import Unavailable
from preference_center.infra.context import services
from preference_center.infra.db.transactions import (
    Connection,
    has_replica,
    read_snapshot,
    run_in_transaction,
)
from preference_center.ledger.watermarks import (
    Horizon,
    Watermark,
    ensure_epoch,
    load_horizon,
    parse_watermark,
    select_horizon,
)

T = TypeVar("T")


log = structlog.get_logger()


_SELECT_FIRST_MISSING = """
SELECT recorded_at FROM event WHERE xid >= %(from)s::xid8 AND xid < %(to)s::xid8 AND seq > %(floor)s
ORDER BY xid, seq LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class LedgerSnapshot:
    """A transaction in which everything is read as of one point in time.

    `behind` is how old the oldest event is that it lacks, zero if it lacks none; None if it is
    read from the primary.
    """

    connection: Connection
    horizon: Horizon
    behind: timedelta | None

    @property
    def watermark(self) -> Watermark:
        """Where to continue from."""
        return self.horizon.watermark

    def as_of(self, now: datetime) -> datetime:
        """When everything that it has was recorded, `now` being when it was opened."""
        return now - (self.behind or timedelta(0))

    def __str__(self) -> str:
        if self.behind is None:
            return f"watermark {self.watermark}"
        seconds = self.behind.total_seconds()
        return f"watermark {self.watermark}, from the replica, {seconds:.0f} s behind"


@contextmanager
def open_ledger_snapshot() -> Iterator[LedgerSnapshot]:
    """Open one; it holds a connection until the block ends.

    The primary is read where there is no replica, and where the replica can't be used: it is
    unavailable, in another epoch, or further behind than DATABASE_REPLICA_MAX_LAG. Raises
    Unavailable, also if it is read too slowly (`read_snapshot`).
    """
    ensure_epoch()
    with ExitStack() as stack:
        yield _open_on_replica(stack) or _open_on_primary(stack)


def read_report(read: Callable[[Connection], T]) -> tuple[T, LedgerSnapshot]:
    """What `read` finds for a report, and where."""
    with open_ledger_snapshot() as snapshot:
        return read(snapshot.connection), snapshot


def _open_on_primary(stack: ExitStack) -> LedgerSnapshot:
    connection = stack.enter_context(read_snapshot())
    return LedgerSnapshot(connection, load_horizon(connection), None)


def _open_on_replica(stack: ExitStack) -> LedgerSnapshot | None:
    """None, with a line in the log, if the replica can't be used."""
    if not has_replica():
        return None
    primary = run_in_transaction(load_horizon)
    with ExitStack() as attempt:
        try:
            connection = attempt.enter_context(read_snapshot(from_replica=True))
            horizon = select_horizon(connection)
        except Unavailable as error:
            log.warning("replica_unavailable", **error.log_fields)
            return None
        if horizon is None or horizon.timeline != primary.timeline:
            log.warning("replica_of_another_epoch")
            return None
        behind = _find_lag(horizon, primary)
        if behind.total_seconds() > services().settings.database_replica_max_lag:
            log.warning("replica_behind", seconds=round(behind.total_seconds()))
            return None
        stack.push(attempt.pop_all())
        return LedgerSnapshot(connection, horizon, behind)


def _find_lag(replica: Horizon, primary: Horizon) -> timedelta:
    """How old the oldest event is that was complete on the primary and the replica lacks."""
    given = {
        "from": str(replica.xmin),
        "to": str(primary.xmin),
        "floor": primary.timeline.floor,
    }
    row = run_in_transaction(lambda c: c.execute(_SELECT_FIRST_MISSING, given).fetchone())
    return max(services().now() - row[0], timedelta(0)) if row else timedelta(0)


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


_SELECT_FIRST_WAITING = """
SELECT recorded_at, xid::text FROM event WHERE xid >= %(xmin)s::xid8 AND seq > %(floor)s
ORDER BY event.xid, seq LIMIT 1
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


def load_held_since(connection: Connection) -> datetime | None:
    """Since when a transaction has kept an event from readers; None if none does, or has ended.

    That is since it began, as far as our role may see that, or since the event was recorded. None
    also between two epochs.
    """
    horizon = select_horizon(connection)
    if horizon is None:
        return None
    waiting = _find_first_waiting(connection, horizon)
    if waiting is None or waiting.blocking is None:
        return None
    age = waiting.blocking.age
    if age is None:
        return waiting.recorded_at
    return max(waiting.recorded_at, services().now() - age)


def list_blocking_transactions(
    connection: Connection, horizon: Horizon
) -> list[BlockingTransaction]:
    """Every running transaction of the server that has written, the oldest first."""
    found = [_to_blocking_transaction(row, horizon) for row in connection.execute(_SELECT_BLOCKING)]
    return sorted(found, key=lambda blocking: blocking.xid)


@dataclass(frozen=True, slots=True)
class _FirstWaiting:
    """The first event beyond the horizon. `blocking` is None if nothing holds it any more."""

    recorded_at: datetime
    blocking: BlockingTransaction | None


def _find_first_waiting(connection: Connection, horizon: Horizon) -> _FirstWaiting | None:
    """The first waiting event with the oldest transaction that it waits for.

    That is not always the one of the horizon, which may have ended before others did.
    """
    given = {"xmin": str(horizon.xmin), "floor": horizon.timeline.floor}
    row = connection.execute(_SELECT_FIRST_WAITING, given).fetchone()
    if row is None:
        return None
    recorded_at, xid = row[0], int(row[1])
    running = list_blocking_transactions(connection, horizon)
    return _FirstWaiting(recorded_at, next((each for each in running if each.xid < xid), None))


def load_feed_lag(connection: Connection, horizon: Horizon) -> FeedLag | None:
    """The events beyond the horizon; None if there are none."""
    events = count_waiting_events(connection, horizon)
    if not events:
        return None
    waiting = _find_first_waiting(connection, horizon)
    blocking = waiting.blocking if waiting else None
    return FeedLag(events, blocking.age if blocking else timedelta(0))


def _to_blocking_transaction(row: tuple[Any, ...], horizon: Horizon) -> BlockingTransaction:
    xid, *rest = row
    return BlockingTransaction(_full_xid(int(xid), horizon.xmin), *rest)


def _full_xid(xid: int, near: int) -> int:
    """The 64-bit id of a running transaction whose lower 32 bits are `xid`.

    Ids in use are within 2^31 of each other (PostgreSQL's manual, 24.1.5).
    """
    return near + (xid - near + (1 << 31)) % (1 << 32) - (1 << 31)


@dataclass(frozen=True, slots=True)
class FeedCursor:
    """The publisher `name` has passed on everything up to `watermark`, as of `updated_at`."""

    name: str
    watermark: Watermark
    updated_at: datetime


def list_cursors(connection: Connection) -> list[FeedCursor]:
    """All of them, by name."""
    rows = connection.execute("SELECT name, watermark, updated_at FROM feed_cursor ORDER BY name")
    return [FeedCursor(name, parse_watermark(text), at) for name, text, at in rows]


def load_cursor(connection: Connection, name: str) -> Watermark | None:
    """How far this publisher is; None if it has to begin with a snapshot."""
    row = connection.execute(
        "SELECT watermark FROM feed_cursor WHERE name = %s", (name,)
    ).fetchone()
    return parse_watermark(row[0]) if row else None


def move_cursor(
    connection: Connection, name: str, old: Watermark | None, new: Watermark, now: datetime
) -> bool:
    """Move it from `old`, or create it; False if it is not there, because another process did."""
    if old is None:
        statement = """INSERT INTO feed_cursor (name, watermark, updated_at)
            VALUES (%(name)s, %(new)s, %(now)s) ON CONFLICT DO NOTHING RETURNING name"""
    else:
        statement = """UPDATE feed_cursor SET watermark = %(new)s, updated_at = %(now)s
            WHERE name = %(name)s AND watermark = %(old)s RETURNING name"""
    given = {"name": name, "old": str(old), "new": str(new), "now": now}
    return connection.execute(statement.encode(), given).fetchone() is not None


def delete_cursor(connection: Connection, name: str) -> bool:
    """Let this publisher begin with a snapshot; False if it has none."""
    found = connection.execute("DELETE FROM feed_cursor WHERE name = %s RETURNING name", (name,))
    return found.fetchone() is not None


def load_oldest_unpublished(connection: Connection) -> Mapping[str, datetime | None]:
    """By publisher, when the oldest event was recorded that it has not passed on; None for none.

    One that has to begin with a snapshot has passed on nothing since its last step.
    """
    horizon = select_horizon(connection)
    found: dict[str, datetime | None] = {}
    for cursor in list_cursors(connection):
        if horizon is None or cursor.watermark.epoch != horizon.timeline.epoch:
            found[cursor.name] = cursor.updated_at
            continue
        row = connection.execute(
            """SELECT recorded_at FROM event
            WHERE (xid, seq) > (%(xid)s::xid8, %(seq)s) AND seq > %(floor)s
            ORDER BY xid, seq LIMIT 1""",
            {
                "xid": str(cursor.watermark.xid),
                "seq": cursor.watermark.seq,
                "floor": horizon.timeline.floor,
            },
        ).fetchone()
        found[cursor.name] = row[0] if row else None
    return found
