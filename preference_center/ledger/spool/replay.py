"""Record what was spooled, and quarantine what can't be recorded.

After a crash between recording and deleting a file, the file is replayed again. That records
nothing twice: each event has had its id since it was accepted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import structlog

from preference_center.core.errors import (
    ConfigError,
    PreferenceCenterError,
    Unavailable,
    UnavailableCause,
)
from preference_center.core.links import Links
from preference_center.ledger.spool.folder import (
    DAMAGED_SUFFIX,
    REJECTED_SUFFIX,
    LockedSpoolFile,
    SpoolFolder,
)
from preference_center.ledger.spool.frames import DamagedBytes, Frame, decode_frames, encode_frame

log = structlog.get_logger()

BATCH_SIZE = 100

SpoolHandler = Callable[[Sequence[Mapping[str, Any]]], object]
"""Records requests of one kind, all or none; safe to repeat. Raises Unavailable to be retried."""

_PERMANENT_ERRORS = (PreferenceCenterError, KeyError, TypeError, ValueError)
"""Errors that a retry can't fix. After any other, the record is retried until it succeeds: what the
database refuses it may accept after an upgrade."""

_CAUSES_OF_ONE_RECORD = {UnavailableCause.LOCK_TIMEOUT, UnavailableCause.SCHEMA}
"""Causes for which another record may be recorded all the same."""


@dataclass(slots=True)
class ReplayStats:
    """The outcome for the records of some files."""

    recorded: int = 0
    rejected: int = 0
    damaged: int = 0
    blocked: int = 0
    """Records that could not be recorded now, although the database is available."""


@dataclass(frozen=True, slots=True)
class _SpooledRequest:
    offset: int
    frame: Frame
    kind: str
    data: Mapping[str, Any]


@dataclass(slots=True)
class ReplayProgress:
    """How far one file is replayed. Not persistent."""

    done: set[int] = field(default_factory=set)
    """Offsets of what was recorded or quarantined."""
    blocked: deque[int] = field(default_factory=deque)
    """Offsets of records blocked by a lock; the least recently tried first."""
    reported: set[int] = field(default_factory=set)
    """Offsets of those that were logged."""


@dataclass(frozen=True, slots=True)
class SpoolReplay:
    """Replays files of `folder`. Not thread-safe."""

    folder: SpoolFolder
    links: Links
    handlers: Mapping[str, SpoolHandler]
    on_commit: Callable[[], None] = lambda: None
    """Called after each commit, which proves that the database is available."""

    def replay_file(
        self, held: LockedSpoolFile, content: bytes, progress: ReplayProgress
    ) -> ReplayStats:
        """Record what `content`, all of a file, contains beyond `progress`, and update that.

        A record that is blocked, by a lock or by other tables than ours, does not block those
        behind it. The blocked ones are tried in turn, until one is blocked again. Raises
        Unavailable when the database is unavailable; call it again then.
        """
        replayed = ReplayStats()
        parts = dict(decode_frames(content))
        fresh = sorted(parts.keys() - progress.done - set(progress.blocked))
        records = [self._decode(held, at, parts[at], progress, replayed) for at in fresh]
        for batch in _batches([each for each in records if each is not None]):
            self._record_batch(held, batch, progress, replayed)
        for _ in range(len(progress.blocked)):
            offset = progress.blocked.popleft()
            found = self._decode(held, offset, parts[offset], progress, replayed)
            if found is not None:
                self._record_batch(held, [found], progress, replayed)
            if progress.blocked and progress.blocked[-1] == offset:
                break
        replayed.blocked = len(progress.blocked)
        return replayed

    def _decode(
        self,
        held: LockedSpoolFile,
        offset: int,
        part: Frame | DamagedBytes,
        progress: ReplayProgress,
        stats: ReplayStats,
    ) -> _SpooledRequest | None:
        """The record in a part of a file; None if it had to be quarantined, and is done."""
        if isinstance(part, DamagedBytes):
            self.folder.quarantine(held.path, DAMAGED_SUFFIX, part.content)
            log.error("spool_damaged", file=held.path.name, offset=offset, bytes=len(part.content))
            stats.damaged += 1
            progress.done.add(offset)
            return None
        try:
            data = self.links.open_request(part.payload)
            return _SpooledRequest(offset, part, str(data["kind"]), data)
        except (PreferenceCenterError, KeyError, TypeError) as error:
            self._reject(held, offset, part, error, stats)
            progress.done.add(offset)
            return None

    def _record_batch(
        self,
        held: LockedSpoolFile,
        batch: Sequence[_SpooledRequest],
        progress: ReplayProgress,
        stats: ReplayStats,
    ) -> None:
        error = self._try(batch)
        if error is None:
            progress.done.update(each.offset for each in batch)
            stats.recorded += len(batch)
        elif len(batch) > 1:  # find the one that failed
            for each in batch:
                self._record_batch(held, [each], progress, stats)
        elif isinstance(error, _PERMANENT_ERRORS) and not isinstance(
            error, ConfigError | Unavailable
        ):
            self._reject(held, batch[0].offset, batch[0].frame, error, stats)
            progress.done.add(batch[0].offset)
        else:
            offset = batch[0].offset
            progress.blocked.append(offset)
            if offset not in progress.reported:
                progress.reported.add(offset)
                log.warning("spool_record_blocked", file=held.path.name, error=type(error).__name__)

    def _try(self, batch: Sequence[_SpooledRequest]) -> Exception | None:
        """The error that prevented recording, if any. Raises Unavailable without a database."""
        handler = self.handlers.get(batch[0].kind)
        if handler is None:
            return NotImplementedError("spooled by a newer version")
        try:
            handler([each.data for each in batch])
            self.on_commit()
        except Unavailable as error:
            if error.cause not in _CAUSES_OF_ONE_RECORD:
                raise
            return error
        except Exception as error:  # noqa: BLE001 - one record must not block the others
            return error
        return None

    def _reject(
        self, held: LockedSpoolFile, offset: int, frame: Frame, error: Exception, stats: ReplayStats
    ) -> None:
        self.folder.quarantine(
            held.path, REJECTED_SUFFIX, encode_frame(frame.payload, frame.received_at)
        )
        log.error("spool_rejected", file=held.path.name, offset=offset, error=type(error).__name__)
        stats.rejected += 1


def _batches(records: Sequence[_SpooledRequest]) -> Iterator[Sequence[_SpooledRequest]]:
    """Adjacent records of one kind, at most BATCH_SIZE."""
    rest = iter(records)
    batch = list(islice(rest, 1))
    for each in rest:
        if each.kind != batch[0].kind or len(batch) == BATCH_SIZE:
            yield batch
            batch = []
        batch.append(each)
    if batch:
        yield batch
