"""The functions of RQ jobs: they take ids and return nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import ParamSpec
from uuid import UUID

import structlog

from preference_center.contacts.notices import select
from preference_center.core.errors import Unavailable
from preference_center.destinations.connect import connect
from preference_center.destinations.erase import erase_due
from preference_center.destinations.process import ingest_webhooks
from preference_center.destinations.push import sync as sync_destination
from preference_center.destinations.scan import verify as verify_listing
from preference_center.destinations.store.backfills import continue_backfill
from preference_center.destinations.store.listings import ListingKind
from preference_center.infra.context import services
from preference_center.infra.job_queue import TICK_SECONDS
from preference_center.lists.imports import uploads
from preference_center.lists.imports.apply import ImportBudget
from preference_center.rights import webhooks
from preference_center.rights.access_file import build as access_files
from preference_center.rights.retention import run_retention
from preference_center.web.emails import send_due_emails
from workers.process import stop_requested

FRESH_TICK = timedelta(seconds=1)
P = ParamSpec("P")
log = structlog.get_logger()


def _end_when_unavailable(job: Callable[P, None]) -> Callable[P, None]:
    """`job`, ending early wherever the database does not do its work, e.g. while a table is locked.

    Whatever the cause, which the log has: the transaction is rolled back, what is due stays due,
    the scheduler asks again, and what becomes late has an alert of its own (I3). So no such error
    is a JobsFail.
    """

    @wraps(job)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            job(*args, **kwargs)
        except Unavailable as error:
            name = type(error.__cause__ or error).__name__
            log.warning("job_ended_early", job=job.__name__, error=name, **error.log_fields)

    return run


@_end_when_unavailable
def sync_fresh(destination_id: int) -> None:
    """Sync recent changes with one destination, for a second: other jobs wait for this worker."""
    until = services().now() + FRESH_TICK
    sync_destination(destination_id, connect, until=until, stop=stop_requested.is_set, fresh=True)


@_end_when_unavailable
def sync(destination_id: int) -> None:
    """Sync one destination for a tick, or until the worker is asked to stop."""
    until = services().now() + timedelta(seconds=TICK_SECONDS)
    sync_destination(destination_id, connect, until=until, stop=stop_requested.is_set)


@_end_when_unavailable
def continue_import(import_id: str) -> None:
    """Plan, apply or undo an uploaded import for a tick, or until asked to stop."""
    until = services().now() + timedelta(seconds=TICK_SECONDS)
    uploads.continue_import(
        UUID(import_id), ImportBudget(until=until, should_stop=stop_requested.is_set)
    )


@_end_when_unavailable
def backfill(destination_id: int) -> None:
    """Continue a destination's backfill for a tick, or until asked to stop."""
    until = services().now() + timedelta(seconds=TICK_SECONDS)
    continue_backfill(destination_id, lambda: stop_requested.is_set() or services().now() >= until)


@_end_when_unavailable
def verify(destination_id: int, kind: str) -> None:
    """Read one listing of a destination for a tick, or until asked to stop."""
    until = services().now() + timedelta(seconds=TICK_SECONDS)
    verify_listing(
        destination_id, ListingKind(kind), connect, until=until, stop=stop_requested.is_set
    )


@_end_when_unavailable
def process_webhooks(destination_id: int) -> None:
    """Process a destination's webhook requests for a tick, or until asked to stop."""
    until = services().now() + timedelta(seconds=TICK_SECONDS)
    ingest_webhooks(destination_id, connect, until=until, stop=stop_requested.is_set)


@_end_when_unavailable
def erase(destination_id: int) -> None:
    """Erase people in one destination for a tick, or until asked to stop."""
    until = services().now() + timedelta(seconds=TICK_SECONDS)
    erase_due(destination_id, connect, until=until, stop=stop_requested.is_set)


@_end_when_unavailable
def apply_retention() -> None:
    """Remove what is past its retention for a tick, or until asked to stop."""
    begun = services().now()
    until = begun + timedelta(seconds=TICK_SECONDS)
    run_retention(begun, lambda: stop_requested.is_set() or services().now() >= until)


@_end_when_unavailable
def build_access_file(request_id: str) -> None:
    """Build the file that answers a request for access, unless that was done."""
    access_files.build_access_file(UUID(request_id))


@_end_when_unavailable
def send_mail() -> None:
    """Send due emails for a tick, or until asked to stop."""
    context = services()
    server = context.settings.mail_server
    if server is not None:
        send_due_emails(
            server,
            until=context.now() + timedelta(seconds=TICK_SECONDS),
            stop=stop_requested.is_set,
        )


@_end_when_unavailable
def send_rights_webhooks() -> None:
    """Send what the company's webhook is to get for a tick, or until asked to stop.

    Requests of data subjects first: they have deadlines, announcements are long.
    """
    until = services().now() + timedelta(seconds=TICK_SECONDS)
    webhooks.send_due_webhooks(until=until, stop=stop_requested.is_set)
    select.send_due_batches(until=until, stop=stop_requested.is_set)
