"""The thread that ends outages: it tries the database again and replays what was spooled."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
from flask import Flask, current_app

from preference_center.core.errors import Unavailable
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
from preference_center.ledger.spool.change_json import change_from_json
from preference_center.ledger.spool.folder import LockedSpoolFile, SpoolFolder, SpoolUnavailable
from preference_center.ledger.spool.recorder import (
    EXTENSION_KEY,
    OPT_OUTS_KIND,
    Spool,
    current_spool,
)
from preference_center.ledger.spool.replay import (
    ReplayProgress,
    ReplayStats,
    SpoolHandler,
    SpoolReplay,
)
from preference_center.ledger.spool.startup_cache import load_known_state, save_known_state
from preference_center.ledger.spool.writer import SpoolWriter

log = structlog.get_logger()

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
    """Run `replayer` every second, and at once when an outage begins, until `until` is set."""
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
