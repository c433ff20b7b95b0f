"""Two threads per process: one ends outages, and one replays what was spooled.

The first waits for no record, so that an outage ends although a replay takes long: a single slow
opt-out is taken for an unavailable database, and would be when it is replayed, too.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import structlog
from flask import Flask, current_app

from preference_center.core.errors import KeyMismatch, Unavailable
from preference_center.infra.context import services
from preference_center.infra.db.connections import (
    LINK_CLICK_TIMEOUTS,
    WEB_TIMEOUTS,
    Outage,
    report_failure,
    track_outages,
)
from preference_center.infra.db.transactions import override_limits
from preference_center.infra.hooks import register_now
from preference_center.infra.keys.fingerprints import require_known_keys
from preference_center.ledger.history_loss import find_history_loss, remember_in
from preference_center.ledger.recording import record
from preference_center.ledger.spool import host_time
from preference_center.ledger.spool.folder import (
    DAMAGED_SUFFIX,
    REJECTED_SUFFIX,
    SPOOL_SUFFIX,
    ClosedSpoolFile,
    SpoolFolder,
    SpoolUnavailable,
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
from preference_center.ledger.spool.replay import (
    ReplayProgress,
    ReplayStats,
    RetryBudget,
    SpooledRequest,
    SpoolHandler,
    SpoolReplay,
    describe_error,
)

log = structlog.get_logger()


SCAN_INTERVAL = 1.0
"""Seconds between searches for files of processes that have ended."""


RETRY_INTERVAL = 0.5
"""Seconds between two attempts to reach an unavailable database."""


SAVE_STATE_INTERVAL = 60.0
"""Seconds between updates of the startup cache."""


PROBE_LIMITS = replace(LINK_CLICK_TIMEOUTS, retry=0)
"""An outage is over when the database answers as soon as a click needs it to."""


REPLAY_LIMITS = replace(WEB_TIMEOUTS, statement=30, retry=1, total=40, round_trip=40)
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
        remember_in(spool.folder.path)
        outage = track_outages()
        replayer = SpoolReplayer(spool, outage)
    never = threading.Event()
    for target, state in ((end_outages, outage), (replay_periodically, replayer)):
        threading.Thread(target=target, args=(app, state, never), name="spool", daemon=True).start()


def install_spool(app: Flask) -> Spool | None:
    """This process's spool, without a replayer; None where SPOOL_DIR is none."""
    with app.app_context():
        folder = _find_folder()
    if folder is None:
        return None
    try:
        folder.ensure_exists()
    except SpoolUnavailable:  # retried with each record; until then they are refused
        log.error("spool_unwritable", setting="SPOOL_DIR")  # noqa: TRY400 - the trace adds nothing
    spool = Spool(folder, SpoolWriter(folder))
    app.extensions[EXTENSION_KEY] = spool
    return spool


def count_pending() -> int:
    """How many records wait in the spool of this host; 0 where SPOOL_DIR is none."""
    folder = _find_folder()
    return folder.status().pending if folder else 0


def _find_folder() -> SpoolFolder | None:
    settings = services().settings
    if settings.spool_dir == "none":
        return None
    return SpoolFolder(Path(settings.spool_dir), settings.spool_max_bytes)


