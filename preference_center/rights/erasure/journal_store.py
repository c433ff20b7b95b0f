"""Where the erasure journal is kept: files in a folder or in a bucket, written once, never changed.

A file has a line for each entry: the SHA-256 of the rest of the line, and the entry as JSON. Its
name has the numbers of its first and last entry, so that the last one is found without reading.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

from preference_center.core.addresses import Channel
from preference_center.core.errors import ConfigError, InvalidInput, JournalUnavailable
from preference_center.infra.files import atomic_write
from preference_center.rights.rules.model import Extent

_NAME = re.compile(r"erasures-(\d{12})-(\d{12})\.txt")
_SECONDS = 5


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One erasure: of an address by its digest, under the digest keys up to `key_id`.

    Without a digest it is of a contact that had no address.
    """

    number: int
    at: datetime
    extent: Extent
    key_id: str
    channel: Channel | None
    digest: bytes | None
    contact_id: UUID | None


class JournalFiles(Protocol):
    """A folder of files. Its methods raise JournalUnavailable."""

    def list_names(self) -> list[str]:
        """The names of its files."""

    def read(self, name: str) -> bytes:
        """The content of a file."""

    def write(self, name: str, content: bytes) -> None:
        """Write a file, complete and durable on return, in place of one of that name."""


@dataclass(frozen=True, slots=True)
class LocalFiles:
    """A folder of this host, or one that is mounted. It must exist."""

    folder: Path

    def list_names(self) -> list[str]:
        """See JournalFiles."""
        try:
            return [path.name for path in self.folder.iterdir()]
        except OSError as error:
            raise _unavailable(error.strerror) from None

    def read(self, name: str) -> bytes:
        """See JournalFiles."""
        try:
            return (self.folder / name).read_bytes()
        except OSError as error:
            raise _unavailable(error.strerror) from None

    def write(self, name: str, content: bytes) -> None:
        """See JournalFiles."""
        try:
            with atomic_write(self.folder / name) as file:
                file.write(content)
        except (OSError, InvalidInput) as error:
            raise _unavailable(getattr(error, "strerror", None) or str(error)) from None


@dataclass(frozen=True)
class S3Files:
    """A folder in a bucket, with the credentials and region of the environment."""

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

    def read(self, name: str) -> bytes:
        """See JournalFiles."""
        with _s3_errors():
            return bytes(self._files.cat_file(f"{self.path}/{name}"))

    def write(self, name: str, content: bytes) -> None:
        """See JournalFiles."""
        with _s3_errors():
            self._files.pipe_file(f"{self.path}/{name}", content)

    @cached_property
    def _files(self) -> Any:
        try:
            from s3fs import S3FileSystem  # noqa: PLC0415 - of the extra `drop`
        except ImportError:
            raise ConfigError("ERASURE_JOURNAL on S3 needs the extra `drop`: install it") from None
        timeouts = {"connect_timeout": _SECONDS, "read_timeout": _SECONDS}
        return S3FileSystem(
            endpoint_url=self.endpoint, config_kwargs=timeouts, skip_instance_cache=True
        )


class _s3_errors:  # noqa: N801 - a context manager
    """Turn the errors of S3 into JournalUnavailable."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, ConfigError):
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


def write_entries(files: JournalFiles, entries: Sequence[JournalEntry]) -> None:
    """Write entries of consecutive numbers. The same entries again write the same file."""
    content = "".join(_line(entry) for entry in entries)
    name = f"erasures-{entries[0].number:012d}-{entries[-1].number:012d}.txt"
    files.write(name, content.encode())


def last_number(files: JournalFiles) -> int:
    """The number of the last entry; 0 for an empty journal."""
    return max((last for _, _, last in _files_in_order(files.list_names())), default=0)


def read_entries(files: JournalFiles, after: int) -> Iterator[JournalEntry]:
    """The entries with numbers above `after`, each once and in order.

    Raises InvalidInput for a line that was altered.
    """
    for name, _, last in _files_in_order(files.list_names()):
        if last > after:
            for entry in _parse(name, files.read(name).decode()):
                if entry.number > after:
                    after = entry.number
                    yield entry


def _files_in_order(names: Iterable[str]) -> list[tuple[str, int, int]]:
    found = (match for name in names if (match := _NAME.fullmatch(name)))
    return sorted(
        ((match[0], int(match[1]), int(match[2])) for match in found), key=lambda each: each[1:]
    )


def _line(entry: JournalEntry) -> str:
    text = json.dumps(
        {
            "number": entry.number,
            "at": entry.at.isoformat(),
            "extent": entry.extent,
            "key": entry.key_id,
            "channel": entry.channel,
            "digest": entry.digest.hex() if entry.digest else None,
            "contact": str(entry.contact_id) if entry.contact_id else None,
        }
    )
    return f"{_checksum(text)} {text}\n"


def _parse(name: str, content: str) -> Iterator[JournalEntry]:
    for number, line in enumerate(content.splitlines(), start=1):
        checksum, _, text = line.partition(" ")
        if checksum != _checksum(text):
            raise InvalidInput(f"{name}, line {number} was altered: restore this file")
        raw = json.loads(text)
        yield JournalEntry(
            raw["number"],
            datetime.fromisoformat(raw["at"]),
            Extent(raw["extent"]),
            raw["key"],
            Channel(raw["channel"]) if raw["channel"] else None,
            bytes.fromhex(raw["digest"]) if raw["digest"] else None,
            UUID(raw["contact"]) if raw["contact"] else None,
        )


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
