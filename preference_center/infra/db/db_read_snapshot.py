"""Reading as of one point in time, in a transaction with a fixed snapshot.

While it is open, vacuum can't remove rows that were deleted or updated since, anywhere in the
database: after 60,000 changes a worker's claim took four times as long. So its time is limited.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from preference_center.core.errors import Unavailable, UnavailableCause
from preference_center.infra.context import services
from preference_center.infra.db.database import Connection, current_limits, transaction

IDLE_TIMEOUT = 60.0
"""Seconds that a reader may pause."""
SECONDS_PER_MINUTE = 60.0
_ADVICE = "set hot_standby_feedback = on there, or a longer max_standby_streaming_delay"


@contextmanager
def read_snapshot(*, from_replica: bool = False) -> Iterator[Connection]:
    """A connection with a fixed snapshot, for SNAPSHOT_MINUTES at most.

    `from_replica`: of the replica, which may lack what was recorded last (`storage.feed.replica`).

    The first read after that, or after IDLE_TIMEOUT seconds without one, raises Unavailable with
    the reason.
    """
    minutes = services().settings.snapshot_minutes
    longest = minutes * SECONDS_PER_MINUTE
    limits = replace(current_limits(), statement=longest, idle=IDLE_TIMEOUT, total=longest)
    try:
        with transaction(limits, read_snapshot=True, from_replica=from_replica) as connection:
            yield connection
    except Unavailable as error:
        if from_replica and error.cause is UnavailableCause.LOCK_TIMEOUT:
            raise Unavailable(
                f"the replica ended it, since it had to go on replaying: {_ADVICE}",
                UnavailableCause.STATEMENT_TIMEOUT,
            ) from error
        if from_replica and error.cause is UnavailableCause.UNREACHABLE:
            # So ends a session that was idle when the replica had to go on.
            raise Unavailable(
                f"the replica can't be reached, or had to go on replaying: {_ADVICE}",
                UnavailableCause.UNREACHABLE,
            ) from error
        if error.cause not in {
            UnavailableCause.STATEMENT_TIMEOUT,
            UnavailableCause.UNRESPONSIVE,
        }:  # by the server's clock, or by ours
            raise
        raise Unavailable(
            f"it took longer than {minutes} minutes (SNAPSHOT_MINUTES), or paused for more"
            f" than {IDLE_TIMEOUT:.0f} seconds: read it faster, or allow more",
            UnavailableCause.STATEMENT_TIMEOUT,
        ) from error
