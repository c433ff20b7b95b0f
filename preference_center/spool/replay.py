"""Recording what was spooled, and keeping aside what can't be.

A crash between recording and removing a file has the file replayed once more. That records
nothing twice: each event has had its id since it was accepted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import psycopg
import structlog

from preference_center.errors import Cause, ConfigError, PreferenceCenterError, Unavailable
from preference_center.links import Links
from preference_center.spool.folder import DAMAGED, REJECTED, Folder, HeldFile
from preference_center.spool.frames import Damage, Frame, decode, encode

log = structlog.get_logger()

BATCH = 100

Handler = Callable[[Sequence[Mapping[str, Any]]], object]
"""Records requests of one kind, all or none; safe to repeat. Raises Unavailable while it can't."""

_NEVER = (
    PreferenceCenterError,
    KeyError,
    TypeError,
    ValueError,
    psycopg.DataError,
    psycopg.IntegrityError,
)
"""Errors that trying again does not help against. After any other it is tried until it works."""


@dataclass(slots=True)
class Replayed:
    """What became of the records of some files."""

    recorded: int = 0
    rejected: int = 0
    damaged: int = 0
    waiting: int = 0
    """Records that could not be recorded now, though the database is there."""


@dataclass(frozen=True, slots=True)
class _Record:
    offset: int
    frame: Frame
    kind: str
    data: Mapping[str, Any]


@dataclass(slots=True)
class Progress:
    """How far one file is. It need not outlive the process."""

    done: set[int] = field(default_factory=set)
    """Offsets of what was recorded or kept aside."""
    waiting: list[int] = field(default_factory=list)
    """Offsets of what a lock holds up; the one tried longest ago first."""
    reported: set[int] = field(default_factory=set)
    """Offsets of those that were logged."""


@dataclass(frozen=True, slots=True)
class Replay:
    """Replays files of `folder`. Not for use by several threads."""

    folder: Folder
    links: Links
    handlers: Mapping[str, Handler]
    committed: Callable[[], None] = lambda: None
    """Called after each commit, which proves that the database is there."""

    def file(self, held: HeldFile, content: bytes, progress: Progress) -> Replayed:
        """Record what `content`, all of a file, holds beyond `progress`, and note it there.

        A record that a lock holds up keeps none behind it waiting: of those, one is tried
        each time. Raises Unavailable when the database is away; call it again then.
        """
        replayed = Replayed()
        late = progress.waiting[:1]
        passed = progress.done | set(progress.waiting[1:])
        fresh: list[_Record] = []
        held_up: list[_Record] = []
        for offset, part in decode(content):
            if offset in passed:
                continue
            record = self._open(held, offset, part, replayed)
            if record is None:
                progress.done.add(offset)
            else:
                (held_up if offset in late else fresh).append(record)
        for batch in _batches(fresh):
            self._record(held, batch, progress, replayed)
        for record in held_up:
            del progress.waiting[0]
            self._record(held, [record], progress, replayed)
        replayed.waiting = len(progress.waiting)
        return replayed

    def _open(
        self, held: HeldFile, offset: int, part: Frame | Damage, replayed: Replayed
    ) -> _Record | None:
        """The record in a part of a file; None if it had to be kept aside."""
        if isinstance(part, Damage):
            self.folder.keep_aside(held.path, DAMAGED, part.content)
            log.error("spool_damaged", file=held.path.name, offset=offset, bytes=len(part.content))
            replayed.damaged += 1
            return None
        try:
            data = self.links.open_request(part.payload)
            return _Record(offset, part, str(data["kind"]), data)
        except (PreferenceCenterError, KeyError, TypeError) as error:
            self._reject(held, offset, part, error, replayed)
            return None

    def _record(
        self, held: HeldFile, batch: Sequence[_Record], progress: Progress, replayed: Replayed
    ) -> None:
        error = self._try(batch)
        if error is None:
            progress.done.update(record.offset for record in batch)
            replayed.recorded += len(batch)
        elif len(batch) > 1:  # one of them: each for itself
            for record in batch:
                self._record(held, [record], progress, replayed)
        elif isinstance(error, _NEVER) and not isinstance(error, ConfigError | Unavailable):
            self._reject(held, batch[0].offset, batch[0].frame, error, replayed)
            progress.done.add(batch[0].offset)
        else:
            offset = batch[0].offset
            progress.waiting.append(offset)
            if offset not in progress.reported:
                progress.reported.add(offset)
                log.warning("spool_held_up", file=held.path.name, error=type(error).__name__)

    def _try(self, batch: Sequence[_Record]) -> Exception | None:
        """What kept these from being recorded. Raises Unavailable if the database is away."""
        handler = self.handlers.get(batch[0].kind)
        if handler is None:
            return NotImplementedError("a newer version has spooled this")
        try:
            handler([record.data for record in batch])
            self.committed()
        except Unavailable as error:
            if error.cause is not Cause.LOCK:
                raise
            return error
        except Exception as error:  # noqa: BLE001 - one record must not hold up the others
            return error
        return None

    def _reject(
        self, held: HeldFile, offset: int, frame: Frame, error: Exception, replayed: Replayed
    ) -> None:
        self.folder.keep_aside(held.path, REJECTED, encode(frame.payload, frame.received_at))
        log.error("spool_rejected", file=held.path.name, offset=offset, error=type(error).__name__)
        replayed.rejected += 1


def _batches(records: Sequence[_Record]) -> Iterator[Sequence[_Record]]:
    """Neighbours of one kind, BATCH at most."""
    rest = iter(records)
    batch = list(islice(rest, 1))
    for record in rest:
        if record.kind != batch[0].kind or len(batch) == BATCH:
            yield batch
            batch = []
        batch.append(record)
    if batch:
        yield batch
