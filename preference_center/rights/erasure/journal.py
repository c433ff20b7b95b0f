"""Keep the erasure journal, so that a restored backup does not bring erased people back (I6).

Every erasure is written to a second place, by digest, before it is answered; `journal_chain` has
the form. The database keeps the head: the file that it has written or replayed last. It is answered
from only while the journal has that file, and after it no erasure that the database does not know;
else `/v1/` is refused until `rights.erasure.replay` has erased again what is missing. Opt-outs are
accepted meanwhile, and erasures take effect and are written later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from flask import current_app

from preference_center.core.errors import (
    ConfigError,
    InvalidInput,
    JournalUnavailable,
    ReplayPending,
)
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_autocommit, run_in_transaction
from preference_center.ledger.restore_gate import Finding, RestoreGate
from preference_center.ledger.watermarks import load_epoch
from preference_center.rights.erasure import journal_store
from preference_center.rights.erasure.journal_chain import Head, Journal, JournalEntry
from preference_center.rights.erasure.journal_files import open_files

EXTENSION_KEY = "preference_center.replay_gate"


_ENTRIES_PER_FILE = 1_000


NO_ANSWER = "the erasure journal does not answer"


NO_HEAD = (
    "this database does not know the erasure journal: run `flask erasures replay`, or, where there"
    " never was a journal, `flask erasures start-journal`"
)


OTHER_JOURNAL = (
    "the erasure journal is empty, or another one than this database has written to last: mount"
    " the right folder at ERASURE_JOURNAL, then run `flask erasures replay`"
)


BEHIND = (
    "this database was restored, and lacks erasures that were made since its backup:"
    " run `flask erasures replay`"
)


def open_journal() -> Journal | None:
    """The journal; None without ERASURE_JOURNAL. Raises ConfigError."""
    settings = services().settings
    if settings.erasure_journal is None:
        return None
    return Journal(open_files(settings.erasure_journal, settings.erasure_journal_s3_endpoint))


@dataclass(frozen=True, slots=True)
class JournalStatus:
    """How both compare. `problem`: why nothing is answered from this database, or None.

    `unwritten` erasures are not in the journal yet; `epoch` is that of the database, None if it
    has ended.
    """

    problem: str | None
    head: Head | None
    unwritten: int
    epoch: str | None


def load_status() -> JournalStatus | None:
    """Compare both; None without a journal. Raises Unavailable."""
    journal = open_journal()
    if journal is None:
        return None

    # The database first: it may gain an erasure meanwhile, and the journal after it.
    epoch, head, unwritten = run_in_transaction(
        lambda c: (load_epoch(c), journal_store.load_head(c), journal_store.count_unwritten(c))
    )
    return JournalStatus(_find_problem(journal, head), head, unwritten, epoch)


def _find_problem(journal: Journal, head: Head | None) -> str | None:
    """Why this database may not be answered from; whatever can't be found out is a reason (I6).

    A file after the head is all right if its erasures are here: another process is writing it.
    """
    if head is None:
        return NO_HEAD
    try:
        if not journal.holds(head):
            return OTHER_JOURNAL
        for file in journal.after(head):
            if not run_autocommit(partial(journal_store.knows_all, file=file)):
                return BEHIND
    except (JournalUnavailable, InvalidInput) as error:
        return str(error)
    return None


def start_journal() -> int:
    """Begin a journal where there is none, with all erasures of this database; returns how many.

    Raises ConfigError without ERASURE_JOURNAL, InvalidInput where there is a journal already,
    JournalUnavailable and Unavailable.
    """
    journal = open_journal()
    if journal is None:
        raise ConfigError("Set ERASURE_JOURNAL: without it no erasures are kept elsewhere.")
    if not journal.is_empty():
        raise InvalidInput("there is a journal already: run `flask erasures replay`")
    begin_chain(journal)
    return write_journal()


def begin_chain(journal: Journal) -> None:
    """Create the first file, and have all erasures of this database written after it."""
    head = journal.create(None, (), services().new_id())
    if head is None:
        raise InvalidInput("another process has begun the journal: run `flask erasures replay`")

    def save(connection: Connection) -> None:
        journal_store.mark_unwritten(connection)
        journal_store.save_head(connection, head)

    run_in_transaction(save)


def write_journal() -> int:
    """Write the erasures that the journal has not yet; returns how many.

    Another process may write those of this one, too. Raises JournalUnavailable, and ReplayPending
    where the journal has erasures that this database lacks: they are written by a later call.
    """
    journal = open_journal()
    if journal is None:
        return 0
    written = 0
    try:
        while count := run_in_transaction(lambda connection: _write_some(connection, journal)):
            written += count
    except InvalidInput as error:  # not the fault of who asks for an erasure
        raise JournalUnavailable(str(error)) from error
    return written


def _write_some(connection: Connection, journal: Journal) -> int:
    unwritten = journal_store.lock_unwritten(connection, _ENTRIES_PER_FILE)
    if not unwritten:
        return 0
    head = journal_store.load_head(connection)
    if head is None or not journal.holds(head):
        raise ReplayPending(OTHER_JOURNAL if head else NO_HEAD)
    following = next(journal.after(head), None)
    new = None if following else write_entries(journal, head, unwritten)
    if new is None:  # somebody was faster: this process, before it was killed, or another database
        following = following or next(journal.after(head))
        if not journal_store.knows_all(connection, following):
            raise ReplayPending(BEHIND)
        new, unwritten = following.head, list(following.entries)
    ids = [each.erasure_id for each in unwritten if each.erasure_id]
    journal_store.mark_written(connection, ids, services().now())
    journal_store.save_head(connection, new)
    return len(ids)


def write_entries(journal: Journal, head: Head, entries: Sequence[JournalEntry]) -> Head | None:
    """Write the file after `head`; None if there is one already."""
    return journal.create(head, entries, services().new_id())


def require_replayed(epoch: str | None = None) -> None:
    """Raise ReplayPending unless this database is known to have all erasures of the journal.

    With `epoch`, that in which an answer was read, this must be known of that epoch. Raises
    JournalUnavailable while a comparison takes too long: that ends by itself, so streams wait.
    """
    problem = find_journal_problem(epoch)
    if problem == NO_ANSWER:
        raise JournalUnavailable(problem)
    if problem:
        raise ReplayPending(problem)


def find_journal_problem(epoch: str | None = None) -> str | None:
    """Why nothing may be answered from this database; None if all is well, or without a journal.

    Each process compares both every CHECK_INTERVAL, and once more for an answer that was read in
    another epoch than that of the last comparison: `RestoreGate`. A journal that is missing, can't
    be read, or is another one is a problem, since nobody can say then who has to be erased again.
    """
    context = services()
    if context.settings.erasure_journal is None:
        return None
    return _gate().find_problem(context.now(), epoch)


def _check() -> Finding:
    status = load_status()
    return Finding(status.problem, status.epoch) if status else Finding(None, None)


def _gate() -> RestoreGate:
    gate: RestoreGate | None = current_app.extensions.get(EXTENSION_KEY)
    return gate or current_app.extensions.setdefault(
        EXTENSION_KEY, RestoreGate(_check, NO_ANSWER, "erasure_journal_closed")
    )
