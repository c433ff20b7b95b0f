"""A replay records what was spooled, and quarantines what can't be recorded.

After a crash between recording and deleting a file, the file is replayed again. That records
nothing twice: each event has had its id since it was accepted.

One thread per process ends outages: it tries the database again and replays what was spooled
(`SpoolReplayer`).
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import structlog
from flask import Flask, current_app

from preference_center.core.errors import (
    ConfigError,
    PreferenceCenterError,
    Unavailable,
    UnavailableCause,
)
from preference_center.core.links import Links
from preference_center.infra.context import services
from preference_center.infra.db.connections import (
    DatabaseTimeouts,
    Outage,
    report_failure,
    track_outages,
)
from preference_center.infra.db.transactions import override_limits
from preference_center.infra.keys.fingerprints import require_known_keys
from preference_center.ledger.recording import record
from preference_center.ledger.spool.folder import (
    DAMAGED_SUFFIX,
    REJECTED_SUFFIX,
    DamagedBytes,
    Frame,
    LockedSpoolFile,
    SpoolFolder,
    SpoolUnavailable,
    decode_frames,
    encode_frame,
)
from preference_center.ledger.spool.recorder import (
    EXTENSION_KEY,
    OPT_OUTS_KIND,
    Spool,
    SpoolWriter,
    change_from_json,
    current_spool,
    load_known_state,
    save_known_state,
)

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


SCAN_INTERVAL = 1.0
"""Seconds between searches for files of processes that have ended."""


RETRY_INTERVAL = 0.5
"""Seconds between two attempts to reach an unavailable database."""


SAVE_STATE_INTERVAL = 60.0
"""Seconds between updates of the startup cache."""


PROBE_LIMITS = DatabaseTimeouts(lock=2, statement=2, idle=5, retry=0, total=2.5, round_trip=2.5)


REPLAY_LIMITS = DatabaseTimeouts(lock=2, statement=30, idle=30, retry=1, total=40, round_trip=35)
"""No request waits for the response, but other records wait for one that is blocked by a lock."""


HANDLERS_KEY = "preference_center.spool_handlers"


def register_handler(app: Flask, kind: str, handler: SpoolHandler) -> None:
    """Register the function that records spooled requests of this kind."""
    app.extensions.setdefault(HANDLERS_KEY, {})[kind] = handler


def start_spool(app: Flask) -> None:
    """Make this process spool opt-outs in an outage, and replay them.

    Call it once, in a process that serves requests. With `SPOOL_DIR=none` it does nothing, and
    opt-outs are refused while the database is unavailable.
    """
    with app.app_context():
        spool = install_spool(app)
        if spool is None:
            log.warning("spool_disabled", setting="SPOOL_DIR")
            return
        load_known_state(spool.folder.path)
        replayer = SpoolReplayer(spool, track_outages())
    threading.Thread(
        target=replay_periodically, args=(app, replayer), name="spool", daemon=True
    ).start()


def install_spool(app: Flask) -> Spool | None:
    """This process's spool, without a replayer; None where SPOOL_DIR is none."""
    with app.app_context():
        settings = services().settings
    if settings.spool_dir == "none":
        return None
    folder = SpoolFolder(Path(settings.spool_dir), settings.spool_max_bytes)
    try:
        folder.ensure_exists()
    except SpoolUnavailable:  # retried with each record; until then they are refused
        log.error("spool_unwritable", setting="SPOOL_DIR")  # noqa: TRY400 - the trace adds nothing
    spool = Spool(folder, SpoolWriter(folder))
    app.extensions[EXTENSION_KEY] = spool
    return spool


@dataclass(slots=True)
class SpoolReplayer:
    """Replays this process's spool file, and those of processes that have ended."""

    spool: Spool
    outage: Outage
    _progress: dict[Path, ReplayProgress] = field(default_factory=dict)

    def run_once(self) -> ReplayStats:
        """End the outage if the database is available again, and record everything pending.

        Raises Unavailable while it is not, and KeyMismatch if our keys are not the database's.
        """
        replayed = ReplayStats()
        if not self._is_needed():
            return replayed
        try:
            with self.outage.allow_retry(), override_limits(REPLAY_LIMITS):
                with override_limits(PROBE_LIMITS):
                    require_known_keys()
                self.outage.down.clear()
                # Else a failure in the meantime would last until everything is replayed.
                over = self.outage.down.clear
                replay = SpoolReplay(self.spool.folder, services().links, _handlers(), over)
                for held in self.spool.folder.lock_abandoned():  # the older ones
                    if self._replay_file(replay, held, held.read(), replayed):
                        held.remove()
                        self._progress.pop(held.path, None)
                self._replay_own_file(replay, replayed)
        except Unavailable as error:
            report_failure(error.cause, error.reason)
            raise
        finally:
            if replayed.recorded or replayed.rejected or replayed.damaged:
                log.info(
                    "spool_replayed",
                    recorded=replayed.recorded,
                    rejected=replayed.rejected,
                    damaged=replayed.damaged,
                    blocked=replayed.blocked,
                )
        return replayed

    def _is_needed(self) -> bool:
        return (
            self.outage.down.is_set()
            or self.spool.writer.read() is not None
            or any(True for _ in self.spool.folder.lock_abandoned())
        )

    def _replay_own_file(self, replay: SpoolReplay, stats: ReplayStats) -> None:
        while (own := self.spool.writer.read()) is not None:
            held, content = own
            if not self._replay_file(replay, held, content, stats):
                return
            if self.spool.writer.remove_if_unchanged(held, len(content)):
                self._progress.pop(held.path, None)

    def _replay_file(
        self, replay: SpoolReplay, held: LockedSpoolFile, content: bytes, total: ReplayStats
    ) -> bool:
        """Replay one file; whether nothing in it is pending any more."""
        found = replay.replay_file(
            held, content, self._progress.setdefault(held.path, ReplayProgress())
        )
        total.recorded += found.recorded
        total.rejected += found.rejected
        total.damaged += found.damaged
        total.blocked += found.blocked
        return not found.blocked


def replay_abandoned(app: Flask) -> ReplayStats:
    """Record what processes that have ended left, once, from any process."""
    with app.app_context():
        spool = current_spool() or install_spool(app)
        return ReplayStats() if spool is None else SpoolReplayer(spool, Outage()).run_once()


def _handlers() -> Mapping[str, SpoolHandler]:
    return {OPT_OUTS_KIND: _record_opt_outs, **current_app.extensions.get(HANDLERS_KEY, {})}


def _record_opt_outs(requests: Sequence[Mapping[str, Any]]) -> None:
    record([change_from_json(change) for request in requests for change in request["changes"]])


def replay_periodically(
    app: Flask, replayer: SpoolReplayer, stop: threading.Event | None = None
) -> None:
    """Run `replayer` every second, and at once when an outage begins, until `stop` is set."""
    remember_at = 0.0
    while stop is None or not stop.is_set():
        replayer.outage.down.wait(SCAN_INTERVAL)
        try:
            with app.app_context():
                replayer.run_once()
                if time.monotonic() >= remember_at:
                    save_known_state(replayer.spool.folder.path)
                    remember_at = time.monotonic() + SAVE_STATE_INTERVAL
        except Unavailable:
            time.sleep(RETRY_INTERVAL)
        except Exception as error:  # noqa: BLE001 - no other thread would retry
            log.error("spool_failed", error=type(error).__name__)  # noqa: TRY400 - a trace may quote a row
            time.sleep(SCAN_INTERVAL)
