"""What is past its retention: found in bounded steps, so that no step holds anything up.

What somebody limits the use of, what is under a hold and what an open request is about is left
alone (GDPR art. 17(3), 18(2)).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from preference_center.catalogue import RetainedData
from preference_center.contacts.rules.contact import AccountState
from preference_center.core.events import ALL_MARKETING, EVERYTHING, RESTRICTION
from preference_center.infra.db.transactions import Connection
from preference_center.rights.rights_holds import IN_FORCE


# OFFSET 0 avoids a full scan by a plan that was made while the table was small.
def _exempt(address: str) -> str:
    """A condition: whether the address of this column must be left alone."""
    return f"""(EXISTS (SELECT FROM hold WHERE hold.address_id = {address} AND {IN_FORCE} OFFSET 0)
        OR EXISTS (SELECT FROM suppression r WHERE r.address_id = {address}
            AND r.scope = '{RESTRICTION}' AND r.active OFFSET 0)
        OR {address} IN (
            SELECT unnest(q.address_ids) FROM rights_request q WHERE q.closed_at IS NULL))"""  # noqa: S608 - constants


_EVIDENCE = f"""
SELECT e.seq AS number, e.id AS item FROM event e
WHERE e.seq > %(after)s AND e.seq <= %(up_to)s AND e.recorded_at < %(before)s
    AND EXISTS (SELECT FROM event_evidence v WHERE v.event_id = e.id OFFSET 0)
    AND EXISTS (SELECT FROM event n WHERE n.address_id = e.address_id AND n.scope = e.scope
        AND n.seq > e.seq AND n.recorded_at < %(before)s OFFSET 0)
    AND NOT EXISTS (SELECT FROM suppression s WHERE s.address_id = e.address_id
        AND s.scope = e.scope AND e.id IN (s.out_event, s.lift_event, s.pause_event) OFFSET 0)
    AND NOT EXISTS (SELECT FROM consent c WHERE c.address_id = e.address_id
        AND c.topic = e.scope AND c.event = e.id OFFSET 0)
    AND NOT {_exempt("e.address_id")}
"""  # noqa: S608 - constants
"""Of events that a newer one of their scope has replaced: what is in force stays proven."""

_DELIVERIES = f"""
SELECT d.id AS number, d.id AS item FROM delivery d
WHERE d.id > %(after)s AND d.id <= %(up_to)s AND d.at < %(before)s
    AND EXISTS (SELECT FROM delivery_ack a WHERE a.delivery_id = d.id OFFSET 0)
    AND NOT {_exempt("d.address_id")}
"""  # noqa: S608 - constants

_ADDRESSES = f"""
SELECT a.id AS number, a.id AS item FROM address a
WHERE a.id > %(after)s AND a.id <= %(up_to)s
    AND a.ciphertext IS NOT NULL
    AND EXISTS (SELECT FROM suppression s WHERE s.address_id = a.id
        AND s.scope = '{ALL_MARKETING}' AND s.active OFFSET 0)
    AND NOT EXISTS (SELECT FROM contact_address c WHERE c.address_id = a.id OFFSET 0)
    AND NOT EXISTS (SELECT FROM event e WHERE e.address_id = a.id
        AND e.recorded_at >= %(before)s OFFSET 0)
    AND NOT {_exempt("a.id")}
"""  # noqa: S608 - constants

_ACCOUNTS = f"""
SELECT ca.address_id AS number, ca.address_id AS item FROM contact_address ca
WHERE ca.address_id > %(after)s AND ca.address_id <= %(up_to)s
    AND EXISTS (SELECT FROM contact c WHERE c.id = ca.contact_id
        AND c.account = '{AccountState.DEACTIVATED}' OFFSET 0)
    AND NOT EXISTS (SELECT FROM contact_address o WHERE o.contact_id = ca.contact_id
        AND (EXISTS (SELECT FROM suppression s WHERE s.address_id = o.address_id
            AND s.scope = '{EVERYTHING}' AND s.out_at >= %(before)s OFFSET 0)
            OR {_exempt("o.address_id")}) OFFSET 0)
"""  # noqa: S608 - constants
"""The addresses of accounts that were closed before; all of an account or none."""

_AUDIT = """
SELECT id AS number, id AS item FROM audit
WHERE id > %(after)s AND id <= %(up_to)s AND at < %(before)s
"""

_BROWSER_CONSENTS = """
SELECT c.seq AS number, c.id AS item FROM browser_consent c
WHERE c.seq > %(after)s AND c.seq <= %(up_to)s
    AND (c.expires_at < %(before)s OR EXISTS (SELECT FROM browser_consent n
        WHERE n.previous = c.id AND n.decided_at < %(before)s))
