"""`/healthz`: is the service up, and does the window hold (I3)?"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from flask import Blueprint, Response, jsonify

from preference_center.domain.deadlines import Stage
from preference_center.errors import Unavailable
from preference_center.extensions import services
from preference_center.storage import bursts, kept_mail, syncs
from preference_center.storage.database import Connection, run
from preference_center.storage.syncs import Late

blueprint = Blueprint("console", __name__)

LATELY = timedelta(days=1)
"""How long a burst of opt-outs is news."""

_WORST = [Stage.OVERDUE, Stage.PAST_TARGET, Stage.AT_RISK]


@blueprint.get("/healthz")
def healthz() -> tuple[Response, int]:
    """200 while the database answers; `window` names the worst stage of any pending opt-out.

    `bursts` is how many bursts of opt-outs were found in the last day, `queue` how many mails
    and texts wait for a person (to 1,000).

    A late tool is no reason to take web processes out of service, so it does not change
    the status: alert on `window`. Redis is not asked, since nothing depends on it.
    """
    context = services()
    try:
        late, found, queue = run(lambda connection: _looked_up(connection, context.now()))
    except Unavailable:
        return jsonify(status="unavailable", window="unknown"), 503
    stages = {row.stage for row in late}
    worst = next((stage for stage in _WORST if stage in stages), Stage.ON_TIME)
    rows = [
        {
            "destination": row.destination,
            "stage": row.stage,
            "pending": row.count,
            "earliest_due_at": row.due_at.isoformat(),
        }
        for row in late
    ]
    return jsonify(status="ok", window=worst, late=rows, bursts=found, queue=queue), 200


def _looked_up(connection: Connection, now: datetime) -> tuple[Sequence[Late], int, int]:
    return (
        syncs.late(connection, now),
        bursts.found_since(connection, now - LATELY),
        kept_mail.waiting_count(connection),
    )
