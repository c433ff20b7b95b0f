"""Reading tools: how far each listing was read, and what was found about whom.

A listing is claimed like a row of `syncs`: `next_at` is the queue, then the lease's end.
Its cursor moves in the transaction that records what the page said, and only for the
worker that still holds the lease; so a page is never lost, and read again does no harm.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from preference_center.domain.sync.verification_stats import VerificationStats
from preference_center.storage.db.database import Connection


class ListingKind(StrEnum):
    """What is read of a destination."""

    PULL = "pull"
    """Its own opt-outs."""
    SCAN = "scan"
    """Its contacts."""
    SWEEP = "sweep"
    """All its contacts anew, where a scan shows only those that change."""
    READ = "read"
    """What we pushed: read back, sampled, looked for again."""


FIRST_SWEEP_DELAY = timedelta(days=1)
"""When the first sweep begins: a scan's first pass shows all there is as well."""


class ListingLeaseLost(Exception):
    """Another worker has the listing: this one's lease is over, nothing is to be kept."""


@dataclass(frozen=True, slots=True)
class ListingLease:
    """A listing that this worker holds until its lease ends."""

    cursor: str | None
    started_at: datetime | None
    failures: int
    is_first_pass: bool
    """Whether no pass was ever finished."""


@dataclass(frozen=True, slots=True)
class ListingProgress:
    """How far one listing is, for people who look."""

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
    """Have these listings read from `now` on, and the others never; safe to repeat."""
    connection.execute(
        """INSERT INTO listing (destination_id, kind, next_at)
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
    """Have all listings of the destination begun again: `not_begun` names it then."""
    connection.execute("DELETE FROM listing WHERE destination_id = %s", (destination,))


def list_without_listings(connection: Connection) -> list[int]:
    """Ids of active destinations of whose listings one was never begun."""
    rows = connection.execute(
        """SELECT id FROM destination d WHERE status = 'active'
            AND (SELECT count(*) FROM listing WHERE destination_id = d.id) < %s""",
        (len(ListingKind),),
    ).fetchall()
    return [number for (number,) in rows]


def list_due_listings(connection: Connection, now: datetime) -> list[tuple[int, ListingKind]]:
    """What is to be read now, of destinations that may be knocked at."""
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
    """Take a listing that is due for the lease, or None."""
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
    """One page of `rows` is done: go on from `cursor`, with the lease to `until`.

    Raises Overtaken, which is to take the transaction back.
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
    """Give the listing back as it is; go on at `at`."""
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
    """The pass is done: the next begins at `next_at`, from the cursor that is stored.

    The first whole pull lets the back-fill begin.
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
    """The tool would not be read: try again at `next_at`, `anew` from the beginning."""
    connection.execute(
        """UPDATE listing SET lease = NULL, next_at = %s, failures = LEAST(failures + 1, 20),
            reason = %s, cursor = CASE WHEN %s THEN NULL ELSE cursor END
        WHERE destination_id = %s AND kind = %s AND lease = %s""",
        (next_at, reason[:500], restart, destination, kind, lease),
    )


def list_progress(connection: Connection, destination: int) -> list[ListingProgress]:
    """How far each listing is that is ever read."""
    rows = connection.execute(
        """SELECT kind, started_at, finished_at, next_at, row_count,
            started_at IS NOT NULL AND (row_count > 0 OR lease IS NOT NULL), reason
        FROM listing WHERE destination_id = %s AND next_at IS NOT NULL ORDER BY kind""",
        (destination,),
    )
    return [ListingProgress(ListingKind(row[0]), *row[1:]) for row in rows]


def add_stats(connection: Connection, destination: int, stats: VerificationStats) -> None:
    """Count `tally` in."""
    counts = {name: count for name, count in asdict(stats).items() if count}
    if not counts:
        return
    names = list(counts)
    connection.execute(
        f"""INSERT INTO verification AS v (destination_id, {", ".join(names)})
        VALUES (%s, {", ".join(["%s"] * len(names))})
        ON CONFLICT (destination_id) DO UPDATE SET
            {", ".join(f"{name} = v.{name} + EXCLUDED.{name}" for name in names)}""",  # noqa: S608 - the fields of Tally
        (destination, *counts.values()),
    )


def load_stats(connection: Connection, destination: int) -> VerificationStats:
    """What reading the destination came to so far."""
    names = ", ".join(field.name for field in fields(VerificationStats))
    row = connection.execute(
        f"SELECT {names} FROM verification WHERE destination_id = %s",  # noqa: S608 - the fields of Tally
        (destination,),
    ).fetchone()
    return VerificationStats(*row) if row else VerificationStats()
