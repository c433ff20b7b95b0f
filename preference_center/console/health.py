"""Three probes: is the process alive, can it serve, and does the window hold (I3)?"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, cast

from flask import Blueprint, Flask, Response, current_app, jsonify

from preference_center import spool
from preference_center.console.readiness import Database, Readiness
from preference_center.domain.deadlines import WINDOW, Stage, stage
from preference_center.errors import Cause, Unavailable
from preference_center.extensions import services
from preference_center.storage.db.database import Connection, is_writable, run, run_at_once
from preference_center.storage.mail import bursts, review_queue
from preference_center.storage.sync import states, undecided_events
from preference_center.storage.sync.states import Late
from preference_center.storage.sync.undecided_events import LateWait

blueprint = Blueprint("console", __name__)

LATELY = timedelta(days=1)
"""How long a burst of opt-outs is news."""
FRESH = timedelta(seconds=10)
"""How long this process answers with the late rows it has counted."""
COUNTED_LATE = "preference_center.counted_late"
READINESS = "preference_center.readiness"

_WORST = [Stage.OVERDUE, Stage.PAST_TARGET, Stage.AT_RISK]


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
    ready = database is Database.WRITABLE or (kept is not None and kept.writable)
    status = "ready" if ready else "unavailable"
    return jsonify(status=status, database=database, spool=_spool_row(kept)), 200 if ready else 503


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
        counted_at, late = _counted_late(now)
        found, queue = run(lambda connection: _looked_up(connection, now))
    except Unavailable:
        return jsonify(status="unavailable", window="unknown", spool=_spool_row(kept)), 503
    stages = {row.stage for row in late}
    if kept is not None and kept.oldest_received_at is not None:
        stages.add(stage(kept.oldest_received_at + WINDOW, now))
    worst = next((stage for stage in _WORST if stage in stages), Stage.ON_TIME)
    return jsonify(
        status="ok",
        window=worst,
        late=[_row(each) for each in late],
        counted_at=counted_at.isoformat(),
        bursts=found,
        queue=queue,
        spool=_spool_row(kept),
    ), 200


def _row(late: Late | LateWait) -> dict[str, Any]:
    waits = {"waits_for": late.what} if isinstance(late, LateWait) else {}
    return waits | {
        "destination": late.destination,
        "stage": late.stage,
        "pending": late.count,
        "at_least": late.at_least,
        "earliest_due_at": late.due_at.isoformat(),
    }


def _spool_status() -> spool.Status | None:
    kept = spool.current()
    return None if kept is None else kept.folder.status()


def _spool_row(status: spool.Status | None) -> dict[str, Any] | None:
    if status is None:
        return None
    oldest = status.oldest_received_at
    return {
        "waiting": status.waiting,
        "oldest_received_at": None if oldest is None else oldest.isoformat(),
        "bytes": status.bytes,
        "damaged": status.damaged,
        "rejected": status.rejected,
        "writable": status.writable,
    }


def _counted_late(now: datetime) -> tuple[datetime, Sequence[Late | LateWait]]:
    """When this process has counted the late rows, and what it found."""
    known: tuple[datetime, Sequence[Late | LateWait]] | None = current_app.extensions.get(
        COUNTED_LATE
    )
    if known is None or not known[0] <= now < known[0] + FRESH:
        known = (now, run_at_once(lambda connection: _late(connection, now)))
        current_app.extensions[COUNTED_LATE] = known
    return known


def _late(connection: Connection, now: datetime) -> Sequence[Late | LateWait]:
    return [*states.late(connection, now), *undecided_events.late(connection, now)]


def _looked_up(connection: Connection, now: datetime) -> tuple[int, int]:
    return bursts.found_since(connection, now - LATELY), review_queue.waiting_count(connection)


def _readiness() -> Readiness:
    app = cast("Flask", current_app._get_current_object())  # type: ignore[attr-defined]  # noqa: SLF001 - Flask's own way
    made: Readiness = app.extensions.setdefault(READINESS, Readiness(partial(_database_of, app)))
    return made


def _database_of(app: Flask) -> Database:
    with app.app_context():
        try:
            writable = run_at_once(is_writable)
        except Unavailable as error:
            read_only = error.cause is Cause.READ_ONLY
            return Database.READ_ONLY if read_only else Database.UNREACHABLE
        return Database.WRITABLE if writable else Database.READ_ONLY
