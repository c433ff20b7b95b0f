"""The threads of a process that spool and replay, and what they log."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import structlog

from tests.ledger.spool.conftest import Database, Replay

if TYPE_CHECKING:
    from flask import Flask

    from preference_center.ledger.spool.replayer import SpoolReplayer


class Recorded:
    """Stands for `threading.Thread`: notes what is started, and starts nothing."""

    started: list[Recorded]

    def __init__(self, **given: object) -> None:
        self.given = given

    def start(self) -> None:
        self.started.append(self)


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> list[Recorded]:
    Recorded.started = []
    monkeypatch.setattr(threading, "Thread", Recorded)
    return Recorded.started


def test_without_a_folder_nothing_is_started_and_that_is_logged(
    app: Flask, threads: list[Recorded], set_folder: Callable[[str], None]
) -> None:
    from preference_center.ledger.spool import replay_abandoned
    from preference_center.ledger.spool.replay import ReplayStats
    from preference_center.ledger.spool.replayer import start_spool

    set_folder("none")
    with structlog.testing.capture_logs() as logs:
        start_spool(app)
    assert [each["event"] for each in logs] == ["spool_disabled"]
    assert threads == []
    assert replay_abandoned(app) == ReplayStats()


def test_a_process_begins_with_the_state_that_it_knew_and_two_threads(
    app: Flask,
    replayer: SpoolReplayer,
    threads: list[Recorded],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from preference_center.ledger.spool import replayer as module

    folder, read = replayer.spool.folder.path, list[tuple[str, Path]]()
    for name in ("load_known_state", "remember_in"):
        monkeypatch.setattr(module, name, lambda path, name=name: read.append((name, path)))
    module.start_spool(app)
    assert read == [("load_known_state", folder), ("remember_in", folder)]
    targets = [thread.given["target"] for thread in threads]
    assert targets == [module.end_outages, module.replay_periodically]
    assert all(thread.given["daemon"] for thread in threads)  # a process ends without them


def test_a_folder_that_cannot_be_made_is_logged(
    app: Flask, tmp_path: Path, set_folder: Callable[[str], None]
) -> None:
    from preference_center.ledger.spool import install_spool, recorder

    (tmp_path / "file").touch()
    set_folder(str(tmp_path / "file" / "spool"))
    try:
        with structlog.testing.capture_logs() as logs:
            assert install_spool(app) is not None  # each record tries again
    finally:
        app.extensions.pop(recorder.EXTENSION_KEY)
    assert [each["event"] for each in logs] == ["spool_unwritable"]


def test_an_outage_that_a_replay_finds_begins_for_the_whole_process(
    database: Database, replayer: SpoolReplayer, replay: Replay, folder: Path
) -> None:
    from preference_center.core.errors import Unavailable, UnavailableCause

    (folder / "1-00.spool").touch()
    with database.away(), pytest.raises(Unavailable):
        replay()
    assert replayer.outage.down.is_set()
    assert replayer.outage.cause is UnavailableCause.UNREACHABLE


def test_a_file_that_cannot_be_read_is_logged_once_and_tried_later(
    replayer: SpoolReplayer, replay: Replay, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from preference_center.ledger.spool.folder import SpoolFolder

    tried = list[str]()

    def lock(_: SpoolFolder, path: Path) -> None:
        tried.append(path.name)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(SpoolFolder, "lock_closed", lock)
    now = 0.0
    replayer.monotonic = lambda: now
    (folder / "1-00.spool").touch()
    with structlog.testing.capture_logs() as logs:
        replay()
        (folder / "2-00.spool").touch()
        replay()  # one is due, the other is not yet
        now = 1e6
        replay()
    assert tried == ["1-00.spool", "2-00.spool", "1-00.spool", "2-00.spool"]
    blocked = [each["file"] for each in logs if each["event"] == "spool_file_blocked"]
    assert blocked == ["1-00.spool", "2-00.spool"]


@pytest.mark.usefixtures("replayer")
@pytest.mark.parametrize(
    "rounds, looks",
    [
        ([(0, 0, 0)], 1),
        ([(1, 0, 0)], 1),
        ([(0, 0, 3)], 1),  # nothing of it can be recorded now
        ([(2, 0, 3), (0, 1, 2), (0, 0, 2)], 3),
    ],
)
def test_what_processes_left_is_tried_as_long_as_something_of_it_is_recorded(
    app: Flask,
    rounds: list[tuple[int, int, int]],
    looks: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from preference_center.ledger.spool import replay_abandoned
    from preference_center.ledger.spool import replayer as module
    from preference_center.ledger.spool.replay import ReplayStats

    found = [
        ReplayStats(recorded=recorded, rejected=rejected, blocked=blocked)
        for recorded, rejected, blocked in rounds
    ]
    done = count()
    monkeypatch.setattr(module.SpoolReplayer, "run_once", lambda _: found[next(done)])
    total = replay_abandoned(app)
    assert next(done) == looks
    assert total.recorded == sum(recorded for recorded, _, _ in rounds)
    assert total.rejected == sum(rejected for _, rejected, _ in rounds)
    assert total.blocked == rounds[-1][2]


def test_each_round_looks_for_lost_events_and_one_a_minute_saves_the_state(
    app: Flask, replayer: SpoolReplayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from preference_center.ledger.spool import replayer as module

    stop, saved, looks = threading.Event(), list[Path](), count(1)

    def look() -> None:
        if next(looks) == 3:
            stop.set()

    monkeypatch.setattr(module, "SCAN_INTERVAL", 0)
    monkeypatch.setattr(module, "SAVE_STATE_INTERVAL", 1e6)
    monkeypatch.setattr(module, "find_history_loss", look)
    monkeypatch.setattr(module, "save_known_state", saved.append)
    module.replay_periodically(app, replayer, stop)
    assert next(looks) == 4
    assert saved == [replayer.spool.folder.path]


def test_the_kinds_of_every_subject_are_registered_before_a_replay(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    from preference_center.ledger.spool import replayer as module

    def register(app: Flask) -> None:
        module.register_handler(app, "late", lambda _requests, _now: None)

    monkeypatch.setitem(app.extensions, module.HANDLERS_KEY, {})
    monkeypatch.setattr(module, "register_now", register)
    with app.app_context():
        assert module._handlers().keys() == {"opt_outs", "late"}
