"""What a process writes to its spool, and when it says that it did (I1)."""

from __future__ import annotations

import errno
import os
import threading
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import structlog.testing

from dev.processes import wait_until
from preference_center.core.addresses import Channel, parse_hashed_address
from preference_center.core.events import ALL_MARKETING, EventKind
from preference_center.ledger.spool import SpoolFolder, SpoolUnavailable
from preference_center.ledger.spool.frames import encode_frame
from preference_center.ledger.spool.recorder import (
    SpoolWriter,
    change_from_json,
    change_to_json,
)
from tests.clock import START
from tests.ledger.changes import change
from tests.ledger.spool.test_replay import MEBIBYTE

FRAME = encode_frame(b"one", START)


def spooled(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.iterdir()]


@pytest.fixture
def writer(tmp_path: Path) -> SpoolWriter:
    return SpoolWriter(SpoolFolder(tmp_path, MEBIBYTE))


def test_it_has_a_file_from_the_first_record_to_the_next_replay(
    writer: SpoolWriter, tmp_path: Path
) -> None:
    in_use = [writer.is_in_use]
    with structlog.testing.capture_logs() as logs:
        writer.append(FRAME)
        writer.append(FRAME)
    in_use.append(writer.is_in_use)
    [path] = tmp_path.iterdir()
    assert logs == [{"event": "spool_in_use", "log_level": "warning", "file": path.name}]
    writer.close_file()
    in_use.append(writer.is_in_use)
    writer.close_file()
    assert in_use == [False, True, False]
    assert spooled(tmp_path) == [FRAME * 2]


@pytest.mark.parametrize("free, fits", [(len(FRAME), True), (len(FRAME) - 1, False)])
def test_a_first_record_needs_as_many_free_bytes_as_it_has(
    writer: SpoolWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, *, fits: bool
) -> None:
    monkeypatch.setattr(SpoolFolder, "free_bytes", lambda _: free)
    if fits:
        writer.append(FRAME)
    else:
        with pytest.raises(SpoolUnavailable, match="disk of the spool is full"):
            writer.append(FRAME)
    assert spooled(tmp_path) == ([FRAME] if fits else [])


def test_later_records_are_tried_whatever_the_disk_says(
    writer: SpoolWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.append(FRAME)
    monkeypatch.setattr(SpoolFolder, "free_bytes", lambda _: 0)
    writer.append(FRAME)
    assert spooled(tmp_path) == [FRAME * 2]


def test_the_size_of_the_folder_is_read_again_after_a_second(tmp_path: Path) -> None:
    now = 0.0
    writer = SpoolWriter(SpoolFolder(tmp_path, 3 * len(FRAME)), lambda: now)
    writer.append(FRAME)
    (tmp_path / "1-00.spool").write_bytes(FRAME * 2)  # of another process
    now = 0.9
    writer.append(FRAME)
    now = 1.0
    with pytest.raises(SpoolUnavailable, match="SPOOL_MAX_BYTES"):
        writer.append(FRAME)
    (tmp_path / "1-00.spool").unlink()
    now = 2.0
    writer.append(FRAME)
    with pytest.raises(SpoolUnavailable, match="SPOOL_MAX_BYTES"):
        writer.append(FRAME)


def test_an_error_of_the_disk_is_logged_without_its_text_and_closes_the_file(
    writer: SpoolWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.EIO, "of jane@example.com")

    writer.append(FRAME)
    before = len([*Path("/proc/self/fd").iterdir()])
    monkeypatch.setattr(os, "fsync", fail)
    with (
        structlog.testing.capture_logs() as logs,
        pytest.raises(SpoolUnavailable, match="can't be written") as raised,
    ):
        writer.append(FRAME)
    assert "jane" not in str(raised.value)
    assert logs == [{"event": "spool_unwritable", "log_level": "error", "error": "OSError"}]
    assert not writer.is_in_use
    assert len([*Path("/proc/self/fd").iterdir()]) == before - 1


@pytest.mark.parametrize("fails", [False, True], ids=["written", "refused"])
def test_those_that_wait_share_one_sync_and_its_outcome(
    writer: SpoolWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, fails: bool
) -> None:
    writer.append(FRAME)
    sync, synced, go = os.fsync, list[int](), threading.Event()
    refused: list[SpoolUnavailable] = []

    def slow(descriptor: int) -> None:
        synced.append(descriptor)
        assert go.wait(60)
        if fails and len(synced) == 2:
            raise OSError(errno.EIO, "the disk is broken")
        sync(descriptor)

    def append() -> None:
        try:
            writer.append(FRAME)
        except SpoolUnavailable as error:
            refused.append(error)

    monkeypatch.setattr(os, "fsync", slow)
    threads = [threading.Thread(target=append) for _ in range(6)]
    threads[0].start()
    assert wait_until(lambda: bool(synced), 60)
    for thread in threads[1:]:
        thread.start()
    assert wait_until(lambda: len(writer._pending) == 5, 60)
    go.set()
    for thread in threads:
        thread.join()
    assert len(synced) == 2
    assert len(refused) == (5 if fails else 0)
    assert spooled(tmp_path) == [FRAME * (2 if fails else 7)]


def test_threads_that_come_together_are_all_on_disk(tmp_path: Path) -> None:  # I1
    writer = SpoolWriter(SpoolFolder(tmp_path, MEBIBYTE))
    threads = [
        threading.Thread(target=writer.append, args=(encode_frame(b"%d" % number, START),))
        for number in range(40)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    status = SpoolFolder(tmp_path, MEBIBYTE).status()
    assert (status.pending, status.oldest_received_at) == (40, START)
    assert len([*tmp_path.iterdir()]) == 1


def test_after_a_failed_sync_another_file_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # I1: what a disk has lost once, it must not seem to hold
    writer = SpoolWriter(SpoolFolder(tmp_path, MEBIBYTE))
    writer.append(encode_frame(b"first", START))

    def fails(_descriptor: int) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fails)
        with pytest.raises(SpoolUnavailable):
            writer.append(encode_frame(b"second", START))
    writer.append(encode_frame(b"third", START))
    assert len([*tmp_path.glob("*.spool")]) == 2
    assert SpoolFolder(tmp_path, MEBIBYTE).status().pending == 2


def test_a_file_that_somebody_deleted_is_not_written_to(tmp_path: Path) -> None:  # I1
    writer = SpoolWriter(SpoolFolder(tmp_path, MEBIBYTE))
    writer.append(encode_frame(b"first", START))
    for path in tmp_path.iterdir():
        path.unlink()
    writer.append(encode_frame(b"second", START))
    assert SpoolFolder(tmp_path, MEBIBYTE).status().pending == 1


# --- what is stored of an opt-out


def test_an_opt_out_is_read_as_it_was_written() -> None:
    given = change(
        1,
        scope=ALL_MARKETING,
        occurred_at=START - timedelta(hours=2),
        evidence={"message_id": "m-1"},
        own_act=True,
    )
    assert change_from_json(change_to_json(given), datetime.fromisoformat) == given


def test_nothing_but_an_opt_out_of_a_readable_address_is_spooled() -> None:  # I5
    hashed = parse_hashed_address("0" * 64, Channel.EMAIL)
    for other in (
        change(1, EventKind.OPTED_IN),
        change(1, EventKind.COMPLAINED),
        change(1, address=hashed),
        change(1, EventKind.COMPLAINED, address=hashed),
    ):
        with pytest.raises(ValueError, match="own opt-out"):
            change_to_json(other)
