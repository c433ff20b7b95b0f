"""The scheduler and `renormalise` update a mailbox's forms: sync states and match keys (I9).

An event leaves the sync states of some forms for later: `deferred_form` has a row per key and
scope, written with the event. The scheduler updates the remaining forms in short transactions. Each
processes the next forms by id and stores its progress, so nothing is lost if a process dies.

`renormalise` adds the match keys of the current canonical forms to stored addresses, so that an
opt-out under an older form of an address is found under the newer one. Rows and existing keys stay
unchanged: links and hashes in use refer to their digests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import structlog

from preference_center.core.addresses import Address, Channel, KeyKind, parse_address
from preference_center.core.deadlines import WINDOW
from preference_center.core.errors import InvalidAddress, Unavailable
from preference_center.infra.context import services
from preference_center.infra.db.transactions import (
    Connection,
    current_limits,
    override_limits,
    run_in_transaction,
)
from preference_center.ledger.address_rows import MatchKey, addresses_json, insert_match_keys
from preference_center.ledger.recording import RecordResult, record
from preference_center.ledger.sql import RAISE_DEFERRED, RAISE_RETURNED
from preference_center.ledger.store import addresses
from preference_center.ledger.store.addresses import list_readable_after, load_newest_id

log = structlog.get_logger()


FORMS_PER_TRANSACTION = 200
"""Forms per transaction: clicks of the same mailbox wait for at most so many."""


MAX_TRANSACTIONS = 10
"""Transactions per call."""


_LOCK_TIMEOUT = 0.1
"""Seconds that it waits for a row; clicks wait for the rows that it has locked already."""


_BEGIN_DEFERRED = """
UPDATE deferred_form SET started = true WHERE id IN (
    SELECT id FROM deferred_form r WHERE NOT started AND NOT EXISTS (
        SELECT FROM deferred_form earlier WHERE earlier.started AND earlier.digest = r.digest
            AND earlier.channel = r.channel AND earlier.kind = r.kind AND earlier.scope = r.scope)
    ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED)
"""
"""An event during the processing of a row gets a row of its own, which starts when that one has
ended. So a stream of events can't prevent the last forms from being updated.
"""


def raise_deferred_states(
    *, steps: int = MAX_TRANSACTIONS, size: int = FORMS_PER_TRANSACTION
) -> bool:
    """Update up to `steps` times `size` forms, of all mailboxes in turn; returns if any are left.

    Each step is a transaction. A step that meets a locked row is left for the next call. Several
    processes may do it at once. Raises Unavailable; what was done by then is kept.
    """
    waiting = list(run_in_transaction(lambda connection: _begin_deferred(connection, steps)))
    left = False
    with override_limits(replace(current_limits(), lock=_LOCK_TIMEOUT, retry=0.0)):
        while waiting and steps:
            steps -= 1
            current = waiting.pop(0)
            try:
                if not run_in_transaction(lambda c, current=current: _step(c, current, size)):  # type: ignore[misc]
                    waiting.append(current)
            except Unavailable as error:
                left = True
                log.warning("deferred_forms_failed", deferred=current, **error.log_fields)
    return left or bool(waiting)


def _begin_deferred(connection: Connection, limit: int) -> Sequence[int]:
    """Start waiting rows; returns the started ones, the oldest first."""
    connection.execute(_BEGIN_DEFERRED, (limit,))
    rows = connection.execute(
        "SELECT id FROM deferred_form WHERE started ORDER BY id LIMIT %s", (limit,)
    )
    return [row[0] for row in rows]


def _step(connection: Connection, deferred_id: int, size: int) -> bool:
    """Process the next forms; True if they were the last, or another process has the row."""
    row = connection.execute(
        RAISE_DEFERRED,
        {
            "id": deferred_id,
            "size": size,
            "now": services().now(),
            "window": WINDOW,
            "bulk": True,
        },
    ).fetchone()
    assert row  # the statement ends in an aggregate
    return bool(row[0])


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
        run_in_transaction(addresses.load_renormalised_id),
        run_in_transaction(load_newest_id),
    )
    while rows := run_in_transaction(lambda c, after=last: _load_rows(c, after, newest)):  # type: ignore[misc]
        done += _process_rows(rows)
        last = rows[-1][0]
        run_in_transaction(lambda c, last=last: addresses.record_renormalised_id(c, last))  # type: ignore[misc]
        if progress:
            progress(done)
    run_in_transaction(addresses.accept_current_forms)
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
        record([], _raise_matched(moved), known_addresses=moved, bulk=True)
    return RenormalisationStats(len(rows), len(moved), refused)


def _raise_matched(moved: list[Address]) -> Callable[[Connection, RecordResult], None]:
    """Raise what tools have of these forms already: opt-outs of the older ones match them now."""
    context = services()

    def write(connection: Connection, _: RecordResult) -> None:
        digests = [context.keys.exact_digest(address) for address in moved]
        given = {"addresses": addresses_json(context.keys, moved, digests), "bulk": True}
        connection.execute(RAISE_RETURNED, given | {"now": context.now(), "window": WINDOW})

    return write


def _match_key_kinds(address: Address, *, exact: bool) -> Mapping[bytes, KeyKind]:
    """Digests of the current forms. Without `exact` the exact form is stored as a mailbox key."""
    found = services().keys.match_keys(address)
    if exact:
        return found
    return {
        digest: KeyKind.MAILBOX if kind & KeyKind.EXACT else kind for digest, kind in found.items()
    }
