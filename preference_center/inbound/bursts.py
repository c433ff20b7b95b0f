"""This module detects bursts among the newest opt-outs, and stores them outside the ledger.

The scheduler runs it: no opt-out waits for it. A burst flags opt-outs and changes none. A scan
locks the only row of `burst_scan`, so that one of many schedulers runs it. It covers the time since
the last scan and a little more, however long that is: after a time without a scheduler nothing is
missed.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from preference_center.core.bursts import Burst, BurstRecord, BurstRule, LinkOptOut, find_bursts
from preference_center.core.events import EventKind, uuid7
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction

MAX_MESSAGE_IDS = 20
"""How many message ids a burst stores."""


_COMMIT_SLACK = timedelta(minutes=2)
"""How long a transaction may have been running that earlier scans could not see."""


_CLAIM_SCAN = """
SELECT scanned_until FROM burst_scan WHERE id = 1 AND scanned_until <= %s
FOR UPDATE SKIP LOCKED
"""


_INSERT_SCAN = """
INSERT INTO burst_scan (id, scanned_until) VALUES (1, %s)
ON CONFLICT DO NOTHING RETURNING scanned_until
"""
"""Before the first scan."""


_SELECT_OPT_OUTS = f"""
WITH opt_out AS (
    SELECT event.id, event.address_id, address.domain_digest, event.received_at,
        v.evidence ->> 'issued_at' AS issued_at, v.evidence ->> 'message_id' AS message
    FROM event JOIN address ON address.id = event.address_id
    JOIN event_evidence v ON v.event_id = event.id
    WHERE event.id BETWEEN %(first)s AND %(last)s AND event.kind = '{EventKind.OPTED_OUT}'
        AND event.own AND v.evidence ? 'issued_at' AND NOT v.evidence ? 'destination'
        AND address.domain_digest IS NOT NULL
)
SELECT * FROM opt_out WHERE (domain_digest IN (SELECT domain_digest FROM opt_out
    GROUP BY domain_digest HAVING count(DISTINCT address_id) >= %(addresses)s)) IS TRUE
"""  # noqa: S608 - constants of this module
"""Ids contain the time, so these are the newest. Permanent links are left out: none was sent.

IS TRUE keeps PostgreSQL from planning a join: on tables without statistics it repeated the
grouping for each row, 5 s for 4,000 rows.
"""


_INSERT_BURST_EVENTS = """
INSERT INTO burst_event (event_id, burst_id) SELECT unnest(%(events)s::uuid[]), %(burst)s
ON CONFLICT DO NOTHING
"""


_UPSERT_BURST = """
INSERT INTO burst (id, domain_digest, detected_at, first_at, last_at, issued_first, issued_last,
    events, addresses, known_addresses, message_ids)
SELECT %(burst)s, %(domain)s, %(now)s, min(event.received_at), max(event.received_at),
    min(issued.at), max(issued.at), count(*), count(DISTINCT event.address_id),
    (SELECT count(*) FROM address WHERE domain_digest = %(domain)s),
    COALESCE((array_agg(DISTINCT v.evidence ->> 'message_id')
        FILTER (WHERE v.evidence ->> 'message_id' <> ''))[:%(messages)s], '{}')
FROM burst_event JOIN event ON event.id = burst_event.event_id
    JOIN event_evidence v ON v.event_id = event.id,
    LATERAL (SELECT (v.evidence ->> 'issued_at')::timestamptz AS at) AS issued
WHERE burst_event.burst_id = %(burst)s
ON CONFLICT (id) DO UPDATE SET first_at = EXCLUDED.first_at, last_at = EXCLUDED.last_at,
    issued_first = EXCLUDED.issued_first, issued_last = EXCLUDED.issued_last,
    events = EXCLUDED.events, addresses = EXCLUDED.addresses,
    known_addresses = EXCLUDED.known_addresses, message_ids = EXCLUDED.message_ids
