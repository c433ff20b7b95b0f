"""These functions store destinations: their settings (sealed), status and circuit.

They also say what is still to be pushed to each destination, for support; and which pushes are
under way, to which destinations, and since when.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from uuid import UUID

from psycopg.types.json import Jsonb

from preference_center.core.addresses import Channel
from preference_center.core.errors import DestinationError
from preference_center.core.events import SHARING
from preference_center.core.keys import Keys
from preference_center.destinations.rules.states import (
    Destination,
    DestinationStatus,
    PermanentCondition,
    Trouble,
    find_trouble,
    status_label,
)
from preference_center.infra.db.transactions import Connection, fetch_count
from preference_center.infra.keys.sealed_columns import destination_context

_COLUMNS = [column.name for column in fields(Destination)]


def insert_destination(  # noqa: PLR0913 - a row has that many columns
    connection: Connection,
    keys: Keys,
    *,
    name: str,
    kind: str,
    settings: Mapping[str, str],
    channels: frozenset[Channel],
    mapping: Mapping[str, str],
    sends: frozenset[str],
    sends_service: bool,
    can_lift: bool = True,
    wait_for_pull: bool = False,
    now: datetime,
) -> int:
    """Store a destination in *observe*; returns its id.

    With `wait_for_pull` its backfill waits until its own opt-outs were read.

    Raises DestinationError when the name is taken.
    """
    row = connection.execute(
        """INSERT INTO destination (name, kind, settings, channels, sends, mapping,
            sends_service, can_lift, status, created_at, pulled_at)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        ON CONFLICT (name) DO NOTHING RETURNING id""",
        (
            name,
            kind,
            keys.seal(json.dumps(dict(settings)), context=destination_context(name)),
            sorted(channels),
            sorted(sends),
            Jsonb(dict(mapping)),
            sends_service,
            can_lift,
            DestinationStatus.OBSERVE,
            now,
            None if wait_for_pull else now,
        ),
    ).fetchone()
    if row is None:
        raise DestinationError(f"There is a destination named {name} already; choose another.")
    return int(row[0])


def list_destinations(connection: Connection, keys: Keys) -> list[Destination]:
    """All destinations, by name."""
    return [*_select(connection, keys, "ORDER BY name")]


def list_names(connection: Connection) -> list[str]:
    """The names of all destinations, the oldest first."""
    return [row[0] for row in connection.execute("SELECT name FROM destination ORDER BY id")]


def list_kinds(connection: Connection) -> list[str]:
    """The kinds of integrations in use."""
    return [
        row[0] for row in connection.execute("SELECT DISTINCT kind FROM destination ORDER BY 1")
    ]


def list_sent_topics(connection: Connection) -> dict[str, frozenset[str]]:
    """The topics that each destination sends, by its name."""
    rows = connection.execute("SELECT name, sends FROM destination ORDER BY name")
    return {name: frozenset(sends) - {SHARING} for name, sends in rows}


def list_names_without_lifts(connection: Connection, topics: Collection[str]) -> list[str]:
    """The names of those that send any of `topics` and can't lift opt-outs (I10)."""
    rows = connection.execute(
        "SELECT name FROM destination WHERE NOT can_lift AND sends && %s ORDER BY name",
        (list(topics),),
    )
    return [row[0] for row in rows]


def find_by_id(connection: Connection, keys: Keys, destination_id: int) -> Destination | None:
    """One destination, or None."""
    return next(_select(connection, keys, "WHERE id = %s", destination_id), None)


def find_by_name(
    connection: Connection, keys: Keys, name: str, *, lock: bool = False
) -> Destination | None:
    """One destination, or None; `lock` keeps others from changing it in this transaction."""
    condition = f"WHERE name = %s{' FOR NO KEY UPDATE' if lock else ''}"
    return next(_select(connection, keys, condition, name), None)


def get_by_name(
    connection: Connection, keys: Keys, name: str, *, lock: bool = False
) -> Destination:
    """One destination. Raises DestinationError that names the existing ones."""
    found = find_by_name(connection, keys, name, lock=lock)
    if found is None:
        names = [other.name for other in list_destinations(connection, keys)]
        there = ", ".join(names) or "none yet: `flask destinations add`"
        raise DestinationError(f"No destination is named {name}. There are: {there}.")
    return found


def set_status(
    connection: Connection, destination_id: int, status: DestinationStatus, reason: str = ""
) -> None:
    """Pause or resume; a resumed destination starts with a closed circuit."""
    connection.execute(
        """UPDATE destination SET status = %s, reason = %s, failures = 0, retry_at = NULL
        WHERE id = %s""",
        (status, reason, destination_id),
    )


_ACCEPTED_COLUMNS = {
    PermanentCondition.ADDRESSES_REFUSED: "refused_accepted_at",
    PermanentCondition.TOOL_KNOWS_NOBODY: "absent_accepted_at",
}


