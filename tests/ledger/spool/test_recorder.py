"""What is promised of an opt-out that can't be recorded, and what a process keeps for outages."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import structlog.testing

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.errors import InvalidInput, Unavailable, UnavailableCause
from preference_center.core.events import Change, EventKind
from preference_center.infra import metrics
from preference_center.infra.db import connections
from preference_center.ledger.spool import SpoolUnavailable, recorder
from preference_center.ledger.spool.frames import Frame, decode_frames
from tests.clock import START
from tests.ledger.changes import change
from tests.ledger.spool.conftest import Database, Replay
from tests.ledger.tables import Ledger

if TYPE_CHECKING:
    from flask import Flask

    from preference_center.ledger.spool.replayer import SpoolReplayer

PAUL = parse_address("paul@example.org", Channel.EMAIL)
TWO = [
    change(1, own_act=True, at=START + timedelta(minutes=1)),
    change(2, own_act=True, address=PAUL),
]


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The outcomes that were counted."""
    found: list[str] = []
    monkeypatch.setattr(metrics, "count_opt_outs", lambda outcome, _=1: found.append(outcome))
    return found


def frames_of(folder: Path) -> list[Frame]:
    [path] = folder.glob("*.spool")
    return [part for _, part in decode_frames(path.read_bytes()) if isinstance(part, Frame)]


@pytest.mark.usefixtures("replayer")
def test_what_is_recorded_returns_its_events_and_those_that_it_repeats(app: Flask) -> None:
    first, second = TWO
    with app.app_context():
        assert recorder.record_or_spool([first]) == (first.id,)
        assert recorder.record_or_spool([first]) == (first.id,)
        again = change(3, own_act=True, at=START + timedelta(minutes=1))
        assert set(recorder.record_or_spool([again, second]) or ()) == {first.id, second.id}


def test_several_opt_outs_are_one_record_of_when_the_first_was_received(
    app: Flask,
    database: Database,
    folder: Path,
    replay: Replay,
    ledger: Ledger,
    counted: list[str],
) -> None:  # I1
    with app.app_context(), database.away(), structlog.testing.capture_logs() as logs:
        assert recorder.record_or_spool(TWO) is None
    assert [frame.received_at for frame in frames_of(folder)] == [START]
    assert counted == ["spooled"]
    [line] = [each for each in logs if each["event"] == "request_spooled"]
    assert (line["log_level"], line["kind"]) == ("info", "opt_outs")
    assert replay().recorded == 1
    assert len(ledger.events()) == 2


def test_where_nothing_is_durable_it_is_counted_as_refused(
    app: Flask, database: Database, replayer: SpoolReplayer, folder: Path, counted: list[str]
) -> None:  # I1
    (folder / "1-00.rejected").write_bytes(b"x" * replayer.spool.folder.max_bytes)
    with app.app_context(), database.away(), pytest.raises(SpoolUnavailable):
        recorder.record_or_spool(TWO)
    assert counted == ["refused"]


def test_what_is_at_fault_itself_is_not_spooled(
    app: Flask, replayer: SpoolReplayer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Change) -> None:
        raise InvalidInput("no such topic")

    monkeypatch.setattr(recorder, "record_batched", refuse)
    with app.app_context(), pytest.raises(InvalidInput):
        recorder.record_or_spool(TWO[:1])
    assert [*folder.iterdir()] == []


@pytest.mark.parametrize("kind", [EventKind.OPTED_IN, EventKind.COMPLAINED])
def test_only_opt_outs_are_spooled(
    app: Flask, database: Database, replayer: SpoolReplayer, folder: Path, kind: EventKind
) -> None:  # I5
    with app.app_context(), database.away(), pytest.raises(ValueError, match="own opt-out"):
        recorder.record_or_spool([change(1, kind)])
    assert [*folder.iterdir()] == []


@pytest.mark.parametrize(
    "error, reported",
    [
        (Unavailable("gone", UnavailableCause.UNREACHABLE), [UnavailableCause.UNREACHABLE]),
        (Unavailable("old", UnavailableCause.SCHEMA), []),
        (ZeroDivisionError(), []),
    ],
    ids=["database", "tables", "other"],
)
def test_only_a_database_that_is_unavailable_may_be_an_outage(
    app: Flask,
    replayer: SpoolReplayer,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    reported: list[UnavailableCause],
) -> None:  # I2
    found: list[UnavailableCause] = []
    monkeypatch.setattr(connections, "report_failure", lambda cause, _: found.append(cause))
    with app.app_context(), structlog.testing.capture_logs() as logs:
        recorder.spool_request("of a test", {}, START, error)
    assert found == reported
    assert len(frames_of(folder)) == 1
    [line] = [each for each in logs if each["event"] == "request_spooled"]
    assert line["log_level"] == ("info" if isinstance(error, Unavailable) else "error")


# --- what is kept for a process that starts in an outage


def test_what_is_kept_is_written_only_when_it_changes(
    app: Flask, replayer: SpoolReplayer, folder: Path
) -> None:
    path = folder / recorder.FILE_NAME
    with app.app_context():
        recorder.save_known_state(folder)
        first = path.stat().st_ino
        assert json.loads(path.read_bytes())["catalogue"]
        recorder.save_known_state(folder)
        assert path.stat().st_ino == first
        path.write_bytes(b"an older state")
        recorder.save_known_state(folder)
    assert path.stat().st_ino != first
    assert json.loads(path.read_bytes())["senders"] == []


def test_a_folder_that_takes_or_has_no_state_is_logged(app: Flask, tmp_path: Path) -> None:
    (tmp_path / "known.json").mkdir()
    with app.app_context(), structlog.testing.capture_logs() as logs:
        recorder.save_known_state(tmp_path)
        recorder.load_known_state(tmp_path)
        recorder.load_known_state(tmp_path / "gone")  # the first start: nothing to say
    assert [(line["event"], line["log_level"], line["file"]) for line in logs] == [
        ("spool_unwritable", "warning", "known.json"),
        ("spool_unreadable", "warning", "known.json"),
    ]
