"""Keep the files of the erasure journal in a folder or in a bucket of S3.

A file is created once, whole, and is never replaced: a writer that finds a name taken has lost a
race, or works on a database that lacks what is in that file.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from preference_center.core.errors import ConfigError, JournalUnavailable

_SECONDS = 5


class JournalFiles(Protocol):
    """A folder of files. Its methods raise JournalUnavailable."""

    def list_names(self) -> list[str]:
        """The names of its files."""

    def read(self, name: str) -> bytes | None:
        """The content of a file; None if there is none of this name."""

    def create(self, name: str, content: bytes) -> bool:
        """Write a new file, complete and durable on return; False if there is one of this name."""


@dataclass(frozen=True, slots=True)
class LocalFiles:
    """A folder of this host, or one that is mounted, with hard links. It must exist."""

    folder: Path

    def list_names(self) -> list[str]:
        """See JournalFiles."""
        try:
            return [path.name for path in self.folder.iterdir()]
        except OSError as error:
            raise _unavailable(error.strerror) from None

    def read(self, name: str) -> bytes | None:
        """See JournalFiles."""
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError as error:
            if self.folder.is_dir():
                return None
            raise _unavailable(error.strerror) from None
        except OSError as error:
            raise _unavailable(error.strerror) from None

    def create(self, name: str, content: bytes) -> bool:
        """See JournalFiles. A link never replaces a file, and never shows half of one."""
        try:
            handle, part = tempfile.mkstemp(".part", f".{name}.", self.folder)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                os.link(part, self.folder / name)
            finally:
                Path(part).unlink(missing_ok=True)
            self._fsync()
        except FileExistsError:
            return False
        except OSError as error:
            raise _unavailable(error.strerror) from None
        return True

    def _fsync(self) -> None:
        handle = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@dataclass(frozen=True)
class S3Files:
    """A folder in a bucket, with the credentials and region of the environment.

    The service must know `If-None-Match` (Amazon S3 since August 2024).
    """

    path: str
    endpoint: str | None

    def list_names(self) -> list[str]:
        """See JournalFiles."""
        with _s3_errors():
            try:
                found = self._files.ls(self.path, detail=False, refresh=True)
            except FileNotFoundError:  # there is a folder once there is a file in it
                return []
        return [str(each).rpartition("/")[2] for each in found]

    def read(self, name: str) -> bytes | None:
        """See JournalFiles."""
        with _s3_errors():
            try:
                return bytes(self._files.cat_file(f"{self.path}/{name}"))
            except FileNotFoundError:
                return None

    def create(self, name: str, content: bytes) -> bool:
        """See JournalFiles."""
        if self.read(name) is not None:  # for a service that overlooks the condition
            return False
        with _s3_errors():
            try:
                self._files.pipe_file(f"{self.path}/{name}", content, mode="create")
            except OSError:
                if self.read(name) is not None:
                    return False
                raise
        return True

    @cached_property
    def _files(self) -> Any:
        try:
            from s3fs import S3FileSystem  # noqa: PLC0415 - of the extra `drop`
        except ImportError:
            raise ConfigError("ERASURE_JOURNAL on S3 needs the extra `drop`: install it") from None
        client = {
            "connect_timeout": _SECONDS,
            "read_timeout": _SECONDS,
            "retries": {"max_attempts": 1},
        }
        return S3FileSystem(
            endpoint_url=self.endpoint, config_kwargs=client, skip_instance_cache=True
        )


class _s3_errors:  # noqa: N801 - a context manager
    """Turn the errors of S3 into JournalUnavailable."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, ConfigError | JournalUnavailable):
            raise _unavailable(type(error).__name__) from error


def _unavailable(reason: str | None) -> JournalUnavailable:
    return JournalUnavailable(
        f"the erasure journal can't be used: {reason}. Make ERASURE_JOURNAL a folder that this"
        " process can write to, then repeat the request: what was erased stays erased"
    )


def open_files(location: str, endpoint: str | None = None) -> JournalFiles:
    """The files of a location: an absolute path, or s3://bucket/folder. Raises ConfigError."""
    if location.startswith("s3://"):
        return S3Files(location.removeprefix("s3://").rstrip("/"), endpoint)
    if not Path(location).is_absolute():
        raise ConfigError("ERASURE_JOURNAL: write the absolute path of a folder, or s3://bucket/…")
    return LocalFiles(Path(location))
