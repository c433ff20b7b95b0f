"""This module writes files into local folders; `remote_folders` does so on other machines."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from preference_center.integrations.base.contract import (
    CheckReport,
    DeliveryError,
    DestinationConfig,
    LeaseExpired,
)
from preference_center.integrations.base.http import HttpContext

FILE_MODE = 0o640
"""Files contain addresses: only the owner and the group may read them."""


class DropFolder(Protocol):
    """A folder that files are dropped into."""

    def check(self) -> CheckReport:
        """Whether files can probably be written there; changes nothing."""
        ...

    def write_file(self, name: str, suffix: str, content: bytes) -> str:
        """Write `content` whole or not at all; returns the file's name.

        A file whose name ends with `suffix` has the same content: then nothing is written.
        Raises DeliveryError.
        """
        ...


@contextmanager
def delivery_errors(name: str) -> Iterator[None]:
    """Turn errors of files into DeliveryErrors without paths or names (I12)."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
        raise DeliveryError(
            f"{name}: the folder can't be written: fix it", permanent=True
        ) from error
    except OSError as error:
        raise DeliveryError(f"{name}: writing failed, {_why(error)}") from error


def _why(error: OSError) -> str:
    """Not error.strerror, which elsewhere is a server's own text."""
    number = error.errno or 0
    return os.strerror(number) if number > 0 else type(error).__name__


_OUTSIDE = "it is not below FILE_DROP_ROOT: choose a folder there, or have the operator set that"


class UnreadableFolder:
    """What is written as a folder and is none."""

    def __init__(self, config: DestinationConfig) -> None:
        self._name = config.name

    def check(self) -> CheckReport:
        """See DropFolder."""
        return CheckReport((f"folder: {_UNREADABLE}",))

    def write_file(self, name: str, suffix: str, content: bytes) -> str:  # noqa: ARG002 - DropFolder's
        """See DropFolder."""
        raise DeliveryError(f"{self._name}: folder: {_UNREADABLE}", permanent=True)


_UNREADABLE = "it can't be read: write sftp://user@host:port/folder, or s3://bucket/folder"


class LocalFolder:
    """A folder of this machine, or one that is mounted here."""

    def __init__(self, config: DestinationConfig, http: HttpContext) -> None:
        self._name = config.name
        self._http = http
        self._folder = Path(config.settings["folder"])

    def check(self) -> CheckReport:
        """See DropFolder."""
        try:
            return self._check()
        except OSError as error:
            return CheckReport((f"folder: it can't be read, {_why(error)}: write another path",))

    def _check(self) -> CheckReport:
        if not self._folder.is_absolute():
            fault = "write the absolute path, or sftp://user@host/folder, or s3://bucket/folder"
            return CheckReport((f"folder: {fault}",))
        if not self._is_below_root():
            return CheckReport((f"folder: {_OUTSIDE}",))
        if not self._folder.is_dir():
            return CheckReport(("folder: there is no such folder: make it",))
        if not os.access(self._folder, os.W_OK | os.X_OK):
            return CheckReport(("folder: the workers may not write there: change its rights",))
        return CheckReport()

    def write_file(self, name: str, suffix: str, content: bytes) -> str:
        """See DropFolder."""
        with delivery_errors(self._name):
            if not self._is_below_root():
                raise DeliveryError(f"{self._name}: folder: {_OUTSIDE}", permanent=True)
            for there in self._folder.glob(f"*{suffix}"):
                return there.name
            self._write(name, content)
        return name

    def _is_below_root(self) -> bool:
        """Whether the operator lets destinations write there, wherever links lead."""
        root = self._http.file_root
        return root is not None and self._folder.resolve().is_relative_to(root.resolve())

    def _write(self, name: str, content: bytes) -> None:
        """Write `name` whole or not at all, also in a power cut."""
        scratch = self._folder / f".{name}.{self._http.nonce()}.part"
        try:
            handle = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            if not self._http.lease_valid():
                raise LeaseExpired(f"{self._name}: the lease is over, nothing dropped")
            scratch.rename(self._folder / name)
        finally:
            scratch.unlink(missing_ok=True)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
