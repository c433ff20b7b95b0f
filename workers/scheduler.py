"""The scheduler process: `python -m workers.scheduler`. Any number of replicas may run.

The database is the queue; this only tells RQ which destinations have due work. Flushing
Redis therefore loses nothing.
"""

from __future__ import annotations

import math
import signal
import time
from datetime import datetime

import structlog

from preference_center.app import create_app
from preference_center.burst_scan import look_for_bursts
from preference_center.database_timeouts import WORKER
from preference_center.domain.sync.push_concurrency import SLOTS
from preference_center.errors import PreferenceCenterError
from preference_center.extensions import services
from preference_center.imports.uploads import KEPT
from preference_center.integrations.registry import ENTRIES
from preference_center.ledger.deferred_forms import raise_deferred
from preference_center.storage.access import idempotency
from preference_center.storage.db.database import run, run_at_once
from preference_center.storage.imports import import_jobs, uploaded_parts
from preference_center.storage.mail import outbox, review_queue
from preference_center.storage.sync import (
    active_pushes,
    backfills,
    states,
    undecided_events,
    webhook_inbox,
)
from preference_center.storage.sync import listings as verifying
from preference_center.storage.sync.states import Due
from preference_center.sync.listings import begin_listings
from workers.starting import await_database
from workers.stopping import stopping

log = structlog.get_logger()

EVERY = 2.0
"""Seconds between looks."""
TIDY_EVERY = 60.0
"""Seconds between deletions of what is older than it is kept."""
ROWS_PER_SLOT = 500
LETTERS_PER_SLOT = 20
BODIES_PER_SLOT = 1_000
BY_SCAN = [kind for kind, entry in ENTRIES.items() if entry.capabilities.backfills_by_scan]
KEPT_ANSWERS = 10_000
"""How many old ones are forgotten at once."""


def tick() -> int:
    """Enqueue what has due work: destinations, mail, imports, news; how many jobs were wanted.

    Before that, raise some of the forms that were left for later.
    """
    context = services()
    now = context.now()
    wanted = 0
    raise_deferred()
    for due in run_at_once(lambda connection: states.due(connection, now, BY_SCAN)):
        wanted += (slots := _slots(due))
        if due.fresh and not due.slow:
            wanted += 1
            if not context.queue.enqueue_fresh(due.destination):
                return wanted
        for slot in range(slots):
            if not context.queue.enqueue(due.destination, slot=slot):
                return wanted
    wanted += _tick_mail(now) + _tick_imports(now) + _tick_reading(now)
    return wanted + _tick_backfills()


def _slots(due: Due) -> int:
    """How many jobs besides the fresh one: for lists, and for more than that one does soon."""
    if due.slow:
        return 1
    rows = due.lists + max(0, due.fresh - ROWS_PER_SLOT)
    return min(SLOTS, -(-rows // ROWS_PER_SLOT))


def tidy(now: datetime) -> None:
    """Delete what is older than it is kept."""
    run_at_once(lambda connection: active_pushes.forget(connection, now))
    run_at_once(lambda connection: outbox.expire(connection, now))
    run_at_once(lambda connection: outbox.forget(connection, now))
    run_at_once(lambda connection: idempotency.forget(connection, now, most=KEPT_ANSWERS))
    run(lambda connection: webhook_inbox.forget(connection, now))
    run_at_once(lambda connection: undecided_events.forget(connection, now))
    run(lambda connection: review_queue.forget(connection, now))
    run_at_once(lambda connection: uploaded_parts.expire(connection, now - KEPT))


def _tick_reading(now: datetime) -> int:
    """What is to be read in tools, and what they have posted."""
    context = services()
    begin_listings(now)
    listings = run_at_once(lambda connection: verifying.due(connection, now))
    for destination, part in listings:
        if not context.queue.enqueue_verify(destination, part):
            return len(listings)
    return len(listings) + _tick_news(now)


def _tick_news(now: datetime) -> int:
    wanted = 0
    due = run_at_once(lambda connection: webhook_inbox.due(connection, now))
    for destination, bodies in due.items():
        for slot in range(min(SLOTS, 1 + bodies // BODIES_PER_SLOT)):
            wanted += 1
            if not services().queue.enqueue_news(destination, slot=slot):
                return wanted
    return wanted


def _tick_imports(now: datetime) -> int:
    waiting = run_at_once(lambda connection: import_jobs.due(connection, now))
    for import_id in waiting:
        if not services().queue.enqueue_import(import_id):
            break
    return len(waiting)


def _tick_backfills() -> int:
    unfinished = run_at_once(backfills.unfinished)
    for destination in unfinished:
        if not services().queue.enqueue_backfill(destination):
            break
    return len(unfinished)


def _tick_mail(now: datetime) -> int:
    context = services()
    letters = run_at_once(lambda connection: outbox.due(connection, now))
    if not letters or context.settings.mail_server is None:
        return 0
    wanted = min(SLOTS, 1 + letters // LETTERS_PER_SLOT)
    for slot in range(wanted):
        if not context.queue.enqueue_mail(slot=slot):
            break
    return wanted


def main() -> None:
    """Tick until asked to stop, whatever is away meanwhile; then do what nothing waits for."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    with create_app(limits=WORKER).app_context():
        await_database()
        tidied = -math.inf
        while not stopping.wait(EVERY):
            try:
                tick()
                look_for_bursts(services().now())
                if time.monotonic() >= tidied + TIDY_EVERY:
                    tidy(services().now())
                    tidied = time.monotonic()
            except PreferenceCenterError as error:
                log.warning("tick_failed", error=type(error).__name__)


if __name__ == "__main__":
    main()
