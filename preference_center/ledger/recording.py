"""`record`: append events, merge them, raise the sync states; one transaction (I1, I2)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from preference_center.domain.addresses import NORM_VERSION, Address
from preference_center.domain.deadlines import WINDOW
from preference_center.domain.events import Change, Kind, Retraction, counts_at
from preference_center.extensions import Services, services
from preference_center.keys import Keys
from preference_center.ledger.retracting import await_appends, retract
from preference_center.ledger.statements import APPEND, LOCK_ADDRESSES
from preference_center.storage.addresses import sealed
from preference_center.storage.database import Connection, run


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a `record` appended, and which destinations now have work."""

    events: tuple[UUID, ...] = ()
    destinations: frozenset[int] = field(default_factory=frozenset)

    def __add__(self, other: Recorded) -> Recorded:
        return Recorded(self.events + other.events, self.destinations | other.destinations)


def record(changes: Sequence[Change | Retraction]) -> Recorded:
    """Append `changes` to the ledger, all or none, and nudge the destinations concerned.

    Returns once they are committed. Safe to repeat: an event id is appended once. Raises
    Unavailable, with nothing written, when the database can't be reached.
    """
    context = services()
    acts = _distinct(change for change in changes if isinstance(change, Change))
    retractions = [change for change in changes if isinstance(change, Retraction)]

    def work(connection: Connection) -> Recorded:
        recorded = Recorded()
        if retractions:
            await_appends(connection, retractions)
        if acts:
            recorded += _append(connection, context, acts)
        for retraction in retractions:
            recorded += Recorded(*retract(connection, retraction, context.now()))
        return recorded

    recorded = run(work)
    context.queue.nudge(recorded.destinations)
    return recorded


def _distinct(changes: Iterable[Change]) -> list[Change]:
    """The changes, less repeats of one id and, but for the newest, of one own act (I7)."""
    kept: dict[object, Change] = {}
    for change in changes:
        address = change.address
        act = (address.channel, address.exact, change.kind, change.scope)
        key = act if change.once else change.id
        seen = kept.get(key)
        if seen is None or (change.once and _counts_at(change) > _counts_at(seen)):
            kept[key] = change
    return list(kept.values())


def _append(connection: Connection, context: Services, changes: Sequence[Change]) -> Recorded:
    now = context.now()
    with connection.pipeline():
        connection.execute(LOCK_ADDRESSES, _addresses(context.keys, changes) | {"now": now})
        cursor = connection.execute(
            APPEND,
            _events(context.keys, changes, now) | {"now": now, "window": WINDOW},
            binary=True,
        )
        row = cursor.fetchone()
    assert row  # the statement ends in a SELECT without FROM
    return Recorded(tuple(row[0]), frozenset(row[1]))


def _addresses(keys: Keys, changes: Sequence[Change]) -> dict[str, Any]:
    """The distinct addresses of `changes` and all their match keys, as arrays."""
    distinct: dict[tuple[str, str], Address] = {
        (change.address.channel, change.address.exact): change.address for change in changes
    }
    rows = [(address, keys.exact(address)) for address in distinct.values()]
    match_keys = [
        (digest, owner, address.channel.value, int(kind))
        for address, owner in rows
        for digest, kind in keys.match_keys(address).items()
    ]
    return {
        "norm_version": NORM_VERSION,
        "channels": [address.channel.value for address, _ in rows],
        "digests": [digest for _, digest in rows],
        "ciphertexts": [sealed(keys, address) for address, _ in rows],
        "key_digests": [key[0] for key in match_keys],
        "key_owners": [key[1] for key in match_keys],
        "key_channels": [key[2] for key in match_keys],
        "key_kinds": [key[3] for key in match_keys],
    }


def _events(keys: Keys, changes: Sequence[Change], now: datetime) -> dict[str, Any]:
    """The changes as one array per column. Nothing can have been received after `now`."""
    return {
        "ids": [change.id for change in changes],
        "owners": [keys.exact(change.address) for change in changes],
        "owner_channels": [change.address.channel.value for change in changes],
        "kinds": [change.kind.value for change in changes],
        "scopes": [change.scope for change in changes],
        "occurred": [change.occurred_at for change in changes],
        "received": [min(change.received_at, now) for change in changes],
        "counts": [min(_counts_at(change), now) for change in changes],
        "untils": [change.until for change in changes],
        "sources": [change.source for change in changes],
        "actors": [change.actor for change in changes],
        "evidences": [json.dumps(dict(change.evidence)) for change in changes],
        "once": [change.once and change.kind is Kind.OPTED_OUT for change in changes],
    }


def _counts_at(change: Change) -> datetime:
    return counts_at(change.kind, change.occurred_at, change.received_at)
