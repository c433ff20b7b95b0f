"""Three probes: is the process alive, can it serve, and does the window hold (I3)?"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, cast

from flask import Blueprint, Flask, Response, current_app, jsonify

from preference_center import spool
from preference_center.console.readiness import DatabaseStatus, ReadinessProbe
from preference_center.domain.deadlines import WINDOW, DeadlineStage, deadline_stage
from preference_center.errors import Unavailable, UnavailableCause
from preference_center.extensions import services
from preference_center.storage.db.database import (
    Connection,
    is_writable,
    run_autocommit,
    run_in_transaction,
)
from preference_center.storage.mail import bursts, review_queue
from preference_center.storage.sync import states, undecided_events
from preference_center.storage.sync.states import LateRows
from preference_center.storage.sync.undecided_events import OverdueBacklog

blueprint = Blueprint("console", __name__)

RECENT_BURSTS_PERIOD = timedelta(days=1)
"""How long a burst of opt-outs is news."""
LATE_CACHE_LIFETIME = timedelta(seconds=10)
"""How long this process answers with the late rows it has counted."""
LATE_CACHE_KEY = "preference_center.counted_late"
READINESS_KEY = "preference_center.readiness"

_WORST_STAGES = [DeadlineStage.OVERDUE, DeadlineStage.PAST_TARGET, DeadlineStage.AT_RISK]


@blueprint.get("/livez")
def livez() -> tuple[Response, int]:
    """200 while the process answers. Asks nobody: restart it only when this is silent."""
    return jsonify(status="alive"), 200


@blueprint.get("/readyz")
def readyz() -> tuple[Response, int]:
    """200 while this process can accept an opt-out: into the database, or into the spool.

    `database` is why it can't be the former; requests that need it are answered 503 then.
    Answers within three seconds whatever the database does. Redis is not asked, since no
    request depends on it.
    """
    database, kept = _readiness()(), _spool_status()
    ready = database is DatabaseStatus.WRITABLE or (kept is not None and kept.is_writable)
    status = "ready" if ready else "unavailable"
    return jsonify(
        status=status, database=database, spool=_spool_to_json(kept)
    ), 200 if ready else 503


@blueprint.get("/healthz")
def healthz() -> tuple[Response, int]:
    """200 while the database answers; `window` names the worst stage of all that waits.

    That is pending opt-outs, and whatever was acknowledged and not understood: rows of `late`
    with `waits_for` (`undecided.Waits`). `late` was counted at `counted_at`, at most FRESH
    ago; a row `at_least` has more than it says. `bursts` is how many bursts of opt-outs were
    found in the last day, `queue` how many mails and texts wait for a person (to 1,000). `spool` is
    what waits on this host's disk, null where SPOOL_DIR is none; its oldest record counts in
    `window` too.

    A late tool is no reason to take web processes out of service, so it does not change
    the status: alert on `window`. Redis is not asked, since nothing depends on it.
    """
    now, kept = services().now(), _spool_status()
    try:
        counted_at, late = _cached_late_rows(now)
        found, queue = run_in_transaction(lambda connection: _load_counts(connection, now))
    except Unavailable:
        return jsonify(status="unavailable", window="unknown", spool=_spool_to_json(kept)), 503
    stages = {row.stage for row in late}
    if kept is not None and kept.oldest_received_at is not None:
        stages.add(deadline_stage(kept.oldest_received_at + WINDOW, now))
    worst = next((stage for stage in _WORST_STAGES if stage in stages), DeadlineStage.ON_TIME)
    return jsonify(
        status="ok",
        window=worst,
        late=[_late_to_json(each) for each in late],
        counted_at=counted_at.isoformat(),
        bursts=found,
        queue=queue,
        spool=_spool_to_json(kept),
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
    kept = spool.current_spool()
    return None if kept is None else kept.folder.status()


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
    """When this process has counted the late rows, and what it found."""
    known: tuple[datetime, Sequence[LateRows | OverdueBacklog]] | None = current_app.extensions.get(
        LATE_CACHE_KEY
    )
    if known is None or not known[0] <= now < known[0] + LATE_CACHE_LIFETIME:
        known = (now, run_autocommit(lambda connection: _load_late_rows(connection, now)))
        current_app.extensions[LATE_CACHE_KEY] = known
    return known


def _load_late_rows(connection: Connection, now: datetime) -> Sequence[LateRows | OverdueBacklog]:
    return [
        *states.list_late(connection, now),
        *undecided_events.list_overdue_backlog(connection, now),
    ]


def _load_counts(connection: Connection, now: datetime) -> tuple[int, int]:
    return bursts.count_bursts_since(
        connection, now - RECENT_BURSTS_PERIOD
    ), review_queue.count_open_items(connection)


def _readiness() -> ReadinessProbe:
    app = cast("Flask", current_app._get_current_object())  # type: ignore[attr-defined]  # noqa: SLF001 - Flask's own way
    made: ReadinessProbe = app.extensions.setdefault(
        READINESS_KEY, ReadinessProbe(partial(_database_status, app))
    )
    return made


def _database_status(app: Flask) -> DatabaseStatus:
    with app.app_context():
        try:
            writable = run_autocommit(is_writable)
        except Unavailable as error:
            read_only = error.cause is UnavailableCause.READ_ONLY
            return DatabaseStatus.READ_ONLY if read_only else DatabaseStatus.UNREACHABLE
        return DatabaseStatus.WRITABLE if writable else DatabaseStatus.READ_ONLY
