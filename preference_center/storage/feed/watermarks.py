"""Where the ledger stands, and on which line of history.

Watermarks count transaction ids, which mean something within one history of one server
only. That is an epoch. It is over when the database was restored from a dump or to an
earlier time, or a standby took over: then its server has another identifier or its WAL
another timeline, which is noticed at the next look. A copy of the data folder put back
without either is not noticed: see docs/operations.md.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from weakref import WeakSet

from preference_center.context import services
from preference_center.domain.watermarks import Watermark
from preference_center.errors import StaleWatermark, Unavailable
from preference_center.storage.db.database import Connection, run_in_transaction


@dataclass(frozen=True, slots=True)
class Timeline:
    """A line of history: its epoch, and the last `seq` that was recorded before it."""

    epoch: str
    floor: int
    started_at: datetime


@dataclass(frozen=True, slots=True)
class Horizon:
    """What the current snapshot can be sure of.

    Every transaction below `xmin` has ended, whichever database of the server it is in;
    none has begun at or above `xmax`.
    """

    timeline: Timeline
    xmin: int
    xmax: int

    @property
    def watermark(self) -> Watermark:
        """All that was recorded before it can be seen; what comes after it may be too."""
        return Watermark(self.timeline.epoch, self.xmin)


# A standby's epoch is what its primary says: there is no telling, nor writing, there.
_ACTUAL_TIMELINE_CTE = """actual AS (
    SELECT (pg_control_system()).system_identifier AS system,
        CASE WHEN NOT pg_is_in_recovery()
            THEN substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END AS timeline
)"""

XMIN_SQL = "pg_snapshot_xmin(pg_current_snapshot())::text"
NEWEST_EPOCH_SQL = "(SELECT name FROM epoch ORDER BY id DESC LIMIT 1)"
"""Both in SQL: the parts of `as_of` for a statement that reads something else as well.

They cost it next to nothing, but see `know_epoch`.
"""

_CHECKED_CONNECTIONS: WeakSet[Connection] = WeakSet()

_SELECT_HORIZON = f"""
WITH newest AS (SELECT * FROM epoch ORDER BY id DESC LIMIT 1), {_ACTUAL_TIMELINE_CTE}
SELECT {XMIN_SQL},
    pg_snapshot_xmax(pg_current_snapshot())::text, newest.name, newest.floor, newest.started_at
FROM actual LEFT JOIN newest ON actual.timeline IS NULL
    OR (newest.system = actual.system AND newest.timeline = actual.timeline)
"""  # noqa: S608 - a constant

_INSERT_EPOCH = f"""
WITH {_ACTUAL_TIMELINE_CTE}
INSERT INTO epoch (name, system, timeline, floor, started_at)
SELECT %(name)s, system, timeline, (SELECT COALESCE(max(seq), 0) FROM event), %(now)s FROM actual
RETURNING name, floor, started_at
"""  # noqa: S608 - a constant

EPOCH_SEQ_STEP = 10**12
"""How far a new epoch raises `seq`, and with it the versions that receivers compare.

What the lost history had given out lies below, however long it was: a million events a second
for eleven days. A receiver that reads JSON numbers as doubles is exact for 9,000 epochs.
"""
_RAISE_SEQ = f"""
SELECT setval(name, COALESCE(pg_sequence_last_value(name), 0) + {EPOCH_SEQ_STEP})
FROM (SELECT pg_get_serial_sequence('event', 'seq')::regclass AS name) AS sequence
WHERE EXISTS (SELECT FROM epoch)
"""  # noqa: S608 - a constant

_LOCK_TIMEOUT = "1100ms"
"""Whoever waits for a lock holds up all who come after, and those are opt-outs.

So less than an opt-out waits (`waits.WEB`), but longer than `deadlock_timeout`, 1 s by default:
so long an autovacuum of the ledger, whose lock is in the way of ours, waits before it gives way
(PostgreSQL, 24.1.6).
"""
_EPOCH_LOCK_ID = 0x7265747261637422
"""Advisory lock: for whoever begins an epoch by itself."""


def load_horizon(connection: Connection) -> Horizon:
    """Where the ledger stands in the current snapshot. Call it before what it is to cover.

    At READ COMMITTED later statements see more, never less. On a new line of history an
    epoch is begun, on a connection of its own: so never call it after a write to the ledger
    in one transaction, and in one with a fixed snapshot call `ensure_epoch` before that.
    Raises Unavailable if the fixed snapshot is older than the epoch, or see `run`.
    """
    found = _select_horizon(connection)
    if found is None:
        ensure_epoch()
        found = _select_horizon(connection)
    if found is None:
        raise Unavailable("the database has just changed hands: try again")
    return found


def load_watermark(connection: Connection) -> Watermark:
    """The watermark of what this transaction reads after it: `as_of`. See `horizon`."""
    return load_horizon(connection).watermark


def ensure_epoch_checked(connection: Connection) -> None:
    """Make sure that `NEWEST_EPOCH` is that of this connection's line of history.

    Asked once per connection: none outlives its server's line. If an epoch can't be begun
    just now, an older one is told, which ends like every stale watermark: with a snapshot.
    """
    if connection not in _CHECKED_CONNECTIONS:
        with suppress(Unavailable):
            load_horizon(connection)
            _CHECKED_CONNECTIONS.add(connection)


def ensure_followable(watermark: Watermark, horizon: Horizon) -> None:
    """Raises StaleWatermark if changes after `watermark` can't be told.

    One ahead of every transaction is of a history that was lost, or of nobody's.
    """
    if watermark.epoch != horizon.timeline.epoch:
        raise StaleWatermark("the database has been on another line of history since")
    if watermark.xid > horizon.xmax:
        raise StaleWatermark("the database has not got that far: it was put back to an older state")


def begin_epoch(connection: Connection, now: datetime) -> Timeline:
    """Put a new epoch in force: every reader must start from a snapshot.

    Waits for the appends under way, so that what is recorded by then, and nothing else,
    lies before it. Unless it is the first, `seq` goes on `STEP` further: receivers may hold
    versions that were given out in a history that was lost. To be called before anything else
    in its transaction.
    """
    connection.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
    connection.execute("LOCK TABLE event IN SHARE MODE")
    connection.execute(_RAISE_SEQ)
    row = connection.execute(_INSERT_EPOCH, {"name": secrets.token_hex(4), "now": now}).fetchone()
    assert row  # `actual` is always one row
    return Timeline(*row)


def ensure_epoch() -> None:
    """Begin an epoch if the database is on a line of history that has none."""
    now = services().now()
    if run_in_transaction(_select_horizon) is None:
        run_in_transaction(lambda connection: _begin_epoch_if_missing(connection, now))


def _begin_epoch_if_missing(connection: Connection, now: datetime) -> None:
    connection.execute(f"SELECT pg_advisory_xact_lock({_EPOCH_LOCK_ID})")
    if _select_horizon(connection) is None:  # no other process was quicker
        begin_epoch(connection, now)


def _select_horizon(connection: Connection) -> Horizon | None:
    row = connection.execute(_SELECT_HORIZON).fetchone()
    assert row  # `actual` is always one row
    xmin, xmax, *line = row
    return Horizon(Timeline(*line), int(xmin), int(xmax)) if line[0] else None
