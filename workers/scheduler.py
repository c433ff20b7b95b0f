"""The scheduler process: `python -m workers.scheduler`. Any number of replicas may run.

The database is the queue; this only enqueues jobs for what has due work. Flushing Redis
therefore loses nothing.
"""

from __future__ import annotations

import gc
import math
import signal
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial
from typing import TypeVar

import structlog

from preference_center.app.service import create_service
from preference_center.core.errors import PreferenceCenterError, Unavailable
from preference_center.destinations.connect import find_spec
from preference_center.destinations.rules.plan import MAX_CONCURRENT_PUSHES
from preference_center.destinations.scan import schedule_gained_listings, schedule_new_listings
from preference_center.destinations.store import (
    backfills,
    destinations,
    erasure_tasks,
    states,
    webhooks,
)
from preference_center.destinations.store import listings as verifying
from preference_center.destinations.store.states import DueCounts
from preference_center.inbound.bursts import flag_bursts
from preference_center.inbound.store import purge_items
from preference_center.infra import outbox
from preference_center.infra.context import services
from preference_center.infra.db.connections import WORKER_TIMEOUTS
from preference_center.infra.db.transactions import Connection, run_autocommit, run_in_transaction
from preference_center.infra.telemetry import capture_standard_logs, start_telemetry
from preference_center.ledger.forms import raise_deferred_states
from preference_center.lists.store import UPLOAD_RETENTION, delete_expired_parts, list_due_imports
from preference_center.monitoring.alerts import start_alerting
from preference_center.monitoring.gauges import (
    DatabaseCollector,
    QueueCollector,
    SchedulerCollector,
    add_collector,
)
from preference_center.monitoring.measure import Heartbeat, count_due_webhooks, record_samples
from preference_center.monitoring.probes import start_internal_server
from preference_center.reports.monthly import count_deliveries
from preference_center.reports.store import CHUNKS_PER_TICK, count_a_few_events
from preference_center.rights import webhooks as rights_webhooks
from preference_center.rights.erasure.erase import tidy_erasures
from preference_center.rights.requests import files
from preference_center.rights.requests.clocks import run_clocks
from preference_center.rights.retention import is_retention_due
from preference_center.web.api import idempotency
from preference_center.web.api.keys import delete_old_usage
from preference_center.web.console import looks
from preference_center.web.console.accounts import delete_old_sessions
from preference_center.web.emails import purge_stops
from workers.process import stop_requested, wait_for_database

T = TypeVar("T")

log = structlog.get_logger()

TICK_INTERVAL = 2.0
"""Seconds between ticks."""
CLEANUP_INTERVAL = 60.0
"""Seconds between deletions of what is past its retention."""
ROWS_PER_SLOT = 500
EMAILS_PER_SLOT = 20
WEBHOOKS_PER_SLOT = 1_000
ACCESS_FILES = 20
"""How many files of requests for access are asked for in one tick."""
ACCESS_FILE_RATE = "1 per 2 minutes"
"""How often the file of one request is begun, until it is there."""
MAX_RESPONSES_PER_CLEANUP = 10_000
"""How many expired ones are deleted at once."""
MAX_ROWS_PER_CLEANUP = 10_000
"""How many sync states of removed destinations are deleted at once."""


def scan_backfill_kinds(connection: Connection) -> list[str]:
    """The kinds of destinations whose back-fills go by the scan of their contacts.

    Only the connectors of destinations are imported.
    """
    return [kind for kind in destinations.list_kinds(connection) if _backfills_by_scan(kind)]


def _backfills_by_scan(kind: str) -> bool:
    spec = find_spec(kind)
    return spec is not None and spec.capabilities.backfills_by_scan


def tick() -> int:
    """Enqueue what is due: destinations, mail, imports, webhooks. Returns the jobs attempted.

    Before that, raise some of the deferred forms. A part that fails stops no other: raises
    ExceptionGroup after the last.
    """
    parts = (
        _tick_deferred_forms,
        _tick_pushes,
        _tick_mail,
        _tick_imports,
        _tick_listings,
        _tick_webhooks,
        _tick_rights,
        _tick_backfills,
        _tick_erasures,
        _tick_access_files,
    )
    return sum(_run_each(parts, services().now()))


