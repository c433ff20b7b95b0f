"""`record_together`: one transaction for what several requests say at the same moment.

To start the statement, and to wait for the disk, takes as long for eight changes as for one.
Nobody waits to be joined: who comes while nothing is being written writes at once, and those
who come meanwhile are written together when that has ended, by the first of them.

Nor does anybody wait for a stranger's lock. What several share gives up a lock soon, and then
each writes for itself, in its own thread; and whoever has waited a moment for others begins
without them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from threading import Lock
from uuid import UUID

from flask import current_app

from preference_center.database_timeouts import Limits
from preference_center.domain.events import Change
from preference_center.errors import Cause, Unavailable
from preference_center.ledger.recording import Recorded, record
from preference_center.storage.db.database import current_limits, within

_GROUP = "preference_center.group"

PATIENCE = 0.25
"""Seconds that those who come meanwhile wait for a write before they begin without it."""
SHARED_LOCK, SHARED_STATEMENT, SHARED_TOTAL = 0.25, 1.0, 1.25
"""Seconds: a lock, a statement and all of it, of what several share."""
_HELD_UP = {Cause.LOCK, Cause.TIMEOUT}
"""What may be the fault of one of them only."""


def record_together(change: Change) -> tuple[UUID, ...]:
    """`record` one change, with those of other threads of this process if there are any.

    Returns the event that it made, or the one that it repeats, once that is committed; nothing
    where another change of the same moment is the same act.
    Raises Unavailable like `record`. The changes of other people cost it about a second at
    most: see SHARED_TOTAL and PATIENCE.
    """
    group: Group = current_app.extensions.setdefault(_GROUP, Group())
    return group.record(change)


@dataclass(slots=True, eq=False)
class _Wish:
    change: Change
    turn: Lock = field(default_factory=Lock)
    """Held until it is written, or may write."""
    batch: list[_Wish] = field(default_factory=list)
    """What it is to write: its own and those of others."""
    recorded: Recorded | None = None
    error: Unavailable | None = None


class Group:
    """The threads of one process that have something to record."""

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._lock = Lock()
        self._waiting: list[_Wish] = []
        self._writing = 0
        """How many write now. More than one where some were passed by."""

    def record(self, change: Change) -> tuple[UUID, ...]:
        """See `record_together`."""
        wish = _Wish(change)
        wish.turn.acquire()
        with self._lock:
            self._waiting.append(wish)
            if not self._writing:
                self._writing = 1
                self._hand_over(wish)
        if not wish.batch:
            self._await_turn(wish)
        if wish.batch:
            self._write(wish)
        if wish.error:
            raise Unavailable(str(wish.error), wish.error.cause) from wish.error
        # Without either, another's change spoiled it, or this one: each for itself then.
        recorded = wish.recorded or record([change])
        if change.id in recorded.events:
            return (change.id,)
        repeated = recorded.repeated.get(change.id)
        return () if repeated is None else (repeated,)

    def _await_turn(self, wish: _Wish) -> None:
        """Return when `wish` is written, is to write, or is to be written by itself."""
        if wish.turn.acquire(timeout=self._patience):
            return
        with self._lock:
            if wish in self._waiting:  # those who write are held up: pass them by
                self._writing += 1
                self._hand_over(wish)
                return
        wish.turn.acquire(timeout=self._patience + SHARED_TOTAL)

    def _hand_over(self, wish: _Wish) -> None:
        """Have `wish` write all that waits. To be called with the lock held."""
        wish.batch, self._waiting = self._waiting, []

    def _write(self, writer: _Wish) -> None:
        try:
            _record(writer.batch)
        finally:
            with self._lock:
                following = self._waiting[0] if self._waiting else None
                if following:
                    self._hand_over(following)
                else:
                    self._writing -= 1
            if following:
                following.turn.release()
            for wish in writer.batch:
                if wish is not writer:
                    wish.turn.release()


def _record(wishes: Sequence[_Wish]) -> None:
    """Write them in one transaction, or leave each to write itself if one may be at fault."""
    changes = [wish.change for wish in wishes]
    limits = current_limits()
    try:
        with within(_shared(limits) if len(wishes) > 1 else limits):
            recorded = record(changes)
    except Unavailable as error:
        if len(wishes) == 1 or error.cause not in _HELD_UP:
            for wish in wishes:
                wish.error = error
    except Exception:
        if len(wishes) == 1:
            raise
    else:
        for wish in wishes:
            wish.recorded = recorded


def _shared(limits: Limits) -> Limits:
    return replace(
        limits,
        lock=min(limits.lock, SHARED_LOCK),
        statement=min(limits.statement, SHARED_STATEMENT),
        retry=min(limits.retry, SHARED_LOCK),
        at_once=min(limits.at_once, SHARED_TOTAL),
    )
