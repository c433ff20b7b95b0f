"""Sync states are read back from a tool here: checked, confirmed or pushed again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from preference_center.core.deadlines import WINDOW
from preference_center.core.events import ALL_MARKETING
from preference_center.destinations.rules.classify import PROPAGATION_DELAY
from preference_center.destinations.rules.states import ABSENT_RECHECK_INTERVAL, AddressSyncState
from preference_center.infra.db.transactions import Connection
from preference_center.ledger.store.addresses import is_pushable

FOUND_IN_TOOL_NOTE = "already opted out in the tool"
"""The note on the delivery of an opt-out that was found in the tool."""


_COLUMNS = f"""a.id, {is_pushable("a")}, a.erased_at IS NOT NULL,
    s.wanted_version IS NOT NULL, COALESCE(s.wanted_version, 0), COALESCE(s.turned_off, '{{}}'),
    s.lease IS NOT NULL OR s.due_at IS NOT NULL OR COALESCE(s.next_at <= %(now)s, false),
    s.outcome, last_delivery.at, last_delivery.pushed_at"""
_LAST_DELIVERIES = f"""LEFT JOIN LATERAL (SELECT max(d.at) AS at, max(d.at) FILTER (
        WHERE d.outcome = 'reflected' AND d.note <> '{FOUND_IN_TOOL_NOTE}') AS pushed_at
    FROM delivery d WHERE d.address_id = a.id AND d.destination_id = %(destination)s
) AS last_delivery ON true"""  # noqa: S608 - a constant

_CLAIM = f"""
WITH due AS (
    SELECT address_id FROM sync_state
    WHERE destination_id = %(destination)s AND verify_at <= %(now)s
    ORDER BY verify_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
), claimed AS (
    UPDATE sync_state s SET verify_at = %(until)s FROM due
    WHERE s.destination_id = %(destination)s AND s.address_id = due.address_id
    RETURNING s.*
)
SELECT {_COLUMNS} FROM claimed s JOIN address a ON a.id = s.address_id {_LAST_DELIVERIES}
"""  # noqa: S608 - constants of this module


def load_states_by_digest(
    connection: Connection,
    destination: int,
    digests: Sequence[tuple[bytes, str]],
    now: datetime,
) -> dict[tuple[bytes, str], AddressSyncState]:
    """The sync state of each known address, by its exact digest and channel."""
    if not digests:
        return {}
    rows = connection.execute(
        f"""SELECT a.digest, a.channel, {_COLUMNS}
        FROM unnest(%(digests)s::bytea[], %(channels)s::text[]) AS given (digest, channel)
        JOIN address a ON a.digest = given.digest AND a.channel = given.channel
        LEFT JOIN sync_state s ON s.destination_id = %(destination)s AND s.address_id = a.id
        {_LAST_DELIVERIES}""",  # noqa: S608 - constants of this module
        {
            "destination": destination,
            "digests": [digest for digest, _ in digests],
            "channels": [channel for _, channel in digests],
            "now": now,
        },
    )
    return {(bytes(row[0]), row[1]): _to_state(row[2:]) for row in rows}


def claim_checks(
    connection: Connection, destination: int, *, now: datetime, until: datetime, limit: int
) -> dict[int, AddressSyncState]:
    """Claim up to `limit` rows that are due for a check, until `until`."""
    given = {"destination": destination, "now": now, "until": until, "limit": limit}
    rows = connection.execute(_CLAIM, given)
    return {row[0]: _to_state(row) for row in rows}


def schedule_sample(
    connection: Connection, destination: int, *, start_fraction: float, limit: int, now: datetime
) -> int:
    """Schedule `limit` settled rows for a check now, from `start_fraction` (0..1) of the ids on.

    Returns how many. They are sought among ten times as many rows: a bounded read, also where
    hardly any row is suited.
    """
    return connection.execute(
        """WITH next AS MATERIALIZED (
            SELECT address_id, verify_at IS NULL AND due_at IS NULL AND lease IS NULL
                AND turned_off <> '{}' AS is_suited
            FROM sync_state
            WHERE destination_id = %(destination)s
                AND address_id >= (%(start_fraction)s * (SELECT max(address_id) FROM sync_state
                    WHERE destination_id = %(destination)s))::bigint
            ORDER BY address_id LIMIT 10 * %(limit)s
        ), sample AS (
            SELECT address_id FROM sync_state
            WHERE destination_id = %(destination)s AND address_id = ANY (ARRAY(
                SELECT address_id FROM next WHERE is_suited ORDER BY address_id LIMIT %(limit)s))
                AND verify_at IS NULL AND lease IS NULL
            ORDER BY address_id FOR UPDATE SKIP LOCKED
        )
        UPDATE sync_state SET verify_at = %(now)s
        WHERE destination_id = %(destination)s
            AND address_id = ANY (ARRAY(SELECT address_id FROM sample))""",
        {"destination": destination, "start_fraction": start_fraction, "limit": limit, "now": now},
    ).rowcount


def record_confirmed(
    connection: Connection, destination: int, versions: Mapping[int, int], now: datetime
) -> None:
    """These rows were read back and are correct: no further check, unless they changed since."""
    _update_unchanged_rows(connection, destination, versions, now, "verify_at = NULL, checks = 0")


def release_checks(
    connection: Connection, destination: int, versions: Mapping[int, int], now: datetime
) -> None:
    """Release rows that were claimed but not checked, so that the next worker can check them."""
    _update_unchanged_rows(connection, destination, versions, now, "verify_at = %(now)s")


def recheck(
    connection: Connection, destination: int, versions: Mapping[int, int], now: datetime
) -> None:
    """These rows were read back and are absent: double the interval to the next check."""
    _update_unchanged_rows(
        connection,
        destination,
        versions,
        now,
        """outcome = 'absent', checks = LEAST(s.checks + 1, 5),
        verify_at = %(now)s + %(recheck_interval)s * (1 << LEAST(s.checks, 5))""",
    )


def probe(
    connection: Connection, destination: int, versions: Mapping[int, int], now: datetime
) -> None:
    """Push these absent rows again. If nothing can be read, only a push shows if they exist."""
    _update_unchanged_rows(
        connection,
        destination,
        versions,
        now,
        "next_at = %(now)s, bulk = true, verify_at = NULL",
    )


def requeue_push(
    connection: Connection,
    destination: int,
    versions: Mapping[int, int],
    now: datetime,
    *,
    drifted: bool,
) -> int:
    """Push these rows again; returns how many.

    `drifted`: the tool had confirmed the opt-out and now shows another state, which is recorded
    as drift; a contact that is merely new there is not (I13). That the same opt-out was lost
    again, after it was repaired, is recorded of the destination. An earlier deadline is kept (I3).
    """
    ids = _update_unchanged_rows(
        connection,
        destination,
        versions,
        now,
        f"""reflected_version = 0, next_at = %(now)s, verify_at = NULL,
        due_at = LEAST(s.due_at, %(now)s + %(window)s)
        {", outcome = 'drift', checks = LEAST(s.checks + 1, 5)" if drifted else ""}""",
    )
    if drifted:
        _insert_deliveries(connection, destination, {i: versions[i] for i in ids}, "drift", "", now)
        connection.execute(
            """UPDATE verification SET drift_repeated_at = %(now)s
            WHERE destination_id = %(destination)s AND EXISTS (SELECT FROM sync_state s
                WHERE s.destination_id = %(destination)s AND s.address_id = ANY(%(ids)s)
                    AND s.checks >= 2)""",
            {"now": now, "destination": destination, "ids": ids},
        )
    return len(ids)


def schedule_check(
    connection: Connection, destination: int, ids: Sequence[int], at: datetime
) -> None:
    """Schedule a check of these rows at `at` at the latest, also of those that are pushed now."""
    if not ids:
        return
    connection.execute(
        """UPDATE sync_state SET verify_at = LEAST(verify_at, %s) WHERE destination_id = %s
            AND address_id = ANY(%s)""",
        (at, destination, list(ids)),
    )


def record_turned_off(
    connection: Connection, destination: int, turned_off: Mapping[int, frozenset[str]]
) -> None:
    """Add topics that the tool itself turned off to `turned_off`, so that they are lifted, too."""
    if not turned_off:
        return
    connection.execute(
        """UPDATE sync_state s SET turned_off = ARRAY(SELECT unnest(s.turned_off)
            UNION SELECT jsonb_array_elements_text(given.turned_off::jsonb))
        FROM unnest(%s::bigint[], %s::text[]) AS given (address_id, turned_off)
        WHERE s.destination_id = %s AND s.address_id = given.address_id""",
        (list(turned_off), [json.dumps(sorted(off)) for off in turned_off.values()], destination),
    )


def record_turned_on(
    connection: Connection, destination: int, turned_on: Mapping[int, frozenset[str]]
) -> None:
    """Remove topics that the tool itself turned on again from `turned_off`."""
    if not turned_on:
        return
    connection.execute(
        """UPDATE sync_state s SET turned_off = ARRAY(SELECT unnest(s.turned_off)
            EXCEPT SELECT jsonb_array_elements_text(given.turned_on::jsonb))
        FROM unnest(%s::bigint[], %s::text[]) AS given (address_id, turned_on)
        WHERE s.destination_id = %s AND s.address_id = given.address_id
            AND s.lease IS NULL AND s.due_at IS NULL""",
        (list(turned_on), [json.dumps(sorted(on)) for on in turned_on.values()], destination),
    )


def record_all_marketing_switch(
    connection: Connection, destination: int, ids: Sequence[int], *, is_off: bool
) -> None:
    """Record the state of the tool's switch for everything that it sends these addresses."""
    if not ids:
        return
    connection.execute(
        """UPDATE sync_state SET turned_off = CASE WHEN %(is_off)s
            THEN array_append(turned_off, %(all_marketing)s)
            ELSE array_remove(turned_off, %(all_marketing)s) END
        WHERE destination_id = %(destination)s AND address_id = ANY(%(ids)s)
            AND (%(all_marketing)s = ANY(turned_off)) <> %(is_off)s""",
        {
            "destination": destination,
            "ids": list(ids),
            "is_off": is_off,
            "all_marketing": ALL_MARKETING,
        },
    )


