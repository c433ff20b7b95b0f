"""Bulk sync states that are settled by reading all contacts of a tool (decision 49).

They wait in the bulk lane, from which no push claims rows at such a destination. The rows of
contacts on a page that was read are claimed by their ids, and leave the lane if something must be
pushed. So the rows that are left when the pass ends belong to contacts that the tool does not have.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from preference_center.destinations.rules.state import LANE_BEGINNING, SyncClaim
from preference_center.infra.db.transactions import Connection


def claim_bulk_rows(
    connection: Connection,
    destination: int,
    lease: UUID,
    address_ids: Collection[int],
    *,
    now: datetime,
    until: datetime,
) -> list[SyncClaim]:
    """Claim those of these bulk rows that are due, for the lease."""
    rows = connection.execute(
        """UPDATE sync_state s SET lease = %s, next_at = %s
        WHERE s.destination_id = %s AND s.address_id = ANY(%s)
            AND s.bulk AND s.next_at <= %s
        RETURNING s.address_id, s.wanted_version, s.reflected_version, s.due_at, s.attempts,
            s.turned_off,
            s.lift_until""",
        (lease, until, destination, list(address_ids), now),
    )
    return [SyncClaim(*(*row, LANE_BEGINNING)) for row in rows]


def move_to_live_lane(
    connection: Connection, destination: int, address_ids: Collection[int]
) -> None:
    """Move these rows to the live lane, from which they are pushed one by one."""
    connection.execute(
        """UPDATE sync_state SET bulk = false
        WHERE destination_id = %s AND address_id = ANY(%s) AND bulk""",
        (destination, list(address_ids)),
    )


def move_unseen_to_live_lane(
    connection: Connection, destination: int, before: datetime, limit: int
) -> int:
    """Move up to `limit` rows that were due before `before` and not seen; returns how many."""
    return connection.execute(
        f"""{_UNSEEN_CTE} UPDATE sync_state s SET bulk = false FROM unseen
        WHERE s.destination_id = %(destination)s AND s.address_id = unseen.address_id""",  # noqa: S608 - a constant
        {"destination": destination, "before": before, "limit": limit},
    ).rowcount


def settle_unseen_as_absent(
    connection: Connection, destination: int, before: datetime, limit: int, now: datetime
) -> int:
    """Settle up to `limit` rows that were due before `before` and not seen; returns how many.

    Their outcome is `absent`: the tool does not have their addresses. A later pass shows if that
    changes.
    """
    return connection.execute(
        f"""{_UNSEEN_CTE}, settled AS (
            UPDATE sync_state s
            SET reflected_version = GREATEST(s.reflected_version, s.wanted_version),
                due_at = NULL, next_at = NULL, attempts = 0, outcome = 'absent', verify_at = NULL
            FROM unseen
            WHERE s.destination_id = %(destination)s AND s.address_id = unseen.address_id
            RETURNING s.address_id, s.wanted_version
        )
        INSERT INTO delivery (destination_id, address_id, version, outcome, note, at)
        SELECT %(destination)s, address_id, wanted_version, 'absent', 'not in its contact list',
            %(now)s
        FROM settled""",  # noqa: S608 - a constant
        {"destination": destination, "before": before, "limit": limit, "now": now},
    ).rowcount


_UNSEEN_CTE = """WITH unseen AS (
    SELECT address_id FROM sync_state
    WHERE destination_id = %(destination)s AND bulk AND lease IS NULL AND next_at <= %(before)s
    ORDER BY next_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)"""


def has_due_bulk_rows(connection: Connection, destination: int, now: datetime) -> bool:
    """Whether bulk rows wait for a pass."""
    return _exists(
        connection,
        "SELECT FROM sync_state WHERE destination_id = %s AND bulk AND next_at <= %s",
        (destination, now),
    )


def has_deferred_rows(connection: Connection, destination: int, now: datetime) -> bool:
    """Whether a pass may show that the tool has applied a push that was deferred."""
    return _exists(
        connection,
        """SELECT FROM sync_state WHERE destination_id = %s AND NOT bulk AND next_at > %s
            AND due_at IS NOT NULL AND outcome = 'later'""",
        (destination, now),
    )


def _exists(connection: Connection, query: str, given: tuple[int, datetime]) -> bool:
    row = connection.execute(f"SELECT EXISTS ({query})", given).fetchone()
    return bool(row and row[0])
