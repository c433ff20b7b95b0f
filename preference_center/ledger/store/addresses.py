"""These functions load readable addresses, and check that their canonical forms are current.

Addresses are sealed at rest. The digest is the context, so rows can't be swapped.

Libraries determine part of a canonical form: three versions of phonenumbers parse +5215512345678
in three ways. An address that was stored under another form than is looked up is not found, nor
is its opt-out. So the database stores a hash of the forms of some hundred samples, and no process
starts if its forms differ (`key_fingerprint`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from datetime import datetime
from functools import cache, lru_cache
from importlib.metadata import version
from pathlib import Path

from preference_center.core.addresses import (
    NORM_VERSION,
    Address,
    Channel,
    HashedAddress,
    parse_address,
)
from preference_center.core.bursts import burst_domain
from preference_center.core.errors import InvalidAddress, KeyMismatch
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


FINGERPRINT_KEY = "canonical-forms"
"""The hash's row among the fingerprints of keys."""


_PROGRESS_KEY = "canonical-forms:renormalised"
"""The progress of `flask addresses renormalise`, and for which forms."""


_SAMPLES_PATH = Path(__file__).with_name("canonical_samples.txt")


_LIBRARIES = ("email-validator", "idna", "phonenumberslite")


_CHANNELS = {"email": Channel.EMAIL, "phone": Channel.PHONE}


@cache
def forms_hash() -> str:
    """The hash of the samples' canonical forms, as our rules and libraries make them; hex."""
    samples_hash = hashlib.sha256(f"{NORM_VERSION}\n".encode())
    for line in _SAMPLES_PATH.read_text(encoding="ascii").splitlines():
        channel, _, raw = line.partition("\t")
        samples_hash.update(
            f"{_forms(raw.encode().decode('unicode_escape'), _CHANNELS[channel])}\n".encode()
        )
    return samples_hash.hexdigest()


def verify_canonical_forms(connection: Connection) -> None:
    """Raise KeyMismatch if stored addresses have other forms; stores the hash if there is none."""
    stored = _load_fingerprint(connection, FINGERPRINT_KEY)
    if stored is None:
        accept_current_forms(connection)
    elif stored.partition(" ")[0] != forms_hash():
        made_with = stored.partition(" ")[2]
        raise KeyMismatch(
            "Addresses would be parsed differently than when they were stored, so opt-outs would"
            f" not be found. This database was made with {made_with}; installed are"
            f" {_libraries()}. Install the former (requirements.lock of that release), or run"
            " `flask addresses renormalise` with the latter while nothing else runs: it makes"
            " stored addresses findable under both forms."
        )


def accept_current_forms(connection: Connection) -> None:
    """Record that the stored addresses can be found under the current forms."""
    _save_fingerprint(connection, FINGERPRINT_KEY, f"{forms_hash()} {_libraries()}")
    connection.execute("DELETE FROM key_fingerprint WHERE key = %s", (_PROGRESS_KEY,))


def load_renormalised_id(connection: Connection) -> int:
    """The id of the address that `renormalise` processed last for the current forms, or 0."""
    forms, _, last = (_load_fingerprint(connection, _PROGRESS_KEY) or "").partition(" ")
    return int(last) if forms == forms_hash() else 0


def record_renormalised_id(connection: Connection, last_id: int) -> None:
    """Store the progress of `renormalise`."""
    _save_fingerprint(connection, _PROGRESS_KEY, f"{forms_hash()} {last_id}")


def _forms(raw: str, channel: Channel) -> str:
    try:
        forms = parse_address(raw, channel, region="IT").forms()
    except InvalidAddress:
        return "refused"
    return " ".join(f"{form}:{kind.value}" for form, kind in sorted(forms.items()))


def _libraries() -> str:
    return ", ".join(f"{name} {version(name)}" for name in _LIBRARIES)


def _load_fingerprint(connection: Connection, key: str) -> str | None:
    row = connection.execute(
        "SELECT fingerprint FROM key_fingerprint WHERE key = %s", (key,)
    ).fetchone()
    return row[0] if row else None


def _save_fingerprint(connection: Connection, key: str, text: str) -> None:
    connection.execute(
        "INSERT INTO key_fingerprint (key, fingerprint) VALUES (%s, %s)"
        " ON CONFLICT (key) DO UPDATE SET fingerprint = EXCLUDED.fingerprint",
        (key, text),
    )
