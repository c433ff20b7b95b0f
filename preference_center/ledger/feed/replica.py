"""Reading everything as of one point in time: from the replica, if there is one that is up to date.

Decisions and pages never do: an opt-out must be seen at once (I2).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

import structlog

from preference_center.core.errors import Unavailable
from preference_center.infra.context import services
from preference_center.infra.db.transactions import (
    Connection,
    has_replica,
    read_snapshot,
    run_in_transaction,
)
from preference_center.ledger.feed_watermarks import (
    Horizon,
    ensure_epoch,
    load_horizon,
    select_horizon,
)
from preference_center.ledger.watermarks import Watermark

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
