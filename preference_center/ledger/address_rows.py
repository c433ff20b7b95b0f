"""Every writer builds the rows of an address here: `address` and its match keys.

The SHA-256 of an address has the same digest as the address itself. An MD5 has not: to be found by
it, an address needs additional match keys (`Keys.md5_keys`), and a check needs a second look-up. To
save both until they are needed, they start with the first import of MD5s: `md5_matching` gets its
row, writers store these keys from then on, and addresses stored before get them here
(`enable_md5_matching`). After that an address and its MD5 match in `address_key` like any two forms
of a mailbox (I9), for decisions, sync states and backfills.

Code that matches lists outside of the database must do the same: look up an address by its
`match_keys`, and, if `md5_matching` has its row, by its `md5_keys`, too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from preference_center.core.addresses import (
    Address,
    Channel,
    HashAlgorithm,
    HashedAddress,
    KeyKind,
    parse_address,
)
from preference_center.core.keys import Keys
from preference_center.core.links.tokens import DIGEST_PREFIX_BYTES
from preference_center.infra.context import services
from preference_center.infra.db.connections import hold_digest_length
from preference_center.infra.db.transactions import Connection, await_writers, run_in_transaction
from preference_center.ledger.store.addresses import domain_digest, seal_address

_INSERT_KEYS = """
INSERT INTO address_key (digest, channel, address_id, kind)
SELECT * FROM unnest(%(digests)b::bytea[], %(channels)b::text[], %(ids)b::bigint[],
    %(kinds)b::smallint[]) ORDER BY 1, 2, 3
