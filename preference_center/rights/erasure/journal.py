"""Keep the erasure journal, so that a restored backup does not bring erased people back (I6).

Every erasure is written to a second place, by digest, before it is answered. A database that was
restored has fewer erasures than the journal: until `rights.erasure.erase.replay` has erased them
again, `/v1/` is refused. Opt-outs are accepted meanwhile.

The journal is files in a folder or in a bucket, written once and never changed. A file has a line
for each entry: the SHA-256 of the rest of the line, and the entry as JSON. Its name has the numbers
of its first and last entry, so that the last one is found without reading. The database has its
own record of how far it has the journal, and of which erasures the journal lacks.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any, Protocol
from uuid import UUID

import structlog
from flask import current_app

from preference_center.core.addresses import Channel
from preference_center.core.errors import (
    ConfigError,
    InvalidInput,
    JournalUnavailable,
    ReplayPending,
)
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_autocommit, run_in_transaction
from preference_center.infra.files import atomic_write
from preference_center.rights.rules.requests import Extent

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


_LOCK = 0x65726173
"""Advisory lock of the process that writes the journal."""


@dataclass(frozen=True, slots=True)
class NumberedErasure:
    """An erasure, as the journal is to have it. `digest` is null for a contact without address."""

    number: int
    begun_at: datetime
    extent: Extent
    channel: Channel | None
    digest: bytes | None
    contact_id: UUID | None


def load_last_entry(connection: Connection) -> int:
    """The number of the last erasure that this database knows; 0 before the first."""
    row = connection.execute("SELECT last_entry FROM erasure_journal").fetchone()
    return row[0] if row else 0


def count_unwritten(connection: Connection) -> int:
    """How many erasures the journal has not yet (to 1,000)."""
    row = connection.execute(
        """SELECT count(*) FROM (SELECT FROM erasure
            WHERE entry IS NOT NULL AND journaled_at IS NULL LIMIT 1000) AS unwritten"""
    ).fetchone()
    assert row
    return int(row[0])


def lock_unwritten(connection: Connection, limit: int) -> list[NumberedErasure]:
    """The next erasures that the journal has not yet; other writers wait for the transaction."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
    rows = connection.execute(
        """SELECT e.entry, e.begun_at, e.extent, a.channel, a.digest, e.contact_id
        FROM erasure e LEFT JOIN address a ON a.id = e.address_id
        WHERE e.entry IS NOT NULL AND e.journaled_at IS NULL ORDER BY e.entry LIMIT %s""",
        (limit,),
    )
    return [
        NumberedErasure(
            number,
            begun_at,
            Extent(extent),
            Channel(channel) if channel else None,
            bytes(digest) if digest else None,
            contact_id,
        )
        for number, begun_at, extent, channel, digest, contact_id in rows
    ]


def mark_written(connection: Connection, numbers: Collection[int], now: datetime) -> None:
    """Record that the journal has these erasures."""
    connection.execute(
        "UPDATE erasure SET journaled_at = %s WHERE entry = ANY(%s)", (now, list(numbers))
    )


def record_replayed(connection: Connection, number: int, now: datetime) -> None:
    """Record that this database has the journal up to this number."""
    connection.execute(
        """INSERT INTO erasure_journal AS j (id, last_entry, replayed_at) VALUES (1, %(n)s, %(now)s)
        ON CONFLICT (id) DO UPDATE SET last_entry = GREATEST(j.last_entry, %(n)s),
            replayed_at = %(now)s""",
        {"n": number, "now": now},
    )


log = structlog.get_logger()


CHECK_INTERVAL = timedelta(seconds=10)
"""How often a process compares its database with the highest number that it knows."""


EXTENSION_KEY = "preference_center.replay_gate"


_ENTRIES_PER_FILE = 1_000


@dataclass(frozen=True, slots=True)
class JournalStatus:
    """The last numbers of both; `unwritten` erasures are not in the journal yet."""

    database: int
    journal: int
    unwritten: int

    @property
    def needs_replay(self) -> bool:
        """Whether the journal has erasures that this database does not have."""
        return self.database < self.journal


