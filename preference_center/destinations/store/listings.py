"""A listing of a tool says how far it was read, and counts what was found.

A listing is claimed like a sync state: `next_at` is the queue, then the end of the lease. Its
cursor advances in the transaction that records the page, and only for the worker that holds the
lease; so no page is lost, and reading one again does no harm.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from preference_center.destinations.rules.states import VerificationStats
from preference_center.infra.db.transactions import Connection


class ListingKind(StrEnum):
    """What is read from a destination."""

    PULL = "pull"
    """Its own opt-outs."""
    SCAN = "scan"
    """Its contacts."""
    SWEEP = "sweep"
    """All its contacts again, where a scan shows only those that change."""
    READ = "read"
    """What we pushed: read back, sampled, absent addresses looked up again."""


FIRST_SWEEP_DELAY = timedelta(days=1)
"""When the first sweep begins: the first pass of a scan shows all contacts, too."""


class ListingLeaseLost(Exception):
    """This worker's lease of the listing has ended: roll back."""


@dataclass(frozen=True, slots=True)
class ListingLease:
    """A listing that this worker holds until its lease ends."""

    cursor: str | None
    started_at: datetime | None
    failures: int
    is_first_pass: bool
    """Whether no pass has finished yet."""


@dataclass(frozen=True, slots=True)
class ListingProgress:
    """How far one listing was read, for support."""

    kind: ListingKind
    started_at: datetime | None
    finished_at: datetime | None
    next_at: datetime | None
    row_count: int
    in_progress: bool
    reason: str


def schedule_listings(
    connection: Connection, destination: int, kinds: Collection[ListingKind], now: datetime
) -> None:
    """Schedule those of these listings that are not, from `now` on. Safe to repeat.

    The others are stored, too, and never read until they are scheduled.
    """
    connection.execute(
        """WITH scheduled AS (
            UPDATE listing SET next_at = CASE kind WHEN 'sweep' THEN %(sweep)s ELSE %(now)s END
            WHERE destination_id = %(destination)s AND kind = ANY(%(kinds)s) AND next_at IS NULL
        )
        INSERT INTO listing (destination_id, kind, next_at)
        SELECT %(destination)s, kind, CASE WHEN kind = ANY(%(kinds)s)
            THEN CASE kind WHEN 'sweep' THEN %(sweep)s ELSE %(now)s END END
        FROM unnest(%(all_kinds)s::text[]) AS given (kind) ON CONFLICT DO NOTHING""",
        {
            "destination": destination,
            "kinds": [kind.value for kind in kinds],
            "all_kinds": [kind.value for kind in ListingKind],
            "now": now,
            "sweep": now + FIRST_SWEEP_DELAY,
        },
    )


def reset_listings(connection: Connection, destination: int) -> None:
    """Delete all listings of the destination, so that `list_without_listings` returns it."""
    connection.execute("DELETE FROM listing WHERE destination_id = %s", (destination,))


def list_without_listings(connection: Connection) -> list[int]:
    """Ids of active destinations that lack a listing."""
    rows = connection.execute(
        """SELECT id FROM destination d WHERE status = 'active'
            AND (SELECT count(*) FROM listing WHERE destination_id = d.id) < %s""",
        (len(ListingKind),),
    ).fetchall()
    return [number for (number,) in rows]


def list_with_unscheduled_listings(connection: Connection) -> list[int]:
    """Ids of active destinations that have a listing which is not scheduled."""
    rows = connection.execute(
        """SELECT id FROM destination d WHERE status = 'active'
            AND EXISTS (SELECT FROM listing WHERE destination_id = d.id AND next_at IS NULL)"""
    ).fetchall()
    return [number for (number,) in rows]


def list_due_listings(connection: Connection, now: datetime) -> list[tuple[int, ListingKind]]:
    """Listings that are due, of active destinations whose circuit is closed."""
    rows = connection.execute(
        """SELECT d.id, l.kind FROM destination d JOIN listing l ON l.destination_id = d.id
        WHERE d.status = 'active' AND (d.retry_at IS NULL OR d.retry_at <= %(now)s)
            AND (l.next_at <= %(now)s OR (l.kind = 'read' AND EXISTS (
                SELECT FROM sync_state s
                WHERE s.destination_id = d.id AND s.verify_at <= %(now)s)))""",
        {"now": now},
    )
    return [(row[0], ListingKind(row[1])) for row in rows]


