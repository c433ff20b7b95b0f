"""`retract` retracts named events and folds the remaining ones again, under lock (I5)."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID, uuid5

from preference_center.core.deadlines import WINDOW
from preference_center.core.events import Retraction, ScopeState, fold
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection
from preference_center.ledger.sql import ACQUIRE_APPEND_LOCK, APPEND_RETRACTIONS
from preference_center.ledger.store.events import hash_evidence, list_events_of

LOCK_RETRACTED = """
WITH named AS MATERIALIZED (
    SELECT DISTINCT k.digest, k.channel FROM unnest(%(ids)s::uuid[]) AS given (id)
    CROSS JOIN LATERAL (SELECT address_id FROM event WHERE id = given.id OFFSET 0) AS event
    CROSS JOIN LATERAL (SELECT digest, channel FROM address_key
        WHERE address_id = event.address_id OFFSET 0) AS k
    ORDER BY digest, channel
)
SELECT FROM named CROSS JOIN LATERAL (
    SELECT FROM address WHERE digest = named.digest AND channel = named.channel FOR UPDATE
) AS locked
"""
"""Locks the addresses, their mailboxes and their bases, like LOCK_ADDRESSES, and in its order. Each
is looked up by itself: joined, all keys were read by a plan made while the tables were empty.
"""

_LOCK_TIMEOUT = "200ms"

_INSERT_RETRACTIONS = """
INSERT INTO retraction (event_id, retraction_event_id)
SELECT event_id, %(retraction)s FROM unnest(%(ids)s::uuid[]) AS given (event_id)
ON CONFLICT DO NOTHING RETURNING event_id
"""
_SELECT_AFFECTED = "SELECT address_id, scope, id FROM event WHERE id = ANY(%s) ORDER BY seq"


def await_appends(connection: Connection, retractions: Sequence[Retraction]) -> None:
    """Acquire the append lock. To be called before `retract`, and before any other lock.

    It may block all other writers, so it sets a lock timeout that is shorter than theirs (I2),
    which also holds for the address locks that follow.
    """
    connection.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
    ids = [event for retraction in retractions for event in retraction.event_ids]
    connection.execute(ACQUIRE_APPEND_LOCK, {"ids": ids})


def retract(
    connection: Connection, retraction: Retraction, now: datetime, *, bulk: bool = False
) -> tuple[tuple[UUID, ...], frozenset[int]]:
    """Retract the events that `retraction` names, except those already retracted.

    Appends one retraction event per address and scope, with an id derived from the retraction's.
    Returns those ids and the destinations concerned. An event that is not in the ledger yet is
    retracted in advance: if it arrives later, it does not count.
    """
    ids = list(retraction.event_ids)
    connection.execute(LOCK_RETRACTED, {"ids": ids})
    given = {"ids": ids, "retraction": retraction.id}
    retracted = [row[0] for row in connection.execute(_INSERT_RETRACTIONS, given)]
    groups: dict[tuple[int, str], list[UUID]] = {}
    for address_id, scope, event_id in connection.execute(_SELECT_AFFECTED, (retracted,)):
        groups.setdefault((address_id, scope), []).append(event_id)
    if not groups:
        return (), frozenset()
    _refold(connection, {address for address, _ in groups})
    retraction_ids = [uuid5(retraction.id, f"{address}/{scope}") for address, scope in groups]
    keys = services().keys
    row = connection.execute(
        APPEND_RETRACTIONS,
        {
            "ids": retraction_ids,
            "addresses": [address for address, _ in groups],
            "scopes": [scope for _, scope in groups],
            "retracts": [
                json.dumps([str(event) for event in events]) for events in groups.values()
            ],
            "occurred": min(retraction.occurred_at, now),
            "source": retraction.source,
            "actor": retraction.actor,
            "evidence": json.dumps(dict(retraction.evidence)),
            "hashes": [hash_evidence(keys, each, retraction.evidence) for each in retraction_ids],
            "now": now,
            "window": WINDOW,
            "bulk": bulk,
        },
    ).fetchone()
    assert row  # the statement ends in a SELECT without FROM
    return tuple(row[0]), frozenset(row[1])


def _refold(connection: Connection, address_ids: Collection[int]) -> None:
    """Compute the state of these locked addresses again, from the events not retracted."""
    ids = list(address_ids)
    events, retracted = list_events_of(connection, ids)
    erased: dict[int, datetime] = dict(connection.execute(_SELECT_ERASED, (ids,)).fetchall())
    states = {
        key: state.without_choices_before(erased[key[0]]) if key[0] in erased else state
        for key, state in fold(events, retracted).items()
    }
    connection.execute("DELETE FROM suppression WHERE address_id = ANY(%s)", (ids,))
    connection.execute("DELETE FROM consent WHERE address_id = ANY(%s)", (ids,))
    with connection.cursor() as cursor:
        cursor.executemany(
            _INSERT_SUPPRESSION, [_suppression_row(*key, state) for key, state in states.items()]
        )
        cursor.executemany(
            "INSERT INTO consent (address_id, topic, at, event) VALUES (%s, %s, %s, %s)",
            [
                (address_id, topic, state.consent.at, state.consent.event)
                for (address_id, topic), state in states.items()
                if state.consent
            ],
        )


_SELECT_ERASED = """
SELECT id, last_erased_at FROM address WHERE id = ANY(%s) AND last_erased_at IS NOT NULL
"""
"""Of those who came back, too: that is no reason to remember what they chose before (I6)."""

_INSERT_SUPPRESSION = """
INSERT INTO suppression (address_id, scope, out_at, out_event, reason, own,
    lift_at, lift_event, pause_at, pause_event, pause_until,
    frequency_at, frequency_rank, frequency_event, frequency)
SELECT given.* FROM (VALUES (%s::bigint, %s::text, %s::timestamptz, %s::uuid, %s::text,
    %s::boolean, %s::timestamptz, %s::uuid, %s::timestamptz, %s::uuid, %s::timestamptz,
    %s::timestamptz, %s::smallint, %s::uuid, %s::text)) AS given
    (address_id, scope, out_at, out_event, reason, own, lift_at, lift_event, pause_at,
     pause_event, pause_until, frequency_at, frequency_rank, frequency_event, frequency)
WHERE COALESCE(out_at, lift_at, pause_at, frequency_at) IS NOT NULL
"""


def _suppression_row(address_id: int, scope: str, state: ScopeState) -> tuple[object, ...]:
    out, lift, pause, frequency = state.opt_out, state.lift, state.pause, state.frequency
    return (
        address_id,
        scope,
        out and out.at,
        out and out.event,
        state.reason,
        state.own_act,
        lift and lift.at,
        lift and lift.event,
        pause and pause.at,
        pause and pause.event,
        state.pause_until,
        frequency and frequency.at,
        frequency and frequency.rank,
        frequency and frequency.event,
        frequency and frequency.key,
    )