@dataclass(frozen=True, slots=True)
class AlreadyOptedOut:
    """An address that is already opted out of everything it should be, as the tool reports."""

    version: int
    turned_off: frozenset[str]
    next_at: datetime | None


def settle_already_opted_out(
    connection: Connection,
    destination: int,
    opted_out: Mapping[int, AlreadyOptedOut],
    now: datetime,
) -> int:
    """Settle these without a push; returns how many were still waiting.

    A row whose lift may be under way is pushed all the same, since the lift might act late. So is
    one that was turned on there so recently that the tool may still show the state of before, by
    such a lift or by itself, as drift. The switch for everything is left to
    `record_all_marketing_switch`.
    """
    if not opted_out:
        return 0
    rows = connection.execute(
        """UPDATE sync_state s SET reflected_version = GREATEST(s.reflected_version, given.version),
            turned_off = ARRAY(SELECT jsonb_array_elements_text(given.turned_off::jsonb)
                EXCEPT SELECT %(all_marketing)s
                UNION SELECT unnest(s.turned_off) INTERSECT SELECT %(all_marketing)s),
            due_at = NULL, next_at = given.next_at, attempts = 0, outcome = 'reflected',
            verify_at = NULL, checks = 0
        FROM unnest(%(ids)s::bigint[], %(versions)s::bigint[], %(turned_off)s::text[],
            %(next_at)s::timestamptz[]) AS given (id, version, turned_off, next_at)
        WHERE s.destination_id = %(destination)s AND s.address_id = given.id
            AND s.lease IS NULL AND s.wanted_version = given.version
            AND (s.lift_until IS NULL OR s.lift_until <= %(shown_since)s)
            AND NOT EXISTS (SELECT FROM delivery d
                WHERE d.address_id = s.address_id AND d.destination_id = s.destination_id
                    AND d.outcome = 'drift' AND d.at > %(shown_since)s OFFSET 0)
        RETURNING s.address_id""",
        {
            "ids": list(opted_out),
            "versions": [each.version for each in opted_out.values()],
            "turned_off": [json.dumps(sorted(each.turned_off)) for each in opted_out.values()],
            "next_at": [each.next_at for each in opted_out.values()],
            "destination": destination,
            "shown_since": now - PROPAGATION_DELAY,
            "all_marketing": ALL_MARKETING,
        },
    ).fetchall()
    versions = {row[0]: opted_out[row[0]].version for row in rows}
    _insert_deliveries(connection, destination, versions, "reflected", FOUND_IN_TOOL_NOTE, now)
    return len(versions)


