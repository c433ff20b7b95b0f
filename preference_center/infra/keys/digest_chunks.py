"""Bringing rows to the next digest key, some at a time; see `infra.keys.digest_tables`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from preference_center.core.keys import Keys
from preference_center.core.links.tokens import DIGEST_PREFIX_BYTES
from preference_center.infra.db.database import Connection

_IGNORE_OWN_KEYS = "SELECT set_config('preference_center.rotating', 'on', true)"
"""So that the trigger does not void what is being written."""
_SELECT_ADDRESSES = """
SELECT id, channel, digest, ciphertext, domain_digest FROM address WHERE next_digest IS NULL
ORDER BY id LIMIT %s FOR NO KEY UPDATE SKIP LOCKED
"""
_SELECT_KEYS = "SELECT address_id, digest, kind FROM address_key WHERE address_id = ANY(%s)"
_INSERT_KEYS = """
INSERT INTO address_key (digest, channel, address_id, kind)
SELECT * FROM unnest(%s::bytea[], %s::text[], %s::bigint[], %s::smallint[]) ORDER BY 1, 2, 3
ON CONFLICT DO NOTHING
"""
_UPDATE_ADDRESSES = """
UPDATE address a SET next_digest = given.digest, next_ciphertext = given.ciphertext,
    next_domain_digest = given.domain
FROM unnest(%s::bigint[], %s::bytea[], %s::bytea[], %s::bytea[])
    AS given (id, digest, ciphertext, domain)
WHERE a.id = given.id
"""
_SELECT_EXTERNAL_IDS = """
SELECT digest, ciphertext FROM contact_external_id WHERE next_digest IS NULL
ORDER BY digest LIMIT %s FOR NO KEY UPDATE SKIP LOCKED
"""
_UPDATE_EXTERNAL_IDS = """
UPDATE contact_external_id e SET next_digest = given.next, next_ciphertext = given.ciphertext
FROM unnest(%s::bytea[], %s::bytea[], %s::bytea[]) AS given (digest, next, ciphertext)
WHERE e.digest = given.digest
"""
_CONVERT = "UPDATE {0} t SET {1} = given.new FROM unnest(%s::bytea[], %s::bytea[])"
_SINGLE_DIGESTS = (
    ("counted_bounce", "digest"),
    ("outgoing_mail", "recipient_digest"),
    ("email_stop", "digest"),
    ("burst", "domain_digest"),
    ("person_access", "digest"),
)
_CONVERT_SUBJECTS = """
UPDATE rights_request r SET subject_digests = ARRAY(
    SELECT given.new FROM unnest(r.subject_digests) WITH ORDINALITY AS stored (old, position)
    JOIN unnest(%s::bytea[], %s::bytea[]) AS given (old, new) ON given.old = stored.old
    ORDER BY position)
