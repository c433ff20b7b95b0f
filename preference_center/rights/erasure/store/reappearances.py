"""Erased addresses that a tool shows again: they are erased there once more (I6, I13)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from preference_center.core.deadlines import WINDOW
from preference_center.destinations.rules.classify import PROPAGATION_DELAY
from preference_center.destinations.rules.erase_task import TaskOutcome
from preference_center.infra.db.transactions import Connection
from preference_center.rights.erasure.store.erasures import READABLE_FOR

_ERASE_AGAIN = """
WITH given AS (
    SELECT * FROM unnest(%(ids)s::uuid[], %(addresses)s::bigint[], %(sealed)s::bytea[])
        AS given (id, address_id, sealed)
), seen AS (
    SELECT given.*, newest.extent, under_way.id AS under_way
    FROM given JOIN address a ON a.id = given.address_id AND a.erased_at IS NOT NULL
    CROSS JOIN LATERAL (SELECT extent FROM erasure WHERE address_id = a.id
        ORDER BY begun_at DESC, id DESC LIMIT 1) AS newest
    LEFT JOIN LATERAL (SELECT id FROM erasure WHERE address_id = a.id
        AND ciphertext IS NOT NULL LIMIT 1) AS under_way ON true
    LEFT JOIN LATERAL (SELECT t.outcome, COALESCE(t.confirmed_at, t.erased_at) AS ended_at
        FROM erasure e JOIN erasure_task t ON t.erasure_id = e.id
        WHERE e.address_id = a.id AND t.destination_id = %(destination)s
        ORDER BY e.begun_at DESC, e.id DESC LIMIT 1) AS last ON true
    WHERE last.outcome IS NULL OR (last.outcome = ANY(%(over)s)
        AND (last.ended_at IS NULL OR last.ended_at <= %(shown_since)s))
), created AS (
    INSERT INTO erasure (id, address_id, extent, ciphertext, begun_at, give_up_at)
    SELECT id, address_id, extent, sealed, %(now)s, %(give_up)s FROM seen WHERE under_way IS NULL
    ON CONFLICT DO NOTHING
), opened AS (
    INSERT INTO erasure_task (erasure_id, destination_id, destination, next_at)
    SELECT COALESCE(seen.under_way, seen.id), d.id, d.name, %(now)s
    FROM seen JOIN destination d ON d.id = %(destination)s
    ON CONFLICT (erasure_id, destination_id) DO UPDATE SET outcome = '', suppressed_at = NULL,
        erased_at = NULL, confirmed_at = NULL, by_hand_since = NULL, reason = '', ack = '',
        job = '', attempts = 0, lease = NULL, next_at = EXCLUDED.next_at
)
INSERT INTO sync_state AS s (destination_id, address_id, wanted_version, due_at, next_at, bulk)
SELECT %(destination)s, seen.address_id,
    (SELECT max(seq) FROM event WHERE event.address_id = seen.address_id),
    %(now)s + %(window)s, %(now)s, false
FROM seen ORDER BY seen.address_id
ON CONFLICT (destination_id, address_id) DO UPDATE SET
    wanted_version = GREATEST(s.wanted_version + 1, EXCLUDED.wanted_version),
    due_at = LEAST(s.due_at, EXCLUDED.due_at), reflected_version = 0, verify_at = NULL,
    next_at = CASE WHEN s.lease IS NULL THEN EXCLUDED.next_at ELSE s.next_at END
RETURNING s.address_id
"""
"""Not where a task is open already, nor where its last one said that the tool holds nothing but
the suppression, or was done by hand: anyone who did it would be asked again at every scan.
"""


def erase_again_in_tool(
    connection: Connection,
    destination: int,
    seen: Mapping[int, tuple[UUID, bytes]],
    now: datetime,
) -> set[int]:
    """Open the erasure of these addresses at this destination again; returns of which.

    `seen` has, per address id, the id that a new erasure gets, and the sealed address, which that
    keeps for at most 30 days. The tool is brought to suppress them first. Addresses that are not
    erased are skipped. A tool may show for a while what it has deleted.
    """
    if not seen:
        return set()
    given = {
        "ids": [erasure_id for erasure_id, _ in seen.values()],
        "addresses": list(seen),
        "sealed": [sealed for _, sealed in seen.values()],
        "destination": destination,
        "over": [TaskOutcome.ERASED, TaskOutcome.ABSENT, TaskOutcome.REPLACED],
        "shown_since": now - PROPAGATION_DELAY,
        "give_up": now + READABLE_FOR,
        "window": WINDOW,
        "now": now,
    }
    return {row[0] for row in connection.execute(_ERASE_AGAIN, given)}
