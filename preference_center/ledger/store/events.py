"""These functions read the events of the ledger, and verify their evidence (I8).

An event has the keyed hash of its evidence and is never changed. The evidence itself is in
`event_evidence`, whose rows can be erased: what is left proves nothing about the person, but
anyone who has the evidence elsewhere, and the keys, can show that it belongs to the event. Its
FREE_TEXT is sealed there, so that a copy of the database has nobody's words.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from preference_center.core.errors import DecryptionError
from preference_center.core.events import IMPORT_SOURCE, Event, EventKind, FrequencyChoice
from preference_center.core.keys import Keys
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection
from preference_center.infra.keys.sealed_columns import event_evidence_context
from preference_center.ledger.rules import FREE_TEXT

_COLUMNS = """e.id, e.seq, e.kind, e.address_id, e.scope, e.occurred_at, e.received_at,
    e.recorded_at, e.counts_at, e.source, e.actor, v.evidence, v.sealed, e.own, e.until, e.retracts,
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


def find_recorded(connection: Connection, ids: Collection[UUID]) -> frozenset[UUID]:
    """Those of these ids that an event or a counted bounce has."""
    rows = connection.execute(
        """SELECT id FROM event WHERE id = ANY(%(ids)s)
        UNION SELECT id FROM counted_bounce WHERE id = ANY(%(ids)s)""",
        {"ids": list(ids)},
    )
    return frozenset(row[0] for row in rows)


def find_imported(connection: Connection, ids: Collection[UUID]) -> frozenset[UUID]:
    """Those of these events that an import recorded."""
    rows = connection.execute(
        "SELECT id FROM event WHERE id = ANY(%s) AND source = %s", (list(ids), IMPORT_SOURCE)
    )
    return frozenset(row[0] for row in rows)


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
    event_id, seq, kind, *facts, stored, sealed, own, until, retracts, frequency, rank, _ = row
    chosen = None if frequency is None else FrequencyChoice(frequency, rank)
    evidence = open_evidence(services().keys, event_id, stored or {}, sealed)
    facts += [evidence, own, until, tuple(retracts or ()), stored is None, chosen]
    return Event(event_id, seq, EventKind(kind), *facts)


_PREFIX = b"preference-center: evidence of an event\0"


_SELECT_AFTER = """
SELECT e.seq, e.id, e.evidence_hash, v.evidence, v.sealed
FROM event e LEFT JOIN event_evidence v ON v.event_id = e.id
WHERE e.seq > %s ORDER BY e.seq LIMIT %s
"""


class EvidenceState(StrEnum):
    """What verifying the evidence of an event found."""

    INTACT = "intact"
    MISSING = "missing"
    """Erased with the person, or expired."""
    UNHASHED = "unhashed"
    """Of an event from before there were hashes: nothing shows whether it was altered."""
    ALTERED = "altered"


@dataclass(frozen=True, slots=True)
class VerifiedEvent:
    """An event and the state of its evidence."""

    seq: int
    id: UUID
    state: EvidenceState


def seal_evidence(
    keys: Keys, event_id: UUID, evidence: Mapping[str, str]
) -> tuple[dict[str, str], bytes | None]:
    """The evidence as `event_evidence` has it: what is readable, and its FREE_TEXT sealed."""
    texts = {name: value for name, value in evidence.items() if name in FREE_TEXT}
    if not texts:
        return dict(evidence), None
    readable = {name: value for name, value in evidence.items() if name not in FREE_TEXT}
    context = event_evidence_context(event_id)
    return readable, keys.seal(json.dumps(texts, ensure_ascii=False), context=context)


def open_evidence(
    keys: Keys, event_id: UUID, evidence: Mapping[str, str], sealed: bytes | None
) -> dict[str, str]:
    """The evidence that `seal_evidence` took apart. Raises as `Keys.open` does."""
    if sealed is None:
        return dict(evidence)
    texts = json.loads(keys.open(sealed, context=event_evidence_context(event_id)))
    return {**evidence, **texts}


def hash_evidence(keys: Keys, event_id: UUID, evidence: Mapping[str, str]) -> bytes:
    """The 32-byte hash that an event keeps of its evidence.

    An HMAC under the digest chain of the event's id and the evidence as JSON, with its names in
    order and without white space: without the keys, no guess of the evidence can be confirmed.
    """
    return keys.digest_sha256(_sha256(event_id, evidence))


def verify_evidence(
    connection: Connection, keys: Keys, *, after: int = 0, limit: int = 1_000
) -> list[VerifiedEvent]:
    """Compare the evidence of the next `limit` events after this seq with their hashes.

    A hash may be of any length that the digest chain had: events are not changed by a rotation.
    """
    return [
        VerifiedEvent(seq, event_id, _state(keys, event_id, *row))
        for seq, event_id, *row in connection.execute(_SELECT_AFTER, (after, limit))
    ]


def _state(
    keys: Keys,
    event_id: UUID,
    stored: bytes | None,
    readable: Mapping[str, str] | None,
    sealed: bytes | None,
) -> EvidenceState:
    if readable is None:
        return EvidenceState.MISSING
    if stored is None:
        return EvidenceState.UNHASHED
    try:
        evidence = open_evidence(keys, event_id, readable, sealed)
    except DecryptionError:
        return EvidenceState.ALTERED
    digests = keys.digests_by_length(_sha256(event_id, evidence))
    if any(hmac.compare_digest(stored, digest) for digest in digests):
        return EvidenceState.INTACT
    return EvidenceState.ALTERED


def _sha256(event_id: UUID, evidence: Mapping[str, str]) -> bytes:
    text = json.dumps(dict(evidence), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(_PREFIX + event_id.bytes + text.encode()).digest()