def journal_files() -> JournalFiles | None:
    """Where the journal is kept; None without ERASURE_JOURNAL. Raises ConfigError."""
    settings = services().settings
    if settings.erasure_journal is None:
        return None
    return open_files(settings.erasure_journal, settings.erasure_journal_s3_endpoint)


def load_status() -> JournalStatus | None:
    """Compare both; None without a journal. Raises JournalUnavailable and Unavailable."""
    files = journal_files()
    if files is None:
        return None
    # The database first: it may gain an erasure meanwhile, and the journal after it.
    database, unwritten = run_in_transaction(lambda c: (load_last_entry(c), count_unwritten(c)))
    return JournalStatus(database, last_number(files), unwritten)


def write_journal() -> int:
    """Write the erasures that the journal has not yet; returns how many.

    Another process may write those of this one, too. Raises JournalUnavailable: they are
    written by the next call.
    """
    files = journal_files()
    if files is None:
        return 0
    written = 0
    while count := run_in_transaction(lambda connection: _write_some(connection, files)):
        written += count
    return written


def _write_some(connection: Connection, files: JournalFiles) -> int:
    unwritten = lock_unwritten(connection, _ENTRIES_PER_FILE)
    if not unwritten:
        return 0
    key_id = services().keys.digest_id
    entries = [
        JournalEntry(
            each.number,
            each.begun_at,
            each.extent,
            key_id,
            each.channel,
            each.digest,
            each.contact_id,
        )
        for each in unwritten
    ]
    write_entries(files, entries)
    mark_written(connection, [each.number for each in unwritten], services().now())
    _gate().raise_highest(entries[-1].number)
    return len(unwritten)


def require_replayed() -> None:
    """Raise ReplayPending if this database lacks erasures of the journal.

    Each process reads the journal once, and compares its database every CHECK_INTERVAL with the
    highest number it has seen: so it notices a restore under it, too. A journal that can't be
    read is logged and refuses nothing.
    """
    context = services()
    if context.settings.erasure_journal is None:
        return
    if _gate().is_closed(context.now()):
        raise ReplayPending(
            "this database was restored, and lacks erasures that were made since its backup:"
            " run `flask erasures replay`"
        )


@dataclass(slots=True)
class _ReplayGate:
    """What this process knows: the highest number seen, and whether its database is behind."""

    highest: int = 0
    journal_read: bool = False
    checked_at: datetime | None = None
    closed: bool = False
    lock: Lock = field(default_factory=Lock)

    def raise_highest(self, number: int) -> None:
        """Remember an entry that this process has written."""
        self.highest = max(self.highest, number)

    def is_closed(self, now: datetime) -> bool:
        """Whether the database lacks entries; looked up at most every CHECK_INTERVAL."""
        if self._is_recent(now) or not self.lock.acquire(blocking=self.checked_at is None):
            return self.closed
        try:
            if not self._is_recent(now):
                self._check()
                self.checked_at = now
        finally:
            self.lock.release()
        return self.closed

    def _is_recent(self, now: datetime) -> bool:
        return (
            self.checked_at is not None
            and self.checked_at <= now < self.checked_at + CHECK_INTERVAL
        )

    def _check(self) -> None:
        last_entry = run_autocommit(load_last_entry)
        if not self.journal_read:
            self._read_journal()
        self.highest = max(self.highest, last_entry)
        self.closed = last_entry < self.highest

    def _read_journal(self) -> None:
        files = journal_files()
        try:
            self.highest = max(self.highest, last_number(files) if files else 0)
            self.journal_read = True
        except JournalUnavailable as error:
            log.warning("erasure_journal_unreadable", reason=str(error))


def _gate() -> _ReplayGate:
    gate: _ReplayGate | None = current_app.extensions.get(EXTENSION_KEY)
    return gate or current_app.extensions.setdefault(EXTENSION_KEY, _ReplayGate())