@dataclass(slots=True)
class SpoolReplayer:
    """Replays the files that no process appends to, once it has closed that of this process."""

    spool: Spool
    outage: Outage
    monotonic: Callable[[], float] = time.monotonic
    _progress: dict[Path, ReplayProgress] = field(default_factory=dict)

    def run_once(self) -> ReplayStats:
        """End the outage if the database is available again, and record what is due.

        Raises Unavailable while it is not, and KeyMismatch if our keys are not the database's.
        """
        stats = ReplayStats()
        if not self._is_needed():
            return stats
        try:
            with self.outage.allow_retry(), override_limits(REPLAY_LIMITS):
                self._probe()
                self.spool.writer.close_file()
                self._replay_files(stats)
        except Unavailable as error:
            report_failure(error.cause, error.reason)
            raise
        finally:
            stats.blocked = sum(each.pending for each in self._progress.values())
            if stats.recorded or stats.rejected or stats.damaged:
                log.info(
                    "spool_replayed",
                    recorded=stats.recorded,
                    rejected=stats.rejected,
                    damaged=stats.damaged,
                    blocked=stats.blocked,
                )
        return stats

    def _is_needed(self) -> bool:
        return (
            self.outage.down.is_set()
            or self.spool.writer.is_in_use
            or any(self._is_due(path) for path in self.spool.folder.files(SPOOL_SUFFIX))
        )

    def _is_due(self, path: Path) -> bool:
        progress = self._progress.get(path)
        return progress is None or self.monotonic() >= progress.retry_at

    def _probe(self) -> None:
        """Raise if the database is unavailable. Only this decides it: see `SpoolReplay`."""
        end_if_over(self.outage)

    def _replay_files(self, stats: ReplayStats) -> None:
        """Those that nobody has tried first, so that no other holds them up."""
        replay = SpoolReplay(services().links, _handlers(), host_time.read_replay_time, self._probe)
        files = self.spool.folder.files(SPOOL_SUFFIX)
        for gone in self._progress.keys() - set(files):
            del self._progress[gone]
        due = sorted(
            (path for path in self._progress if self._is_due(path)),
            key=lambda path: self._progress[path].retry_at,
        )
        for paths in ([path for path in files if path not in self._progress], due):
            budget = RetryBudget()
            for path in paths:
                if not budget.is_spent:
                    self._replay_file(replay, path, budget, stats)

    def _replay_file(
        self, replay: SpoolReplay, path: Path, budget: RetryBudget, stats: ReplayStats
    ) -> None:
        try:
            held = self.spool.folder.lock_closed(path)
            if held is None:
                return
            progress = self._progress.setdefault(path, ReplayProgress())
            try:
                content = held.read()
                if not progress.is_read:
                    replay.begin(path.name, content, progress, stats)
                replay.advance(path.name, content, progress, budget, stats)
                if not progress.groups:
                    self._settle(held, progress)
            finally:
                held.close()
        except OSError as error:
            progress = self._progress.setdefault(path, ReplayProgress())
            if not progress.failures:
                log.error("spool_file_blocked", file=path.name, **describe_error(error))  # noqa: TRY400 - its text has a path
            progress.failures += 1
        progress.put_off(self.monotonic())

    def _settle(self, held: ClosedSpoolFile, progress: ReplayProgress) -> None:
        """Delete a file of which all is recorded, or keep it for a person. Raises OSError."""
        if progress.is_rejected:
            self.spool.folder.keep(held, REJECTED_SUFFIX)
        elif progress.is_damaged:
            self.spool.folder.keep(held, DAMAGED_SUFFIX)
        else:
            self.spool.folder.remove(held)
        self._progress.pop(held.path, None)


def end_if_over(outage: Outage) -> None:
    """End `outage` if the database can be used. Raises Unavailable or KeyMismatch if it can't."""
    with outage.allow_retry(), override_limits(PROBE_LIMITS):
        require_known_keys()
    outage.down.clear()


def end_outages(app: Flask, outage: Outage, stop: threading.Event) -> None:
    """Try the database as soon as an outage begins, and until it ends; until `stop` is set."""
    while not stop.is_set():
        if outage.down.wait(SCAN_INTERVAL):
            try:
                with app.app_context():
                    end_if_over(outage)
            except (Unavailable, KeyMismatch):  # the thread that replays logs it
                stop.wait(RETRY_INTERVAL)


def replay_abandoned(app: Flask) -> ReplayStats:
    """Record what processes that have ended left, from any process."""
    total = ReplayStats()
    with app.app_context():
        spool = current_spool() or install_spool(app)
        if spool is None:
            return total
        replayer = SpoolReplayer(spool, Outage())
        while True:
            found = replayer.run_once()
            total.recorded += found.recorded
            total.rejected += found.rejected
            total.damaged += found.damaged
            total.blocked = found.blocked
            if not (found.blocked and (found.recorded or found.rejected)):
                return total


def _handlers() -> Mapping[str, SpoolHandler]:
    register_now(current_app)
    return {OPT_OUTS_KIND: _record_opt_outs, **current_app.extensions.get(HANDLERS_KEY, {})}


def _record_opt_outs(requests: Sequence[SpooledRequest], now: datetime) -> None:
    changes = [
        change_from_json(change, request.parse_time)
        for request in requests
        for change in request.data["changes"]
    ]
    record(changes, now=now)


def replay_periodically(app: Flask, replayer: SpoolReplayer, stop: threading.Event) -> None:
    """Run `replayer` every second, and at once when an outage begins, until `stop` is set."""
    remember_at = 0.0
    while not stop.is_set():
        replayer.outage.down.wait(SCAN_INTERVAL)
        try:
            with app.app_context():
                replayer.run_once()
                find_history_loss()
                if replayer.monotonic() >= remember_at:
                    save_known_state(replayer.spool.folder.path)
                    remember_at = replayer.monotonic() + SAVE_STATE_INTERVAL
        except Unavailable:
            stop.wait(RETRY_INTERVAL)
        except Exception as error:  # noqa: BLE001 - no other thread would retry
            log.error("spool_failed", error=type(error).__name__)  # noqa: TRY400 - a trace may quote a row
            stop.wait(SCAN_INTERVAL)
