"""Sync states wait in the database, which is the queue: the column `next_at`, in two lanes.

A claim moves `next_at` to the end of the lease, so the rows of a worker that died become due
again; settling compares the lease token, so a late worker changes nothing.

`list_late` lists sync states with an opt-out that is at risk, past its target or overdue (I3).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from preference_center.core.deadlines import WINDOW, DeadlineStage, late_stages
from preference_center.core.events import EventKind
from preference_center.destinations.rules.states import (
    LANE_BEGINNING,
    LanePosition,
    Settlement,
    SyncClaim,
)
from preference_center.infra.db.transactions import Connection

_CLAIM = """
WITH live AS (
    SELECT address_id, next_at FROM sync_state
    WHERE destination_id = %(destination)s AND NOT bulk
        AND next_at BETWEEN %(live)s AND %(now)s
    ORDER BY next_at
    LIMIT %(limit)s::int - CASE WHEN %(bulk_share)s > 0 AND EXISTS (SELECT FROM sync_state
        WHERE destination_id = %(destination)s AND bulk
            AND next_at BETWEEN %(bulk)s AND %(now)s)
        THEN %(bulk_share)s::int ELSE 0 END
    FOR UPDATE SKIP LOCKED
), bulk AS (
    SELECT address_id, next_at FROM sync_state
    WHERE destination_id = %(destination)s AND bulk
        AND next_at BETWEEN %(bulk)s AND %(now)s
    ORDER BY next_at
    LIMIT CASE WHEN %(include_bulk)s THEN %(limit)s::int - (SELECT count(*) FROM live) ELSE 0 END
    FOR UPDATE SKIP LOCKED
)
UPDATE sync_state s SET lease = %(lease)s, next_at = %(until)s
WHERE s.destination_id = %(destination)s AND s.address_id = ANY(ARRAY(
    SELECT address_id FROM live UNION ALL SELECT address_id FROM bulk))
RETURNING s.address_id, s.wanted_version, s.reflected_version, s.due_at, s.attempts,
    s.turned_off, s.lift_until, (SELECT max(next_at) FROM live), (SELECT max(next_at) FROM bulk)
