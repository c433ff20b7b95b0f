"""The scheduler process: `python -m workers.schedule`. Any number of replicas may run.

The database is the queue; this only tells RQ which destinations have due work. Flushing
Redis therefore loses nothing.
"""

from __future__ import annotations

import signal

import structlog

from preference_center.app import create_app
from preference_center.errors import PreferenceCenterError
from preference_center.extensions import services
from preference_center.storage import syncs
from preference_center.storage.database import run
from workers.starting import await_database
from workers.stopping import stopping

log = structlog.get_logger()

EVERY = 2.0
"""Seconds between looks."""
SLOTS = 4
"""The most jobs that work on one destination at once."""
ROWS_PER_SLOT = 500


def tick() -> int:
    """Enqueue each destination that has due work; how many jobs were wanted."""
    context = services()
    due = run(lambda connection: syncs.due_destinations(connection, context.now()))
    wanted = 0
    for destination, rows in due.items():
        for slot in range(min(SLOTS, 1 + rows // ROWS_PER_SLOT)):
            wanted += 1
            if not context.queue.enqueue(destination, slot=slot):
                return wanted
    return wanted


def main() -> None:
    """Tick until asked to stop, whatever is away meanwhile."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    with create_app().app_context():
        await_database()
        while not stopping.wait(EVERY):
            try:
                tick()
            except PreferenceCenterError as error:
                log.warning("tick_failed", error=type(error).__name__)


if __name__ == "__main__":
    main()