def set_accepted(
    connection: Connection, destination_id: int, condition: PermanentCondition, at: datetime | None
) -> None:
    """Accept a condition of a destination from now on; None: no longer."""
    column = _ACCEPTED_COLUMNS[condition]
    connection.execute(
        f"UPDATE destination SET {column} = %s WHERE id = %s".encode(),  # noqa: S608 - a constant
        (at, destination_id),
    )


def load_accepted(
    connection: Connection, destination_id: int
) -> dict[PermanentCondition, datetime]:
    """Which conditions of it are accepted, and since when."""
    columns = ", ".join(_ACCEPTED_COLUMNS.values())
    row = connection.execute(
        f"SELECT {columns} FROM destination WHERE id = %s".encode(),  # noqa: S608 - constants
        (destination_id,),
    ).fetchone()
    return {each: at for each, at in zip(_ACCEPTED_COLUMNS, row or (), strict=False) if at}


def set_settings(
    connection: Connection, keys: Keys, name: str, settings: Mapping[str, str]
) -> None:
    """Replace a destination's settings, e.g. a secret; nothing if none has this name.

    It may be another account then, so that it may hold nobody is no longer accepted.
    """
    connection.execute(
        "UPDATE destination SET settings = %s, absent_accepted_at = NULL WHERE name = %s",
        (keys.seal(json.dumps(dict(settings)), context=destination_context(name)), name),
    )


def delete_destination(connection: Connection, destination_id: int) -> None:
    """Delete a destination and what was read from it. `purge_removed` deletes its sync states."""
    for table in (
        "backfill",
        "listing",
        "verification",
        "destination_sample",
        "unknown_event_type",
        "ignored_question",
    ):
        connection.execute(
            f"DELETE FROM {table} WHERE destination_id = %s",  # noqa: S608 - one of these names
            (destination_id,),
        )
    connection.execute("DELETE FROM destination WHERE id = %s", (destination_id,))


def set_capabilities(
    connection: Connection,
    destination_id: int,
    *,
    channels: frozenset[Channel],
    can_lift: bool,
    pulled_at: datetime | None,
) -> None:
    """Update what a destination can do after its settings were changed."""
    connection.execute(
        "UPDATE destination SET channels = %s, can_lift = %s, pulled_at = %s WHERE id = %s",
        (sorted(channels), can_lift, pulled_at, destination_id),
    )


def open_circuit(
    connection: Connection,
    destination_id: int,
    reason: str,
    retry_at: datetime,
    trouble: Trouble,
    now: datetime,
) -> None:
    """The tool failed as a whole: push nothing before `retry_at`.

    As many failures count as halve a batch of any size to one row (I3).
    """
    connection.execute(
        """UPDATE destination SET failures = LEAST(failures + 1, 30), reason = %s,
            trouble_since = CASE WHEN retry_at IS NOT NULL AND trouble = %s THEN trouble_since
                ELSE %s END,
            retry_at = %s, trouble = %s
        WHERE id = %s AND status = 'active'""",
        (reason[:500], trouble, now, retry_at, trouble, destination_id),
    )


def defer(
    connection: Connection, destination_id: int, reason: str, retry_at: datetime, now: datetime
) -> None:
    """The tool's rate limit is reached: push nothing before `retry_at`. Not a failure.

    One that is broken remains so, with its reason: nothing was sent that could have worked.
    """
    connection.execute(
        """UPDATE destination d SET retry_at = %(retry_at)s,
            reason = CASE WHEN broken THEN d.reason ELSE %(reason)s END,
            trouble = CASE WHEN broken THEN d.trouble ELSE %(slowed)s END,
            trouble_since = CASE WHEN d.retry_at IS NULL THEN %(now)s ELSE d.trouble_since END
        FROM (SELECT id, retry_at IS NOT NULL AND trouble IS DISTINCT FROM %(slowed)s AS broken
            FROM destination WHERE id = %(id)s FOR UPDATE) AS found
        WHERE d.id = found.id AND d.status = 'active'""",
        {
            "id": destination_id,
            "reason": reason[:500],
            "retry_at": retry_at,
            "slowed": Trouble.SLOWED,
            "now": now,
        },
    )


def mark_pulled(connection: Connection, destination_id: int, now: datetime) -> None:
    """Let the backfill start: the destination's own opt-outs were read."""
    connection.execute(
        "UPDATE destination SET pulled_at = COALESCE(pulled_at, %s) WHERE id = %s",
        (now, destination_id),
    )


def close_circuit(connection: Connection, destination_id: int, halvings: int) -> None:
    """The tool works again. Of up to `halvings` failures one is forgiven: batches grow in steps."""
    connection.execute(
        """UPDATE destination SET failures = GREATEST(LEAST(failures, %s) - 1, 0), reason = '',
            retry_at = NULL WHERE id = %s AND status = 'active'""",
        (halvings, destination_id),
    )


