"""Erase again what a restored database lacks, from the erasure journal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby

from preference_center.core.addresses import HashAlgorithm, HashedAddress
from preference_center.core.errors import ConfigError, KeyMismatch
from preference_center.core.keys import Keys
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger import record
from preference_center.ledger.rules import RequestOrigin
from preference_center.rights.erasure import rights_journal
from preference_center.rights.erasure.erase import CHUNK_SIZE, erase_again
from preference_center.rights.erasure.journal import journal_files
from preference_center.rights.erasure.journal_store import JournalEntry, read_entries
from preference_center.rights.erasure.store.erasures import find_address_ids

SOURCE = "erasure_journal"


def replay(progress: Callable[[int], None] | None = None) -> int:
    """Erase what the journal has and this database lacks, as of the times in the journal.

    Returns how many entries. Resumes where it was interrupted; safe to repeat. `progress` gets the
    number of the last entry done. Raises ConfigError without a journal, KeyMismatch if it was
    written with other keys, JournalUnavailable and Unavailable; what was done by then is kept.
    """
    files = journal_files()
    if files is None:
        raise ConfigError("Set ERASURE_JOURNAL: without it no erasures were kept elsewhere.")
    done = 0
    last = run_in_transaction(rights_journal.load_last_entry)
    for chunk in _chunks(read_entries(files, last)):
        _erase_chunk(chunk)
        done += len(chunk)
        if progress:
            progress(chunk[-1].number)
    return done


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
    addresses = [_address(keys, entry) for entry in chunk if entry.digest and entry.channel]
    if addresses:
        record([], known_addresses=addresses)
    ids = run_in_transaction(lambda c: find_address_ids(c, keys, addresses))
    contact_ids = {entry.contact_id for entry in chunk if entry.contact_id}
    origin = RequestOrigin(SOURCE, SOURCE, now)
    erase_again(ids, contact_ids, chunk[0].extent, origin=origin, begun_at=chunk[0].at)
    run_in_transaction(lambda c: rights_journal.record_replayed(c, chunk[-1].number, now))


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
