"""The erasure journal: so that a restored backup does not bring erased people back (I6).

Every erasure is written to a second place, by digest, before it is answered. A database that was
restored has fewer erasures than the journal: until `replay` has erased them again, `/v1/` is
refused. Opt-outs are accepted meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock

import structlog
from flask import current_app

from preference_center.core.errors import JournalUnavailable, ReplayPending
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_autocommit, run_in_transaction
from preference_center.rights.erasure import rights_journal
from preference_center.rights.erasure.journal_store import (
    JournalEntry,
    JournalFiles,
    last_number,
    open_files,
    write_entries,
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
    database, unwritten = run_in_transaction(
        lambda c: (rights_journal.load_last_entry(c), rights_journal.count_unwritten(c))
    )
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
    unwritten = rights_journal.lock_unwritten(connection, _ENTRIES_PER_FILE)
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
    rights_journal.mark_written(connection, [each.number for each in unwritten], services().now())
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
        last_entry = run_autocommit(rights_journal.load_last_entry)
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
