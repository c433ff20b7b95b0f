"""`record_together`: one transaction for what several requests say at the same moment.

To start the statement, and to wait for the disk, takes as long for eight changes as for one.
Nobody waits to be joined: who comes while nothing is being written writes at once, and those
who come meanwhile are written together when that has ended, by the first of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock
from uuid import UUID

from flask import current_app

from preference_center.domain.events import Change
from preference_center.errors import Unavailable
from preference_center.ledger.recording import Recorded, record

_GROUP = "preference_center.group"


def record_together(change: Change) -> tuple[UUID, ...]:
    """`record` one change, with those of other threads of this process if there are any.

    Returns the events that it made, once they are committed: none where it is a repeat.
    Raises Unavailable like `record`.
    """
    group: Group = current_app.extensions.setdefault(_GROUP, Group())
    return group.record(change)


@dataclass(slots=True)
class _Wish:
    change: Change
    turn: Lock = field(default_factory=Lock)
    """Held until it is written, or may write."""
    recorded: Recorded | None = None
    error: Unavailable | None = None
    tried: bool = False


class Group:
    """The threads of one process that have something to record."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._waiting: list[_Wish] = []
        self._writing = False

    def record(self, change: Change) -> tuple[UUID, ...]:
        """See `record_together`."""
        wish = _Wish(change)
        wish.turn.acquire()
        with self._lock:
            self._waiting.append(wish)
            first, self._writing = not self._writing, True
        if not first:
            wish.turn.acquire()
        if not wish.tried:
            self._write(wish)
        if wish.error:
            raise Unavailable(str(wish.error), wish.error.cause) from wish.error
        # Without either, another's change spoiled it, or this one: each for itself then.
        recorded = wish.recorded or record([change])
        return (change.id,) if change.id in recorded.events else ()

    def _write(self, writer: _Wish) -> None:
        with self._lock:
            wishes, self._waiting = self._waiting, []
        try:
            _record(wishes)
        finally:
            with self._lock:
                following = self._waiting[0] if self._waiting else None
                self._writing = following is not None
            for wish in wishes:
                wish.tried = True
                if wish is not writer:
                    wish.turn.release()
            if following:
                following.turn.release()


def _record(wishes: Sequence[_Wish]) -> None:
    try:
        recorded = record([wish.change for wish in wishes])
    except Unavailable as error:
        for wish in wishes:
            wish.error = error
    except Exception:
        if len(wishes) == 1:
            raise
    else:
        for wish in wishes:
            wish.recorded = recorded