def claim_listing(
    connection: Connection,
    destination: int,
    kind: ListingKind,
    lease: UUID,
    *,
    now: datetime,
    until: datetime,
) -> ListingLease | None:
    """Claim a listing for the lease; None if it is not due."""
    row = connection.execute(
        """UPDATE listing SET lease = %s, next_at = %s, started_at = COALESCE(started_at, %s)
        WHERE destination_id = %s AND kind = %s AND next_at <= %s
        RETURNING cursor, started_at, failures, finished_at IS NULL""",
        (lease, until, now, destination, kind, now),
    ).fetchone()
    return ListingLease(*row) if row else None


def advance(
    connection: Connection,
    destination: int,
    kind: ListingKind,
    lease: UUID,
    *,
    cursor: str | None,
    rows: int,
    until: datetime,
) -> None:
    """Advance the cursor after a page of `rows`, and extend the lease to `until`.

    Raises ListingLeaseLost, which must roll the transaction back.
    """
    kept = connection.execute(
        """UPDATE listing SET cursor = %s, next_at = %s, failures = 0, reason = '',
            row_count = row_count + %s WHERE destination_id = %s AND kind = %s AND lease = %s""",
        (cursor, until, rows, destination, kind, lease),
    ).rowcount
    if not kept:
        raise ListingLeaseLost


def release(
    connection: Connection, destination: int, kind: ListingKind, lease: UUID, at: datetime
) -> None:
    """Release the listing unchanged; it is due again at `at`."""
    connection.execute(
        """UPDATE listing SET lease = NULL, next_at = %s
        WHERE destination_id = %s AND kind = %s AND lease = %s""",
        (at, destination, kind, lease),
    )


def finish_pass(
    connection: Connection,
    destination: int,
    kind: ListingKind,
    lease: UUID,
    *,
    now: datetime,
    next_at: datetime,
) -> None:
    """Finish the pass: the next one begins at `next_at`, from the stored cursor.

    The first finished pull lets the backfill begin.
    """
    connection.execute(
        """WITH finished AS (
            UPDATE listing SET lease = NULL, next_at = %s, finished_at = %s, started_at = NULL,
                failures = 0, reason = ''
            WHERE destination_id = %s AND kind = %s AND lease = %s RETURNING *
        )
        UPDATE destination d SET pulled_at = finished_at FROM finished
        WHERE d.id = destination_id AND finished.kind = 'pull' AND pulled_at IS NULL""",
        (next_at, now, destination, kind, lease),
    )


def record_failure(
    connection: Connection,
    destination: int,
    kind: ListingKind,
    lease: UUID,
    *,
    reason: str,
    next_at: datetime,
    restart: bool = False,
) -> None:
    """Reading failed: retry at `next_at`, from the beginning if `restart`."""
    connection.execute(
        """UPDATE listing SET lease = NULL, next_at = %s, failures = LEAST(failures + 1, 20),
            reason = %s, cursor = CASE WHEN %s THEN NULL ELSE cursor END
        WHERE destination_id = %s AND kind = %s AND lease = %s""",
        (next_at, reason[:500], restart, destination, kind, lease),
    )


def list_progress(connection: Connection, destination: int) -> list[ListingProgress]:
    """The progress of each listing that is read at all."""
    rows = connection.execute(
        """SELECT kind, started_at, finished_at, next_at, row_count,
            started_at IS NOT NULL AND (row_count > 0 OR lease IS NOT NULL), reason
        FROM listing WHERE destination_id = %s AND next_at IS NOT NULL ORDER BY kind""",
        (destination,),
    )
    return [ListingProgress(ListingKind(row[0]), *row[1:]) for row in rows]


def add_stats(connection: Connection, destination: int, stats: VerificationStats) -> None:
    """Add to the destination's counts."""
    counts = {name: count for name, count in asdict(stats).items() if count}
    if not counts:
        return
    names = list(counts)
    connection.execute(
        f"""INSERT INTO verification AS v (destination_id, {", ".join(names)})
        VALUES (%s, {", ".join(["%s"] * len(names))})
        ON CONFLICT (destination_id) DO UPDATE SET
            {", ".join(f"{name} = v.{name} + EXCLUDED.{name}" for name in names)}""",  # noqa: S608 - the fields of VerificationStats
        (destination, *counts.values()),
    )


def load_stats(connection: Connection, destination: int) -> VerificationStats:
    """The destination's counts so far."""
    names = ", ".join(field.name for field in fields(VerificationStats))
    row = connection.execute(
        f"SELECT {names} FROM verification WHERE destination_id = %s",  # noqa: S608 - the fields of VerificationStats
        (destination,),
    ).fetchone()
    return VerificationStats(*row) if row else VerificationStats()