"""

_EXPIRED: Mapping[RetainedData, str] = {
    RetainedData.EVIDENCE: _EVIDENCE,
    RetainedData.DELIVERIES: _DELIVERIES,
    RetainedData.SUPPRESSED_ADDRESSES: _ADDRESSES,
    RetainedData.CLOSED_ACCOUNTS: _ACCOUNTS,
    RetainedData.AUDIT: _AUDIT,
    RetainedData.BROWSER_CONSENTS: _BROWSER_CONSENTS,
}
_NUMBERS: Mapping[RetainedData, str] = {
    RetainedData.EVIDENCE: "SELECT seq AS number FROM event",
    RetainedData.DELIVERIES: "SELECT id AS number FROM delivery",
    RetainedData.SUPPRESSED_ADDRESSES: "SELECT id AS number FROM address",
    RetainedData.CLOSED_ACCOUNTS: "SELECT address_id AS number FROM contact_address",
    RetainedData.AUDIT: "SELECT id AS number FROM audit",
    RetainedData.BROWSER_CONSENTS: "SELECT seq AS number FROM browser_consent",
}
"""The rows that a run looks at. Their numbers have gaps: a new epoch skips a great many."""
_DELETE: Mapping[RetainedData, str] = {
    RetainedData.EVIDENCE: "DELETE FROM event_evidence WHERE event_id = ANY(%s)",
    RetainedData.DELIVERIES: "DELETE FROM delivery_ack WHERE delivery_id = ANY(%s)",
    RetainedData.AUDIT: """
        WITH given AS (SELECT unnest(%s::bigint[]) AS id), looks AS (
            DELETE FROM person_access USING given WHERE person_access.audit_id = given.id
        )
        DELETE FROM audit USING given WHERE audit.id = given.id""",
    RetainedData.BROWSER_CONSENTS: "DELETE FROM browser_consent WHERE id = ANY(%s)",
}


@dataclass(frozen=True, slots=True)
class RetentionRun:
    """How far the run of one kind is: what is up to `position` was looked at."""

    kind: RetainedData
    position: int
    removed: int
    started_at: datetime
    finished_at: datetime | None


def window_end(connection: Connection, kind: RetainedData, *, after: int, rows: int) -> int | None:
    """The number of the last of the next `rows` rows; None after the last one."""
    query = f"""SELECT max(number) FROM (
        SELECT * FROM ({_NUMBERS[kind]}) AS all_rows WHERE number > %s
        ORDER BY number LIMIT %s) AS next_rows"""  # noqa: S608 - constants
    row = connection.execute(query.encode(), (after, rows)).fetchone()
    return row[0] if row else None


def find_expired(
    connection: Connection,
    kind: RetainedData,
    before: datetime,
    now: datetime,
    *,
    after: int,
    up_to: int,
) -> list[Any]:
    """The expired items whose number is above `after` and at most `up_to`.

    Ids of events, deliveries, addresses, audit entries or choices about cookies, by kind.
    """
    given = {"before": before, "now": now, "after": after, "up_to": up_to}
    return [row[1] for row in connection.execute(_EXPIRED[kind].encode(), given)]


def delete_expired(connection: Connection, kind: RetainedData, items: list[Any]) -> int:
    """Delete items of a kind that is deleted, not erased; returns how many were there."""
    return connection.execute(_DELETE[kind].encode(), (items,)).rowcount


def load_run(connection: Connection, kind: RetainedData) -> RetentionRun | None:
    """The run of a kind that is under way, or the last one."""
    row = connection.execute(
        """SELECT kind, position, removed, started_at, finished_at FROM retention_run
        WHERE kind = %s FOR UPDATE""",
        (kind,),
    ).fetchone()
    return RetentionRun(RetainedData(row[0]), *row[1:]) if row else None


def save_run(connection: Connection, run: RetentionRun) -> None:
    """Store how far a run is."""
    connection.execute(
        """INSERT INTO retention_run AS r (kind, position, removed, started_at, finished_at)
        VALUES (%(kind)s, %(position)s, %(removed)s, %(started_at)s, %(finished_at)s)
        ON CONFLICT (kind) DO UPDATE SET position = EXCLUDED.position,
            removed = EXCLUDED.removed, started_at = EXCLUDED.started_at,
            finished_at = EXCLUDED.finished_at""",
        {
            "kind": run.kind,
            "position": run.position,
            "removed": run.removed,
            "started_at": run.started_at,
            "finished_at": run.finished_at,
        },
    )
