"""The progress of each destination's backfill, and its next step."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from preference_center.core.deadlines import WINDOW
from preference_center.core.events import ALL_MARKETING, EVERYTHING, RESTRICTION, UNDELIVERABLE
from preference_center.infra.db.transactions import Connection
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