def append_deliveries(
    connection: Connection,
    destination: int,
    outcomes: Mapping[int, str],
    now: datetime,
) -> None:
    """Append deliveries of pushes without a sync state: address id -> outcome.

    They are of erased addresses, so what the tool answered is not stored (I6).
    """
    for address_id, outcome in outcomes.items():
        _insert_deliveries(connection, destination, {address_id: 0}, outcome, "", now)


def _update_unchanged_rows(
    connection: Connection,
    destination: int,
    versions: Mapping[int, int],
    now: datetime,
    assignments: str,
) -> list[int]:
    """Update the rows whose version is unchanged and that no worker holds; returns their ids."""
    if not versions:
        return []
    rows = connection.execute(
        f"""UPDATE sync_state s SET {assignments}
        FROM unnest(%(ids)s::bigint[], %(versions)s::bigint[]) AS given (id, version)
        WHERE s.destination_id = %(destination)s AND s.address_id = given.id
            AND s.wanted_version = given.version AND s.lease IS NULL
        RETURNING s.address_id""",  # noqa: S608 - constants of this module
        {
            "destination": destination,
            "ids": list(versions),
            "versions": list(versions.values()),
            "now": now,
            "window": WINDOW,
            "recheck_interval": ABSENT_RECHECK_INTERVAL,
        },
    )
    return [row[0] for row in rows]


def _insert_deliveries(
    connection: Connection,
    destination: int,
    versions: Mapping[int, int],
    outcome: str,
    note: str,
    now: datetime,
) -> None:
    if versions:
        connection.execute(
            """INSERT INTO delivery (destination_id, address_id, version, outcome, note, at)
            SELECT %s, id, version, %s, %s, %s
            FROM unnest(%s::bigint[], %s::bigint[]) AS given (id, version)""",
            (destination, outcome, note, now, list(versions), list(versions.values())),
        )


def _to_state(row: Sequence[Any]) -> AddressSyncState:
    return AddressSyncState(*(*row[:5], frozenset(row[5]), *row[6:]))
