"""Readable addresses, sealed at rest. The digest is the context: a row can't be swapped."""

from __future__ import annotations

from collections.abc import Collection

from preference_center.domain.addresses import Address, Channel, parse
from preference_center.keys import Keys
from preference_center.storage.database import Connection


def sealed(keys: Keys, address: Address) -> bytes:
    """The address encrypted for its row."""
    return keys.seal(address.exact, context=keys.exact(address))


def readable(connection: Connection, keys: Keys, ids: Collection[int]) -> dict[int, Address]:
    """Per address id that we can still read, the address."""
    rows = connection.execute(
        """SELECT id, channel, digest, ciphertext FROM address
        WHERE id = ANY(%s) AND ciphertext IS NOT NULL""",
        (list(ids),),
    )
    return {
        row[0]: parse(keys.open(row[3], context=row[2]), Channel(row[1])) for row in rows
    }
