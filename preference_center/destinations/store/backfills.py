"""A backfill creates a destination's initial sync states: one for every current suppression.

There is no gap between the backfill and concurrent writers. Addresses are processed in order of
their ids, some hundreds in each transaction, and the progress is stored. So no click waits for
long, and after an interruption another process continues: the scheduler enqueues it
(`workers.jobs.backfill`).

Where a tool is read as a whole (decision 49), reading all contacts of the tool settles bulk sync
states. They wait in the bulk lane, from which no push claims rows at such a destination. The rows
of contacts on a page that was read are claimed by their ids, and leave the lane if something must
be pushed. So the rows that are left when the pass ends belong to contacts that the tool does not
have.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from preference_center.core.deadlines import WINDOW
from preference_center.core.events import ALL_MARKETING, EVERYTHING, RESTRICTION, UNDELIVERABLE
from preference_center.destinations.rules.states import LANE_BEGINNING, SyncClaim
from preference_center.infra.context import services
from preference_center.infra.db.transactions import (
    Connection,
    await_writers,
    current_limits,
    override_limits,
    run_in_transaction,
)
from preference_center.ledger.store.lookup import KINDS_MAY_MATCH

WIDE_SCOPES = [ALL_MARKETING, EVERYTHING, UNDELIVERABLE, RESTRICTION]


@dataclass(frozen=True, slots=True)
class Backfill:
    """Addresses are processed by id up to `until_id`; the last one was `last_address_id`.

    `until_id` is None before the backfill starts. `rows_created` sync states were created so far.
    """

    last_address_id: int
    until_id: int | None
    rows_created: int
    finished: bool

    @property
    def progress(self) -> float:
        """The share that is done, from 0 to 1."""
        if self.finished:
            return 1.0
        return self.last_address_id / self.until_id if self.until_id else 0.0


_COLUMNS = "b.last_address_id, b.until_id, b.rows_created, b.finished_at IS NOT NULL"


_STEP = f"""
WITH forms AS MATERIALIZED (
    SELECT id, channel, ciphertext IS NOT NULL AS readable FROM address
    WHERE id > %(after)s AND id <= %(until)s ORDER BY id LIMIT %(size)s
), created AS (
    INSERT INTO sync_state (destination_id, address_id, wanted_version, due_at, next_at, bulk)
    SELECT d.id, forms.id, max(e.seq), %(started)s + %(window)s, %(now)s, true
    FROM destination d
    JOIN forms ON forms.readable AND forms.channel = ANY(d.channels)
    JOIN address_key b ON b.address_id = forms.id
    JOIN address_key a ON a.digest = b.digest AND a.channel = b.channel AND {KINDS_MAY_MATCH} <> 0
    JOIN suppression s ON s.address_id = a.address_id
        AND (s.scope = ANY(d.sends) OR s.scope = ANY(%(wide)s))
    JOIN event e ON e.id IN (s.out_event, s.pause_event, s.frequency_event)
    WHERE d.id = %(destination)s AND (s.active OR s.pause_until > %(now)s
        OR s.frequency_at IS NOT NULL
        OR (s.out_at IS NOT NULL AND forms.id <> s.address_id))
    GROUP BY d.id, forms.id ORDER BY forms.id
    ON CONFLICT DO NOTHING RETURNING address_id
)
SELECT (SELECT max(id) FROM forms), (SELECT count(*) FROM created)
"""  # noqa: S608 - a constant
"""A lift is for its exact form only, so what was lifted is still active for other forms (I9).

