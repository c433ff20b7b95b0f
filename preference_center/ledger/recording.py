"""`record` appends events, merges them and updates sync states in one transaction (I1, I2).

`record_batched` writes the changes of several concurrent requests in one transaction. Starting the
statement and waiting for the disk take as long for eight changes as for one. A request never waits
for others to join. If no write is running it writes immediately; requests that arrive during a
write are batched and written when it finishes, by the first of them.

A request does not wait long for a lock that only another one's change needs. A batch gives up a
lock soon, and then each request writes its own change, in its own thread; and a request that has
waited MAX_BATCH_WAIT for a running write starts its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from threading import Lock
from uuid import UUID

import psycopg
from flask import current_app

from preference_center.core.addresses import NORM_VERSION, Address, HashedAddress
from preference_center.core.deadlines import WINDOW
from preference_center.core.errors import Unavailable, UnavailableCause
from preference_center.core.events import REPEAT_INTERVAL, Change, EventKind, Retraction
from preference_center.core.keys import Keys
from preference_center.infra import metrics
from preference_center.infra.context import Services, services
from preference_center.infra.db.connections import DatabaseTimeouts, hold_digest_length
from preference_center.infra.db.statements import NumberedStatement
from preference_center.infra.db.transactions import (
    Connection,
    apply_limits,
    current_limits,
    override_limits,
    run_autocommit,
    run_in_transaction,
)
from preference_center.infra.metrics import OptOutOutcome
from preference_center.ledger.address_rows import (
    addresses_json,
    bytea_literal,
    enable_md5_matching,
    is_md5,
)
from preference_center.ledger.history_loss import remember_recorded
from preference_center.ledger.retracting import await_appends, retract
from preference_center.ledger.rules import redact_evidence
from preference_center.ledger.sql import APPEND_EVENTS, LOCK_ADDRESSES, RAISE_LEARNED
from preference_center.ledger.store.events import hash_evidence, seal_evidence
from preference_center.ledger.watermarks import EPOCH_OUTDATED, ensure_epoch

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
    now: datetime | None = None,
) -> RecordResult:
    """Append `changes` to the ledger, all or none, and nudge the destinations concerned.

    Returns once they are committed. Safe to repeat: an event id is appended once.
    The first MD5 makes all stored addresses match by their MD5: see `enable_md5_matching`.
    `in_transaction(connection, recorded)` writes what belongs to the same transaction; it may be
    called again after a broken connection, and if it raises, everything is rolled back.
    `known_addresses` are stored as readable addresses without an event: opt-outs that match them
    are then pushed to every destination that could not get them before (I9).
    `bulk` is for lists: their changes are pushed after what people do meanwhile.
    `now` is the time of recording where the acts are dated by another clock than this host's.
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
            recorded += _append(connection, context, acts, known_addresses, bulk=bulk, now=now)
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
    remember_recorded(recorded.events)
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
    now: datetime | None = None,
) -> RecordResult:
    now = now or context.now()
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
            **_sealed(keys, change.id, redacted),
            "evidence_hash": bytea_literal(hash_evidence(keys, change.id, redacted)),
            "own": change.own_act and change.kind is EventKind.OPTED_OUT,
            "live": change.is_just_received(now),
        }
        for change, owner, redacted in zip(changes, owners, evidence, strict=True)
    ]
    return json.dumps(rows)


def _sealed(keys: Keys, event_id: UUID, evidence: Mapping[str, str]) -> dict[str, object]:
    readable, sealed = seal_evidence(keys, event_id, evidence)
    return {"evidence": readable, "sealed": None if sealed is None else bytea_literal(sealed)}


_EXTENSION_KEY = "preference_center.batcher"


MAX_BATCH_WAIT = 0.25
"""Seconds that a request waits for a running write before it starts its own."""


SHARED_LOCK_TIMEOUT, SHARED_STATEMENT_TIMEOUT, SHARED_TOTAL_TIMEOUT = 0.25, 1.0, 1.25
"""Seconds: limits of a batch for a lock, a statement, and in total."""


_ISOLATABLE_CAUSES = {UnavailableCause.LOCK_TIMEOUT, UnavailableCause.STATEMENT_TIMEOUT}
"""Causes that may be due to a single change of a batch."""


