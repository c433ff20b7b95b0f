"""Readable addresses, sealed at rest. The digest is the context, so rows can't be swapped."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from functools import lru_cache

from preference_center.core.addresses import Address, Channel, HashedAddress
from preference_center.core.bursts import burst_domain
from preference_center.core.keys import DIGEST_BYTES, Keys
from preference_center.core.links.tokens import DIGEST_PREFIX_BYTES
from preference_center.infra.db.transactions import Connection


def pushable_ciphertext(address: str, where: str = "true") -> str:
    """SQL: the sealed form that may be sent to tools, of a row of `address` with this alias.

    That of an erased address is stored with its erasure, and only while tools must still be brought
    to suppress and erase it (I6). Nothing that shows addresses to anybody may use this. `where`:
    which erasures count.
    """
    return f"""CASE WHEN {address}.erased_at IS NULL THEN {address}.ciphertext
        ELSE (SELECT erasure.ciphertext FROM
            (SELECT * FROM erasure WHERE address_id = {address}.id OFFSET 0) AS erasure
            WHERE erasure.ciphertext IS NOT NULL AND {where} LIMIT 1) END"""  # noqa: S608 - constants


_NOT_DONE_THERE = """NOT EXISTS (SELECT FROM erasure_task t WHERE t.erasure_id = erasure.id
    AND t.destination_id = %(destination)s AND t.outcome <> '')"""


def is_pushable(address: str) -> str:
    """SQL: whether an address with this alias has a `pushable_ciphertext`."""
    return f"({pushable_ciphertext(address)}) IS NOT NULL"


def seal_address(keys: Keys, address: Address) -> bytes:
    """The address encrypted for its row."""
    return keys.seal(address.exact, context=keys.exact_digest(address))


def domain_digest(keys: Keys, address: Address) -> bytes | None:
    """The keyed digest of the address's domain; None for domains that many people share.

    Distinct from addresses' digests: no canonical address begins like this.
    """
    domain = burst_domain(address)
    return None if domain is None else _digest_of(keys, domain, keys.digest_length)


@lru_cache(maxsize=10_000)
def _digest_of(keys: Keys, domain: str, _: int) -> bytes:
    return keys.digest(f"domain:{domain}")


def load_erased_at(connection: Connection, keys: Keys, address: Address) -> datetime | None:
    """When exactly this address was erased; None if it was not, or its person came back."""
    row = connection.execute(
        "SELECT erased_at FROM address WHERE digest = %s AND channel = %s",
        (keys.exact_digest(address), address.channel.value),
    ).fetchone()
    return row[0] if row else None


def make_readable_again(connection: Connection, keys: Keys, address: Address) -> int | None:
    """Store an erased address readable; its id, or None if it was not erased.

    Only an act of the person's own may call this (I6): every other writer leaves it hidden.
    """
    row = connection.execute(
        """UPDATE address SET erased_at = NULL, ciphertext = %(sealed)s, domain_digest = %(domain)s
        WHERE digest = %(digest)s AND channel = %(channel)s AND erased_at IS NOT NULL
        RETURNING id""",
        {
            "sealed": seal_address(keys, address),
            "domain": domain_digest(keys, address),
            "digest": keys.exact_digest(address),
            "channel": address.channel.value,
        },
    ).fetchone()
    return row[0] if row else None


def load_readable(
    connection: Connection, keys: Keys, ids: Collection[int]
) -> dict[int, tuple[Channel, str]]:
    """Channel and canonical form of each of these addresses that is still readable."""
    if not ids:
        return {}
    rows = connection.execute(
        """SELECT id, channel, digest, ciphertext FROM address
        WHERE id = ANY(%(ids)b) AND ciphertext IS NOT NULL""",
        {"ids": list(ids)},
        binary=True,
    )
    return {row[0]: (Channel(row[1]), keys.open(row[3], context=row[2])) for row in rows}


def load_pushable(
    connection: Connection, keys: Keys, ids: Collection[int], destination: int
) -> dict[int, tuple[Channel, str]]:
    """`load_readable` for what is sent to a tool: erased addresses too, while it lasts (I6).

    Not those that were erased there: a push could make a contact of them again.
    """
    if not ids:
        return {}
    rows = connection.execute(
        f"""SELECT * FROM (SELECT a.id, a.channel, a.digest,
                {pushable_ciphertext("a", _NOT_DONE_THERE)} AS sealed
            FROM address a WHERE a.id = ANY(%(ids)b)) AS given
        WHERE sealed IS NOT NULL""",  # noqa: S608 - constants
        {"ids": list(ids), "destination": destination},
        binary=True,
    )
    return {row[0]: (Channel(row[1]), keys.open(row[3], context=row[2])) for row in rows}


def list_readable_after(
    connection: Connection, keys: Keys, channels: Collection[Channel], after: int, limit: int
) -> list[tuple[int, Channel, str]]:
    """The next `limit` readable addresses in order of their ids: id, channel, canonical form.

    Those of erased people are left out, also while their ciphertext is still stored (I6).
    """
    rows = connection.execute(
        """SELECT id, channel, digest, ciphertext FROM address
        WHERE id > %(after)s AND channel = ANY(%(channels)s)
            AND ciphertext IS NOT NULL AND erased_at IS NULL
        ORDER BY id LIMIT %(limit)s""",
        {"after": after, "channels": [channel.value for channel in channels], "limit": limit},
        binary=True,
    )
    return [(row[0], Channel(row[1]), keys.open(row[3], context=row[2])) for row in rows]


def load_newest_id(connection: Connection) -> int:
    """The id of the address that was stored last; 0 before the first."""
    row = connection.execute("SELECT max(id) FROM address").fetchone()
    return int(row[0] or 0) if row else 0


def digest_prefixes(keys: Keys, address: Address | HashedAddress) -> list[bytes]:
    """How mail tokens may name the address: by the beginning of its digest, now or earlier."""
    digests = [keys.exact_digest(address), *keys.earlier_exact_digests(address)]
    return [digest[:DIGEST_PREFIX_BYTES] for digest in digests]


def find_by_digest_prefix(
    connection: Connection, keys: Keys, prefixes: Collection[bytes]
) -> dict[bytes, str | None]:
    """The canonical forms of stored email addresses, by a prefix of their exact digest.

    None where only the digest is known: it was erased, or never readable. A prefix must be long
    enough to be unique; mail tokens have 16 of 32 bytes.
    """
    rows = connection.execute(
        """SELECT given.prefix, a.digest, a.ciphertext
        FROM unnest(%(prefixes)s::bytea[], %(upper_bounds)s::bytea[]) AS given (prefix, upper_bound)
        JOIN address a ON a.digest BETWEEN given.prefix AND given.upper_bound
            AND a.channel = 'email'""",
        {
            "prefixes": list(prefixes),
            "upper_bounds": [prefix.ljust(DIGEST_BYTES, b"\xff") for prefix in prefixes],
        },
    )
    found = {
        prefix: None if ciphertext is None else keys.open(ciphertext, context=digest)
        for prefix, digest, ciphertext in rows
    }
    missing = [prefix for prefix in prefixes if prefix not in found]
    return found | (_find_by_earlier_prefix(connection, keys, missing) if missing else {})


def _find_by_earlier_prefix(
    connection: Connection, keys: Keys, prefixes: Collection[bytes]
) -> dict[bytes, str | None]:
    """The same by prefixes of digests that were made before the digest keys were rotated."""
    wrapped = {
        keys.rewrap_prefix(prefix, length): prefix
        for prefix in prefixes
        for length in range(1, keys.digest_length)
    }
    if not wrapped:
        return {}
    rows = connection.execute(
        """SELECT k.digest, a.digest, a.ciphertext
        FROM address_key k JOIN address a ON a.id = k.address_id
        WHERE k.digest = ANY(%s::bytea[]) AND k.kind = 0""",
        (list(wrapped),),
    )
    return {
        wrapped[key]: None if ciphertext is None else keys.open(ciphertext, context=digest)
        for key, digest, ciphertext in rows
    }
