"""Reading everything as of one moment, which the database keeps for us meanwhile.

What has been deleted or replaced since can't be cleared away before that ends, anywhere in the
database: after 60,000 changes a worker's claim took four times as long. So it has to end.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from preference_center.errors import Cause, Unavailable
from preference_center.extensions import services
from preference_center.storage.db.database import Connection, current_limits, transaction

IDLE = 60.0
"""Seconds that a reader may leave it alone."""
MINUTE = 60.0


@contextmanager
def one_moment() -> Iterator[Connection]:
    """A connection that reads, for SNAPSHOT_MINUTES at most.

    Raises Unavailable, which says so, at the first read after that, or after IDLE seconds
    without one.
    """
    minutes = services().settings.snapshot_minutes
    longest = minutes * MINUTE
    limits = replace(current_limits(), statement=longest, idle=IDLE, total=longest)
    try:
        with transaction(limits, one_moment=True) as connection:
            yield connection
    except Unavailable as error:
        if error.cause not in {Cause.TIMEOUT, Cause.SILENT}:  # by the server's clock, or by ours
            raise
        raise Unavailable(
            f"it took longer than {minutes} minutes (SNAPSHOT_MINUTES), or paused for more"
            f" than {IDLE:.0f} seconds: read it faster, or allow more",
            Cause.TIMEOUT,
        ) from error
