"""What the folder of the spool contains, creates and gives up (I1)."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest

from preference_center.ledger.spool import SpoolFolder, SpoolStatus, SpoolUnavailable
from preference_center.ledger.spool.folder import ClosedSpoolFile
from preference_center.ledger.spool.frames import MAX_PAYLOAD_BYTES, encode_frame
from tests.clock import START
from tests.ledger.spool.test_replay import MEBIBYTE

FRAME = encode_frame(b"one", START)


def open_descriptors() -> int:
    return len([*Path("/proc/self/fd").iterdir()])


def fail(*_: object) -> None:
    raise OSError(errno.EIO, "the disk is broken")


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_the_folder_is_made_with_those_above_it_and_for_this_user_only(tmp_path: Path) -> None:
    folder = SpoolFolder(tmp_path / "var" / "spool", MEBIBYTE)
    folder.ensure_exists()
    folder.ensure_exists()
    assert mode_of(folder.path) == 0o700


def test_a_folder_that_can_not_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SpoolUnavailable, match="SPOOL_DIR"):
        SpoolFolder(tmp_path / "file", MEBIBYTE).ensure_exists()


def test_a_file_has_its_name_only_once_it_is_locked_and_the_folder_is_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # else another process would replay and delete it
    steps: list[tuple[str, list[str]]] = []
    flock, fsync = fcntl.flock, os.fsync

    def names() -> list[str]:
        return [path.suffix for path in tmp_path.iterdir()]

    def lock(descriptor: int, how: int) -> None:
        steps.append(("lock", names()))
        flock(descriptor, how)

    def sync(descriptor: int) -> None:
        steps.append(("sync", names()))
        fsync(descriptor)

    monkeypatch.setattr(fcntl, "flock", lock)
    monkeypatch.setattr(os, "fsync", sync)
    before = open_descriptors()
    made = SpoolFolder(tmp_path, MEBIBYTE).create_file()
    assert steps == [("lock", [""]), ("sync", [".spool"])]
    assert [*tmp_path.iterdir()] == [made.path]
    assert made.path.name.startswith(f"{os.getpid()}-")
    assert mode_of(made.path) == 0o600
    assert open_descriptors() == before + 1
    made.close()
    assert open_descriptors() == before


@pytest.mark.parametrize("fails", ["flock", "fsync"])
def test_a_file_that_could_not_be_made_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    monkeypatch.setattr(fcntl if fails == "flock" else os, fails, fail)
    before = open_descriptors()
    with pytest.raises(OSError, match="broken"):
        SpoolFolder(tmp_path, MEBIBYTE).create_file()
    assert [*tmp_path.iterdir()] == []
    assert open_descriptors() == before


def test_a_file_that_is_not_taken_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = SpoolFolder(tmp_path, MEBIBYTE)
    made = folder.create_file()
    before = open_descriptors()
    assert folder.lock_closed(made.path) is None
    assert folder.lock_closed(tmp_path / "gone.spool") is None
    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", fail)
        with pytest.raises(OSError, match="broken"):
            folder.lock_closed(made.path)
    assert open_descriptors() == before
    made.close()
    held = folder.lock_closed(made.path)
    assert held
    held.close()
    assert open_descriptors() == before - 1


def test_a_file_that_another_process_has_just_replayed_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # I1: it was deleted, or kept under another name, between being opened and locked
    folder = SpoolFolder(tmp_path, MEBIBYTE)
    path = tmp_path / "1-00.spool"
    flock = fcntl.flock
    for others in ([], [b"another of the same name"]):
        path.write_bytes(FRAME)

        def lock(descriptor: int, how: int, others: list[bytes] = others) -> None:
            flock(descriptor, how)
            path.rename(tmp_path / "1-00.rejected")
            for content in others:
                path.write_bytes(content)

        with monkeypatch.context() as patch:
            patch.setattr(fcntl, "flock", lock)
            assert folder.lock_closed(path) is None


def test_all_files_count_towards_the_size_and_one_that_vanishes_does_not(
    tmp_path: Path,
) -> None:
    folder = SpoolFolder(tmp_path, MEBIBYTE)
    assert folder.used_bytes() == 0
    (tmp_path / "1-00.spool").write_bytes(b"x" * 10)
    (tmp_path / "1-01.rejected").write_bytes(b"x" * 7)
    (tmp_path / "2-00.spool").symlink_to("gone")
    assert folder.used_bytes() == 17


def test_free_bytes_are_those_that_this_process_may_use(tmp_path: Path) -> None:
    found = os.statvfs(tmp_path)
    free = SpoolFolder(tmp_path, MEBIBYTE).free_bytes()
    assert abs(free - found.f_bavail * found.f_bsize) < found.f_blocks * found.f_frsize // 10


@pytest.mark.parametrize(
    "most, free, expected",
    [(MAX_PAYLOAD_BYTES + 11, MEBIBYTE, True), (MAX_PAYLOAD_BYTES + 10, MEBIBYTE, False),
     (MEBIBYTE, MAX_PAYLOAD_BYTES + 1, True), (MEBIBYTE, MAX_PAYLOAD_BYTES, False)],
)  # fmt: skip
def test_it_is_writable_while_one_more_record_fits_into_the_folder_and_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int, free: int, *, expected: bool
) -> None:
    (tmp_path / "1-00.spool").write_bytes(b"x" * 10)
    monkeypatch.setattr(SpoolFolder, "free_bytes", lambda _: free)
    folder = SpoolFolder(tmp_path, most)
    assert folder.is_writable is expected
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert folder.is_writable is False


def test_what_is_no_folder_is_not_writable(tmp_path: Path) -> None:
    assert SpoolFolder(tmp_path / "gone", MEBIBYTE).is_writable is False
    assert SpoolFolder(tmp_path / "gone", MEBIBYTE).status() == SpoolStatus(
        0, None, 0, 0, 0, 0, is_writable=False
    )


def test_the_status_counts_records_and_files(tmp_path: Path) -> None:
    folder = SpoolFolder(tmp_path, MEBIBYTE)
    older = encode_frame(b"two", START.replace(year=2020))
    (tmp_path / "1-00.spool").write_bytes(FRAME + b"damaged" + older + FRAME)
    (tmp_path / "2-00.spool").write_bytes(FRAME)
    (tmp_path / "3-00.spool").write_bytes(b"")
    (tmp_path / "4-00.spool").symlink_to("4-00.spool")  # no user may open it
    (tmp_path / "5-00.spool").symlink_to("gone")  # as if it were deleted meanwhile
    (tmp_path / "1-00.damaged").write_bytes(b"")
    for name in ("1-00", "2-00"):
        (tmp_path / f"{name}.rejected").write_bytes(b"")
    assert folder.status() == SpoolStatus(
        pending=4,
        oldest_received_at=START.replace(year=2020),
        used_bytes=0,
        damaged_files=1,
        rejected_files=2,
        unreadable_files=1,
        is_writable=False,
    )


def test_files_that_are_kept_have_a_durable_name_and_removing_one_twice_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = SpoolFolder(tmp_path, MEBIBYTE)
    (tmp_path / "1-00.spool").write_bytes(FRAME)
    held = folder.lock_closed(tmp_path / "1-00.spool")
    assert held
    before = open_descriptors()
    synced: list[list[str]] = []
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: synced.append([p.name for p in tmp_path.iterdir()]))
        folder.keep(held, ".damaged")
    assert synced == [["1-00.damaged"]]
    assert open_descriptors() == before
    folder.remove(held)
    folder.remove(ClosedSpoolFile(tmp_path / "1-00.damaged", -1))
    assert [*tmp_path.iterdir()] == []
    held.close()


def test_a_record_is_written_whole_though_the_disk_takes_a_part_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # I1
    made = SpoolFolder(tmp_path, MEBIBYTE).create_file()
    write = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, content: write(descriptor, content[:3]))
        made.append(FRAME)
    assert made.path.read_bytes() == FRAME
    made.close()


def test_a_record_that_was_refused_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # I1: the person was told that it failed
    made = SpoolFolder(tmp_path, MEBIBYTE).create_file()
    made.append(FRAME)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="broken"):
            made.append(FRAME)
    assert made.path.read_bytes() == FRAME
    made.remove_if_empty()
    deleted = [made.is_deleted]
    os.truncate(made.path, 0)
    made.remove_if_empty()
    made.remove_if_empty()
    deleted.append(made.is_deleted)
    assert deleted == [False, True]
    made.close()


def test_a_file_is_read_as_often_as_wanted(tmp_path: Path) -> None:
    folder = SpoolFolder(tmp_path, MEBIBYTE)
    (tmp_path / "1-00.spool").write_bytes(FRAME)
    held = folder.lock_closed(tmp_path / "1-00.spool")
    assert held
    assert held.read() == held.read() == FRAME
    held.close()
