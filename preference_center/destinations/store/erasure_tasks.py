"""The tasks of erasures at destinations wait in the database, which is the queue, by `next_at`.

Claims and leases are those of `destinations.store.states`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from preference_center.core.addresses import Channel
from preference_center.core.keys import Keys
from preference_center.destinations.rules.erase_task import EraseClaim, TaskSettlement
from preference_center.infra.db.transactions import Connection
from preference_center.integrations.base.contract import PushResult

REMOVED = "The destination was removed: delete what the tool holds about this address by hand."
NOT_ACTIVE = (
    "The destination is not active: resume it, or delete what the tool holds about this address "
    "by hand."
)

_LIST_DUE = """
SELECT d.id FROM destination d
WHERE d.status = 'active' AND (d.retry_at IS NULL OR d.retry_at <= %(now)s) AND EXISTS (
    SELECT FROM erasure_task t WHERE t.destination_id = d.id AND t.next_at <= %(now)s)
ORDER BY d.id
"""

_CLAIM = """
WITH due AS (
    SELECT t.erasure_id FROM erasure_task t
    WHERE t.destination_id = %(destination)s AND t.next_at <= %(now)s
    ORDER BY t.next_at LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
), found AS (
    SELECT e.id, e.ciphertext, e.give_up_at, a.channel, a.digest, s.outcome AS push_outcome,
        s.reflected_version >= s.wanted_version AS is_reflected
    FROM due JOIN erasure e ON e.id = due.erasure_id
    JOIN address a ON a.id = e.address_id
    LEFT JOIN sync_state s
        ON s.destination_id = %(destination)s AND s.address_id = e.address_id
)
UPDATE erasure_task t SET lease = %(lease)s, next_at = %(until)s,
    suppressed_at = CASE WHEN found.is_reflected THEN COALESCE(t.suppressed_at, %(now)s) END
FROM found
WHERE t.destination_id = %(destination)s AND t.erasure_id = found.id
RETURNING t.erasure_id, found.channel, found.digest, found.ciphertext, found.give_up_at,
    t.suppressed_at IS NOT NULL, found.push_outcome, t.erased_at IS NOT NULL, t.attempts, t.job
"""
"""That the opt-out is reflected is stored by the claim, before the tool is made to erase.

It may have been before and not be now: the tool has gained the contact again, with everything on.
"""

_SETTLE = """
UPDATE erasure_task t SET lease = NULL, next_at = given.next_at, attempts = given.attempts,
    outcome = given.outcome, job = given.job,
    ack = CASE WHEN given.ack = '' THEN t.ack ELSE given.ack END,
    erased_at = CASE WHEN given.is_erased THEN COALESCE(t.erased_at, %(now)s) END,
    confirmed_at = CASE WHEN given.is_confirmed THEN %(now)s END,
    by_hand_since = CASE WHEN given.outcome <> '' THEN NULL
        WHEN given.by_hand THEN COALESCE(t.by_hand_since, %(now)s) ELSE t.by_hand_since END,
    reason = CASE WHEN given.outcome <> '' THEN ''
        WHEN given.by_hand THEN given.reason ELSE t.reason END
FROM unnest(%(ids)s::uuid[], %(outcomes)s::text[], %(next)s::timestamptz[],
    %(attempts)s::int[], %(is_erased)s::boolean[], %(is_confirmed)s::boolean[],
    %(by_hand)s::boolean[], %(reasons)s::text[], %(acks)s::text[], %(jobs)s::text[])
    AS given (erasure_id, outcome, next_at, attempts, is_erased, is_confirmed, by_hand, reason,
        ack, job)
WHERE t.destination_id = %(destination)s AND t.erasure_id = given.erasure_id
    AND t.lease = %(lease)s
