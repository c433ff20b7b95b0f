"""Erase again, from the erasure journal, what a restored database lacks (I6)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby
from uuid import UUID

from preference_center.core.addresses import HashAlgorithm, HashedAddress
from preference_center.core.errors import ConfigError, JournalUnavailable, KeyMismatch
from preference_center.core.keys import Keys
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger import record
from preference_center.ledger.rules import RequestOrigin
from preference_center.rights.erasure import journal, journal_store
from preference_center.rights.erasure.erase import CHUNK_SIZE, erase_again
from preference_center.rights.erasure.journal_chain import Journal, JournalEntry
from preference_center.rights.erasure.store import find_address_ids

SOURCE = "erasure_journal"


def replay(progress: Callable[[int], None] | None = None) -> int:
    """Erase what the journal has and this database lacks, as of the times in the journal.

    Afterwards both have the same: what only this database has is written. A database that does
    not know this journal goes through all of it; what it has erased already, by the erasure's id,
    is left as it became since. Returns how many entries were lacking. Resumes where it was
    interrupted; safe to repeat. `progress` gets the number of the last file done. Raises
    ConfigError without a journal, KeyMismatch if it was written with other keys, InvalidInput if
    it was altered, JournalUnavailable and Unavailable; what was done by then is kept.
    """
    found = journal.open_journal()
    if found is None:
        raise ConfigError("Set ERASURE_JOURNAL: without it no erasures were kept elsewhere.")
    head = run_in_transaction(journal_store.load_head)
    done = 0
    if head is None or not found.holds(head):
        if found.is_empty():
            raise JournalUnavailable(journal.OTHER_JOURNAL if head else journal.NO_HEAD)
        done, head = _begin_again(found), None
    for file in found.after(head):
        done += _erase_missing(file.entries)
        run_in_transaction(partial(journal_store.record_replayed, file=file, now=services().now()))
        if progress:
            progress(file.head.number)
    journal.write_journal()
    return done


def _begin_again(found: Journal) -> int:
    """Replay what a journal of before has, and begin a chain after it where there is none.

    All of it is older than the chain. Its entries have no ids: those that this database has are
    known by their numbers.
    """
    last, done = run_in_transaction(journal_store.load_last_entry), 0
    for chunk in _chunks(found.old_entries(last)):
        _erase_chunk(chunk)
        done, last = done + len(chunk), chunk[-1].number

    def save(connection: Connection) -> None:
        journal_store.record_last_entry(connection, last, services().now())
        journal_store.mark_unwritten(connection)

    run_in_transaction(save)
    if found.read(0) is None:
        journal.begin_chain(found)
    return done


def _erase_missing(entries: Sequence[JournalEntry]) -> int:
    known = run_in_transaction(lambda c: journal_store.find_known(c, entries))
    missing = [entry for entry in entries if entry.erasure_id not in known]
    for chunk in _chunks(missing):
        _erase_chunk(chunk)
    return len(missing)


def _chunks(entries: Iterable[JournalEntry]) -> Iterator[Sequence[JournalEntry]]:
    """Entries of one time and extent together, up to CHUNK_SIZE of them."""
    for _, group in groupby(entries, key=lambda entry: (entry.at, entry.extent)):
        chunk: list[JournalEntry] = []
        for entry in group:
            chunk.append(entry)
            if len(chunk) == CHUNK_SIZE:
                yield chunk
                chunk = []
        if chunk:
            yield chunk


def _erase_chunk(chunk: Sequence[JournalEntry]) -> None:
    keys, now = services().keys, services().now()
    addresses = {entry: _address(keys, entry) for entry in chunk if entry.digest and entry.channel}
    named = list(addresses.values())
    if named:
        record([], known_addresses=named)
    ids = run_in_transaction(lambda c: find_address_ids(c, keys, named))
    at, extent = chunk[0].at, chunk[0].extent
    contact_ids: set[UUID] = set()
    if extent.rules.of_account:  # else a contact's other addresses would be erased, too (I9)
        contact_ids = {entry.contact_id for entry in chunk if entry.contact_id}
    origin = RequestOrigin(SOURCE, SOURCE, now)
    erasure_ids = {
        of: entry.erasure_id
        for entry in chunk
        if entry.erasure_id and (of := _subject(entry, addresses))
    }
    erase_again(ids, contact_ids, extent, origin=origin, begun_at=at, erasure_ids=erasure_ids)


def _subject(
    entry: JournalEntry, addresses: Mapping[JournalEntry, HashedAddress]
) -> bytes | UUID | None:
    return addresses[entry].digest if entry in addresses else entry.contact_id


def _address(keys: Keys, entry: JournalEntry) -> HashedAddress:
    """By the digest as it would be under today's keys."""
    assert entry.digest
    assert entry.channel
    ids = [key_id for key_id, _ in keys.digest_chain]
    if entry.key_id not in ids:
        raise KeyMismatch(
            f"The erasure journal was written with the digest key {entry.key_id!r}, which is not in"
            " DIGEST_KEYS: put the original keys back in their order."
        )
    try:
        digest = keys.rewrap(entry.digest, ids.index(entry.key_id) + 1)
    except ValueError:
        raise KeyMismatch(
            "The digest keys were rotated after this backup was taken: rotate them here first,"
            " then replay the erasure journal."
        ) from None
    return HashedAddress(entry.channel, HashAlgorithm.KEYED, digest)
