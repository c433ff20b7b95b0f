"""Add the match keys of the current canonical forms to stored addresses.

So an opt-out under an older form of an address is found under the newer one. Rows and existing keys
stay unchanged: links and hashes in use refer to their digests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from preference_center.core.addresses import Address, Channel, KeyKind, parse_address
from preference_center.core.errors import InvalidAddress
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger.address_rows import MatchKey, insert_match_keys
from preference_center.ledger.recording import record
from preference_center.ledger.store import canonical_forms
from preference_center.ledger.store.addresses import list_readable_after, load_newest_id

BATCH_SIZE = 1_000
"""Addresses of one transaction."""


@dataclass(frozen=True, slots=True)
class RenormalisationStats:
    """How many addresses were read, have another form now, and are invalid now.

    Invalid ones keep their keys only: they have no form under the current rules.
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
    """Process every readable address, and accept the current forms for this database.

    Continues after an interruption. Addresses known by a hash only can't be processed. Raises
    Unavailable; what was done by then is kept.
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
    """Insert keys first, so that the newer forms stored next match opt-outs of the older ones."""
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
    """Digests of the current forms. Without `exact` the exact form is stored as a mailbox key."""
    found = services().keys.match_keys(address)
    if exact:
        return found
    return {
        digest: KeyKind.MAILBOX if kind & KeyKind.EXACT else kind for digest, kind in found.items()
    }