WHERE r.subject_digests <> '{}'
"""


class Rewrapping:
    """From one length of the digest chain to the next."""

    def __init__(self, keys: Keys, from_length: int) -> None:
        self._keys = keys
        self._from, self._to = from_length, from_length + 1

    def digest(self, old: bytes) -> bytes:
        """The new digest."""
        return self._keys.rewrap(old, self._from, self._to)

    def ciphertext(self, sealed: bytes | None, old: bytes, new: bytes) -> bytes | None:
        """The same text, sealed for the new digest."""
        if sealed is None:
            return None
        return self._keys.seal(self._keys.open(sealed, context=old), context=new)

    def prefix(self, old: bytes) -> bytes:
        """The match key by which mail tokens with the beginning of the old digest are found."""
        return self._keys.rewrap_prefix(old[:DIGEST_PREFIX_BYTES], self._from, self._to)

    def missing_keys(self, digest: bytes, stored: Mapping[bytes, int]) -> dict[bytes, int]:
        """The new match keys, with their kinds, that an address still lacks.

        A key is new if it is what another of its keys becomes, or the one of its old beginning.
        """
        new = {self.digest(key) for key in stored}
        prefix = self.prefix(digest)
        old = {key: kind for key, kind in stored.items() if key not in new and key != prefix}
        made = {self.digest(key): kind for key, kind in old.items()}
        if stored:  # not a row that is only locked
            made[prefix] = 0
        return {key: kind for key, kind in made.items() if key not in stored}

    def old_keys(self, stored: Mapping[bytes, int]) -> list[bytes]:
        """Those match keys of an address whose new form it has, too."""
        return [key for key in stored if self.digest(key) in stored]


def advance_addresses(connection: Connection, wrap: Rewrapping, limit: int) -> int:
    """Store the new digests and match keys of up to `limit` addresses; returns of how many.

    Addresses that somebody else has locked are left out.
    """
    connection.execute(_IGNORE_OWN_KEYS)
    rows = connection.execute(_SELECT_ADDRESSES, (limit,)).fetchall()
    stored = load_keys(connection, [row[0] for row in rows])
    keys: list[tuple[bytes, str, int, int]] = []
    values: list[tuple[int, bytes, bytes | None, bytes | None]] = []
    for address_id, channel, digest, ciphertext, domain in rows:
        new = wrap.digest(digest)
        missing = wrap.missing_keys(digest, stored[address_id])
        keys += [(key, channel, address_id, kind) for key, kind in missing.items()]
        values.append(
            (
                address_id,
                new,
                wrap.ciphertext(ciphertext, digest, new),
                None if domain is None else wrap.digest(domain),
            )
        )
    if keys:
        connection.execute(_INSERT_KEYS, _transpose(keys))
    if values:
        connection.execute(_UPDATE_ADDRESSES, _transpose(values))
    return len(rows)


def load_keys(connection: Connection, ids: Sequence[int]) -> dict[int, dict[bytes, int]]:
    """The match keys of each of these addresses, with their kinds."""
    found: dict[int, dict[bytes, int]] = {address_id: {} for address_id in ids}
    for address_id, digest, kind in connection.execute(_SELECT_KEYS, (list(ids),)):
        found[address_id][digest] = kind
    return found


def advance_external_ids(connection: Connection, wrap: Rewrapping, limit: int) -> int:
    """The same for external ids of contacts."""
    rows = connection.execute(_SELECT_EXTERNAL_IDS, (limit,)).fetchall()
    values = [
        (digest, new := wrap.digest(digest), wrap.ciphertext(ciphertext, digest, new))
        for digest, ciphertext in rows
    ]
    if values:
        connection.execute(_UPDATE_EXTERNAL_IDS, _transpose(values))
    return len(rows)


def convert_small_tables(connection: Connection, wrap: Rewrapping) -> None:
    """Convert the tables whose digests are not stored ahead. To be called once, when swapped."""
    for table, column in _SINGLE_DIGESTS:
        rows = connection.execute(
            f"SELECT DISTINCT {column} FROM {table} WHERE {column} IS NOT NULL".encode()  # noqa: S608 - constants
        )
        old = [row[0] for row in rows]
        query = (
            _CONVERT.format(table, column) + f" AS given (old, new) WHERE t.{column} = given.old"
        )
        connection.execute(query.encode(), (old, [wrap.digest(each) for each in old]))
    rows = connection.execute("SELECT DISTINCT unnest(subject_digests) FROM rights_request")
    old = [row[0] for row in rows]
    connection.execute(_CONVERT_SUBJECTS, (old, [wrap.digest(each) for each in old]))
    rows = connection.execute(
        """SELECT e.id, e.ciphertext, a.previous_digest, a.digest
        FROM erasure e JOIN address a ON a.id = e.address_id WHERE e.ciphertext IS NOT NULL"""
    )
    for erasure_id, sealed, old_digest, new_digest in rows.fetchall():
        connection.execute(
            "UPDATE erasure SET ciphertext = %s WHERE id = %s",
            (wrap.ciphertext(sealed, old_digest, new_digest), erasure_id),
        )


def clear_addresses(connection: Connection, wrap: Rewrapping, after: int, limit: int) -> int | None:
    """Delete the old digests of the next addresses after an id; returns the last id, or None.

    An old match key stays while an event has still to reach the forms that it finds.
    """
    rows = connection.execute(
        "SELECT id FROM address WHERE id > %s ORDER BY id LIMIT %s FOR NO KEY UPDATE",
        (after, limit),
    ).fetchall()
    if not rows:
        return None
    ids = [row[0] for row in rows]
    old = [
        (address_id, key)
        for address_id, stored in load_keys(connection, ids).items()
        for key in wrap.old_keys(stored)
    ]
    if old:
        connection.execute(
            """DELETE FROM address_key k USING unnest(%s::bigint[], %s::bytea[]) AS old (id, digest)
            WHERE k.digest = old.digest AND k.address_id = old.id
                AND NOT EXISTS (SELECT FROM deferred_form f WHERE f.digest = k.digest)""",
            _transpose(old),
        )
    connection.execute(
        """UPDATE address SET previous_digest = NULL, previous_ciphertext = NULL,
            previous_domain_digest = NULL
        WHERE id = ANY(%s) AND previous_digest IS NOT NULL""",
        (ids,),
    )
    return int(ids[-1])


def clear_external_ids(connection: Connection, after: bytes, limit: int) -> bytes | None:
    """The same for external ids, after a digest."""
    row = connection.execute(
        """WITH page AS (SELECT digest FROM contact_external_id WHERE digest > %s
            ORDER BY digest LIMIT %s FOR NO KEY UPDATE), cleared AS (
            UPDATE contact_external_id e SET previous_digest = NULL, previous_ciphertext = NULL
            FROM page WHERE e.digest = page.digest AND e.previous_digest IS NOT NULL)
        SELECT digest FROM page ORDER BY digest DESC LIMIT 1""",
        (after, limit),
    ).fetchone()
    return row[0] if row else None


def _transpose(rows: Sequence[Sequence[object]]) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)]
