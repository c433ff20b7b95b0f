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

from preference_center.database_timeouts import Limits
from preference_center.errors import Unavailable
from preference_center.extensions import services
from preference_center.ledger import record
from preference_center.spool.change_json import from_json
from preference_center.spool.folder import CannotSpool, Folder, HeldFile
from preference_center.spool.record_or_spool import NAME, OPT_OUTS, Spool, current
from preference_center.spool.replay import Handler, Progress, Replay, Replayed
from preference_center.spool.startup_cache import recall, remember
from preference_center.spool.writer import Writer
from preference_center.storage.access.key_fingerprints import require_known_keys
from preference_center.storage.db import outage
from preference_center.storage.db.database import within

log = structlog.get_logger()

EVERY = 1.0
"""Seconds after which the folder is searched again for files of processes that ended."""
RETRY = 0.5
"""Seconds between two attempts to reach a database that is away."""
REMEMBER_EVERY = 60.0
"""Seconds after which what must be known in an outage is read again."""

PROBE = Limits(lock=2, statement=2, idle=5, retry=0, total=2.5, at_once=2.5)
REPLAY = Limits(lock=2, statement=30, idle=30, retry=1, total=40, at_once=35)
"""Nobody waits for the answer, but other records do for one that a lock holds up."""

HANDLERS = "preference_center.spool_handlers"


def handle(app: Flask, kind: str, handler: Handler) -> None:
    """Have spooled requests of this kind recorded by `handler`."""
    app.extensions.setdefault(HANDLERS, {})[kind] = handler


def start(app: Flask) -> None:
    """Have this process spool opt-outs in an outage, and replay them.

    To be called once, by a process that serves. With `SPOOL_DIR=none` it does nothing, and an
    opt-out is refused while the database is away.
    """
    with app.app_context():
        spool = install(app)
        if spool is None:
            log.warning("spool_off", setting="SPOOL_DIR")
            return
        recall(spool.folder.path)
        replayer = Replayer(spool, outage.watch())
    threading.Thread(target=keep_replaying, args=(app, replayer), name="spool", daemon=True).start()


def install(app: Flask) -> Spool | None:
    """This process's spool, with nobody yet to replay it; None where SPOOL_DIR is none."""
    with app.app_context():
        settings = services().settings
    if settings.spool_dir == "none":
        return None
    folder = Folder(Path(settings.spool_dir), settings.spool_max_bytes)
    try:
        folder.make()
    except CannotSpool:  # tried again with each record; until then they are refused
        log.error("spool_unwritable", setting="SPOOL_DIR")  # noqa: TRY400 - the trace says no more
    spool = Spool(folder, Writer(folder))
    app.extensions[NAME] = spool
    return spool


@dataclass(slots=True)
class Replayer:
    """What one process does about its own spool file and those of processes that ended."""

    spool: Spool
    outage: outage.Outage
    _progress: dict[Path, Progress] = field(default_factory=dict)

    def run_once(self) -> Replayed:
        """End the outage if the database is back, and record all that waits.

        Raises Unavailable while it is away, and KeyMismatch if our keys are not its own.
        """
        replayed = Replayed()
        if not self._has_work():
            return replayed
        try:
            with self.outage.trying(), within(REPLAY):
                with within(PROBE):
                    require_known_keys()
                self.outage.began.clear()
                # Else a failure seen meanwhile would last until all is replayed.
                over = self.outage.began.clear
                replay = Replay(self.spool.folder, services().links, _handlers(), over)
                for held in self.spool.folder.abandoned():  # the older ones
                    if self._file(replay, held, held.read(), replayed):
                        held.remove()
                        self._progress.pop(held.path, None)
                self._own(replay, replayed)
        except Unavailable as error:
            outage.begin(error.cause)
            raise
        finally:
            if replayed.recorded or replayed.rejected or replayed.damaged:
                log.info(
                    "spool_replayed",
                    recorded=replayed.recorded,
                    rejected=replayed.rejected,
                    damaged=replayed.damaged,
                    waiting=replayed.waiting,
                )
        return replayed

    def _has_work(self) -> bool:
        return (
            self.outage.began.is_set()
            or self.spool.writer.content() is not None
            or any(True for _ in self.spool.folder.abandoned())
        )

    def _own(self, replay: Replay, replayed: Replayed) -> None:
        while (own := self.spool.writer.content()) is not None:
            held, content = own
            if not self._file(replay, held, content, replayed):
                return
            if self.spool.writer.drop(held, len(content)):
                self._progress.pop(held.path, None)

    def _file(self, replay: Replay, held: HeldFile, content: bytes, total: Replayed) -> bool:
        """Replay one file; whether nothing of it waits any more."""
        found = replay.file(held, content, self._progress.setdefault(held.path, Progress()))
        total.recorded += found.recorded
        total.rejected += found.rejected
        total.damaged += found.damaged
        total.waiting += found.waiting
        return not found.waiting


def replay_abandoned(app: Flask) -> Replayed:
    """Record what processes that ended have left, once, from whatever process."""
    with app.app_context():
        spool = current() or install(app)
        return Replayed() if spool is None else Replayer(spool, outage.Outage()).run_once()


def _handlers() -> Mapping[str, Handler]:
    return {OPT_OUTS: _record_opt_outs, **current_app.extensions.get(HANDLERS, {})}


def _record_opt_outs(requests: Sequence[Mapping[str, Any]]) -> None:
    record([from_json(change) for request in requests for change in request["changes"]])


def keep_replaying(app: Flask, replayer: Replayer, until: threading.Event | None = None) -> None:
    """Run `replayer` every second, and at once when an outage begins, until `until` is set."""
    remember_at = 0.0
    while until is None or not until.is_set():
        replayer.outage.began.wait(EVERY)
        try:
            with app.app_context():
                replayer.run_once()
                if time.monotonic() >= remember_at:
                    remember(replayer.spool.folder.path)
                    remember_at = time.monotonic() + REMEMBER_EVERY
        except Unavailable:
            time.sleep(RETRY)
        except Exception as error:  # noqa: BLE001 - nobody else would try again
            log.error("spool_failed", error=type(error).__name__)  # noqa: TRY400 - a trace may quote a row
            time.sleep(EVERY)