"""
"""An array is evaluated once. A join would evaluate both lanes again for each row that an opt-out
updated meanwhile, and claim more rows than the limit.
"""


_SETTLE = """
WITH given AS (
    SELECT * FROM unnest(%(addresses)b::bigint[], %(versions)b::bigint[],
        %(previous_versions)b::bigint[], %(outcomes)b::text[], %(acks)b::text[],
        %(is_done)b::boolean[], %(is_final)b::boolean[], %(next)b::timestamptz[],
        %(turned_on)b::text[], %(verify)b::interval[]) AS n (address_id, version,
        previous_version, outcome, ack, is_done, is_final, next_at, turned_on, verify_after)
    ORDER BY address_id
), pushed AS (
    SELECT *, nextval('delivery_id_seq') AS id FROM given
    WHERE outcome <> 'not_pushed' AND NOT (outcome = 'refused' AND EXISTS (
        SELECT FROM sync_state s JOIN delivery d USING (destination_id, address_id)
        WHERE s.destination_id = %(destination)s AND s.address_id = given.address_id
            AND s.outcome = 'refused' AND d.outcome = 'refused' AND d.version = given.version))
), delivered AS (
    INSERT INTO delivery (id, destination_id, address_id, version, outcome, note, at)
        OVERRIDING SYSTEM VALUE
    SELECT id, %(destination)s, address_id, version, outcome, '', %(now)s FROM pushed
), superseded AS (
    INSERT INTO delivery (destination_id, address_id, version, outcome, note, at)
    SELECT d.id, e.address_id, e.seq, 'superseded', 'by ' || given.version, %(now)s
    FROM given JOIN destination d ON d.id = %(destination)s
    JOIN event e ON e.address_id = given.address_id AND e.recorded_at >= d.created_at
        AND e.seq > given.previous_version AND e.seq < given.version
    WHERE given.is_done
), acknowledged AS (
    INSERT INTO delivery_ack (delivery_id, ack)
    SELECT pushed.id, ack FROM pushed JOIN address a ON a.id = address_id
    WHERE ack <> '' AND a.erased_at IS NULL
)
UPDATE sync_state s SET
    reflected_version = CASE WHEN given.is_final AND given.is_done
        THEN GREATEST(s.reflected_version, given.version) ELSE s.reflected_version END,
    turned_off = ARRAY(SELECT unnest(s.turned_off)
        EXCEPT SELECT jsonb_array_elements_text(given.turned_on::jsonb)),
    due_at = CASE WHEN given.is_final AND given.is_done AND s.wanted_version <= given.version
        THEN NULL ELSE s.due_at END,
    next_at = CASE
        WHEN s.wanted_version > given.version THEN %(now)s
        WHEN NOT given.is_done THEN given.next_at
        WHEN NOT given.is_final THEN s.lift_until
        ELSE given.next_at END,
    attempts = CASE WHEN given.is_done THEN 0 ELSE s.attempts + 1 END,
    lift_until = CASE WHEN given.is_final AND given.is_done THEN NULL ELSE s.lift_until END,
    lease = NULL,
    bulk = s.bulk OR (given.outcome = 'refused' AND s.wanted_version <= given.version),
    outcome = given.outcome,
    checks = CASE WHEN given.is_done AND given.outcome = 'absent' THEN LEAST(s.checks + 1, 5)
        WHEN s.outcome = 'absent' THEN 0 ELSE s.checks END,
    verify_at = CASE WHEN NOT given.is_done OR given.outcome = 'not_pushed' THEN s.verify_at
        ELSE %(now)s + given.verify_after * (1 << CASE WHEN given.outcome = 'absent' THEN s.checks
            WHEN s.outcome = 'absent' THEN 0 ELSE 2 * s.checks END) END
FROM given
WHERE s.destination_id = %(destination)s AND s.address_id = given.address_id
    AND s.lease = %(lease)s
RETURNING s.address_id, s.due_at IS NULL
"""
"""The outcome of every row is recorded, also of one that another worker holds by now, but not a
repeated refusal. A refused row moves to the bulk lane, so that no click waits behind such rows.

What a tool answers about an erased person, which may be its id of them, is not kept: the worker
may have asked before the erasure, and be back after its end.

What the push turned off was recorded before it was sent (`record_pending_opt_outs`), and topics
that the tool reported as off meanwhile stay in `turned_off`: only what was lifted is removed.

A check that is scheduled stays so until a push has changed the tool: it may be to find out whether
an "off" that the tool reported is the person's (I13).

`checks` counts absences as long as the contact is absent, and drift otherwise: a contact that has
appeared is read back as soon as any other.
"""


_KINDS_WITH_DEADLINE = [
    kind.value for kind in EventKind if kind.suppresses or kind is EventKind.PAUSED
]


_REQUEUE = """
UPDATE sync_state s SET
    reflected_version = 0,
    turned_off = ARRAY(SELECT unnest(s.turned_off)
        UNION SELECT jsonb_array_elements_text(given.turned_off::jsonb)),
    due_at = COALESCE(s.due_at, LEAST(%(leased)s::timestamptz, (SELECT min(received_at)
        FROM (SELECT * FROM event WHERE address_id = s.address_id OFFSET 0) AS event
        WHERE recorded_at >= %(leased)s AND kind = ANY(%(kinds)s))) + %(window)s),
    next_at = CASE WHEN s.lease IS NULL THEN %(now)s ELSE s.next_at END,
    wanted_version = GREATEST(s.wanted_version, given.version)
FROM unnest(%(addresses)b::bigint[], %(versions)b::bigint[], %(turned_off)b::text[])
    AS given (address_id, version, turned_off)