"""


_COLUMNS = """id, detected_at, first_at, last_at, issued_first, issued_last, events, addresses,
    known_addresses, message_ids"""


def claim_scan(connection: Connection, now: datetime, interval: timedelta) -> datetime | None:
    """Claim the next scan. Returns until when was scanned; None if not due or already claimed."""
    given = (now - interval,)
    rows = (
        connection.execute(statement, given).fetchone() for statement in (_CLAIM_SCAN, _INSERT_SCAN)
    )
    return next((row[0] for row in rows if row), None)


def list_opt_outs_between(
    connection: Connection, scanned_until: datetime, until: datetime, rule: BurstRule
) -> list[LinkOptOut]:
    """The opt-outs that may belong to a burst, a new one or one that grows."""
    rows = connection.execute(
        _SELECT_OPT_OUTS,
        {
            "first": uuid7(scanned_until - rule.window - _COMMIT_SLACK, 0),
            "last": uuid7(until + _COMMIT_SLACK, 0),
            "addresses": rule.min_addresses,
        },
    )
    return [
        LinkOptOut(event, address, domain, at, datetime.fromisoformat(issued_at), message or "")
        for event, address, domain, at, issued_at, message in rows
    ]


def record_burst(
    connection: Connection, burst: Burst, new_id: UUID, now: datetime
) -> BurstRecord | None:
    """Store a burst, or add new events to a stored one; None if there are none."""
    events = [opt_out.event_id for opt_out in burst.opt_outs]
    row = connection.execute(
        "SELECT burst_id FROM burst_event WHERE event_id = ANY(%s) ORDER BY event_id LIMIT 1",
        (events,),
    ).fetchone()
    burst_id = row[0] if row else new_id
    given = {"events": events, "burst": burst_id, "domain": burst.domain_digest, "now": now}
    if not connection.execute(_INSERT_BURST_EVENTS, given).rowcount:
        return None
    connection.execute(_UPSERT_BURST, given | {"messages": MAX_MESSAGE_IDS})
    return find_burst(connection, burst_id)


def finish_scan(connection: Connection, until: datetime) -> None:
    """Record that everything up to `until` was scanned."""
    connection.execute("UPDATE burst_scan SET scanned_until = %s WHERE id = 1", (until,))


def list_newest_bursts(connection: Connection, limit: int) -> list[BurstRecord]:
    """The bursts that were detected last, the newest first."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM burst ORDER BY detected_at DESC, id DESC LIMIT %s",  # noqa: S608 - constants of this module
        (limit,),
    )
    return [BurstRecord(*row) for row in rows]


def find_burst(connection: Connection, burst: UUID) -> BurstRecord | None:
    """One burst, or None."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM burst WHERE id = %s",  # noqa: S608 - constants of this module
        (burst,),
    ).fetchone()
    return BurstRecord(*row) if row else None


def find_bursts_by_event(
    connection: Connection, events: Collection[UUID]
) -> dict[UUID, BurstRecord]:
    """Those of these events that are part of a burst, with their burst."""
    rows = connection.execute(
        f"""SELECT event_id, {_COLUMNS} FROM burst_event JOIN burst ON burst.id = burst_id
        WHERE event_id = ANY(%s)""",  # noqa: S608 - constants of this module
        (list(events),),
    )
    return {row[0]: BurstRecord(*row[1:]) for row in rows}


def list_event_ids(connection: Connection, burst: UUID) -> list[UUID]:
    """The events of a burst, in the order in which they were received."""
    rows = connection.execute(
        """SELECT event.id FROM burst_event JOIN event ON event.id = event_id
        WHERE burst_id = %s ORDER BY event.received_at, event.id""",
        (burst,),
    )
    return [row[0] for row in rows]


def list_address_ids(connection: Connection, burst: UUID) -> list[int]:
    """The ids of the addresses that opted out in a burst."""
    rows = connection.execute(
        """SELECT DISTINCT event.address_id FROM burst_event JOIN event ON event.id = event_id
        WHERE burst_id = %s""",
        (burst,),
    )
    return [row[0] for row in rows]


def count_bursts_since(connection: Connection, since: datetime) -> int:
    """How many were detected since then."""
    query = "SELECT count(*) FROM burst WHERE detected_at >= %s"
    row = connection.execute(query, (since,)).fetchone()
    return int(row[0]) if row else 0


log = structlog.get_logger()


SCAN_INTERVAL = timedelta(seconds=30)
"""Time between scans; a burst is flagged about that long after it."""


MAX_SCAN_SPAN = timedelta(hours=1)
"""The most that one scan covers, after a time without a scheduler."""


def flag_bursts(now: datetime) -> list[BurstRecord]:
    """Flag bursts since the last scan, if one is due. Returns those that are new or have grown."""
    context = services()
    rule = context.settings.burst_rule

    def scan(connection: Connection) -> list[BurstRecord] | None:
        scanned_until = claim_scan(connection, now, SCAN_INTERVAL)
        if scanned_until is None:
            return None
        until = min(now, scanned_until + MAX_SCAN_SPAN)
        found = find_bursts(list_opt_outs_between(connection, scanned_until, until, rule), rule)
        flags = [record_burst(connection, burst, context.new_id(), now) for burst in found]
        finish_scan(connection, until)
        return [flag for flag in flags if flag is not None]

    flags = run_in_transaction(scan)
    if flags is None:
        return []
    for flag in flags:
        log.warning(
            "burst_flagged",
            burst=str(flag.id),
            events=flag.events,
            addresses=flag.addresses,
            known=flag.known_addresses,
        )
    return flags
