"""Reading the ledger."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import closing
from datetime import datetime
from typing import Any
from uuid import UUID

from preference_center.core.events import Event, EventKind, FrequencyChoice
from preference_center.infra.db.transactions import Connection

_COLUMNS = """e.id, e.seq, e.kind, e.address_id, e.scope, e.occurred_at, e.received_at,
    e.recorded_at, e.counts_at, e.source, e.actor, v.evidence, e.own, e.until, e.retracts,
    e.frequency, e.frequency_rank"""
_WITH_EVIDENCE = "LEFT JOIN event_evidence v ON v.event_id = e.id"
_COLUMNS_WITH_REPEATS = _COLUMNS.replace("e.counts_at", "GREATEST(e.counts_at, again.last_at)")
_SELECT_EVENTS_OF = f"""
SELECT {_COLUMNS_WITH_REPEATS}, r.event_id IS NOT NULL
FROM event e {_WITH_EVIDENCE} LEFT JOIN retraction r ON r.event_id = e.id
LEFT JOIN event_repeat again ON again.event_id = e.id
WHERE e.address_id = ANY(%s) ORDER BY e.seq
"""  # noqa: S608 - a constant
_SELECT_NEWEST_EVENTS = f"""
SELECT {_COLUMNS_WITH_REPEATS}, r.event_id IS NOT NULL
FROM (
    SELECT * FROM event
    WHERE address_id = %(address)s AND (received_at, seq) < (%(before_at)s, %(before_seq)s)
        AND (%(scopes)s::text[] IS NULL OR scope = ANY(%(scopes)s))
        AND (%(since)s::timestamptz IS NULL
            OR (received_at >= %(since)s AND received_at < %(until)s)
            OR (occurred_at >= %(since)s AND occurred_at < %(until)s))
    ORDER BY received_at DESC, seq DESC LIMIT %(limit)s
) AS e {_WITH_EVIDENCE} LEFT JOIN retraction r ON r.event_id = e.id
LEFT JOIN event_repeat again ON again.event_id = e.id
ORDER BY e.received_at DESC, e.seq DESC
"""  # noqa: S608 - a constant
_SELECT_ENDED_CHOICES = f"""
SELECT e.address_id, array_agg(DISTINCT e.scope)
FROM event e LEFT JOIN retraction r ON r.event_id = e.id JOIN address a ON a.id = e.address_id
WHERE e.address_id = ANY(%s) AND e.kind = '{EventKind.FREQUENCY_CHOSEN}' AND a.erased_at IS NULL
    AND (r.event_id IS NOT NULL OR e.counts_at <= a.last_erased_at)
GROUP BY e.address_id
"""  # noqa: S608 - a constant
_FETCH_SIZE = 500


def list_events_of(
    connection: Connection, address_ids: Collection[int]
) -> tuple[list[Event], frozenset[UUID]]:
    """All events of these addresses, the oldest first, and the ids of the retracted ones.

    An event counts from when it was last repeated (`core.events.REPEAT_INTERVAL`).
    """
    rows = connection.execute(_SELECT_EVENTS_OF, (list(address_ids),)).fetchall()
    events = [_to_event(row) for row in rows]
    retracted = frozenset(row[0] for row in rows if row[-1])
    return events, retracted


def iter_events_of(
    connection: Connection, address_ids: Collection[int]
) -> Iterator[tuple[Event, bool]]:
    """The same one by one, each with whether it is retracted, however many there are."""
    with closing(connection.cursor("events")) as cursor:
        cursor.execute(_SELECT_EVENTS_OF, (list(address_ids),))
        while rows := cursor.fetchmany(_FETCH_SIZE):
            yield from ((_to_event(row), row[-1]) for row in rows)


def list_newest_events(
    connection: Connection,
    address_id: int,
    before: tuple[datetime, int],
    *,
    scopes: Collection[str] | None = None,
    period: tuple[datetime, datetime] | None = None,
    limit: int,
) -> list[tuple[Event, bool]]:
    """The last events of an address before a time of receipt and a `seq`, the newest first.

    Each with whether it is retracted. `period`: only what was received, or happened, in it (UTC,
    without its end). With 10,000 events of one address it reads them all by the index of addresses.
    """
    since, until = period or (None, None)
    rows = connection.execute(
        _SELECT_NEWEST_EVENTS,
        {
            "address": address_id,
            "before_at": before[0],
            "before_seq": before[1],
            "scopes": None if scopes is None else list(scopes),
            "since": since,
            "until": until,
            "limit": limit,
        },
    )
    return [(_to_event(row), row[-1]) for row in rows]


def list_events_between(connection: Connection, first: UUID, last: UUID) -> list[Event]:
    """The events with an id from `first` to `last`, the oldest first."""
    rows = connection.execute(
        f"""SELECT {_COLUMNS}, NULL FROM event e {_WITH_EVIDENCE}
        WHERE e.id BETWEEN %s AND %s ORDER BY e.seq""",  # noqa: S608 - constants of this module
        (first, last),
    )
    return [_to_event(row) for row in rows]


def load_events_by_id(connection: Connection, ids: Collection[UUID]) -> dict[UUID, Event]:
    """Those of these events that the ledger has."""
    rows = connection.execute(
        f"SELECT {_COLUMNS}, NULL FROM event e {_WITH_EVIDENCE} WHERE e.id = ANY(%s)",  # noqa: S608 - constants of this module
        (list(ids),),
    )
    return {row[0]: _to_event(row) for row in rows}


def find_retracted(connection: Connection, ids: Collection[UUID]) -> frozenset[UUID]:
    """Those of these events that are retracted."""
    rows = connection.execute(
        "SELECT event_id FROM retraction WHERE event_id = ANY(%s)", (list(ids),)
    )
    return frozenset(row[0] for row in rows)


def load_ended_choices(
    connection: Connection, address_ids: Collection[int]
) -> dict[int, frozenset[str]]:
    """Per address the topics of which a choice of a frequency was retracted, or erased.

    Erased before the person came back, that is: those who are erased now have none. A tool that has
    not erased such a choice by then still holds it (I6).
    """
    rows = connection.execute(_SELECT_ENDED_CHOICES, (list(address_ids),))
    return {address_id: frozenset(topics) for address_id, topics in rows}


def _to_event(row: tuple[Any, ...]) -> Event:
    event_id, seq, kind, *facts, evidence, own, until, retracts, frequency, rank, _ = row
    chosen = None if frequency is None else FrequencyChoice(frequency, rank)
    facts += [evidence or {}, own, until, tuple(retracts or ()), evidence is None, chosen]
    return Event(event_id, seq, EventKind(kind), *facts)
