"""A watermark says how far a reader has followed the ledger, within the epoch in which it is valid.

Events are ordered by the transaction that wrote them and, within it, by `seq`. Neither an
id nor `seq` alone would do: they are given out before the commit, so a transaction that
commits late would lie behind a reader who has passed it.

Watermarks are transaction ids, which are comparable within one history of one server only: an
epoch. A history ends when an older state of the data directory is put back or a standby takes over,
both of which are a start of another server process; when a dump is loaded, which inserts all rows
again; or when a copy of the database takes its place (CREATE DATABASE ... TEMPLATE), whose files
are others. So an epoch is valid while the server is the process that it began on, its row the one
that was inserted then, and its table the same file (docs/decisions/0018). Every managed PostgreSQL
shows all three to an ordinary role.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast

from preference_center.core.errors import InvalidWatermark, StaleWatermark, Unavailable
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, await_writers, run_in_transaction

_WATERMARK_TEXT = re.compile(r"([0-9a-f]{8})\.(0|[1-9][0-9]{0,19})\.(0|[1-9][0-9]{0,18})")


_EPOCH_TEXT = re.compile(r"[0-9a-f]{8}")


_XID_END = 1 << 64


_SEQ_END = 1 << 63


@dataclass(frozen=True, slots=True)
class Watermark:
    """The point after transaction `xid` up to its event `seq`, in the epoch `epoch`.

    `epoch` (8 of 0-9 and a-f) names the database's line of history: transactions of two
    epochs can't be compared. `xid` is PostgreSQL's 64-bit transaction id; 0 stands for all
    that was recorded before the epoch. `seq` 0 is the point before all events of `xid`.
    """

    epoch: str
    xid: int
    seq: int = 0

    def __post_init__(self) -> None:
        if not _EPOCH_TEXT.fullmatch(self.epoch):
            raise ValueError("an epoch is 8 of 0-9 and a-f")
        if not (0 <= self.xid < _XID_END and 0 <= self.seq < _SEQ_END):
            raise ValueError("xid has 64 bits, seq 63, and neither is negative")

    def __str__(self) -> str:
        """The text form, e.g. `9f86d081.48213.0`: fit for a URL as it stands."""
        return f"{self.epoch}.{self.xid}.{self.seq}"

    @property
    def position(self) -> tuple[int, int]:
        """What watermarks of one epoch are ordered by."""
        return self.xid, self.seq


def parse_watermark(text: str) -> Watermark:
    """The watermark with exactly this text form. Raises InvalidWatermark."""
    match = _WATERMARK_TEXT.fullmatch(text)
    if match:
        epoch, xid, seq = match.groups()
        if int(xid) < _XID_END and int(seq) < _SEQ_END:
            return Watermark(epoch, int(xid), int(seq))
    raise InvalidWatermark("this is no watermark: give one exactly as we gave it to you")


def first_watermark(epoch: str) -> Watermark:
    """The point before the first event of all."""
    return Watermark(epoch, 0)


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


XMIN_SQL = "pg_snapshot_xmin(pg_current_snapshot())::text"


CURRENT_EPOCH_SQL = """(SELECT CASE
        WHEN server_started_at = pg_postmaster_start_time() AND xmin = xid::xid
            AND file = pg_relation_filepath('epoch') THEN name END
    FROM epoch ORDER BY id DESC LIMIT 1)"""
"""SQL for the two parts of a watermark, for a statement that reads other data as well.

The epoch is NULL if the newest one has ended: call `ensure_epoch`, and repeat.
"""


def load_epoch(connection: Connection) -> str | None:
    """The epoch of the current snapshot; None if the newest one has ended."""
    row = connection.execute(f"SELECT {CURRENT_EPOCH_SQL}").fetchone()
    assert row  # of no table
    return cast("str | None", row[0])


NO_EPOCH = "00000000"
"""The epoch of a watermark that can't be followed, for an answer that must not wait for one."""


EPOCH_OUTDATED = "PC001"
"""The SQLSTATE of `require_current_epoch`, which the write path calls before it appends."""


# A standby has the epoch of its primary: it can't begin one.
_SELECT_HORIZON = f"""
SELECT {XMIN_SQL},
    pg_snapshot_xmax(pg_current_snapshot())::text, newest.name, newest.floor, newest.started_at
FROM (VALUES (1)) AS always
LEFT JOIN (SELECT *, xmin AS inserted_by FROM epoch ORDER BY id DESC LIMIT 1) AS newest
    ON newest.inserted_by = newest.xid::xid AND newest.file = pg_relation_filepath('epoch')
    AND (newest.server_started_at = pg_postmaster_start_time() OR pg_is_in_recovery())
"""  # noqa: S608 - a constant


