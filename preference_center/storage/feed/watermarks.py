"""Watermarks of the ledger, and the epochs in which they are valid.

Watermarks are transaction ids, which are comparable within one history of one server only: an
epoch. It ends when the database is restored from a dump or to an earlier time, or when a standby
is promoted. Then the server has another system identifier or its WAL another timeline, which the
next check detects. Restoring a copy of the data directory changes neither and is not detected: see
docs/operations.md.
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
    """A timeline of the database: its epoch, and the last `seq` that was recorded before it."""

    epoch: str
    floor: int
    started_at: datetime


@dataclass(frozen=True, slots=True)
class Horizon:
    """What is certain in the current snapshot.

    Every transaction below `xmin` has ended, in any database of the server; none has begun at
    or above `xmax`.
    """

    timeline: Timeline
    xmin: int
    xmax: int

    @property
    def watermark(self) -> Watermark:
        """Everything recorded before it is visible; later events may be, too."""
        return Watermark(self.timeline.epoch, self.xmin)


# A standby has the epoch of its primary: it can neither determine nor write one.
_ACTUAL_TIMELINE_CTE = """actual AS (
    SELECT (pg_control_system()).system_identifier AS system,
        CASE WHEN NOT pg_is_in_recovery()
            THEN substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END AS timeline
)"""

XMIN_SQL = "pg_snapshot_xmin(pg_current_snapshot())::text"
NEWEST_EPOCH_SQL = "(SELECT name FROM epoch ORDER BY id DESC LIMIT 1)"
"""SQL for the two parts of a watermark, for a statement that reads other data as well.

Call `ensure_epoch_checked` before it.
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
"""How much a new epoch adds to `seq`, and so to the versions that receivers compare.

It exceeds what the lost history can have used: a million events a second for eleven days. A
receiver that parses JSON numbers as doubles is exact for 9,000 epochs.
"""
_RAISE_SEQ = f"""
SELECT setval(name, COALESCE(pg_sequence_last_value(name), 0) + {EPOCH_SEQ_STEP})
FROM (SELECT pg_get_serial_sequence('event', 'seq')::regclass AS name) AS sequence
WHERE EXISTS (SELECT FROM epoch)
"""  # noqa: S608 - a constant

_LOCK_TIMEOUT = "1100ms"
"""Opt-outs queue behind a request for this lock.

So it is shorter than an opt-out waits (`database_timeouts`), but longer than `deadlock_timeout`,
1 s by default: after that an autovacuum of the ledger, whose lock conflicts with ours, is
cancelled (PostgreSQL, 24.1.6).
"""
_EPOCH_LOCK_ID = 0x7265747261637422
"""Advisory lock for beginning an epoch automatically."""


def load_horizon(connection: Connection) -> Horizon:
    """The horizon of the current snapshot. Call it before the reads that it is to cover.

    At READ COMMITTED later statements see more, never less. On a new timeline it begins an epoch,
    on a connection of its own: so never call it after a write to the ledger in the same
    transaction, and call `ensure_epoch` before a transaction with a fixed snapshot. Raises
    Unavailable, also if the fixed snapshot is older than the epoch.
    """
    found = _select_horizon(connection)
    if found is None:
        ensure_epoch()
        found = _select_horizon(connection)
    if found is None:
        raise Unavailable("the database has just been restored or promoted: try again")
    return found


def load_watermark(connection: Connection) -> Watermark:
    """The watermark of what this transaction reads next. See `load_horizon`."""
    return load_horizon(connection).watermark


def ensure_epoch_checked(connection: Connection) -> None:
    """Make sure that the newest epoch is that of this connection's timeline.

    Checked once per connection: no connection outlives its server's timeline. If an epoch can't be
    begun now, watermarks have an older one, and readers start again from a snapshot later.
    """
    if connection not in _CHECKED_CONNECTIONS:
        with suppress(Unavailable):
            load_horizon(connection)
            _CHECKED_CONNECTIONS.add(connection)


def ensure_followable(watermark: Watermark, horizon: Horizon) -> None:
    """Raise StaleWatermark if the changes after `watermark` can't be listed.

    One ahead of every transaction belongs to a history that was lost, or is made up.
    """
    if watermark.epoch != horizon.timeline.epoch:
        raise StaleWatermark("the database has been restored or failed over since")
    if watermark.xid > horizon.xmax:
        raise StaleWatermark("it is ahead of the database, which was restored to an older state")


def begin_epoch(connection: Connection, now: datetime) -> Timeline:
    """Begin a new epoch: every reader must start from a snapshot.

    Waits for running appends, so that exactly what is recorded by then is before it. Unless it is
    the first epoch, `seq` is advanced by EPOCH_SEQ_STEP: receivers may hold versions from a history
    that was lost. To be called before anything else in its transaction.
    """
    connection.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
    connection.execute("LOCK TABLE event IN SHARE MODE")
    connection.execute(_RAISE_SEQ)
    row = connection.execute(_INSERT_EPOCH, {"name": secrets.token_hex(4), "now": now}).fetchone()
    assert row  # `actual` is always one row
    return Timeline(*row)


def ensure_epoch() -> None:
    """Begin an epoch if the database is on a timeline that has none."""
    now = services().now()
    if run_in_transaction(_select_horizon) is None:
        run_in_transaction(lambda connection: _begin_epoch_if_missing(connection, now))


def _begin_epoch_if_missing(connection: Connection, now: datetime) -> None:
    connection.execute(f"SELECT pg_advisory_xact_lock({_EPOCH_LOCK_ID})")
    if _select_horizon(connection) is None:  # no other process did
        begin_epoch(connection, now)


def _select_horizon(connection: Connection) -> Horizon | None:
    row = connection.execute(_SELECT_HORIZON).fetchone()
    assert row  # `actual` is always one row
    xmin, xmax, *timeline = row
    return Horizon(Timeline(*timeline), int(xmin), int(xmax)) if timeline[0] else None