def _select(
    connection: Connection, keys: Keys, condition: str, *given: object
) -> Iterator[Destination]:
    query = f"SELECT {', '.join(_COLUMNS)} FROM destination {condition}"  # noqa: S608 - of this module
    for values in connection.execute(query.encode(), given):
        row = dict(zip(_COLUMNS, values, strict=True))
        row["settings"] = json.loads(
            keys.open(row["settings"], context=destination_context(row["name"]))
        )
        row["channels"] = frozenset(map(Channel, row["channels"]))
        row["sends"] = frozenset(row["sends"])
        row["status"] = DestinationStatus(row["status"])
        row["trouble"] = find_trouble(row["retry_at"], row["trouble"])
        yield Destination(**row)


@dataclass(frozen=True, slots=True)
class DestinationBacklog:
    """One destination and how many addresses wait for it.

    `due_at` is the earliest deadline among them. `retry_at` is set while its circuit is
    open, for `reason` and in `trouble`. `drifted_count` of them had been confirmed there and were
    found missing, which has happened `drift_total` times in all; `refused_count` the tool refused.
    """

    destination: str
    status: DestinationStatus
    reason: str
    retry_at: datetime | None
    trouble: Trouble | None
    pending_count: int
    due_at: datetime | None
    drifted_count: int
    refused_count: int
    drift_total: int
    drift_repeated_at: datetime | None
    """When it last lost an opt-out that it had lost before."""

    @property
    def status_label(self) -> str:
        """See `destinations.rules.states.status_label`."""
        return status_label(self.status, self.trouble)


def load_backlogs(connection: Connection) -> dict[str, DestinationBacklog]:
    """All destinations by name, also those without pending rows."""
    rows = connection.execute(
        """SELECT d.name, d.status, d.reason, d.retry_at, d.trouble, count(s.due_at), min(s.due_at),
            count(s.due_at) FILTER (WHERE s.outcome = 'drift'),
            count(s.due_at) FILTER (WHERE s.outcome = 'refused'),
            COALESCE((SELECT v.drift FROM verification v WHERE v.destination_id = d.id), 0),
            (SELECT v.drift_repeated_at FROM verification v WHERE v.destination_id = d.id)
        FROM destination d
        LEFT JOIN sync_state s ON s.destination_id = d.id AND s.due_at IS NOT NULL
        GROUP BY d.id ORDER BY d.name"""
    )
    return {
        name: DestinationBacklog(
            name,
            DestinationStatus(status),
            reason,
            retry_at,
            find_trouble(retry_at, trouble),
            *rest,
        )
        for name, status, reason, retry_at, trouble, *rest in rows
    }


def count_pending(connection: Connection, destination: int, limit: int | None = None) -> int:
    """How many addresses wait for it, counted to `limit`."""
    return fetch_count(
        connection,
        """SELECT count(*) FROM (SELECT FROM sync_state
            WHERE destination_id = %s AND due_at IS NOT NULL LIMIT %s) AS pending""",
        (destination, limit),
    )


def count_pending_bulk(connection: Connection, destination: int) -> int:
    """How many addresses of the backfill and of lists wait for it."""
    query = """SELECT count(*) FROM sync_state
        WHERE destination_id = %s AND bulk AND due_at IS NOT NULL"""
    return fetch_count(connection, query, (destination,))


def list_push_starts(
    connection: Connection, destination: int, now: datetime, *, lock: bool = False
) -> list[datetime]:
    """When each push to a destination started whose lease has not ended.

    `lock`: others that lock wait for this transaction, and then see the push that it starts.
    """
    if lock:
        lock_query = "SELECT FROM destination WHERE id = %s FOR NO KEY UPDATE"
        connection.execute(lock_query, (destination,))
    query = "SELECT started_at FROM push WHERE destination_id = %s AND expires_at > %s"
    rows = connection.execute(query, (destination, now))
    return [row[0] for row in rows]


def insert_push(
    connection: Connection, destination: int, lease: UUID, now: datetime, expires_at: datetime
) -> None:
    """Record a push, which ends with its lease at the latest."""
    connection.execute(
        "INSERT INTO push (lease, destination_id, started_at, expires_at) VALUES (%s, %s, %s, %s)",
        (lease, destination, now, expires_at),
    )


def finish_push(connection: Connection, lease: UUID, slow_until: datetime | None) -> None:
    """Delete a finished push; its tool counts as slow until `slow_until`, None: unchanged."""
    connection.execute(
        """WITH ended AS (DELETE FROM push WHERE lease = %s RETURNING destination_id)
        UPDATE destination d SET slow_until = %s FROM ended
        WHERE d.id = ended.destination_id AND %s::timestamptz IS NOT NULL""",
        (lease, slow_until, slow_until),
    )


def purge_pushes(connection: Connection, now: datetime) -> int:
    """Delete the pushes of workers that died; returns how many."""
    return connection.execute("DELETE FROM push WHERE expires_at <= %s", (now,)).rowcount
