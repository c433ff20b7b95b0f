"""Stored addresses get the keys of today's canonical forms, and keep those they have.

What was opted out under an older form of an address so is found under the newer one. Rows stay
as they are: a digest is never taken back, since links and hashes that are out name it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from preference_center.context import services
from preference_center.domain.addresses import Address, Channel, KeyKind, parse_address
from preference_center.errors import InvalidAddress
from preference_center.ledger.address_rows import MatchKey, insert_match_keys
from preference_center.ledger.recording import record
from preference_center.storage.db.database import Connection, run_in_transaction
from preference_center.storage.ledger import canonical_forms
from preference_center.storage.ledger.addresses import list_readable_after, load_newest_id

BATCH_SIZE = 1_000
"""Addresses of one transaction."""


@dataclass(frozen=True, slots=True)
class RenormalisationStats:
    """How many addresses were read, have another form now, and are refused now.

    The last stay found as they were: no form of today's can be made of them.
    """

    read: int = 0
    changed: int = 0
    refused: int = 0

    def __add__(self, other: RenormalisationStats) -> RenormalisationStats:
        return RenormalisationStats(
            self.read + other.read, self.changed + other.changed, self.refused + other.refused
        )


def renormalise(
    progress: Callable[[RenormalisationStats], None] | None = None,
) -> RenormalisationStats:
    """Do it for every readable address, and accept today's forms for this database.

    Goes on where it was cut off. What is known by a hash only can't be read anew. Raises
    Unavailable; what was done by then stays.
    """
    done = RenormalisationStats()
    last, newest = (
        run_in_transaction(canonical_forms.load_renormalised_id),
        run_in_transaction(load_newest_id),
    )
    while rows := run_in_transaction(lambda c, after=last: _load_rows(c, after, newest)):  # type: ignore[misc]
        done += _process_rows(rows)
        last = rows[-1][0]
        run_in_transaction(lambda c, last=last: canonical_forms.record_renormalised_id(c, last))  # type: ignore[misc]
        if progress:
            progress(done)
    run_in_transaction(canonical_forms.accept_current_forms)
    return done


def _load_rows(connection: Connection, after: int, newest: int) -> list[tuple[int, Channel, str]]:
    found = list_readable_after(connection, services().keys, tuple(Channel), after, BATCH_SIZE)
    return [row for row in found if row[0] <= newest]


def _process_rows(rows: list[tuple[int, Channel, str]]) -> RenormalisationStats:
    """Keys first: a newer form that is stored then is met by what stands against the older."""
    moved: list[Address] = []
    refused = 0
    keys: list[MatchKey] = []
    for number, channel, form in rows:
        try:
            address = parse_address(form, channel)
        except InvalidAddress:
            refused += 1
            continue
        if address.exact != form:
            moved.append(address)
        kinds = _match_key_kinds(address, exact=address.exact == form)
        keys += [MatchKey(digest, channel, number, kind) for digest, kind in kinds.items()]
    run_in_transaction(lambda connection: insert_match_keys(connection, keys))
    if moved:
        record([], known_addresses=moved, bulk=True)
    return RenormalisationStats(len(rows), len(moved), refused)


def _match_key_kinds(address: Address, *, exact: bool) -> Mapping[bytes, KeyKind]:
    """The digests of today's forms; another exact form than the row's is one of its mailbox."""
    found = services().keys.match_keys(address)
    if exact:
        return found
    return {
        digest: KeyKind.MAILBOX if kind & KeyKind.EXACT else kind for digest, kind in found.items()
    }
