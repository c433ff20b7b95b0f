"""Three probes: is the process alive, can it serve, and does the window hold (I3)?"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, cast

from flask import Blueprint, Flask, Response, current_app, jsonify

from preference_center.console.readiness import Database, Readiness
from preference_center.domain.deadlines import Stage
from preference_center.errors import Unavailable
from preference_center.extensions import services
from preference_center.storage import bursts, kept_mail, syncs
from preference_center.storage.database import Connection, is_writable, run, run_at_once
from preference_center.storage.syncs import Late

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
    """200 while the database takes writes from this process, else 503 with the reason.

    Answers within three seconds whatever the database does. Redis is not asked, since no
    request depends on it.
    """
    database = _readiness()()
    if database is not Database.WRITABLE:
        return jsonify(status="unavailable", database=database), 503
    return jsonify(status="ready", database=database), 200


@blueprint.get("/healthz")
def healthz() -> tuple[Response, int]:
    """200 while the database answers; `window` names the worst stage of any pending opt-out.

    `late` was counted at `counted_at`, at most FRESH ago; a row `at_least` has more than it
    says. `bursts` is how many bursts of opt-outs were found in the last day, `queue` how many
    mails and texts wait for a person (to 1,000).

    A late tool is no reason to take web processes out of service, so it does not change
    the status: alert on `window`. Redis is not asked, since nothing depends on it.
    """
    now = services().now()
    try:
        counted_at, late = _counted_late(now)
        found, queue = run(lambda connection: _looked_up(connection, now))
    except Unavailable:
        return jsonify(status="unavailable", window="unknown"), 503
    stages = {row.stage for row in late}
    worst = next((stage for stage in _WORST if stage in stages), Stage.ON_TIME)
    return jsonify(
        status="ok",
        window=worst,
        late=[_row(each) for each in late],
        counted_at=counted_at.isoformat(),
        bursts=found,
        queue=queue,
    ), 200


def _row(late: Late) -> dict[str, Any]:
    return {
        "destination": late.destination,
        "stage": late.stage,
        "pending": late.count,
        "at_least": late.at_least,
        "earliest_due_at": late.due_at.isoformat(),
    }


def _counted_late(now: datetime) -> tuple[datetime, Sequence[Late]]:
    """When this process has counted the late rows, and what it found."""
    known: tuple[datetime, Sequence[Late]] | None = current_app.extensions.get(COUNTED_LATE)
    if known is None or not known[0] <= now < known[0] + FRESH:
        known = (now, run_at_once(lambda connection: syncs.late(connection, now)))
        current_app.extensions[COUNTED_LATE] = known
    return known


def _looked_up(connection: Connection, now: datetime) -> tuple[int, int]:
    return bursts.found_since(connection, now - LATELY), kept_mail.waiting_count(connection)


def _readiness() -> Readiness:
    app = cast("Flask", current_app._get_current_object())  # type: ignore[attr-defined]  # noqa: SLF001 - Flask's own way
    made: Readiness = app.extensions.setdefault(READINESS, Readiness(partial(_database_of, app)))
    return made


def _database_of(app: Flask) -> Database:
    with app.app_context():
        try:
            writable = run_at_once(is_writable)
        except Unavailable:
            return Database.UNREACHABLE
        return Database.WRITABLE if writable else Database.READ_ONLY
