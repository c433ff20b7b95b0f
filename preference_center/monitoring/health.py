"""Three probes: liveness, readiness, and whether deadlines are kept (I3)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, cast

from apiflask import APIBlueprint
from flask import Flask, Response, abort, current_app, jsonify, request

from preference_center.catalogue.store import current_catalogue_or_empty
from preference_center.core.deadlines import WINDOW, RequestStage, deadline_stage, worst_stage
from preference_center.core.errors import Unavailable, UnavailableCause
from preference_center.destinations.store import states, webhooks
from preference_center.destinations.store.states import LateRows
from preference_center.destinations.store.webhooks import OverdueBacklog
from preference_center.inbound import bursts
from preference_center.inbound.store import count_open_items
from preference_center.infra.context import services
from preference_center.infra.db.schema import require_fitting_schema
from preference_center.infra.db.transactions import (
    Connection,
    is_writable,
    run_autocommit,
    run_in_transaction,
)
from preference_center.ledger import spool
from preference_center.monitoring.company_webhooks import count_due_webhooks
from preference_center.monitoring.readiness import (
    DatabaseState,
    DatabaseStatus,
    ListeningPort,
    ReadinessProbe,
)
from preference_center.rights.erasure.journal import count_unwritten
from preference_center.rights.erasure.store import OpenErasures, count_open
from preference_center.rights.requests.store import load_stages
from preference_center.rights.rules.requests import request_stage

# APIFlask asks every blueprint that has a `before_request` whether it is to be described.
blueprint = APIBlueprint("probes", __name__, enable_openapi=False)

PROBE_PATHS = frozenset({"/livez", "/readyz", "/healthz"})
INTERNAL = "preference_center.internal"
"""The key of the WSGI environment that a request on the internal port has."""
RECENT_BURSTS_PERIOD = timedelta(days=1)
"""How long a burst of opt-outs is reported."""
LATE_CACHE_LIFETIME = timedelta(seconds=10)
"""How long this process caches its count of late rows."""
LATE_CACHE_KEY = "preference_center.late_rows"
READINESS_KEY = "preference_center.readiness"
LISTENING_KEY = "preference_center.listening_port"

_ON_TIME = RequestStage.ON_TIME


@blueprint.before_request
def hide_from_public() -> None:
    """Answer 404 on the public port where there is an internal one: they name destinations."""
    if services().settings.internal_port is not None and INTERNAL not in request.environ:
        abort(404)


@blueprint.get("/livez")
def livez() -> tuple[Response, int]:
    """200 while the process responds. It depends on nothing else: restart on no response."""
    return jsonify(status="alive"), 200


@blueprint.get("/readyz")
def readyz() -> tuple[Response, int]:
    """200 while this process can accept an opt-out: into the database, or into the spool.

    `database` is why it can't be the former; requests that need it get a 503 then. A process whose
    version does not fit the tables is not ready, whatever its spool accepts; nor is a web process
    before and after its port accepts connections. `reason` is a sentence for the operator, or
    null. Responds within three seconds in any state of the database. Redis is not checked, since
    no request depends on it.
    """
    state, spooled = _readiness()(), _spool_status()
    ready, reason = _can_accept_opt_outs(state.status, spooled), state.reason
    port: ListeningPort | None = current_app.extensions.get(LISTENING_KEY)
    if ready and port is not None and not port.accepts_connections():
        ready, reason = False, f"port {port.port} accepts no connections: it starts or stops"
    status = "ready" if ready else "unavailable"
    return jsonify(
        status=status, database=state.status, reason=reason or None, spool=_spool_to_json(spooled)
    ), 200 if ready else 503


def _can_accept_opt_outs(status: DatabaseStatus, spooled: spool.SpoolStatus | None) -> bool:
    if status in {DatabaseStatus.WRITABLE, DatabaseStatus.OTHER_SCHEMA}:
        return status is DatabaseStatus.WRITABLE
    return spooled is not None and spooled.is_writable


@blueprint.get("/healthz")
def healthz() -> tuple[Response, int]:
    """200 while the database responds; `window` is the worst stage of all pending work.

    That is pending opt-outs, and events that were acknowledged and not decided: rows of
    `late` with `waits_for` (BacklogKind). `late` was counted at `counted_at`, at most
    LATE_CACHE_LIFETIME ago; with `at_least` the count is a lower bound. `bursts` is the
    number of bursts of opt-outs in the last day, `review_queue` that of mails and texts
    that wait for review (up to 1,000). `erasures` counts the tasks of erasing in a tool that wait
    for a person, and has the time when the address of the earliest open erasure is forgotten;
    `not_in_journal` stays 0 while the erasure journal can be written. `rights` counts
    data-subject requests by RequestStage, and due webhooks about them and with announcements of
    the privacy policy (to 1,000 of each).
    `spool` is what waits on this host's disk, null where SPOOL_DIR is none; its oldest record
    counts in `window` too.

    A late tool is no reason to take web processes out of service, so it does not change
    the status: alert on `window`. Redis is not checked, since nothing depends on it.
    """
    now, spooled = services().now(), _spool_status()
    try:
        counted_at, late = _cached_late_rows(now)
        burst_count, queued = run_in_transaction(lambda connection: _load_counts(connection, now))
        open_erasures, unwritten = run_in_transaction(_load_erasures)
        rights = run_in_transaction(lambda connection: _count_rights(connection, now))
    except Unavailable:
        return jsonify(status="unavailable", window="unknown", spool=_spool_to_json(spooled)), 503
    stages = {row.stage for row in late}
    if spooled is not None and spooled.oldest_received_at is not None:
        stages.add(deadline_stage(spooled.oldest_received_at + WINDOW, now))
    return jsonify(
        status="ok",
        window=worst_stage(stages),
        late=[_late_to_json(each) for each in late],
        counted_at=counted_at.isoformat(),
        bursts=burst_count,
        review_queue=queued,
        erasures=_erasures_to_json(open_erasures, unwritten),
        rights=rights,
        spool=_spool_to_json(spooled),
    ), 200


def _late_to_json(late: LateRows | OverdueBacklog) -> dict[str, Any]:
    waits = {"waits_for": late.kind} if isinstance(late, OverdueBacklog) else {}
    return waits | {
        "destination": late.destination,
        "stage": late.stage,
        "pending": late.count,
        "at_least": late.at_least,
        "earliest_due_at": late.due_at.isoformat(),
    }


def _spool_status() -> spool.SpoolStatus | None:
    running = spool.current_spool()
    return None if running is None else running.folder.status()


def _spool_to_json(status: spool.SpoolStatus | None) -> dict[str, Any] | None:
    if status is None:
        return None
    oldest = status.oldest_received_at
    return {
        "waiting": status.pending,
        "oldest_received_at": None if oldest is None else oldest.isoformat(),
        "bytes": status.used_bytes,
        "damaged": status.damaged_files,
        "rejected": status.rejected,
        "writable": status.is_writable,
    }


def _cached_late_rows(now: datetime) -> tuple[datetime, Sequence[LateRows | OverdueBacklog]]:
    """When this process last counted the late rows, and the result."""
    cached: tuple[datetime, Sequence[LateRows | OverdueBacklog]] | None = (
        current_app.extensions.get(LATE_CACHE_KEY)
    )
    if cached is None or not cached[0] <= now < cached[0] + LATE_CACHE_LIFETIME:
        cached = (now, run_autocommit(lambda connection: _load_late_rows(connection, now)))
        current_app.extensions[LATE_CACHE_KEY] = cached
    return cached


def _load_late_rows(connection: Connection, now: datetime) -> Sequence[LateRows | OverdueBacklog]:
    return [
        *states.list_late(connection, now),
        *webhooks.list_overdue_backlog(connection, now),
    ]


def _load_counts(connection: Connection, now: datetime) -> tuple[int, int]:
    return bursts.count_bursts_since(connection, now - RECENT_BURSTS_PERIOD), count_open_items(
        connection
    )


def _load_erasures(connection: Connection) -> tuple[OpenErasures, int]:
    journaled = services().settings.erasure_journal is not None
    return count_open(connection), count_unwritten(connection) if journaled else 0


def _erasures_to_json(open_erasures: OpenErasures, unwritten: int) -> dict[str, Any]:
    at = open_erasures.forgotten_at
    return {
        "by_hand": open_erasures.by_hand,
        "earliest_forgotten_at": None if at is None else at.isoformat(),
        "not_in_journal": unwritten,
    }


def _count_rights(connection: Connection, now: datetime) -> dict[str, int]:
    target = current_catalogue_or_empty().rights.target
    stages = Counter(
        request_stage(received_at, deadline, now, target=target)
        for received_at, deadline in load_stages(connection)
    )
    late = {stage.value: stages[stage] for stage in RequestStage if stage is not _ON_TIME}
    return late | {"webhooks_due": count_due_webhooks(connection, now)}


def _readiness() -> ReadinessProbe:
    app = cast("Flask", current_app._get_current_object())  # type: ignore[attr-defined]  # noqa: SLF001 - Flask's own way
    probe: ReadinessProbe = app.extensions.setdefault(
        READINESS_KEY, ReadinessProbe(partial(_database_state, app))
    )
    return probe


def _database_state(app: Flask) -> DatabaseState:
    with app.app_context():
        try:
            run_autocommit(require_fitting_schema, never_in_transaction=True)
            writable = run_autocommit(is_writable)
        except Unavailable as error:
            return DatabaseState(_STATUS_BY_CAUSE[error.cause], error.reason)
        return DatabaseState(DatabaseStatus.WRITABLE if writable else DatabaseStatus.READ_ONLY)


_STATUS_BY_CAUSE = {
    UnavailableCause.UNREACHABLE: DatabaseStatus.UNREACHABLE,
    UnavailableCause.READ_ONLY: DatabaseStatus.READ_ONLY,
    UnavailableCause.LOCK_TIMEOUT: DatabaseStatus.UNRESPONSIVE,
    UnavailableCause.STATEMENT_TIMEOUT: DatabaseStatus.UNRESPONSIVE,
    UnavailableCause.UNRESPONSIVE: DatabaseStatus.UNRESPONSIVE,
    UnavailableCause.RESOURCES_EXHAUSTED: DatabaseStatus.EXHAUSTED,
    UnavailableCause.DISK_FULL: DatabaseStatus.EXHAUSTED,
    UnavailableCause.REFUSED: DatabaseStatus.REFUSED,
    UnavailableCause.SCHEMA: DatabaseStatus.OTHER_SCHEMA,
    UnavailableCause.SERVER_ERROR: DatabaseStatus.FAILING,
}
