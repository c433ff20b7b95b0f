"""The threads of a process that spool and replay, and what they log."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from psycopg.errors import LockNotAvailable

from preference_center.core.errors import KeyMismatch, Unavailable, UnavailableCause
from preference_center.infra.db.connections import DatabaseTimeouts
from preference_center.ledger.spool.replay import FIRST_RETRY
from preference_center.ledger.spool.replayer import (
    PROBE_LIMITS,
    REPLAY_LIMITS,
    RETRY_INTERVAL,
    SAVE_STATE_INTERVAL,
    SCAN_INTERVAL,
)
from tests.ledger.spool.conftest import Database, Replay

if TYPE_CHECKING:
    from flask import Flask

    from preference_center.ledger.spool.replayer import SpoolReplayer


class Recorded:
    """Stands for `threading.Thread`: notes what is started, and starts nothing."""

    started: list[Recorded]

    def __init__(self, **given: Any) -> None:
        self.given = given

    def start(self) -> None:
        self.started.append(self)


class Waits(threading.Event):
    """Notes for how many seconds it is waited for, a few times; no wait takes any time."""

    def __init__(self) -> None:
        super().__init__()
        self.waited: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waited.append(timeout)
        assert len(self.waited) < 10, "nothing ends the loop"
        return self.is_set()


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
    assert not any(thread.given["args"][-1].is_set() for thread in threads)  # and they with it


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
        assert blocked_files(logs) == ["1-00.spool", "2-00.spool"]
        now = FIRST_RETRY
        replay()
    assert tried == ["1-00.spool", "2-00.spool", "1-00.spool", "2-00.spool"]
    assert blocked_files(logs) == ["1-00.spool", "2-00.spool"]


def blocked_files(logs: Iterable[Mapping[str, Any]]) -> list[str]:
    return [each["file"] for each in logs if each["event"] == "spool_file_blocked"]


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


def test_each_second_it_looks_for_lost_events_and_each_minute_it_saves_the_state(
    app: Flask, replayer: SpoolReplayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from preference_center.ledger.spool import replayer as module

    stop, down = threading.Event(), Waits()
    now, looks, saved = 0.0, count(1), list[tuple[float, Path]]()

    def look() -> None:
        nonlocal now
        now += SAVE_STATE_INTERVAL / 2
        if next(looks) == 4:
            stop.set()

    replayer.outage.down = down
    replayer.monotonic = lambda: now
    monkeypatch.setattr(module, "find_history_loss", look)
    monkeypatch.setattr(module, "save_known_state", lambda path: saved.append((now, path)))
    module.replay_periodically(app, replayer, stop)
    assert down.waited == [SCAN_INTERVAL] * 4
    folder = replayer.spool.folder.path
    assert saved == [
        (time, folder) for time in (SAVE_STATE_INTERVAL / 2, SAVE_STATE_INTERVAL * 1.5)
    ]


@pytest.mark.parametrize(
    "error, pause, logged",
    [
        (Unavailable("away", UnavailableCause.UNREACHABLE), RETRY_INTERVAL, []),
        (
            ZeroDivisionError("of jane.doe@example.com"),
            SCAN_INTERVAL,
            [{"event": "spool_failed", "log_level": "error", "error": "ZeroDivisionError"}],
        ),
    ],
    ids=["away", "any_other"],
)
def test_a_replay_that_fails_is_repeated_after_a_pause(
    app: Flask,
    replayer: SpoolReplayer,
    error: Exception,
    pause: float,
    logged: list[dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # I1, I12
    from preference_center.ledger.spool import replayer as module

    stop = fail_three_times(monkeypatch, "find_history_loss", error)
    replayer.outage.down = Waits()
    monkeypatch.setattr(module.SpoolReplayer, "run_once", lambda _: None)
    with structlog.testing.capture_logs() as logs:
        module.replay_periodically(app, replayer, stop)
    assert stop.waited == [pause] * 3
    assert logs == logged * 3


@pytest.mark.parametrize(
    "error",
    [Unavailable("away", UnavailableCause.UNREACHABLE), KeyMismatch("another key")],
    ids=["away", "keys"],
)
def test_while_an_outage_lasts_the_database_is_tried_after_a_pause(
    app: Flask, replayer: SpoolReplayer, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    from preference_center.ledger.spool.replayer import end_outages

    stop = fail_three_times(monkeypatch, "require_known_keys", error)
    replayer.outage.down = Waits()
    replayer.outage.down.set()
    end_outages(app, replayer.outage, stop)
    assert stop.waited == [RETRY_INTERVAL] * 3
    assert replayer.outage.down.is_set()


def fail_three_times(patch: pytest.MonkeyPatch, name: str, error: Exception) -> Waits:
    """Has the replayer's function of this name fail; returns what is set the third time."""
    from preference_center.ledger.spool import replayer as module

    stop, calls = Waits(), count(1)

    def fail() -> None:
        if next(calls) == 3:
            stop.set()
        raise error

    patch.setattr(module, name, fail)
    return stop


def test_a_probe_is_one_attempt(
    app: Flask, replayer: SpoolReplayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread tries again by itself, and does so at its own pace."""
    from preference_center.infra.db.transactions import run_in_transaction
    from preference_center.ledger.spool import replayer as module

    attempts = count(1)

    def meet_lock(_: object) -> None:
        next(attempts)
        raise LockNotAvailable

    monkeypatch.setattr(module, "require_known_keys", lambda: run_in_transaction(meet_lock))
    with app.app_context(), pytest.raises(Unavailable):
        module.end_if_over(replayer.outage)
    assert next(attempts) == 2


@pytest.mark.parametrize("limits", [PROBE_LIMITS, REPLAY_LIMITS], ids=["probe", "replay"])
def test_a_lock_is_not_taken_for_an_unavailable_server(limits: DatabaseTimeouts) -> None:  # I2
    """PostgreSQL says first that it waited too long; and no second wait holds up other records."""
    assert limits.lock < min(limits.statement, limits.round_trip, limits.total)
    assert limits.retry < limits.lock


def test_a_slow_statement_of_a_replay_is_not_taken_for_an_unavailable_server() -> None:  # I1
    assert REPLAY_LIMITS.statement < REPLAY_LIMITS.round_trip <= REPLAY_LIMITS.total


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