def _run_each(steps: Iterable[Callable[[datetime], T]], now: datetime) -> list[T]:
    """Run all steps, whatever fails; returns their results. Raises ExceptionGroup of failures."""
    results, failures = [], []
    for step in steps:
        try:
            results.append(step(now))
        except Exception as error:  # noqa: BLE001 - whatever it is, the next step may work
            failures.append(error)
    if failures:
        raise ExceptionGroup("steps failed", failures)
    return results


def _tick_deferred_forms(_: datetime) -> int:
    raise_deferred_states()
    return 0


def _tick_pushes(now: datetime) -> int:
    context = services()
    wanted = 0
    for due in run_autocommit(
        lambda connection: states.list_due(connection, now, scan_backfill_kinds(connection))
    ):
        wanted += (slots := _slot_count(due))
        if due.live and not due.is_slow:
            wanted += 1
            if not context.queue.enqueue_fresh(due.destination_id):
                return wanted
        for slot in range(slots):
            if not context.queue.enqueue_sync(due.destination_id, slot=slot):
                return wanted
    return wanted


def _slot_count(due: DueCounts) -> int:
    """How many jobs besides the fresh one: for lists, and for more than that one can do soon."""
    if due.is_slow:
        return 1
    rows = due.bulk + max(0, due.live - ROWS_PER_SLOT)
    return min(MAX_CONCURRENT_PUSHES, -(-rows // ROWS_PER_SLOT))


def purge_expired(now: datetime) -> None:
    """Delete what has expired, and enqueue a job for what is past its retention.

    A deletion that fails stops no other: raises ExceptionGroup after the last.
    """
    steps = (
        _autocommit(destinations.purge_pushes),
        _autocommit(outbox.expire_emails),
        _autocommit(outbox.purge_emails),
        _autocommit(purge_stops),
        _autocommit(partial(idempotency.purge_responses, limit=MAX_RESPONSES_PER_CLEANUP)),
        lambda now: run_in_transaction(lambda c: webhooks.purge_webhooks(c, now)),
        _autocommit(lambda c, _: states.purge_removed(c, limit=MAX_ROWS_PER_CLEANUP)),
        _autocommit(webhooks.purge_decisions),
        _autocommit(files.delete_expired),
        _autocommit(delete_old_usage),
        _autocommit(looks.forget_addresses),
        lambda now: run_in_transaction(lambda c: purge_items(c, now)),
        _autocommit(files.purge_proofs),
        _autocommit(rights_webhooks.purge_webhooks),
        delete_old_sessions,
        tidy_erasures,
        _autocommit(lambda c, now: delete_expired_parts(c, now - UPLOAD_RETENTION)),
        _enqueue_retention,
    )
    _run_each(steps, now)


def _autocommit(step: Callable[[Connection, datetime], object]) -> Callable[[datetime], object]:
    return lambda now: run_autocommit(lambda connection: step(connection, now))


def _enqueue_retention(now: datetime) -> None:
    if run_autocommit(lambda connection: is_retention_due(connection, now)):
        services().queue.enqueue_retention()


def _tick_listings(now: datetime) -> int:
    """Enqueue the listings to read in tools."""
    context = services()
    schedule_new_listings(now)
    listings = run_autocommit(lambda connection: verifying.list_due_listings(connection, now))
    for destination, part in listings:
        if not context.queue.enqueue_verify(destination, part):
            return len(listings)
    return len(listings)


def _tick_webhooks(now: datetime) -> int:
    """Enqueue what tools have posted."""
    wanted = 0
    due = run_autocommit(lambda connection: webhooks.count_due_webhooks(connection, now))
    for destination, bodies in due.items():
        for slot in range(min(MAX_CONCURRENT_PUSHES, 1 + bodies // WEBHOOKS_PER_SLOT)):
            wanted += 1
            if not services().queue.enqueue_webhooks(destination, slot=slot):
                return wanted
    return wanted


def _tick_imports(now: datetime) -> int:
    waiting = run_autocommit(lambda connection: list_due_imports(connection, now))
    for import_id in waiting:
        if not services().queue.enqueue_import(import_id):
            break
    return len(waiting)


def _tick_backfills(_: datetime) -> int:
    unfinished = run_autocommit(backfills.list_unfinished)
    for destination in unfinished:
        if not services().queue.enqueue_backfill(destination):
            break
    return len(unfinished)


def _tick_erasures(now: datetime) -> int:
    """Enqueue what is to be erased in tools; what can't be goes to a person at once."""
    run_autocommit(lambda connection: erasure_tasks.hand_over_inactive(connection, now))
    due = run_autocommit(lambda connection: erasure_tasks.list_due_destinations(connection, now))
    for destination in due:
        if not services().queue.enqueue_erase(destination):
            break
    return len(due)


def _tick_access_files(_: datetime) -> int:
    waiting = run_autocommit(lambda connection: files.list_waiting(connection, ACCESS_FILES))
    limiter = services().limiter
    for request_id in waiting:
        # One that fails, e.g. for want of disk, must not take a worker at every tick.
        if not limiter.hit(ACCESS_FILE_RATE, "access-file", str(request_id)):
            continue
        if not services().queue.enqueue_access_file(request_id):
            break
    return len(waiting)


def _tick_mail(now: datetime) -> int:
    context = services()
    due = run_autocommit(lambda connection: outbox.count_due_emails(connection, now))
    if not due or context.settings.mail_server is None:
        return 0
    wanted = min(MAX_CONCURRENT_PUSHES, 1 + due // EMAILS_PER_SLOT)
    for slot in range(wanted):
        if not context.queue.enqueue_mail(slot=slot):
            break
    return wanted


def _tick_rights(now: datetime) -> int:
    due = run_autocommit(lambda connection: count_due_webhooks(connection, now))
    if due.count:
        services().queue.enqueue_rights_webhooks()
    return min(1, due.count)


def main() -> None:
    """Tick until asked to stop, whatever is unavailable meanwhile."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop_requested.set())
    capture_standard_logs()
    app = create_service(timeouts=WORKER_TIMEOUTS)
    with app.app_context():
        start_telemetry(services().settings, "scheduler")
        heartbeat = Heartbeat(services().now())
        add_collector(app, SchedulerCollector(heartbeat))
        add_collector(app, DatabaseCollector())
        add_collector(app, QueueCollector())
        start_internal_server(app)
        start_alerting(app, heartbeat, stop_requested)
        wait_for_database()
        tick_until_stopped(heartbeat)


def tick_until_stopped(heartbeat: Heartbeat) -> None:
    """Tick, and do the housekeeping every CLEANUP_INTERVAL, whatever of it fails."""
    tidied_at = -math.inf
    while not stop_requested.wait(TICK_INTERVAL):
        if _attempt("tick_failed", lambda _: tick()):
            heartbeat.beat(services().now())
        _attempt("bursts_not_flagged", flag_bursts)
        if time.monotonic() >= tidied_at + CLEANUP_INTERVAL:
            keep_house(heartbeat)
            tidied_at = time.monotonic()


def keep_house(heartbeat: Heartbeat) -> None:
    """All that is due once a minute; what fails stops nothing else."""
    steps: tuple[Callable[[datetime], object], ...] = (
        flag_bursts,  # soon again, so that a failure of it is one here, too
        run_clocks,
        schedule_gained_listings,
        count_a_few_events,
        lambda now: count_deliveries(now, CHUNKS_PER_TICK),
        purge_expired,
        record_samples,
    )
    failures = [step for step in steps if not _attempt("housekeeping_failed", step)]
    if not failures:
        heartbeat.finish_housekeeping(services().now())


def _attempt(event: str, step: Callable[[datetime], object]) -> bool:
    """Whether it succeeded; else it is logged: whatever it was, the process goes on."""
    try:
        step(services().now())
    except ExceptionGroup as group:
        for error in group.exceptions:
            _log_failure(event, error)
    except Exception as error:  # noqa: BLE001 - a process that ends could inform nobody
        _log_failure(event, error)
    else:
        return True
    return False


def _log_failure(event: str, error: Exception) -> None:
    if isinstance(error, PreferenceCenterError):
        fields = error.log_fields if isinstance(error, Unavailable) else {}
        log.warning(event, error=type(error).__name__, **fields)
    else:
        log.error(event, exc_info=error)


if __name__ == "__main__":
    gc.freeze()  # else the collector scans every module at the end: half a second
    main()
