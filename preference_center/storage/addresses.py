"""Readable addresses, sealed at rest. The digest is the context: a row can't be swapped."""

from __future__ import annotations

from collections.abc import Collection

from preference_center.domain.addresses import Address, Channel
from preference_center.keys import Keys
from preference_center.storage.database import Connection


def sealed(keys: Keys, address: Address) -> bytes:
    """The address encrypted for its row."""
    return keys.seal(address.exact, context=keys.exact(address))


def readable(
    connection: Connection, keys: Keys, ids: Collection[int]
) -> dict[int, tuple[Channel, str]]:
    """Per address id that we can still read, its channel and canonical form."""
    rows = connection.execute(
        """SELECT id, channel, digest, ciphertext FROM address
        WHERE id = ANY(%(ids)b) AND ciphertext IS NOT NULL""",
        {"ids": list(ids)},
        binary=True,
    )
    return {row[0]: (Channel(row[1]), keys.open(row[3], context=row[2])) for row in rows}