WHERE s.destination_id = %(destination)s AND s.address_id = given.address_id
"""
"""`OFFSET 0` has only the events of the address read, as in `ledger.sql`."""


_PURGE_REMOVED = """
WITH RECURSIVE known (id) AS (
    SELECT min(destination_id) FROM sync_state
    UNION ALL
    SELECT (SELECT min(destination_id) FROM sync_state WHERE destination_id > known.id)
    FROM known WHERE known.id IS NOT NULL
), removed AS (
    SELECT id FROM known
    WHERE id IS NOT NULL AND NOT EXISTS (SELECT FROM destination d WHERE d.id = known.id) LIMIT 1
)
DELETE FROM sync_state WHERE ctid = ANY (ARRAY(
    SELECT s.ctid FROM removed JOIN sync_state s ON s.destination_id = removed.id LIMIT %(limit)s))
"""
"""The ids are found by jumping through the primary key, from one to the next. A row that changes
meanwhile is deleted the next time."""


COMMIT_MARGIN = timedelta(seconds=10)
"""How far back a row may become due: the time its writer took to commit, and clock skew."""


@dataclass(frozen=True, slots=True)
class DueCounts:
    """Due rows of one destination per lane, each counted to MAX_COUNTED."""

    destination_id: int
    live: int
    bulk: int
    is_slow: bool
    """Whether it counts as slow (see `destinations.rules.plan`)."""


def purge_removed(connection: Connection, limit: int) -> int:
    """Delete up to `limit` rows of destinations that were removed; returns how many."""
    return connection.execute(_PURGE_REMOVED, {"limit": limit}).rowcount


MAX_COUNTED = 2_500
"""Due rows of a lane that are counted at each tick: more would get no more jobs."""


def list_due(
    connection: Connection, now: datetime, scan_kinds: Collection[str] = ()
) -> list[DueCounts]:
    """Active destinations whose circuit is closed and that have due rows.

    Bulk rows of destinations of `scan_kinds` are not counted: see `list_states`. Of each lane at
    most MAX_COUNTED are.
    """
    rows = connection.execute(
        """SELECT d.id, live.count, bulk.count, COALESCE(d.slow_until > %(now)s, false)
        FROM destination d
        CROSS JOIN LATERAL (SELECT count(*) FROM (SELECT FROM sync_state s
            WHERE s.destination_id = d.id AND NOT s.bulk AND s.next_at <= %(now)s
            LIMIT %(limit)s) AS due) AS live
        CROSS JOIN LATERAL (SELECT count(*) FROM (SELECT FROM sync_state s
            WHERE s.destination_id = d.id AND s.bulk AND d.pulled_at IS NOT NULL
                AND d.kind <> ALL(%(by_scan)s) AND s.next_at <= %(now)s
            LIMIT %(limit)s) AS due) AS bulk
        WHERE d.status = 'active' AND (d.retry_at IS NULL OR d.retry_at <= %(now)s)
            AND live.count + bulk.count > 0
        ORDER BY d.id""",
        {"now": now, "by_scan": list(scan_kinds), "limit": MAX_COUNTED},
    )
    return [DueCounts(*row) for row in rows]


def count_due_by_destination(connection: Connection, now: datetime) -> dict[int, int]:
    """The destinations of `list_due`, and how many rows are due at each."""
    return {each.destination_id: each.live + each.bulk for each in list_due(connection, now)}


def claim_rows(
    connection: Connection,
    destination: int,
    lease: UUID,
    *,
    now: datetime,
    until: datetime,
    limit: int,
    bulk_share: int | None = 0,
    since: LanePosition = LANE_BEGINNING,
) -> list[SyncClaim]:
    """Claim up to `limit` due rows for the lease `lease`, which ends at `until`.

    Rows of the bulk lane (lists and backfills) come after the live ones, however long they have
    waited, but `bulk_share` rows of this claim are reserved for them: see
    `destinations.rules.plan`. With None no bulk rows are claimed.

    Rows that became due before `since` are not claimed. Starting there avoids reading the dead
    index entries of earlier claims, which stay while any snapshot is older than the claim (for
    example during a dump). A caller that continues from `SyncClaim.reached` must finish with a
    claim from LANE_BEGINNING: rows that another transaction had locked may have been skipped.
    """
    given = {"destination": destination, "lease": lease, "now": now, "until": until}
    given |= {"limit": limit, "live": since.live, "bulk": since.bulk}
    given |= {"include_bulk": bulk_share is not None, "bulk_share": bulk_share or 0}
    rows = connection.execute(_CLAIM, given, binary=True).fetchall()
    if not rows:
        return []
    *_, live, bulk = rows[0]
    committed = now - COMMIT_MARGIN
    reached = LanePosition(min(live or since.live, committed), min(bulk or since.bulk, committed))
    return [SyncClaim(*(*row[:-2], reached)) for row in rows]


def record_pending_opt_outs(
    connection: Connection, destination: int, lease: UUID, topics: Mapping[int, frozenset[str]]
) -> None:
    """Record the topics that this push may turn off, before it is sent.

    Without this, a push whose response is lost could never be lifted, and would look like an
    opt-out made in the tool.
    """
    connection.execute(
        """UPDATE sync_state s SET turned_off = ARRAY(SELECT unnest(s.turned_off)
            UNION SELECT jsonb_array_elements_text(given.turned_off::jsonb))
        FROM unnest(%s::bigint[], %s::text[]) AS given (address_id, turned_off)
        WHERE s.destination_id = %s AND s.lease = %s AND s.address_id = given.address_id""",
        (list(topics), [_json_list(off) for off in topics.values()], destination, lease),
    )


def record_pending_lifts(
    connection: Connection, destination: int, lease: UUID, ids: Collection[int], until: datetime
) -> None:
    """Record, before it is sent, that a request that turns topics on may act until `until`."""
    connection.execute(
        """UPDATE sync_state SET lift_until = GREATEST(lift_until, %s)
        WHERE destination_id = %s AND lease = %s AND address_id = ANY(%s)""",
        (until, destination, lease, list(ids)),
    )


def settle_rows(
    connection: Connection,
    destination: int,
    lease: UUID,
    settlements: Sequence[Settlement],
    *,
    now: datetime,
) -> dict[int, bool]:
    """Record outcomes; returns the addresses whose rows this lease still held.

    Each with whether nothing is due for it any more. Every outcome becomes a delivery, except
    NOT_PUSHED and a repeated refusal; so does every superseded event.
    """
    columns = {
        "destination": destination,
        "lease": lease,
        "now": now,
        "addresses": [row.address_id for row in settlements],
        "versions": [row.version for row in settlements],
        "previous_versions": [row.previous_version for row in settlements],
        "outcomes": [row.outcome for row in settlements],
        "acks": [row.ack[:200] for row in settlements],
        "is_done": [row.is_done for row in settlements],
        "is_final": [row.is_final for row in settlements],
        "next": [row.next_at for row in settlements],
        "turned_on": [_json_list(row.turned_on) for row in settlements],
        "verify": [row.verify_after for row in settlements],
    }
    return dict(connection.execute(_SETTLE, columns).fetchall())


def _json_list(topics: frozenset[str]) -> str:
    return '["' + '","'.join(sorted(topics)) + '"]' if topics else "[]"


def release_rows(connection: Connection, destination: int, lease: UUID, now: datetime) -> set[int]:
    """Release claimed rows unchanged: the destination failed, not they (I3). Returns their ids."""
    rows = connection.execute(
        """UPDATE sync_state SET lease = NULL, next_at = %s
        WHERE destination_id = %s AND lease = %s RETURNING address_id""",
        (now, destination, lease),
    )
    return {row[0] for row in rows}


def defer_rows(
    connection: Connection,
    destination: int,
    lease: UUID,
    claims: Sequence[SyncClaim],
    now: datetime,
) -> None:
    """Release rows of which nothing was sent: they are due at once, and as they were claimed."""
    connection.execute(
        """UPDATE sync_state s SET lease = NULL, next_at = %s, lift_until = given.lift_until
        FROM unnest(%s::bigint[], %s::timestamptz[]) AS given (address_id, lift_until)
        WHERE s.destination_id = %s AND s.lease = %s AND s.address_id = given.address_id""",
        (
            now,
            [claim.address_id for claim in claims],
            [claim.lift_until for claim in claims],
            destination,
            lease,
        ),
    )


def requeue_stale(
    connection: Connection,
    destination: int,
    stale: Sequence[Settlement],
    now: datetime,
    *,
    leased_at: datetime,
) -> None:
    """Push these rows again: a worker that had lost its lease may have changed the tool.

    What it turned off is added to `turned_off`, so that it can be lifted. A row that another
    worker holds becomes due at the end of that lease. An opt-out that it undid keeps its deadline:
    it was recorded since `leased_at`, when that worker's lease began (I3).
    """
    connection.execute(
        _REQUEUE,
        {
            "destination": destination,
            "now": now,
            "window": WINDOW,
            "leased": leased_at,
            "kinds": _KINDS_WITH_DEADLINE,
            "addresses": [row.address_id for row in stale],
            "versions": [row.version for row in stale],
            "turned_off": [_json_list(row.turned_off) for row in stale],
        },
    )


@dataclass(frozen=True, slots=True)
class LateRows:
    """Rows of one destination in one stage beyond `on_time`, and the earliest of them.

    `count` stops at MAX_LATE_PER_STAGE, or sooner (see `list_late`); `at_least` is set then.
    """

    destination: str
    stage: DeadlineStage
    count: int
    due_at: datetime
    at_least: bool
    """Whether there may be more than `count`."""
    refused: int
    """Those among them that the tool refused when they were pushed last."""


MAX_LATE_PER_STAGE = 1_000
"""Late rows of one stage are counted up to here, so that the cost of the query has a limit."""


MAX_LATE_IN_ALL = 10_000
"""Late rows of all destinations together, which share this limit equally ..."""


MIN_LATE_PER_STAGE = 100
"""... but up to this many are counted for each."""


def list_late(connection: Connection, now: datetime) -> list[LateRows]:
    """Pending opt-outs that are at risk or worse, counted per destination and stage.

    The most urgent first. Reads by index at most MAX_LATE_PER_STAGE rows of a destination and
    stage, and fewer if there are so many destinations that each one's share of MAX_LATE_IN_ALL
    is less.
    """
    stages = late_stages(now)
    rows = connection.execute(
        """WITH row_limit AS MATERIALIZED (
            SELECT GREATEST(%s, LEAST(%s, %s / GREATEST(count(*), 1))) AS max_rows FROM destination)
        SELECT d.name, stages.stage, found.count, found.earliest,
            found.count >= (SELECT max_rows FROM row_limit), found.refused
        FROM destination d
        CROSS JOIN unnest(%s::text[], %s::timestamptz[], %s::timestamptz[])
            AS stages (stage, after, upto)
        CROSS JOIN LATERAL (
            SELECT count(*) AS count, min(first.due_at) AS earliest,
                count(*) FILTER (WHERE first.outcome = 'refused') AS refused
            FROM (SELECT s.due_at, s.outcome FROM sync_state s
                WHERE s.destination_id = d.id AND s.due_at <= stages.upto
                    AND s.due_at > COALESCE(stages.after, '-infinity')
                ORDER BY s.due_at LIMIT (SELECT max_rows FROM row_limit)) AS first) AS found
        WHERE found.count > 0 ORDER BY found.earliest, d.name""",
        (
            min(MAX_LATE_PER_STAGE, MIN_LATE_PER_STAGE),
            MAX_LATE_PER_STAGE,
            MAX_LATE_IN_ALL,
            [name for name, _, _ in stages],
            [after for _, after, _ in stages],
            [upto for _, _, upto in stages],
        ),
    )
    return [LateRows(name, DeadlineStage(stage), *counts) for name, stage, *counts in rows]
