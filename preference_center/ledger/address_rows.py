"""The rows of an address: `address` and its match keys. Every writer builds them here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

from preference_center.core.addresses import Address, Channel, HashedAddress, KeyKind
from preference_center.core.keys import Keys
from preference_center.core.links.tokens import DIGEST_PREFIX_BYTES
from preference_center.infra.db.transactions import Connection
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
