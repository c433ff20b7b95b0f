"""Append to this process's spool file: one fsync for all concurrent threads."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from threading import Lock

import structlog

from preference_center.ledger.spool.folder import LockedSpoolFile, SpoolFolder, SpoolUnavailable

log = structlog.get_logger()


@dataclass(slots=True)
class _PendingFrame:
    content: bytes
    done: bool = False
    error: SpoolUnavailable | None = None


@dataclass(slots=True)
class SpoolWriter:
    """The file of this process in `folder`, created with the first record, and again when drained.

    Thread-safe.
    """

    folder: SpoolFolder
    _pending_lock: Lock = field(default_factory=Lock)
    """Protects `_waiting`; held briefly."""
    _file_lock: Lock = field(default_factory=Lock)
    """Protects the file."""
    _pending: list[_PendingFrame] = field(default_factory=list)
    _file: LockedSpoolFile | None = None

    def append(self, frame: bytes) -> None:
        """Return once the frame is on disk. Raises SpoolUnavailable if it isn't, or may not be.

        A thread that waits for the file's lock finds that the lock's holder wrote its frame.
        """
        pending = _PendingFrame(frame)
        with self._pending_lock:
            self._pending.append(pending)
        with self._file_lock:
            if not pending.done:
                with self._pending_lock:
                    batch, self._pending = self._pending, []
                error = self._write(b"".join(each.content for each in batch))
                for each in batch:
                    each.done, each.error = True, error
        if pending.error:
            raise SpoolUnavailable(str(pending.error)) from pending.error

    def read(self) -> tuple[LockedSpoolFile, bytes] | None:
        """This process's file and its content, if there is one. Raises OSError."""
        with self._file_lock:
            return None if self._file is None else (self._file, self._file.read())

    def remove_if_unchanged(self, file: LockedSpoolFile, size: int) -> bool:
        """Remove the file if its size is `size` bytes, all replayed; False if it has grown.

        Raises OSError.
        """
        with self._file_lock:
            if self._file is not file or file.size != size:
                return False
            file.remove()
            self._close_file()
            return True

    def _write(self, content: bytes) -> SpoolUnavailable | None:
        try:
            if self.folder.used_bytes() + len(content) > self.folder.max_bytes:
                return SpoolUnavailable("the spool is full: see SPOOL_MAX_BYTES")
            if self._file is not None and self._file.is_deleted:
                self._close_file()
            if self._file is None:
                self._file = self.folder.create_file()
                log.warning("spool_in_use", file=self._file.path.name)
            self._file.append(content)
        except OSError as error:
            # After a failed fsync the state of the disk is unknown: leave the file to be replayed.
            log.error("spool_unwritable", error=type(error).__name__)  # noqa: TRY400 - its text has a path, its trace nothing more
            self._close_file()
            return SpoolUnavailable("the spool can't be written")
        return None

    def _close_file(self) -> None:
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
        self._file = None