_INSERT_EPOCH = """
INSERT INTO epoch (name, server_started_at, xid, file, floor, started_at)
VALUES (%(name)s, pg_postmaster_start_time(), pg_current_xact_id(), pg_relation_filepath('epoch'),
    %(floor)s, %(now)s)
RETURNING name, floor, started_at
"""


EPOCH_SEQ_STEP = 10**9
"""How much a new epoch adds to `seq` at least; see `_first_seq`."""


_SEQ_ZERO = datetime(2026, 1, 1, tzinfo=UTC)


_RAISE_SEQ = f"""
SELECT CASE WHEN EXISTS (SELECT FROM epoch)
    THEN setval(name, GREATEST(COALESCE(last, 0) + {EPOCH_SEQ_STEP}, %(first)s))
    ELSE COALESCE(last, 0) END
FROM (SELECT pg_get_serial_sequence('event', 'seq')::regclass AS name) AS sequence,
    pg_sequence_last_value(name) AS last
"""  # noqa: S608 - a constant


_EPOCH_LOCK_ID = 0x7265747261637422
"""Advisory lock for beginning an epoch automatically."""


def load_horizon(connection: Connection) -> Horizon:
    """The horizon of the current snapshot. Call it before the reads that it is to cover.

    At READ COMMITTED later statements see more, never less. After the end of an epoch it begins
    another, on a connection of its own: so never call it after a write to the ledger in the same
    transaction, and call `ensure_epoch` before a transaction with a fixed snapshot. Raises
    Unavailable, also if the fixed snapshot is older than the epoch.
    """
    found = select_horizon(connection)
    if found is None:
        ensure_epoch()
        found = select_horizon(connection)
    if found is None:
        raise Unavailable("the database was just started or restored: try again")
    return found


def load_watermark(connection: Connection) -> Watermark:
    """The watermark of what this transaction reads next. See `load_horizon`."""
    return load_horizon(connection).watermark


def ensure_followable(watermark: Watermark, horizon: Horizon) -> None:
    """Raise StaleWatermark if the changes after `watermark` can't be listed.

    One ahead of every transaction belongs to a history that was lost, or is made up.
    """
    if watermark.epoch != horizon.timeline.epoch:
        raise StaleWatermark("the database was started, restored or failed over since")
    if watermark.xid > horizon.xmax:
        raise StaleWatermark("it is ahead of the database, which was restored to an older state")


def begin_epoch(connection: Connection, now: datetime) -> Timeline:
    """Begin a new epoch: every reader must start from a snapshot.

    Unless it is the first, `seq` goes on far higher: receivers may hold versions from a history
    that was lost. What is appended from then on is after the epoch's `floor`; appends that are
    under way are waited for, so everything else is complete. Raises Unavailable if one does not
    end. To be called before anything else in its transaction.
    """
    (floor,) = connection.execute(_RAISE_SEQ, {"first": _first_seq(now)}).fetchone() or (0,)
    await_writers(connection)
    given = {"name": secrets.token_hex(4), "floor": floor, "now": now}
    row = connection.execute(_INSERT_EPOCH, given).fetchone()
    assert row  # it inserts one
    return Timeline(*row)


def _first_seq(now: datetime) -> int:
    """The lowest `seq` of an epoch that begins now: the microseconds since 2026.

    So it exceeds every `seq` of a lost history, however many epochs that had, unless it had a
    million events a second for all its time. A receiver that parses JSON numbers as doubles is
    exact until the year 2311.
    """
    return (now - _SEQ_ZERO) // timedelta(microseconds=1)


def ensure_epoch() -> None:
    """Begin an epoch if the newest one has ended. Raises Unavailable."""
    now = services().now()
    if run_in_transaction(select_horizon) is None:
        run_in_transaction(lambda connection: _begin_epoch_if_missing(connection, now))


def _begin_epoch_if_missing(connection: Connection, now: datetime) -> None:
    connection.execute(f"SELECT pg_advisory_xact_lock({_EPOCH_LOCK_ID})")
    if select_horizon(connection) is None:  # no other process did
        begin_epoch(connection, now)


def select_horizon(connection: Connection) -> Horizon | None:
    """The horizon of the current snapshot; None if the newest epoch has ended."""
    row = connection.execute(_SELECT_HORIZON).fetchone()
    assert row  # of `always`
    xmin, xmax, *timeline = row
    return Horizon(Timeline(*timeline), int(xmin), int(xmax)) if timeline[0] else None
