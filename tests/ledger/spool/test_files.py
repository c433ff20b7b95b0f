"""The files of the spool: nothing of them is lost, whatever the disk does."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from preference_center.ledger.spool import SpoolFolder, SpoolUnavailable
from preference_center.ledger.spool.frames import encode_frame
from preference_center.ledger.spool.recorder import SpoolWriter
from tests.clock import START
from tests.ledger.spool.conftest import Database, MakeToken, Replay
from tests.ledger.spool.test_replay import MEBIBYTE, spool_clicks
from tests.ledger.tables import Ledger

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

    from preference_center.ledger.spool.replayer import SpoolReplayer


def fill_disk(patch: pytest.MonkeyPatch) -> None:
    """No byte can be written any more; names can."""

    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSPC, "no space left on device")

    patch.setattr(os, "write", refuse)


def test_what_is_spooled_during_a_replay_is_in_another_file(
    app: Flask,
    replayer: SpoolReplayer,
    replay: Replay,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # I1: so a file that is deleted has nothing that was not replayed
    from preference_center.infra.context import services
    from preference_center.ledger.spool import replayer as replaying

    with app.app_context():
        frame = encode_frame(services().links.seal_request({"kind": "one"}), START)
    recorded: list[object] = []

    def record_one(requests: list[object], *_: object) -> None:
        [during] = folder.glob("*.spool")
        before = during.read_bytes()
        if not recorded:
            replayer.spool.writer.append(frame)  # a click, meanwhile
        assert during.read_bytes() == before
        recorded.extend(requests)

    monkeypatch.setitem(app.extensions, replaying.HANDLERS_KEY, {"one": record_one})
    replayer.spool.writer.append(frame)
    replay()
    replay()
    assert len(recorded) == 2
    assert [*folder.iterdir()] == []


def test_a_file_is_replayed_by_one_process_and_only_after_it_was_closed(tmp_path: Path) -> None:
    folder = SpoolFolder(tmp_path, MEBIBYTE)
    writer = SpoolWriter(folder)
    writer.append(encode_frame(b"first", START))
    [path] = folder.files(".spool")
    assert folder.lock_closed(path) is None  # it may grow
    writer.close_file()
    held = folder.lock_closed(path)
    assert held
    assert folder.lock_closed(path) is None
    writer.append(encode_frame(b"second", START))
    assert held.read() == encode_frame(b"first", START)
    assert len(folder.files(".spool")) == 2
    held.close()
    path.rename(path.with_suffix(".rejected"))
    assert folder.lock_closed(path) is None


def test_no_record_is_missed_while_files_are_closed_under_appends(tmp_path: Path) -> None:  # I1
    folder = SpoolFolder(tmp_path, MEBIBYTE)
    writer = SpoolWriter(folder)

    def append(number: int) -> None:
        for each in range(10):
            writer.append(encode_frame(b"%d.%d" % (number, each), START))

    threads = [threading.Thread(target=append, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    taken = b""
    while any(thread.is_alive() for thread in threads) or folder.files(".spool"):
        writer.close_file()
        for path in folder.files(".spool"):
            held = folder.lock_closed(path)
            if held is not None:
                taken += held.read()
                folder.remove(held)
                held.close()
    assert all(b"%d.%d" % (one, each) in taken for one in range(8) for each in range(10))


def test_with_a_torn_record_and_a_full_disk_all_others_are_recorded(
    client: FlaskClient,
    make_token: MakeToken,
    ledger: Ledger,
    database: Database,
    replay: Replay,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # I1: the damage is kept, and nothing is copied for it
    spool_clicks(client, database, [make_token(f"p{n}@example.com") for n in range(3)])
    [path] = folder.glob("*.spool")
    content = path.read_bytes()[:-40]
    os.truncate(path, len(content))
    with monkeypatch.context() as patch:
        fill_disk(patch)
        replayed = replay()
    assert (replayed.recorded, replayed.damaged) == (2, 1)
    assert len(ledger.events()) == 2
    [kept] = folder.iterdir()
    assert (kept.suffix, kept.read_bytes()) == (".damaged", content)


def test_a_second_file_that_is_kept_under_the_same_name_replaces_nothing(tmp_path: Path) -> None:
    folder = SpoolFolder(tmp_path, MEBIBYTE)
    for content in (b"one", b"two"):  # copied back, where it should have been renamed
        (tmp_path / "1-00.spool").write_bytes(content)
        held = folder.lock_closed(tmp_path / "1-00.spool")
        assert held
        folder.keep(held, ".rejected")
        held.close()
    assert sorted(path.read_bytes() for path in folder.files(".rejected")) == [b"one", b"two"]


def test_on_a_full_disk_a_refused_record_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = SpoolFolder(tmp_path, MEBIBYTE)
    writer = SpoolWriter(folder)
    with monkeypatch.context() as patch:
        fill_disk(patch)  # although some bytes looked free
        for _ in range(3):
            with pytest.raises(SpoolUnavailable):
                writer.append(encode_frame(b"refused", START))
    assert [*tmp_path.iterdir()] == []
    writer.append(encode_frame(b"accepted", START))
    assert folder.status().pending == 1


def test_on_a_disk_without_a_free_byte_no_file_is_created(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = SpoolWriter(SpoolFolder(tmp_path, MEBIBYTE))
    monkeypatch.setattr(SpoolFolder, "free_bytes", lambda _: 0)
    monkeypatch.setattr(SpoolFolder, "create_file", lambda _: pytest.fail("creates a file"))
    with pytest.raises(SpoolUnavailable, match="disk"):
        writer.append(encode_frame(b"refused", START))


def test_the_folder_is_not_read_for_each_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    looks: list[object] = []
    scan = os.scandir

    def count(path: str) -> Iterator[os.DirEntry[str]]:
        looks.append(path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", count)
    writer = SpoolWriter(SpoolFolder(tmp_path, MEBIBYTE))
    writer.monotonic = lambda: now
    for _ in range(50):
        writer.append(encode_frame(b"x", START))
    assert len(looks) == 1
    (tmp_path / "other.spool").write_bytes(b"x" * MEBIBYTE)  # of another process
    now = 1.0
    for _ in range(50):
        with pytest.raises(SpoolUnavailable, match="SPOOL_MAX_BYTES"):
            writer.append(encode_frame(b"x", START))
    assert len(looks) == 2


def test_between_two_looks_it_counts_what_it_writes(tmp_path: Path) -> None:  # I1
    size = len(encode_frame(b"x", START))
    writer = SpoolWriter(SpoolFolder(tmp_path, 2 * size), lambda: 0.0)
    writer.append(encode_frame(b"x", START))
    writer.append(encode_frame(b"x", START))
    with pytest.raises(SpoolUnavailable, match="SPOOL_MAX_BYTES"):
        writer.append(encode_frame(b"x", START))
