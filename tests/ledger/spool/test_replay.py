"""What the replayer does about bad records, other processes and keys it does not have."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import structlog.testing

from dev.processes import wait_until
from preference_center.core.errors import Unavailable
from preference_center.ledger.spool.frames import encode_frame
from tests.clock import START
from tests.ledger.spool.conftest import PAIR, Database, MakeToken, Replay
from tests.ledger.tables import Ledger

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

    from preference_center.ledger.spool.replayer import SpoolReplayer

MEBIBYTE = 1024 * 1024
HOLDER = """
import sys, pathlib, signal
from preference_center.ledger.spool.folder import SpoolFolder
held = SpoolFolder(pathlib.Path(sys.argv[1]), 2**20).create_file()
held.append(pathlib.Path(sys.argv[2]).read_bytes())
print("held", flush=True)
signal.pause()
"""


def spool_clicks(client: FlaskClient, database: Database, tokens: Sequence[str]) -> None:
    with database.away():
        for token in tokens:
            assert client.post(f"/u/{token}", data=PAIR).status_code == 202


def test_bytes_that_are_no_record_are_kept_aside_and_reported(
    client: FlaskClient,
    make_token: MakeToken,
    ledger: Ledger,
    database: Database,
    replayer: SpoolReplayer,
    replay: Replay,
    folder: Path,
) -> None:
    spool_clicks(client, database, [make_token(f"p{n}@example.com") for n in range(3)])
    [path] = folder.glob("*.spool")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1  # in the second of three
    path.write_bytes(content)
    with path.open("ab") as file:
        file.write(content[:40])  # a record that a crash cut off: it was never acknowledged
    path_content = path.read_bytes()
    with structlog.testing.capture_logs() as logs:
        replayed = replay()
    assert (replayed.recorded, replayed.damaged) == (2, 2)
    assert len(ledger.events()) == 2
    [aside] = folder.iterdir()
    assert aside.suffix == ".damaged"
    assert aside.read_bytes() == path_content
    assert [log["log_level"] for log in logs if log["event"] == "spool_damaged"] == ["error"] * 2
    assert replayer.spool.folder.status().damaged_files == 1


def test_a_replay_is_logged_where_it_had_something_to_do(
    client: FlaskClient, token: str, database: Database, replay: Replay
) -> None:
    spool_clicks(client, database, [token])
    with structlog.testing.capture_logs() as logs:
        replay()
        replay()
    assert [line for line in logs if line["event"] == "spool_replayed"] == [
        {
            "event": "spool_replayed",
            "log_level": "info",
            "recorded": 1,
            "rejected": 0,
            "damaged": 0,
            "blocked": 0,
        }
    ]


def test_a_record_that_can_never_be_recorded_is_kept_aside_and_blocks_nobody(
    app: Flask,
    client: FlaskClient,
    make_token: MakeToken,
    ledger: Ledger,
    database: Database,
    replayer: SpoolReplayer,
    replay: Replay,
    folder: Path,
) -> None:
    from preference_center.infra.context import services

    with app.app_context():
        unusable = services().links.seal_request({"kind": "opt_outs", "changes": [{}]})
    with database.away():
        assert client.post(f"/u/{make_token()}", data=PAIR).status_code == 202
        replayer.spool.writer.append(encode_frame(b"sealed by another key", START))
        replayer.spool.writer.append(encode_frame(unusable, START))
        assert client.post(f"/u/{make_token('paul@example.com')}", data=PAIR).status_code == 202
    replayed = replay()
    assert (replayed.recorded, replayed.rejected) == (2, 2)
    assert len(ledger.events()) == 2
    assert [path.suffix for path in folder.iterdir()] == [".rejected"]
    assert replayer.spool.folder.status().rejected_files == 1


def test_what_was_kept_aside_is_tried_again_under_its_old_name(
    app: Flask,
    replay: Replay,
    folder: Path,
    replayer: SpoolReplayer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # I1: once the reason is gone, e.g. a key is back, and before the next look as well
    from preference_center.infra.context import services
    from preference_center.ledger.spool.replayer import HANDLERS_KEY

    def record(*_: object) -> None:
        if is_missing:
            raise KeyError("a key")

    is_missing = True
    monkeypatch.setitem(app.extensions, HANDLERS_KEY, {"one": record})
    with app.app_context():
        frame = encode_frame(services().links.seal_request({"kind": "one"}), START)
    (folder / "1-00.spool").write_bytes(frame)
    assert replay().rejected == 1
    is_missing = False
    (folder / "1-00.rejected").rename(folder / "1-00.spool")
    assert replay().recorded == 1
    assert [*folder.iterdir()] == []


def test_a_process_without_a_spool_records_what_others_left(
    app: Flask,
    client: FlaskClient,
    token: str,
    ledger: Ledger,
    database: Database,
    replayer: SpoolReplayer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # I1
    from preference_center.ledger.spool import recorder, replay_abandoned

    spool_clicks(client, database, [token])
    replayer.spool.writer.close_file()
    replayer.outage.down.clear()
    monkeypatch.delitem(app.extensions, recorder.EXTENSION_KEY)
    assert replay_abandoned(app).recorded == 1
    assert len(ledger.events()) == 1


def test_a_kind_of_a_newer_version_waits_for_it(
    app: Flask, replayer: SpoolReplayer, replay: Replay, folder: Path
) -> None:
    from preference_center.infra.context import services

    with app.app_context():
        sealed = services().links.seal_request({"kind": "of tomorrow"})
    replayer.spool.writer.append(encode_frame(sealed, START))
    assert replay().blocked == 1
    assert replay().blocked == 1
    assert [path.suffix for path in folder.iterdir()] == [".spool"]


def test_the_file_of_a_living_process_is_left_alone_and_that_of_a_dead_one_taken(
    client: FlaskClient,
    token: str,
    ledger: Ledger,
    database: Database,
    replayer: SpoolReplayer,
    replay: Replay,
    folder: Path,
    tmp_path: Path,
) -> None:  # I1
    spool_clicks(client, database, [token])
    [path] = folder.glob("*.spool")
    content = tmp_path / "content"
    content.write_bytes(path.read_bytes())
    replayer.spool.writer.close_file()
    path.unlink()
    other = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder), str(content)], stdout=subprocess.PIPE
    )
    try:
        assert other.stdout
        assert other.stdout.readline() == b"held\n"
        assert replay().recorded == 0
        assert replayer.spool.folder.status().pending == 1
    finally:
        other.send_signal(signal.SIGKILL)
        other.wait()
        other.stdout.close()  # type: ignore[union-attr]
    assert replay().recorded == 1
    assert len(ledger.events()) == 1
    assert [*folder.iterdir()] == []


def test_an_outage_ends_only_for_who_has_the_databases_keys(
    app: Flask,
    client: FlaskClient,
    token: str,
    ledger: Ledger,
    database: Database,
    replayer: SpoolReplayer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from preference_center.core.errors import KeyMismatch
    from preference_center.ledger.spool import replayer as replaying

    spool_clicks(client, database, [token])

    def other_keys() -> None:
        raise KeyMismatch("another key")

    with monkeypatch.context() as patched, app.app_context():
        patched.setattr(replaying, "require_known_keys", other_keys)
        with pytest.raises(KeyMismatch):
            replayer.run_once()
    assert client.post(f"/u/{token}", data=PAIR).status_code == 202
    assert ledger.events() == []


def test_while_it_is_known_away_nobody_tries_to_connect(
    app: Flask, client: FlaskClient, token: str, database: Database, replay: Replay
) -> None:
    from preference_center.infra.db.transactions import run_in_transaction

    spool_clicks(client, database, [token])
    with app.app_context():  # it is back, and nobody has noticed
        with pytest.raises(Unavailable):
            run_in_transaction(lambda _: None)
        replay()
        run_in_transaction(lambda _: None)


def test_the_thread_ends_an_outage_by_itself(
    app: Flask,
    client: FlaskClient,
    token: str,
    ledger: Ledger,
    database: Database,
    replayer: SpoolReplayer,
) -> None:
    from preference_center.ledger.spool.replayer import replay_periodically

    stop = threading.Event()
    thread = threading.Thread(target=replay_periodically, args=(app, replayer, stop))
    thread.start()
    try:
        spool_clicks(client, database, [token])
        assert wait_until(lambda: len(ledger.events()) == 1, 30)
        assert wait_until(lambda: not replayer.outage.down.is_set(), 30)
    finally:
        stop.set()
        thread.join()


def test_an_outage_ends_while_a_record_is_still_replayed(
    app: Flask, replayer: SpoolReplayer, replay: Replay, monkeypatch: pytest.MonkeyPatch
) -> None:  # I2: a slow opt-out begins one, and is slow again when it is replayed
    from preference_center.infra.context import services
    from preference_center.ledger.spool import replayer as running

    ended: list[bool] = []

    def record_slowly(_requests: object, _now: object) -> None:
        replayer.outage.down.set()  # as another request does that takes too long
        ended.append(wait_until(lambda: not replayer.outage.down.is_set(), 30))

    monkeypatch.setitem(app.extensions, running.HANDLERS_KEY, {"slow": record_slowly})
    with app.app_context():
        sealed = services().links.seal_request({"kind": "slow"})
        replayer.spool.writer.append(encode_frame(sealed, START))
    stop = threading.Event()
    thread = threading.Thread(target=running.end_outages, args=(app, replayer.outage, stop))
    thread.start()
    try:
        assert replay().recorded == 1
    finally:
        stop.set()
        thread.join()
    assert ended == [True]
