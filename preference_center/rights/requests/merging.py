"""Requests of contacts that are merged: of two open ones for the same the earlier date counts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from preference_center.infra.db.transactions import Connection
from preference_center.rights.rules.model import StepAction

_MOVE = """
UPDATE rights_request r SET contact_id = given.survivor, version = r.version + 1
FROM unnest(%(ids)s::uuid[], %(survivors)s::uuid[]) AS given (id, survivor)
WHERE r.contact_id = given.id
"""
# A clock that stands still has no date yet.
_TAKE_EARLIEST = """
WITH earliest AS (
    SELECT contact_id, kind, extent, min(COALESCE(extended_to, due_at)) AS at FROM rights_request
    WHERE contact_id = ANY(%(survivors)s) AND closed_at IS NULL AND stopped_at IS NULL
    GROUP BY contact_id, kind, extent HAVING count(*) > 1
), moved AS (
    UPDATE rights_request r SET due_at = LEAST(r.due_at, earliest.at),
        extended_to = CASE WHEN r.extended_to IS NOT NULL
            THEN LEAST(r.extended_to, earliest.at) END,
        version = r.version + 1
    FROM earliest
    WHERE r.contact_id = earliest.contact_id AND r.kind = earliest.kind
        AND r.extent IS NOT DISTINCT FROM earliest.extent
        AND r.closed_at IS NULL AND r.stopped_at IS NULL
        AND COALESCE(r.extended_to, r.due_at) > earliest.at
    RETURNING r.id
)
INSERT INTO rights_step (request_id, at, actor, action, detail)
SELECT id, %(now)s, 'service', %(action)s, '{}' FROM moved
"""


def merge_requests(
    connection: Connection, ids: Sequence[UUID], survivors: Sequence[UUID], now: datetime
) -> None:
    """Give each survivor the requests of the contact that was merged into it."""
    given = {"ids": list(ids), "survivors": list(survivors), "now": now}
    if connection.execute(_MOVE, given).rowcount:
        connection.execute(_TAKE_EARLIEST, given | {"action": StepAction.MERGED})
