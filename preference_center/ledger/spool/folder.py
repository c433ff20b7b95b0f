"""The spool's folder has one file per process: frames, one after the other, each with a checksum.

A frame is a head (magic bytes, size of the payload in bytes, time of receipt in milliseconds since
1970, and the first 8 bytes of the SHA-256 of all that and the payload) and the payload. The payload
is encrypted: nothing personal is in clear text. Encoding and decoding frames is pure.

A file is locked for as long as its process lives. An unlocked file belongs to a process that has
ended: any process that locks it may replay it. The lock is `flock`, so the folder must be on a
local disk (docs/operations.md).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from struct import Struct

from preference_center.core.errors import Unavailable

_MAGIC = b"\xf5PC1"
"""Begins a frame. Its first byte occurs in no payload, which is ASCII."""


_HEADER = Struct(">4sIQ")


_CHECKSUM_BYTES = 8


HEADER_BYTES = _HEADER.size + _CHECKSUM_BYTES


MAX_PAYLOAD_BYTES = 64 * 1024


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


_MAX_MILLISECONDS = int((datetime.max.replace(tzinfo=UTC) - _EPOCH) / timedelta(milliseconds=1))


@dataclass(frozen=True, slots=True)
class Frame:
    """One intact frame. `received_at` is UTC, to the millisecond."""

    received_at: datetime
    payload: bytes


@dataclass(frozen=True, slots=True)
class DamagedBytes:
    """Bytes of the file that are not an intact frame."""

    content: bytes


def encode_frame(payload: bytes, received_at: datetime) -> bytes:
    """The frame of a payload. Raises ValueError if it is too large or not ASCII."""
    if len(payload) > MAX_PAYLOAD_BYTES or not payload.isascii():
        raise ValueError("a payload is ASCII of at most 64 KiB")
    milliseconds = (received_at - _EPOCH) // timedelta(milliseconds=1)
    head = _HEADER.pack(_MAGIC, len(payload), milliseconds)
    return head + _checksum(head, payload) + payload


def decode_frames(content: bytes) -> Iterator[tuple[int, Frame | DamagedBytes]]:
    """The content of a file, in order, each part with the offset of its first byte.

    After damage it continues with the next intact frame, so that one bad sector costs the frames
    in it and no others. A file that was truncated by a crash ends with damage.
    """
    at = damaged_from = 0
    while at < len(content):
        frame = _frame_at(content, at)
        if frame is None:
            following = content.find(_MAGIC, at + 1)
            at = len(content) if following < 0 else following
            continue
        if damaged_from < at:
            yield damaged_from, DamagedBytes(content[damaged_from:at])
        yield at, frame
        at += HEADER_BYTES + len(frame.payload)
        damaged_from = at
    if damaged_from < len(content):
        yield damaged_from, DamagedBytes(content[damaged_from:])


def _frame_at(content: bytes, offset: int) -> Frame | None:
    begin = offset + HEADER_BYTES
    if len(content) < begin:
        return None
    mark, size, milliseconds = _HEADER.unpack_from(content, offset)
    if mark != _MAGIC or size > MAX_PAYLOAD_BYTES or milliseconds > _MAX_MILLISECONDS:
        return None
    payload = content[begin : begin + size]
    head = content[offset : offset + _HEADER.size]
    if len(payload) < size or not payload.isascii():
        return None
    if content[offset + _HEADER.size : begin] != _checksum(head, payload):
        return None
    return Frame(_EPOCH + timedelta(milliseconds=milliseconds), payload)


def _checksum(head: bytes, payload: bytes) -> bytes:
    return hashlib.sha256(head + payload).digest()[:_CHECKSUM_BYTES]


SPOOL_SUFFIX = ".spool"
"""Records that are pending."""


DAMAGED_SUFFIX = ".damaged"
"""Bytes that are not an intact record, kept for inspection."""


REJECTED_SUFFIX = ".rejected"
"""Intact records that could not be recorded, kept for inspection."""


_FILE_MODE = 0o600


_FOLDER_MODE = 0o700


class SpoolUnavailable(Unavailable):
    """The spool is full, or its disk accepts no writes; nothing was accepted."""


@dataclass(frozen=True, slots=True)
class SpoolStatus:
    """The contents of a spool folder. Counts are of records, also that of `rejected`."""

    pending: int
    oldest_received_at: datetime | None
    used_bytes: int
    """The size of all files together."""
    damaged_files: int
    """Files with bytes that could not be read."""
    rejected: int
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

    def create_file(self) -> LockedSpoolFile:
        """A new file for this process, durable in its folder and locked. Raises OSError.

        It gets its name only after it is locked, so that it does not look abandoned.
        """
        name = f"{os.getpid()}-{secrets.token_hex(8)}"
        draft = self.path / f".{name}"
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        held = LockedSpoolFile(
            self.path / f"{name}{SPOOL_SUFFIX}", os.open(draft, flags, _FILE_MODE)
        )
        try:
            fcntl.flock(held.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            draft.rename(held.path)
            self.sync()
        except BaseException:
            held.close()
            raise
        return held

    def lock_abandoned(self) -> Iterator[LockedSpoolFile]:
        """Files of processes that have ended, each locked while the caller uses it."""
        for path in self.files(SPOOL_SUFFIX):
            with suppress(FileNotFoundError):
                held = LockedSpoolFile(path, os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC))
                try:
                    fcntl.flock(held.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    if not held.is_deleted:  # by the process that has just replayed it
                        yield held
                except BlockingIOError:
                    pass  # its process is alive
                finally:
                    held.close()

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

    @property
    def is_writable(self) -> bool:
        """Whether another record could be accepted now, as far as can be seen without writing."""
        try:
            free = min(self.max_bytes - self.used_bytes(), _free_bytes(self.path))
        except OSError:
            return False
        return free > MAX_PAYLOAD_BYTES and os.access(self.path, os.W_OK | os.X_OK)

    def quarantine(self, path: Path, suffix: str, content: bytes) -> None:
        """Append bytes of a spool file to its file with this suffix, durably.

        A crash may store them twice, but never loses them. Raises OSError.
        """
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(path.with_suffix(suffix), flags, _FILE_MODE)
        try:
            write_all(descriptor, content)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
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
        found = [_count_records(path, _size(path)) for path in self.files(SPOOL_SUFFIX)]
        try:
            used = self.used_bytes()
        except OSError:
            used = 0
        return SpoolStatus(
            pending=sum(count for count, _ in found),
            oldest_received_at=min((at for _, at in found if at), default=None),
            used_bytes=used,
            damaged_files=len(self.files(DAMAGED_SUFFIX)),
            rejected=sum(
                _count_records(path, _size(path))[0] for path in self.files(REJECTED_SUFFIX)
            ),
            is_writable=self.is_writable,
        )


@dataclass(frozen=True, slots=True)
class LockedSpoolFile:
    """A spool file that this process has locked."""

    path: Path
    descriptor: int

    @property
    def size(self) -> int:
        """In bytes."""
        return os.fstat(self.descriptor).st_size

    @property
    def is_deleted(self) -> bool:
        """Whether the file is no longer in the folder: what is appended to it would be lost."""
        return os.fstat(self.descriptor).st_nlink == 0

    def append(self, content: bytes) -> None:
        """Write and sync. Raises OSError: whether it is on disk is then unknown."""
        size = self.size
        try:
            write_all(self.descriptor, content)
            os.fsync(self.descriptor)
        except OSError:
            with suppress(OSError):
                os.ftruncate(self.descriptor, size)
            raise

    def read(self) -> bytes:
        """Its content. Raises OSError."""
        return self.path.read_bytes()

    def remove(self) -> None:
        """Delete it, after all its records were recorded or quarantined. Raises OSError."""
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Release the lock."""
        os.close(self.descriptor)


def _free_bytes(path: Path) -> int:
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize


def write_all(descriptor: int, content: bytes) -> None:
    """`os.write` until all is written. Raises OSError."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


@lru_cache(maxsize=64)
def _count_records(path: Path, _size: int) -> tuple[int, datetime | None]:
    """The number of records in a file, and when the oldest was received. Files only grow."""
    try:
        content = path.read_bytes()
    except OSError:
        return 0, None
    frames = [part for _, part in decode_frames(content) if isinstance(part, Frame)]
    return len(frames), min((frame.received_at for frame in frames), default=None)