Rows are inserted in the order in which opt-outs insert them, to avoid deadlocks.
"""


_PREVIEW = f"""
WITH newest AS MATERIALIZED (
    SELECT id, channel, ciphertext IS NOT NULL AS readable FROM address
    ORDER BY id DESC LIMIT %(limit)s
), found AS (
    SELECT newest.id, s.scope FROM newest
    JOIN address_key b ON b.address_id = newest.id
    JOIN address_key a ON a.digest = b.digest AND a.channel = b.channel AND {KINDS_MAY_MATCH} <> 0
    JOIN suppression s ON s.address_id = a.address_id
        AND (s.scope = ANY(%(sends)s) OR s.scope = ANY(%(wide)s))
    WHERE newest.readable AND newest.channel = ANY(%(channels)s)
        AND (s.active OR s.pause_until > %(now)s
            OR (s.out_at IS NOT NULL AND newest.id <> s.address_id))
)
SELECT scope, count(DISTINCT id), (SELECT count(*) FROM newest) FROM found
GROUP BY GROUPING SETS ((scope), ()) ORDER BY 2 DESC
"""  # noqa: S608 - a constant
"""The same conditions as those of a step, but for frequencies: they stop nothing."""


def start_backfill(connection: Connection, destination: int, now: datetime) -> None:
    """Create the destination's backfill, unless it has one.

    To be called in the transaction that adds the destination, so that both or neither exist.
    """
    connection.execute(
        """INSERT INTO backfill (destination_id, started_at) VALUES (%s, %s)
        ON CONFLICT DO NOTHING""",
        (destination, now),
    )


def restart_backfill(connection: Connection, destination: int, now: datetime) -> None:
    """Create the destination's backfill again, as for a new destination."""
    connection.execute("DELETE FROM backfill WHERE destination_id = %s", (destination,))
    start_backfill(connection, destination, now)


def set_until_id(connection: Connection, destination: int) -> None:
    """Set the end to the newest address of now, unless it is set."""
    connection.execute(
        """UPDATE backfill SET until_id = (SELECT COALESCE(max(id), 0) FROM address)
        WHERE destination_id = %s AND until_id IS NULL""",
        (destination,),
    )


def run_backfill_step(
    connection: Connection, destination: int, batch_size: int, now: datetime
) -> Backfill:
    """Process the next `batch_size` addresses. Several processes take turns."""
    row = connection.execute(
        """SELECT last_address_id, until_id, started_at FROM backfill
        WHERE destination_id = %s AND finished_at IS NULL AND until_id IS NOT NULL FOR UPDATE""",
        (destination,),
    ).fetchone()
    if row is None:
        return load_backfill(connection, destination)
    after, until, started = row
    given = {"destination": destination, "after": after, "until": until, "size": batch_size}
    given |= {"now": now, "started": started, "window": WINDOW, "wide": WIDE_SCOPES}
    done = connection.execute(_STEP, given).fetchone()
    assert done  # the statement ends in a SELECT without FROM
    last, created = done
    end = last is None or last >= until
    connection.execute(
        """UPDATE backfill SET last_address_id = %s, rows_created = rows_created + %s,
            finished_at = %s
        WHERE destination_id = %s""",
        (until if end else last, created, now if end else None, destination),
    )
    return load_backfill(connection, destination)