def record_batched(change: Change) -> tuple[UUID, ...]:
    """`record` one change, together with those of other threads of this process.

    Returns the id of its event, or of the event that it repeats, once that is committed; an empty
    tuple if a concurrent change is the same act.
    Raises Unavailable like `record`. Other people's changes delay it by about a second at most:
    see SHARED_TOTAL_TIMEOUT and MAX_BATCH_WAIT.
    """
    batcher: Batcher = current_app.extensions.setdefault(_EXTENSION_KEY, Batcher())
    return batcher.record(change)


@dataclass(slots=True, eq=False)
class _Pending:
    change: Change
    ready: Lock = field(default_factory=Lock)
    """Held until the change is written, or its thread may write."""
    batch: list[_Pending] = field(default_factory=list)
    """The changes that its thread has to write: its own and those of others."""
    recorded: RecordResult | None = None
    error: Unavailable | None = None


class Batcher:
    """Batches the changes of one process's threads."""

    def __init__(self, max_wait: float = MAX_BATCH_WAIT) -> None:
        self._max_wait = max_wait
        self._lock = Lock()
        self._waiting: list[_Pending] = []
        self._writing = 0
        """How many threads are writing; more than one if a write exceeds MAX_BATCH_WAIT."""

    def record(self, change: Change) -> tuple[UUID, ...]:
        """See `record_batched`."""
        pending = _Pending(change)
        pending.ready.acquire()
        with self._lock:
            self._waiting.append(pending)
            if not self._writing:
                self._writing = 1
                self._assign_batch(pending)
        if not pending.batch:
            self._wait_for_batch(pending)
        if pending.batch:
            self._write(pending)
        if pending.error:
            error = pending.error
            raise Unavailable(str(error), error.cause, error.reason) from error
        # Without a result or an error the batch failed because of one change: record ours alone.
        recorded = pending.recorded or record([change])
        if change.id in recorded.events:
            return (change.id,)
        repeated = recorded.repeats.get(change.id)
        return () if repeated is None else (repeated,)

    def _wait_for_batch(self, pending: _Pending) -> None:
        """Return when `pending` is written, has a batch to write, or must be written alone."""
        if pending.ready.acquire(timeout=self._max_wait):
            return
        with self._lock:
            if pending in self._waiting:  # the running write is delayed: start another
                self._writing += 1
                self._assign_batch(pending)
                return
        pending.ready.acquire(timeout=self._max_wait + SHARED_TOTAL_TIMEOUT)

    def _assign_batch(self, pending: _Pending) -> None:
        """Let `pending` write all that wait. To be called with the lock held."""
        pending.batch, self._waiting = self._waiting, []

    def _write(self, writer: _Pending) -> None:
        try:
            _record_batch(writer.batch)
        finally:
            with self._lock:
                following = self._waiting[0] if self._waiting else None
                if following:
                    self._assign_batch(following)
                else:
                    self._writing -= 1
            if following:
                following.ready.release()
            for pending in writer.batch:
                if pending is not writer:
                    pending.ready.release()


def _record_batch(batch: Sequence[_Pending]) -> None:
    """Write them in one transaction, or none if one may be at fault: each is written alone then."""
    changes = [pending.change for pending in batch]
    limits = current_limits()
    try:
        with override_limits(_shared_limits(limits) if len(batch) > 1 else limits):
            recorded = record(changes)
    except Unavailable as error:
        if len(batch) == 1 or error.cause not in _ISOLATABLE_CAUSES:
            for pending in batch:
                pending.error = error
    except Exception:
        if len(batch) == 1:
            raise
    else:
        for pending in batch:
            pending.recorded = recorded


def _shared_limits(limits: DatabaseTimeouts) -> DatabaseTimeouts:
    return replace(
        limits,
        lock=min(limits.lock, SHARED_LOCK_TIMEOUT),
        statement=min(limits.statement, SHARED_STATEMENT_TIMEOUT),
        retry=min(limits.retry, SHARED_LOCK_TIMEOUT),
        round_trip=min(limits.round_trip, SHARED_TOTAL_TIMEOUT),
    )
