"""The spool's folder has one file per process and replay; `frames` says what a file contains.

A file is locked for as long as a process may append to it. A process that locks it later may replay
it: it never grows again, so nothing can be deleted that was not replayed. The lock is `flock`, so
the folder must be on a local disk (docs/operations.md).
"""

from __future__ import annotations

import fcntl
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from preference_center.core.errors import Unavailable
from preference_center.ledger.spool.frames import MAX_PAYLOAD_BYTES, Frame, decode_frames

SPOOL_SUFFIX = ".spool"
"""Records that are pending."""


DAMAGED_SUFFIX = ".damaged"
"""A file with bytes that are not an intact record, kept for inspection; the others are recorded."""


REJECTED_SUFFIX = ".rejected"
"""A file with intact records that could not be recorded, kept for inspection. It may be damaged,
too; all others of it are recorded."""


_FILE_MODE = 0o600


_FOLDER_MODE = 0o700


class SpoolUnavailable(Unavailable):
    """The spool is full, or its disk accepts no writes; nothing was accepted."""


@dataclass(frozen=True, slots=True)
class SpoolStatus:
    """The contents of a spool folder."""

    pending: int
    """Records that wait."""
    oldest_received_at: datetime | None
    used_bytes: int
    """The size of all files together."""
    damaged_files: int
    rejected_files: int
    unreadable_files: int
    """Files with pending records that this process can't read."""
    is_writable: bool
    """Whether another record could be accepted now."""


@dataclass(frozen=True, slots=True)
class SpoolFolder:
    """`path` contains at most `max_bytes` in all its files together."""

    path: Path
    max_bytes: int

    def ensure_exists(self) -> None:
        """Create the folder, readable by this user only. Raises SpoolUnavailable."""
        try:
            self.path.mkdir(_FOLDER_MODE, parents=True, exist_ok=True)
        except OSError as error:
            raise SpoolUnavailable("the folder of SPOOL_DIR can't be created") from error

    def create_file(self) -> OpenSpoolFile:
        """A new file for this process, durable in its folder and locked. Raises OSError.

        It gets its name only after it is locked, so that nobody replays it.
        """
        name = f"{os.getpid()}-{secrets.token_hex(8)}"
        draft = self.path / f".{name}"
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        created = OpenSpoolFile(
            self.path / f"{name}{SPOOL_SUFFIX}", os.open(draft, flags, _FILE_MODE)
        )
        try:
            fcntl.flock(created.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            draft.rename(created.path)
            self.sync()
        except BaseException:
            created.close()
            for path in (draft, created.path):
                with suppress(OSError):
                    path.unlink()
            raise
        return created

    def lock_closed(self, path: Path) -> ClosedSpoolFile | None:
        """Lock a file; None if a process appends to it or replays it, or has just done so.

        Raises OSError if it can't be opened.
        """
        try:
            found = ClosedSpoolFile(path, os.open(path, os.O_RDONLY | os.O_CLOEXEC))
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(found.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(found.descriptor), path.stat()):
                return found
        except (BlockingIOError, FileNotFoundError):
            pass
        except BaseException:
            found.close()
            raise
        found.close()
        return None

    def files(self, suffix: str) -> list[Path]:
        """The files of one kind, oldest name first."""
        return sorted(self.path.glob(f"*{suffix}"))

    def used_bytes(self) -> int:
        """Bytes of all files together. Raises OSError."""
        total = 0
        with os.scandir(self.path) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    total += entry.stat().st_size
        return total

    def free_bytes(self) -> int:
        """What its disk has left for this process. Raises OSError."""
        found = os.statvfs(self.path)
        return found.f_bavail * found.f_frsize

    @property
    def is_writable(self) -> bool:
        """Whether another record could be accepted now, as far as can be seen without writing."""
        try:
            free = min(self.max_bytes - self.used_bytes(), self.free_bytes())
        except OSError:
            return False
        return free > MAX_PAYLOAD_BYTES and os.access(self.path, os.W_OK | os.X_OK)

    def remove(self, file: ClosedSpoolFile) -> None:
        """Delete a file, after all its records were recorded. Raises OSError."""
        file.path.unlink(missing_ok=True)

    def keep(self, file: ClosedSpoolFile, suffix: str) -> None:
        """Keep a file for inspection, durably, under another suffix. Raises OSError.

        It is renamed, which a full disk allows.
        """
        target = file.path.with_suffix(suffix)
        if target.exists():  # somebody has copied it back instead of renaming it
            target = file.path.with_suffix(f"{file.path.suffix}-{secrets.token_hex(8)}{suffix}")
        file.path.rename(target)
        self.sync()

    def sync(self) -> None:
        """Make the folder's own entries durable. Raises OSError."""
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def status(self) -> SpoolStatus:
        """What the folder contains. Reads each pending file once, until it grows."""
        counts = [_count_or_none(path) for path in self.files(SPOOL_SUFFIX)]
        found = [count for count in counts if count is not None]
        try:
            used = self.used_bytes()
        except OSError:
            used = 0
        return SpoolStatus(
            pending=sum(count for count, _ in found),
            oldest_received_at=min((at for _, at in found if at), default=None),
            used_bytes=used,
            damaged_files=len(self.files(DAMAGED_SUFFIX)),
            rejected_files=len(self.files(REJECTED_SUFFIX)),
            unreadable_files=len(counts) - len(found),
            is_writable=self.is_writable,
        )


@dataclass(frozen=True, slots=True)
class OpenSpoolFile:
    """A file that this process appends to, and nobody replays."""

    path: Path
    descriptor: int

    @property
    def is_deleted(self) -> bool:
        """Whether the file is no longer in the folder: what is appended to it would be lost."""
        return os.fstat(self.descriptor).st_nlink == 0

    def append(self, content: bytes) -> None:
        """Write and sync. Raises OSError: whether it is on disk is then unknown."""
        size = os.fstat(self.descriptor).st_size
        try:
            _write_all(self.descriptor, content)
            os.fsync(self.descriptor)
        except OSError:
            with suppress(OSError):
                os.ftruncate(self.descriptor, size)
            raise

    def remove_if_empty(self) -> None:
        """Delete it if nothing was appended: it is still locked."""
        with suppress(OSError):
            if os.fstat(self.descriptor).st_size == 0:
                self.path.unlink()

    def close(self) -> None:
        """Let it be replayed: nothing is appended any more."""
        os.close(self.descriptor)


@dataclass(frozen=True, slots=True)
class ClosedSpoolFile:
    """A file that nobody appends to any more, locked by this process."""

    path: Path
    descriptor: int

    def read(self) -> bytes:
        """Its content. Raises OSError."""
        with open(self.descriptor, "rb", closefd=False) as file:
            file.seek(0)
            return file.read()

    def close(self) -> None:
        """Release the lock."""
        os.close(self.descriptor)


def _write_all(descriptor: int, content: bytes) -> None:
    """`os.write` until all is written. Raises OSError."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _count_or_none(path: Path) -> tuple[int, datetime | None] | None:
    """The number of records in a file, and when the oldest was received; None if unreadable."""
    try:
        return _count_records(path, path.stat().st_size)
    except FileNotFoundError:
        return 0, None
    except OSError:
        return None


@lru_cache(maxsize=64)
def _count_records(path: Path, _size: int) -> tuple[int, datetime | None]:
    """The same. Files only grow. Raises OSError."""
    frames = [part for _, part in decode_frames(path.read_bytes()) if isinstance(part, Frame)]
    return len(frames), min((frame.received_at for frame in frames), default=None)