def load_backfill(connection: Connection, destination: int) -> Backfill:
    """The destination's backfill; a finished one if it never had any."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM backfill b WHERE destination_id = %s",  # noqa: S608 - a constant
        (destination,),
    ).fetchone()
    return Backfill(*row) if row else Backfill(0, 0, 0, finished=True)


MAX_PREVIEWED = 10_000
"""How many addresses a preview reads: as many as a person who looks at a page waits for."""


@dataclass(frozen=True, slots=True)
class BackfillPreview:
    """What a back-fill would push about the newest addresses.

    `by_scope` counts addresses by what they opted out of or paused; one may be in several.
    """

    examined: int
    is_complete: bool
    """Whether these are all addresses."""
    addresses: int
    by_scope: Mapping[str, int]


def preview_backfill(
    connection: Connection,
    channels: Collection[str],
    sends: Collection[str],
    now: datetime,
    *,
    limit: int,
) -> BackfillPreview:
    """What the back-fill of a destination like this would push; reads the newest `limit`."""
    rows = connection.execute(
        _PREVIEW,
        {
            "limit": limit,
            "channels": list(channels),
            "sends": list(sends),
            "wide": WIDE_SCOPES,
            "now": now,
        },
    ).fetchall()
    examined, total = rows[0][2], next(count for scope, count, _ in rows if scope is None)
    by_scope = {scope: count for scope, count, _ in rows if scope is not None}
    return BackfillPreview(examined, examined < limit, total, by_scope)


def list_unfinished(connection: Connection) -> Mapping[int, Backfill]:
    """Backfills that are not finished, by the id of the destination."""
    rows = connection.execute(
        f"SELECT b.destination_id, {_COLUMNS} FROM backfill b WHERE finished_at IS NULL"  # noqa: S608 - a constant
    )
    return {row[0]: Backfill(*row[1:]) for row in rows}


def run_whole_backfill(connection: Connection, destination: int, now: datetime) -> int:
    """Run all of it in this transaction; returns how many rows. Only if no other process writes."""
    start_backfill(connection, destination, now)
    set_until_id(connection, destination)
    found = load_backfill(connection, destination)
    while not found.finished:
        found = run_backfill_step(connection, destination, 10_000, now)
    return found.rows_created


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
        f"""{_UNSEEN_CTE} UPDATE sync_state s SET bulk = false, lease = NULL FROM unseen
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
                lease = NULL, due_at = NULL, next_at = NULL, attempts = 0, outcome = 'absent',
                verify_at = NULL
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
    WHERE destination_id = %(destination)s AND bulk AND next_at <= %(before)s
    ORDER BY next_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)"""
"""A row that is still leased is one of a worker that died: `next_at` was the end of its lease."""


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


_LOCK_TIMEOUT = 0.1
"""Seconds that it waits for a row; clicks wait for the rows that it has locked already."""


_INITIAL_SIZE, _MIN_SIZE, _MAX_SIZE = 200, 10, 2_000
"""Addresses per transaction."""


_GROW_BELOW, _SHRINK_ABOVE = 0.02, 0.05
"""Seconds. Shorter transactions are followed by larger ones, longer ones by smaller ones."""


def backfill(destination_id: int, progress: Callable[[Backfill], None] | None = None) -> int:
    """Create a sync state for every current suppression; returns how many were missing.

    To be called once the destination is committed. Writers that began before that do not see it,
    so this waits for them and then finds what they wrote; later writers create the rows
    themselves. Safe to repeat and to run concurrently; does nothing if it was finished.
    `progress` is called after each transaction. Raises Unavailable; what was done by then is
    kept.
    """
    now = services().now()
    run_in_transaction(lambda connection: start_backfill(connection, destination_id, now))
    before = run_in_transaction(lambda connection: load_backfill(connection, destination_id))
    found = continue_backfill(destination_id, lambda: False, progress)
    return found.rows_created - before.rows_created


def continue_backfill(
    destination_id: int,
    stop: Callable[[], bool],
    progress: Callable[[Backfill], None] | None = None,
) -> Backfill:
    """Continue the backfill until `stop()` is true; returns its progress."""
    found = run_in_transaction(lambda connection: load_backfill(connection, destination_id))
    if found.until_id is None:
        await_writers()
        run_in_transaction(lambda connection: set_until_id(connection, destination_id))
    size = _INITIAL_SIZE
    with override_limits(replace(current_limits(), lock=_LOCK_TIMEOUT)):
        while not (found.finished or stop()):
            started = time.monotonic()
            found = run_in_transaction(lambda c, size=size: _step(c, destination_id, size))  # type: ignore[misc]
            size = _next_size(size, time.monotonic() - started)
            if progress:
                progress(found)
    return found


def _step(connection: Connection, destination_id: int, size: int) -> Backfill:
    return run_backfill_step(connection, destination_id, size, services().now())


def _next_size(size: int, seconds: float) -> int:
    if seconds < _GROW_BELOW:
        return min(size * 2, _MAX_SIZE)
    return max(size // 2, _MIN_SIZE) if seconds > _SHRINK_ABOVE else size