RETURNING t.erasure_id
"""

_HAND_OVER = """
WITH RECURSIVE waiting (destination_id) AS (
    SELECT min(destination_id) FROM erasure_task WHERE next_at IS NOT NULL
    UNION ALL
    SELECT (SELECT min(destination_id) FROM erasure_task
        WHERE next_at IS NOT NULL AND destination_id > waiting.destination_id)
    FROM waiting WHERE destination_id IS NOT NULL
)
UPDATE erasure_task t SET by_hand_since = %(now)s,
    reason = CASE WHEN d.is_stored THEN %(not_active)s ELSE %(removed)s END,
    next_at = CASE WHEN d.is_stored THEN t.next_at END,
    lease = CASE WHEN d.is_stored THEN t.lease END
FROM (
    SELECT waiting.destination_id, d.id IS NOT NULL AS is_stored
    FROM waiting LEFT JOIN destination d ON d.id = waiting.destination_id
    WHERE waiting.destination_id IS NOT NULL AND d.status IS DISTINCT FROM 'active'
) AS d
WHERE t.destination_id = d.destination_id AND t.next_at IS NOT NULL AND t.by_hand_since IS NULL
"""
"""Recursive, so that the index is asked for each destination once, however many tasks it has."""


def list_due_destinations(connection: Connection, now: datetime) -> list[int]:
    """The destinations that have due tasks and may be sent requests."""
    return [row[0] for row in connection.execute(_LIST_DUE, {"now": now})]


def claim_tasks(
    connection: Connection,
    keys: Keys,
    destination: int,
    lease: UUID,
    *,
    now: datetime,
    until: datetime,
    limit: int,
) -> list[EraseClaim]:
    """Claim due tasks until `until`, and store for each whether the tool suppresses the address.

    A task whose address is not readable any more is not returned: it is due again at `until`,
    and the end of its erasure makes it one for a person.
    """
    rows = connection.execute(
        _CLAIM,
        {
            "destination": destination,
            "lease": lease,
            "now": now,
            "until": until,
            "limit": limit,
        },
    ).fetchall()
    return [_to_claim(keys, row) for row in rows if row[3] is not None]


def _to_claim(keys: Keys, row: tuple[Any, ...]) -> EraseClaim:
    erasure_id, channel, digest, ciphertext, give_up_at, suppressed, push, *rest = row
    is_erased, attempts, job = rest
    return EraseClaim(
        erasure_id,
        keys.open(ciphertext, context=digest),
        Channel(channel),
        give_up_at,
        is_suppressed=suppressed,
        is_push_refused=push == PushResult.REFUSED,
        is_erased=is_erased,
        attempts=attempts,
        job=job,
    )


def settle_tasks(
    connection: Connection,
    destination: int,
    lease: UUID,
    settlements: Sequence[TaskSettlement],
    now: datetime,
) -> set[UUID]:
    """Record results; returns the erasures whose tasks this lease still held."""
    columns = {
        "destination": destination,
        "lease": lease,
        "now": now,
        "ids": [row.erasure_id for row in settlements],
        "outcomes": [row.outcome or "" for row in settlements],
        "next": [row.next_at for row in settlements],
        "attempts": [row.attempts for row in settlements],
        "is_erased": [row.is_erased for row in settlements],
        "is_confirmed": [row.is_confirmed for row in settlements],
        "by_hand": [row.by_hand for row in settlements],
        "reasons": [row.reason for row in settlements],
        "acks": [row.ack[:200] for row in settlements],
        "jobs": [row.job[:200] for row in settlements],
    }
    return {row[0] for row in connection.execute(_SETTLE, columns)}


def assign_to_person(connection: Connection, destination: int, reason: str, now: datetime) -> int:
    """Make every open task of a destination one for a person, for good; returns how many."""
    return connection.execute(
        """UPDATE erasure_task SET by_hand_since = COALESCE(by_hand_since, %s), reason = %s,
            next_at = NULL, lease = NULL
        WHERE destination_id = %s AND next_at IS NOT NULL""",
        (now, reason, destination),
    ).rowcount


def hand_over_inactive(connection: Connection, now: datetime) -> int:
    """Make the tasks of destinations that are not active, or gone, ones for a person.

    Those of a destination that is resumed before they are done go on. Returns how many.
    """
    return connection.execute(
        _HAND_OVER, {"now": now, "not_active": NOT_ACTIVE, "removed": REMOVED}
    ).rowcount
