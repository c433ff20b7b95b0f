"""Whether data-subject requests were answered in time, by law and kind."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from preference_center.catalogue.rules.privacy import Law
from preference_center.infra.db.transactions import Connection
from preference_center.rights.rules.requests import RequestKind

MAX_REQUESTS = 50_000
"""The newest requests of a period that are counted."""

# A stopped clock does not run out; an extension counts as the deadline.
_REQUESTS = """
SELECT id, law, kind, closed_at, COALESCE(extended_to, due_at) AS deadline,
    state IN ('withdrawn', 'lapsed') AS ended_early,
    COALESCE(stopped_at, closed_at, %(now)s) > COALESCE(extended_to, due_at) AS is_late
FROM rights_request WHERE received_at >= %(start)s AND received_at < %(end)s
ORDER BY received_at DESC LIMIT %(limit)s
"""
_COUNTS = f"""
SELECT law, kind,
    count(*) FILTER (WHERE closed_at IS NOT NULL AND NOT ended_early AND NOT is_late),
    count(*) FILTER (WHERE closed_at IS NOT NULL AND NOT ended_early AND is_late),
    count(*) FILTER (WHERE closed_at IS NULL AND NOT is_late),
    count(*) FILTER (WHERE closed_at IS NULL AND is_late),
    count(*) FILTER (WHERE ended_early)
FROM ({_REQUESTS}) AS request GROUP BY law, kind ORDER BY law NULLS LAST, kind
"""  # noqa: S608 - a constant
_LATE = f"""
SELECT id, law, kind, deadline, closed_at FROM ({_REQUESTS}) AS request
WHERE is_late AND NOT ended_early ORDER BY deadline DESC LIMIT %(listed)s
"""  # noqa: S608 - a constant


@dataclass(frozen=True, slots=True)
class RequestCounts:
    """Requests of one law and kind, by what became of them until now.

    `ended` are those that were withdrawn, or lapsed without proof of identity: no deadline
    counts for them.
    """

    law: Law | None
    kind: RequestKind
    in_time: int
    late: int
    open: int
    overdue: int
    ended: int


@dataclass(frozen=True, slots=True)
class LateRequest:
    """A request that was answered late, or is open past its deadline (`closed_at` is None)."""

    id: UUID
    law: Law | None
    kind: RequestKind
    deadline: datetime
    closed_at: datetime | None


def count_requests(
    connection: Connection, start: datetime, end: datetime, now: datetime
) -> list[RequestCounts]:
    """What became of the requests that were received from `start` until before `end`."""
    given = {"start": start, "end": end, "now": now, "limit": MAX_REQUESTS}
    return [
        RequestCounts(Law(law) if law else None, RequestKind(kind), *counts)
        for law, kind, *counts in connection.execute(_COUNTS, given)
    ]


def list_late_requests(
    connection: Connection, start: datetime, end: datetime, now: datetime, limit: int
) -> list[LateRequest]:
    """Those of them that are or were late, up to `limit`; the newest deadline first."""
    given = {"start": start, "end": end, "now": now, "limit": MAX_REQUESTS, "listed": limit}
    return [
        LateRequest(id_, Law(law) if law else None, RequestKind(kind), deadline, closed_at)
        for id_, law, kind, deadline, closed_at in connection.execute(_LATE, given)
    ]
