"""`record_batched`: one transaction for the changes of several concurrent requests.

Starting the statement and waiting for the disk take as long for eight changes as for one. A request
never waits for others to join. If no write is running it writes immediately; requests that arrive
during a write are batched and written when it finishes, by the first of them.

A request does not wait long for a lock that only another one's change needs. A batch gives up a
lock soon, and then each request writes its own change, in its own thread; and a request that has
waited MAX_BATCH_WAIT for a running write starts its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from threading import Lock
from uuid import UUID

from flask import current_app

from preference_center.core.errors import Unavailable, UnavailableCause
from preference_center.core.events import Change
from preference_center.infra.db.connections import DatabaseTimeouts
from preference_center.infra.db.transactions import current_limits, override_limits
from preference_center.ledger.recording import RecordResult, record

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