ON CONFLICT DO NOTHING
"""


class MatchKey(NamedTuple):
    """A digest under which the address of a stored row is found."""

    digest: bytes
    channel: Channel
    address_id: int
    kind: KeyKind


def insert_match_keys(connection: Connection, match_keys: Sequence[MatchKey]) -> None:
    """Add match keys to stored addresses. Safe to repeat."""
    if not match_keys:
        return
    connection.execute(
        _INSERT_KEYS,
        {
            "digests": [key.digest for key in match_keys],
            "channels": [key.channel.value for key in match_keys],
            "ids": [key.address_id for key in match_keys],
            "kinds": [key.kind.value for key in match_keys],
        },
    )


def addresses_json(
    keys: Keys, addresses: Sequence[Address | HashedAddress], digests: Sequence[bytes]
) -> str:
    """The rows of these addresses with all their match keys, as `LOCK_ADDRESSES` reads them.

    `digests` are their exact digests. An address and its SHA-256 have one digest, so one row:
    the readable one. The rows of the mailbox and of the base are added, to be locked: forms
    that match have one in common, so of two that are written at the same time one sees the
    other (I9, docs/decisions/0033).
    """
    distinct: dict[tuple[bytes, str], Address | HashedAddress] = {}
    for address, digest in zip(addresses, digests, strict=True):
        key = (digest, address.channel)
        if key not in distinct or isinstance(address, Address):
            distinct[key] = address
    rows = [_row(keys, address, digest) for (digest, _), address in distinct.items()]
    shared = {
        (digest, address.channel)
        for address in distinct.values()
        for digest in keys.match_keys(address)
    }
    rows += [
        {"channel": channel, "digest": bytea_literal(digest), "keys": []}
        for digest, channel in shared - distinct.keys()
    ]
    return json.dumps(rows)


def _row(keys: Keys, address: Address | HashedAddress, digest: bytes) -> dict[str, object]:
    row: dict[str, object] = {
        "channel": address.channel,
        "digest": bytea_literal(digest),
        "keys": _match_keys_json(keys, address),
    }
    if isinstance(address, Address):
        domain = domain_digest(keys, address)
        row["ciphertext"] = bytea_literal(seal_address(keys, address))
        row["domain"] = None if domain is None else bytea_literal(domain)
    return row


def _match_keys_json(keys: Keys, address: Address | HashedAddress) -> list[dict[str, object]]:
    """The match keys, and those by MD5, which are stored once there are MD5s to match."""
    by_md5 = keys.md5_keys(address) if isinstance(address, Address) else {}
    by_prefix = dict.fromkeys(earlier_prefix_digests(keys, address), KeyKind(0))
    return [
        {"digest": bytea_literal(digest), "kind": kind.value, "md5": md5}
        for found, md5 in ((keys.match_keys(address) | by_prefix, False), (by_md5, True))
        for digest, kind in found.items()
    ]


def earlier_prefix_digests(keys: Keys, address: Address | HashedAddress) -> list[bytes]:
    """The digests by which mail tokens of earlier digest keys find the address.

    In `address_key` their kind is 0, so that they match nothing else.
    """
    return [
        keys.rewrap_prefix(digest[:DIGEST_PREFIX_BYTES], length)
        for length, digest in enumerate(keys.earlier_exact_digests(address), start=1)
    ]


def bytea_literal(data: bytes) -> str:
    """As PostgreSQL reads `bytea` (its manual, 8.4.1)."""
    return "\\x" + data.hex()


CHUNK_SIZE = 2000


_INSERT_STATE = "INSERT INTO md5_matching (id, started_at) VALUES (1, %s) ON CONFLICT DO NOTHING"


_SELECT_ADDRESSES = """
SELECT id, channel, digest, ciphertext FROM address
WHERE id > (SELECT last_address_id FROM md5_matching WHERE id = 1)
ORDER BY id LIMIT %s
"""


_SAVE_PROGRESS = """
UPDATE md5_matching SET last_address_id = GREATEST(last_address_id, %s) WHERE id = 1
"""


_MARK_FINISHED = "UPDATE md5_matching SET finished_at = COALESCE(finished_at, %s) WHERE id = 1"


def is_md5(address: Address | HashedAddress) -> bool:
    """Whether only the MD5 of this address is known."""
    return isinstance(address, HashedAddress) and address.algorithm is HashAlgorithm.MD5


def enable_md5_matching(progress: Callable[[int], None] | None = None) -> None:
    """Add MD5 match keys to every stored address; returns immediately if they have them.

    `record` does this before the first MD5. With millions of addresses it takes minutes (some
    20,000 a second), so an import may call it first with `progress`, which gets the number of
    addresses processed. Safe to repeat and to run concurrently; it resumes after an interruption.
    Raises KeyMismatch if a key with which addresses were encrypted is missing.
    """
    context = services()
    if run_in_transaction(_is_finished):
        return
    now: datetime = context.now()
    run_in_transaction(lambda connection: connection.execute(_INSERT_STATE, (now,)))
    # Writers that hold the append lock already do not store these keys: wait for their rows.
    await_writers()
    done = 0
    while count := run_in_transaction(lambda connection: _process_chunk(connection, context.keys)):
        done += count
        if progress:
            progress(done)
    run_in_transaction(lambda connection: connection.execute(_MARK_FINISHED, (now,)))


def _is_finished(connection: Connection) -> bool:
    row = connection.execute("SELECT finished_at FROM md5_matching WHERE id = 1").fetchone()
    return row is not None and row[0] is not None


def _process_chunk(connection: Connection, keys: Keys) -> int:
    """Add the keys of the next addresses; returns how many were processed."""
    hold_digest_length(connection, keys)
    rows = connection.execute(_SELECT_ADDRESSES, (CHUNK_SIZE,), binary=True).fetchall()
    if not rows:
        return 0
    made = [
        MatchKey(digest, Channel(channel), address_id, kind)
        for address_id, channel, owner, ciphertext in rows
        if ciphertext is not None
        for digest, kind in keys.md5_keys(
            parse_address(keys.open(ciphertext, context=owner), Channel(channel))
        ).items()
    ]
    insert_match_keys(connection, made)
    connection.execute(_SAVE_PROGRESS, (rows[-1][0],))
    return len(rows)
