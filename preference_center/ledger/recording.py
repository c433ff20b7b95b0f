"""`record`: append events, merge them, raise the sync states; one transaction (I1, I2)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from preference_center.domain.addresses import NORM_VERSION, Address
from preference_center.domain.deadlines import WINDOW
from preference_center.domain.events import REPEAT, Change, Kind, Retraction
from preference_center.domain.evidence_redaction import reduced
from preference_center.domain.hashed_addresses import Hashed
from preference_center.extensions import Services, services
from preference_center.keys import Keys
from preference_center.ledger.md5_matching import is_md5, match_md5
from preference_center.ledger.retracting import await_appends, retract
from preference_center.ledger.sql import APPEND, LOCK_ADDRESSES
from preference_center.ledger.sync_state_sql import RAISE_LEARNED
from preference_center.storage.db.database import Connection, keep_to_limits, run, run_at_once
from preference_center.storage.db.prepared_statements import Numbered
from preference_center.storage.feed.watermarks import know_epoch
from preference_center.storage.ledger.addresses import domain_digest, sealed

_APPEND = Numbered(APPEND)

FEW = 100
"""Changes for which somebody may be waiting; more are a list, and are given longer."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a `record` appended, and which destinations now have work.

    `repeated` are the own opt-outs that appended nothing, with the events they repeat (I7).
    """

    events: tuple[UUID, ...] = ()
    destinations: frozenset[int] = field(default_factory=frozenset)
    repeated: Mapping[UUID, UUID] = field(default_factory=dict)

    def __add__(self, other: Recorded) -> Recorded:
        return Recorded(
            self.events + other.events,
            self.destinations | other.destinations,
            {**self.repeated, **other.repeated},
        )


def record(
    changes: Sequence[Change | Retraction],
    beside: Callable[[Connection, Recorded], None] | None = None,
    known: Sequence[Address] = (),
    *,
    bulk: bool = False,
) -> Recorded:
    """Append `changes` to the ledger, all or none, and nudge the destinations concerned.

    Returns once they are committed. Safe to repeat: an event id is appended once.
    The first MD5 ever makes the known addresses findable by theirs: see `match_md5`.
    `beside(connection, recorded)` writes what belongs to the same transaction; it may be
    called again after a broken connection, and what it raises takes everything back.
    `known` are addresses to be stored readable though nobody said anything: what stands
    against them already becomes work for every destination that could not be told (I9).
    `bulk` is for lists: tools are told of it after what people do meanwhile.
    Raises Unavailable, with nothing written, when the database can't be reached.
    """
    context = services()
    acts = _distinct(change for change in changes if isinstance(change, Change))
    retractions = [change for change in changes if isinstance(change, Retraction)]

    if any(is_md5(change.address) for change in acts):
        match_md5()

    def work(connection: Connection) -> Recorded:
        know_epoch(connection)  # versions must not go back after a restore
        recorded = Recorded()
        if retractions:
            await_appends(connection, retractions)
        if acts or known:
            recorded += _append(connection, context, acts, known, bulk=bulk)
        for retraction in retractions:
            recorded += Recorded(*retract(connection, retraction, context.now(), bulk=bulk))
        if beside:
            beside(connection, recorded)
        return recorded

    # Appending alone is one pipeline; retractions look before they write.
    if retractions or beside:
        recorded = run(work)
    else:
        recorded = run_at_once(work, long=len(acts) + len(known) > FEW)
    context.queue.nudge(recorded.destinations)
    return recorded


def _distinct(changes: Iterable[Change]) -> list[Change]:
    """The changes, less repeats of one id and, but for the newest, of one own act (I7)."""
    by_id = {change.id: change for change in changes}
    acts: dict[object, list[Change]] = {}
    for change in sorted(by_id.values(), key=lambda c: c.counts_at, reverse=True):
        kept = acts.setdefault((change.address, change.scope) if change.once else change.id, [])
        if not any(change.repeats(newer) for newer in kept):
            kept.append(change)
    newest = {change.id for kept in acts.values() for change in kept}
    return [change for change in by_id.values() if change.id in newest]


def _append(
    connection: Connection,
    context: Services,
    changes: Sequence[Change],
    known: Sequence[Address] = (),
    *,
    bulk: bool = False,
) -> Recorded:
    now = context.now()
    owners = [context.keys.exact(change.address) for change in changes]
    told = [change.address for change in changes]
    addresses = {
        "addresses": _addresses(
            context.keys, [*told, *known], [*owners, *map(context.keys.exact, known)]
        ),
        "norm_version": NORM_VERSION,
    }
    events = {
        "events": _events(context.keys, changes, owners, now),
        "count": len(changes),
        "repeat": REPEAT,
        "bulk": bulk,
    }
    with connection.pipeline():
        keep_to_limits(connection)
        connection.execute(LOCK_ADDRESSES, addresses | {"now": now})
        cursors = [_APPEND.run(connection, events | {"now": now, "window": WINDOW})]
        if known:
            learned = addresses | {"now": now, "window": WINDOW, "bulk": bulk}
            cursors.append(connection.execute(RAISE_LEARNED, learned, binary=True))
    recorded = Recorded()
    for cursor in cursors:
        row = cursor.fetchone()
        assert row  # the statements end in a SELECT without FROM
        recorded += Recorded(tuple(row[0]), frozenset(row[1]), *map(dict, row[2:]))
    return recorded


def _addresses(keys: Keys, addresses: Sequence[Address | Hashed], digests: Sequence[bytes]) -> str:
    """The distinct addresses, given with their exact digests, and all their match keys, as JSON.

    An address and its SHA-256 have one digest, so one row: the readable one. The rows of the
    mailbox and of the base come with it, to be locked: forms that match have one in common, so
    of two that are written at the same moment one sees the other (I9, docs/decisions/0033).
    """
    distinct: dict[tuple[bytes, str], Address | Hashed] = {}
    for address, digest in zip(addresses, digests, strict=True):
        key = (digest, address.channel)
        if key not in distinct or isinstance(address, Address):
            distinct[key] = address
    rows: list[dict[str, object]] = [
        {
            "channel": channel,
            "digest": _octets(digest),
            "ciphertext": _octets(sealed(keys, address)) if isinstance(address, Address) else None,
            "domain": _domain(keys, address),
            "keys": _keys(keys, address),
        }
        for (digest, channel), address in distinct.items()
    ]
    shared = {
        (digest, address.channel)
        for address in distinct.values()
        for digest in keys.match_keys(address)
    }
    rows += [
        {"channel": channel, "digest": _octets(digest), "keys": []}
        for digest, channel in shared - distinct.keys()
    ]
    return json.dumps(rows)


def _domain(keys: Keys, address: Address | Hashed) -> str | None:
    found = domain_digest(keys, address) if isinstance(address, Address) else None
    return None if found is None else _octets(found)


def _keys(keys: Keys, address: Address | Hashed) -> list[dict[str, object]]:
    """The match keys, and those by MD5, which are stored once there are MD5s to match."""
    by_md5 = keys.md5_keys(address) if isinstance(address, Address) else {}
    return [
        {"digest": _octets(digest), "kind": kind.value, "md5": md5}
        for found, md5 in ((keys.match_keys(address), False), (by_md5, True))
        for digest, kind in found.items()
    ]


def _events(keys: Keys, changes: Sequence[Change], owners: Sequence[bytes], now: datetime) -> str:
    """The changes as JSON. Nothing can have been received after `now`."""
    rows = [
        {
            "id": str(change.id),
            "owner": _octets(owner),
            "channel": change.address.channel,
            "kind": change.kind,
            "scope": change.scope,
            "occurred_at": change.occurred_at.isoformat(),
            "received_at": min(change.received_at, now).isoformat(),
            "counts_at": min(change.counts_at, now).isoformat(),
            "until": change.until and change.until.isoformat(),
            "source": change.source,
            "actor": change.actor,
            "evidence": reduced(change.evidence, change.address, keys.mark),
            "own": change.once and change.kind is Kind.OPTED_OUT,
            "live": change.is_live(now),
        }
        for change, owner in zip(changes, owners, strict=True)
    ]
    return json.dumps(rows)


def _octets(data: bytes) -> str:
    """As PostgreSQL reads `bytea` (its manual, 8.4.1)."""
    return "\\x" + data.hex()
