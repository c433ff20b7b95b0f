"""`record`: append events, merge them and update sync states in one transaction (I1, I2)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import psycopg

from preference_center.core.addresses import NORM_VERSION, Address, HashedAddress
from preference_center.core.deadlines import WINDOW
from preference_center.core.events import REPEAT_INTERVAL, Change, EventKind, Retraction
from preference_center.core.keys import Keys
from preference_center.infra import metrics
from preference_center.infra.context import Services, services
from preference_center.infra.db.connections import hold_digest_length
from preference_center.infra.db.statements import NumberedStatement
from preference_center.infra.db.transactions import (
    Connection,
    apply_limits,
    run_autocommit,
    run_in_transaction,
)
from preference_center.infra.metrics import OptOutOutcome
from preference_center.ledger.address_rows import addresses_json, bytea_literal
from preference_center.ledger.feed_watermarks import EPOCH_OUTDATED, ensure_epoch
from preference_center.ledger.md5_matching import enable_md5_matching, is_md5
from preference_center.ledger.retracting import await_appends, retract
from preference_center.ledger.rules.evidence_redaction import redact_evidence
from preference_center.ledger.sql import APPEND_EVENTS, LOCK_ADDRESSES
from preference_center.ledger.store.evidence import hash_evidence
from preference_center.ledger.sync_state_sql import RAISE_LEARNED

_APPEND_EVENTS = NumberedStatement(APPEND_EVENTS)

MAX_INTERACTIVE_CHANGES = 100
"""Up to so many changes somebody may be waiting; more are a list and get more time."""


@dataclass(frozen=True, slots=True)
class RecordResult:
    """The events that `record` appended, and the destinations that now have work.

    `repeats` are the own opt-outs that appended nothing, with the events that they repeat (I7).
    """

    events: tuple[UUID, ...] = ()
    destinations: frozenset[int] = field(default_factory=frozenset)
    repeats: Mapping[UUID, UUID] = field(default_factory=dict)

    def __add__(self, other: RecordResult) -> RecordResult:
        return RecordResult(
            self.events + other.events,
            self.destinations | other.destinations,
            {**self.repeats, **other.repeats},
        )


def record(
    changes: Sequence[Change | Retraction],
    in_transaction: Callable[[Connection, RecordResult], None] | None = None,
    known_addresses: Sequence[Address | HashedAddress] = (),
    *,
    bulk: bool = False,
) -> RecordResult:
    """Append `changes` to the ledger, all or none, and nudge the destinations concerned.

    Returns once they are committed. Safe to repeat: an event id is appended once.
    The first MD5 makes all stored addresses match by their MD5: see `enable_md5_matching`.
    `in_transaction(connection, recorded)` writes what belongs to the same transaction; it may be
    called again after a broken connection, and if it raises, everything is rolled back.
    `known_addresses` are stored as readable addresses without an event: opt-outs that match them
    are then pushed to every destination that could not get them before (I9).
    `bulk` is for lists: their changes are pushed after what people do meanwhile.
    Raises Unavailable, with nothing written, when the database can't be reached.
    """
    context = services()
    acts = _deduplicate(change for change in changes if isinstance(change, Change))
    retractions = [change for change in changes if isinstance(change, Retraction)]

    if any(is_md5(change.address) for change in acts):
        enable_md5_matching()

    def write(connection: Connection) -> RecordResult:
        recorded = RecordResult()
        if retractions:
            await_appends(connection, retractions)
        hold_digest_length(connection, context.keys)
        if acts or known_addresses:
            recorded += _append(connection, context, acts, known_addresses, bulk=bulk)
        for retraction in retractions:
            recorded += RecordResult(*retract(connection, retraction, context.now(), bulk=bulk))
        if in_transaction:
            in_transaction(connection, recorded)
        return recorded

    def run() -> RecordResult:
        # Appending alone is one pipeline; retractions read before they write.
        if retractions or in_transaction or context.keys.is_digest_key_waiting:
            return run_in_transaction(write)
        return run_autocommit(
            write,
            allow_total=len(acts) + len(known_addresses) > MAX_INTERACTIVE_CHANGES,
            never_in_transaction=True,
        )

    recorded = _run_in_current_epoch(run)
    context.queue.nudge_sync(recorded.destinations)
    _count(acts, recorded)
    return recorded


def _count(acts: Sequence[Change], recorded: RecordResult) -> None:
    appended = frozenset(recorded.events)
    metrics.count_events(change.kind for change in acts if change.id in appended)
    own = sum(change.own_act and change.kind is EventKind.OPTED_OUT for change in acts)
    metrics.count_opt_outs(OptOutOutcome.RECORDED, own)


def _run_in_current_epoch(run: Callable[[], RecordResult]) -> RecordResult:
    """`run()`, which appends nothing before an epoch was begun after a start of the server.

    Else its versions could be lower than those of a history that was lost (I3).
    """
    try:
        return run()
    except psycopg.Error as error:
        if error.sqlstate != EPOCH_OUTDATED:
            raise
    ensure_epoch()
    return run()


def _deduplicate(changes: Iterable[Change]) -> list[Change]:
    """The changes without duplicate ids, and only the newest of repeats of one own act (I7)."""
    by_id = {change.id: change for change in changes}
    acts: dict[object, list[Change]] = {}
    for change in sorted(by_id.values(), key=lambda c: c.counts_at, reverse=True):
        kept = acts.setdefault((change.address, change.scope) if change.own_act else change.id, [])
        if not any(change.is_repeat_of(newer) for newer in kept):
            kept.append(change)
    newest = {change.id for kept in acts.values() for change in kept}
    return [change for change in by_id.values() if change.id in newest]


def _append(
    connection: Connection,
    context: Services,
    changes: Sequence[Change],
    known_addresses: Sequence[Address | HashedAddress] = (),
    *,
    bulk: bool = False,
) -> RecordResult:
    now = context.now()
    owners = [context.keys.exact_digest(change.address) for change in changes]
    named = [change.address for change in changes]
    addresses = {
        "addresses": addresses_json(
            context.keys,
            [*named, *known_addresses],
            [*owners, *map(context.keys.exact_digest, known_addresses)],
        ),
        "norm_version": NORM_VERSION,
    }
    events = {
        "events": _events_json(context.keys, changes, owners, now),
        "count": len(changes),
        "repeat": REPEAT_INTERVAL,
        "bulk": bulk,
    }
    with connection.pipeline():
        apply_limits(connection)
        connection.execute(LOCK_ADDRESSES, addresses | {"now": now})
        cursors = [_APPEND_EVENTS.run(connection, events | {"now": now, "window": WINDOW})]
        if known_addresses:
            learned = addresses | {"now": now, "window": WINDOW, "bulk": bulk}
            cursors.append(connection.execute(RAISE_LEARNED, learned, binary=True))
    recorded = RecordResult()
    for cursor in cursors:
        row = cursor.fetchone()
        assert row  # the statements end in a SELECT without FROM
        recorded += RecordResult(tuple(row[0]), frozenset(row[1]), *map(dict, row[2:]))
    return recorded


def _events_json(
    keys: Keys, changes: Sequence[Change], owners: Sequence[bytes], now: datetime
) -> str:
    """The changes as JSON. Nothing can have been received after `now`."""
    evidence = [redact_evidence(c.evidence, c.address, keys.evidence_hmac) for c in changes]
    rows = [
        {
            "id": str(change.id),
            "owner": bytea_literal(owner),
            "channel": change.address.channel,
            "kind": change.kind,
            "scope": change.scope,
            "occurred_at": change.occurred_at.isoformat(),
            "received_at": min(change.received_at, now).isoformat(),
            "counts_at": min(change.counts_at, now).isoformat(),
            "until": change.until and change.until.isoformat(),
            "frequency": change.frequency and change.frequency.key,
            "frequency_rank": change.frequency and change.frequency.rank,
            "source": change.source,
            "actor": change.actor,
            "evidence": redacted,
            "evidence_hash": bytea_literal(hash_evidence(keys, change.id, redacted)),
            "own": change.own_act and change.kind is EventKind.OPTED_OUT,
            "live": change.is_just_received(now),
        }
        for change, owner, redacted in zip(changes, owners, evidence, strict=True)
    ]
    return json.dumps(rows)
