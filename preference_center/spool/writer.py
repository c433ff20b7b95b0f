"""Appending to this process's spool file: one sync for all threads that come together."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from threading import Lock

import structlog

from preference_center.spool.folder import CannotSpool, Folder, HeldFile

log = structlog.get_logger()


@dataclass(slots=True)
class _Pending:
    content: bytes
    done: bool = False
    error: CannotSpool | None = None


@dataclass(slots=True)
class Writer:
    """The file of this process in `folder`, made at the first record and again when drained.

    Safe for use by several threads.
    """

    folder: Folder
    _lock: Lock = field(default_factory=Lock)
    """Of `_waiting`, held for moments only."""
    _turn: Lock = field(default_factory=Lock)
    """Of the file."""
    _waiting: list[_Pending] = field(default_factory=list)
    _file: HeldFile | None = None

    def append(self, frame: bytes) -> None:
        """Returns once the frame is on disk. Raises CannotSpool if it isn't, or may not be.

        Who waits for the file's lock finds that its frame was written by who had it.
        """
        pending = _Pending(frame)
        with self._lock:
            self._waiting.append(pending)
        with self._turn:
            if not pending.done:
                with self._lock:
                    batch, self._waiting = self._waiting, []
                error = self._write(b"".join(each.content for each in batch))
                for each in batch:
                    each.done, each.error = True, error
        if pending.error:
            raise CannotSpool(str(pending.error)) from pending.error

    def content(self) -> tuple[HeldFile, bytes] | None:
        """This process's file and what is in it, if there is one. Raises OSError."""
        with self._turn:
            return None if self._file is None else (self._file, self._file.read())

    def drop(self, file: HeldFile, size: int) -> bool:
        """Remove the file if it holds `size` bytes, all replayed; False if it has grown.

        Raises OSError.
        """
        with self._turn:
            if self._file is not file or file.size != size:
                return False
            file.remove()
            self._leave()
            return True

    def _write(self, content: bytes) -> CannotSpool | None:
        try:
            if self.folder.used() + len(content) > self.folder.max_bytes:
                return CannotSpool("the spool is full: see SPOOL_MAX_BYTES")
            if self._file is not None and self._file.is_deleted:
                self._leave()
            if self._file is None:
                self._file = self.folder.create()
                log.warning("spool_in_use", file=self._file.path.name)
            self._file.append(content)
        except OSError as error:
            # After a failed sync nobody knows what is on disk: leave the file to be replayed.
            log.error("spool_unwritable", error=type(error).__name__)  # noqa: TRY400 - its text has a path, its trace nothing more
            self._leave()
            return CannotSpool("the spool can't be written")
        return None

    def _leave(self) -> None:
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
        self._file = None
