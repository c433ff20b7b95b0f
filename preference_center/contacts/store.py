"""Store contacts, found by keyed digests; their addresses and external ids are sealed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from preference_center.contacts.rules.contact import AccountState, Contact, ContactRef, ContactSet
from preference_center.core.addresses import Address, Channel
from preference_center.core.errors import PreferenceCenterError
from preference_center.core.keys import Keys
from preference_center.core.links.tokens import restore_address
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_autocommit
from preference_center.infra.hooks import Hook

# A row without keys is of a mailbox that is locked for another form: it says nothing of this one.
_SELECT_SUBJECT_ADDRESSES = """
SELECT a.channel, a.digest, a.id, a.ciphertext, a.created_at, a.erased_at
FROM (
    SELECT * FROM address WHERE digest = ANY(%(digests)b)
    UNION
    SELECT * FROM address WHERE id = ANY(%(ids)b)
) AS a
WHERE EXISTS (SELECT FROM address_key k WHERE k.address_id = a.id)
ORDER BY a.id
"""


class ConcurrentContactUpdate(PreferenceCenterError):
    """One of these contacts was written since they were loaded: load them again."""


@Hook
def contacts_merged(
    connection: Connection, ids: Sequence[UUID], survivors: Sequence[UUID], now: datetime
) -> None:
    """Each contact was merged into its survivor, in the transaction of `connection`."""


_FIND_CONTACT_IDS = """
SELECT contact_id FROM contact_external_id WHERE digest = ANY(%(external_ids)b)
UNION
SELECT linked.contact_id
FROM unnest(%(digests)b::bytea[], %(channels)b::text[]) AS given (digest, channel)
JOIN address ON address.digest = given.digest AND address.channel = given.channel
JOIN contact_address linked ON linked.address_id = address.id
UNION
SELECT COALESCE(merged_into, id) FROM contact WHERE id = ANY(%(ids)b)
"""
_SELECT_CONTACTS = """
SELECT id, account, locale, version, restricted_at FROM contact
WHERE id = ANY(%(ids)b) AND merged_into IS NULL
"""
_SELECT_MERGED = (
    "SELECT id, merged_into FROM contact WHERE id = ANY(%(ids)b) AND merged_into IS NOT NULL"
)
_SELECT_ADDRESSES = """
SELECT linked.contact_id, address.channel, address.digest, address.ciphertext
FROM contact_address linked JOIN address ON address.id = linked.address_id
WHERE linked.contact_id = ANY(%(ids)b)
"""
_SELECT_EXTERNAL_IDS = """
SELECT contact_id, digest, ciphertext FROM contact_external_id WHERE contact_id = ANY(%(ids)b)
"""

_INSERT = """
INSERT INTO contact (id, account, locale, version, restricted_at, created_at, changed_at)
SELECT id, account, locale, 1, restricted_at, %(now)s, %(now)s
FROM unnest(%(ids)b::uuid[], %(accounts)b::text[], %(locales)b::text[],
    %(restricted)b::timestamptz[]) AS given (id, account, locale, restricted_at)
ON CONFLICT DO NOTHING
"""
_UPDATE = """
UPDATE contact SET account = given.account, locale = given.locale,
    restricted_at = given.restricted_at, version = contact.version + 1, changed_at = %(now)s
FROM (SELECT * FROM unnest(%(ids)b::uuid[], %(accounts)b::text[], %(locales)b::text[],
    %(restricted)b::timestamptz[], %(versions)b::int[])
    AS n (id, account, locale, restricted_at, version) ORDER BY id) AS given
WHERE contact.id = given.id AND contact.version = given.version
    AND contact.merged_into IS NULL
"""
_MARK_MERGED = """
UPDATE contact SET merged_into = given.survivor, version = contact.version + 1,
    changed_at = %(now)s
FROM unnest(%(ids)b::uuid[], %(survivors)b::uuid[], %(versions)b::int[])
    AS given (id, survivor, version)
WHERE contact.id = given.id AND contact.version = given.version
    AND contact.merged_into IS NULL
"""
_REASSIGN_TO_SURVIVOR = tuple(
    f"""UPDATE {table} SET {column} = given.survivor
    FROM unnest(%(ids)b::uuid[], %(survivors)b::uuid[]) AS given (id, survivor)
    WHERE {column} = given.id"""  # noqa: S608 - constants
    for table, column in (
        ("contact", "merged_into"),
        ("contact_address", "contact_id"),
        ("contact_external_id", "contact_id"),
    )
)
_SELECT_ERASED = """
SELECT address.digest, address.channel
FROM unnest(%(digests)b::bytea[], %(channels)b::text[]) AS given (digest, channel)
JOIN address ON address.digest = given.digest AND address.channel = given.channel
WHERE address.erased_at IS NOT NULL
"""
_LINK_ADDRESSES = """
INSERT INTO contact_address (address_id, contact_id, linked_at)
SELECT address.id, given.contact_id, %(now)s
FROM unnest(%(digests)b::bytea[], %(channels)b::text[], %(contacts)b::uuid[],
    %(are_bare)b::boolean[]) AS given (digest, channel, contact_id, is_bare)
JOIN address ON address.digest = given.digest AND address.channel = given.channel
    AND (address.erased_at IS NULL OR given.is_bare)
ORDER BY address.id
ON CONFLICT (address_id) DO UPDATE
    SET contact_id = EXCLUDED.contact_id, linked_at = EXCLUDED.linked_at
    WHERE EXISTS (SELECT FROM contact
        WHERE id = contact_address.contact_id AND account = 'erased')
"""
"""An address that was erased meanwhile is not linked to what says more about its person (I6)."""
_LINK_EXTERNAL_IDS = """
INSERT INTO contact_external_id (digest, contact_id, ciphertext, linked_at)
SELECT digest, contact_id, ciphertext, %(now)s
FROM unnest(%(digests)b::bytea[], %(contacts)b::uuid[], %(ciphertexts)b::bytea[])
    AS given (digest, contact_id, ciphertext)
ORDER BY digest
ON CONFLICT (digest) DO UPDATE SET contact_id = EXCLUDED.contact_id,
    ciphertext = EXCLUDED.ciphertext, linked_at = EXCLUDED.linked_at
    WHERE EXISTS (SELECT FROM contact
        WHERE id = contact_external_id.contact_id AND account = 'erased')
"""
"""An id of an erased contact passes to the living one; of another contact it stays."""
_SELECT_LOCALE = """
SELECT contact.locale
FROM address JOIN contact_address linked ON linked.address_id = address.id
JOIN contact ON contact.id = linked.contact_id
WHERE address.digest = %(digest)b AND address.channel = %(channel)b
"""


def load_contacts(connection: Connection, keys: Keys, refs: Collection[ContactRef]) -> ContactSet:
    """The contacts that `refs` refer to; addresses must match exactly (I9)."""
    given = {
        (keys.exact_digest(n.address), str(n.address.channel)): n.address for n in refs if n.address
    }
    external_ids = {
        external_id_digest(keys, n.external_id): n.external_id for n in refs if n.external_id
    }
    ids = [n.id for n in refs if n.id]
    found = connection.execute(
        _FIND_CONTACT_IDS,
        {
            "external_ids": list(external_ids),
            "digests": [digest for digest, _ in given],
            "channels": [channel for _, channel in given],
            "ids": ids,
        },
        binary=True,
    )
    wanted = {"ids": [row[0] for row in found]}
    # The versions first: whatever is written between these statements makes them too old to save.
    versioned = connection.execute(_SELECT_CONTACTS, wanted).fetchall()
    addresses = _group_by_contact(connection.execute(_SELECT_ADDRESSES, wanted, binary=True))
    names = _group_by_contact(connection.execute(_SELECT_EXTERNAL_IDS, wanted, binary=True))
    contacts = [
        Contact(
            id=contact_id,
            account=AccountState(account),
            locale=locale,
            external_ids=_external_ids(keys, names.get(contact_id, ()), external_ids),
            addresses=_addresses(keys, addresses.get(contact_id, ()), given),
            version=version,
            restricted_at=restricted_at,
        )
        for contact_id, account, locale, version, restricted_at in versioned
    ]
    merged: dict[UUID, UUID] = {}
    if ids:
        merged.update(connection.execute(_SELECT_MERGED, {"ids": ids}).fetchall())
    return ContactSet.from_contacts(contacts, merged, _load_erased(connection, given))


def _load_erased(
    connection: Connection, given: Mapping[tuple[bytes, str], Address]
) -> frozenset[Address]:
    """Those of these addresses that were erased."""
    if not given:
        return frozenset()
    columns = {
        "digests": [digest for digest, _ in given],
        "channels": [channel for _, channel in given],
    }
    rows = connection.execute(_SELECT_ERASED, columns, binary=True)
    return frozenset(given[digest, channel] for digest, channel in rows)


def _is_bare(contact: Contact) -> bool:
    """Whether nothing is known of the contact but its addresses."""
    return contact.locale is None and not contact.external_ids


def save_contacts(
    connection: Connection, keys: Keys, contact_set: ContactSet, now: datetime
) -> None:
    """Write the contacts that changed. Their addresses must be stored already.

    Raises ConcurrentContactUpdate if another process wrote these contacts, or linked one of their
    addresses or ids, since they were loaded; the transaction must be rolled back then.
    """
    changed = contact_set.changed_contacts()
    new = [contact for contact in changed if not contact.version]
    known = [contact for contact in changed if contact.version]
    _execute_for_all(connection, _UPDATE, len(known), _columns(known, now))
    _execute_for_all(connection, _INSERT, len(new), _columns(new, now))
    _save_merges(connection, contact_set, now)
    links = contact_set.new_address_links()
    columns: dict[str, Any] = {
        "digests": [keys.exact_digest(address) for address, _ in links],
        "channels": [address.channel.value for address, _ in links],
        "contacts": [contact_id for _, contact_id in links],
        "are_bare": [_is_bare(contact_set.contacts[contact_id]) for _, contact_id in links],
        "now": now,
    }
    _execute_for_all(connection, _LINK_ADDRESSES, len(links), columns)
    names = contact_set.new_external_ids()
    digests = [external_id_digest(keys, external_id) for external_id, _ in names]
    columns = {
        "digests": digests,
        "contacts": [contact_id for _, contact_id in names],
        "ciphertexts": [
            keys.seal(external_id, context=digest)
            for (external_id, _), digest in zip(names, digests, strict=True)
        ],
        "now": now,
    }
    _execute_for_all(connection, _LINK_EXTERNAL_IDS, len(names), columns)


def find_locale(connection: Connection, keys: Keys, address: Address) -> str | None:
    """The locale (BCP 47) of the contact with exactly this address, if it is known (I9)."""
    where = {"digest": keys.exact_digest(address), "channel": address.channel.value}
    row = connection.execute(_SELECT_LOCALE, where, binary=True).fetchone()
    return row[0] if row else None


def load_locale(address: Address) -> str | None:
    """`find_locale` in a transaction of its own."""
    keys = services().keys
    return run_autocommit(lambda connection: find_locale(connection, keys, address))


def _save_merges(connection: Connection, contact_set: ContactSet, now: datetime) -> None:
    gone = sorted(contact_set.survivors_by_id().items())
    columns: dict[str, Any] = {
        "ids": [contact_id for contact_id, _ in gone],
        "survivors": [survivor for _, survivor in gone],
        "versions": [contact_set.stored[contact_id].version for contact_id, _ in gone],
        "now": now,
    }
    _execute_for_all(connection, _MARK_MERGED, len(gone), columns)
    if gone:
        for statement in _REASSIGN_TO_SURVIVOR:
            connection.execute(statement, columns, binary=True)
        contacts_merged(connection, columns["ids"], columns["survivors"], now)


def _execute_for_all(
    connection: Connection, statement: str, count: int, columns: Mapping[str, Any]
) -> None:
    """Execute the statement. Raises ConcurrentContactUpdate unless it writes `count` rows."""
    if count and connection.execute(statement, columns, binary=True).rowcount != count:
        raise ConcurrentContactUpdate("another process has written these contacts meanwhile")


def _columns(contacts: Sequence[Contact], now: datetime) -> dict[str, Any]:
    return {
        "ids": [contact.id for contact in contacts],
        "accounts": [contact.account.value for contact in contacts],
        "restricted": [contact.restricted_at for contact in contacts],
        "locales": [contact.locale for contact in contacts],
        "versions": [contact.version for contact in contacts],
        "now": now,
    }


def external_id_digest(keys: Keys, external_id: str) -> bytes:
    """The digest under which an external id is stored.

    Distinct from addresses' digests: no canonical address begins like this.
    """
    return keys.digest(f"external_id:{external_id}")


def _group_by_contact(rows: Iterable[Sequence[Any]]) -> dict[UUID, list[Sequence[Any]]]:
    groups: dict[UUID, list[Sequence[Any]]] = {}
    for row in rows:
        groups.setdefault(row[0], []).append(row[1:])
    return groups


def _external_ids(
    keys: Keys, rows: Iterable[Sequence[Any]], given: Mapping[bytes, str]
) -> frozenset[str]:
    return frozenset(
        given[digest] if digest in given else keys.open(ciphertext, context=digest)
        for digest, ciphertext in rows
        if digest in given or ciphertext is not None
    )


def _addresses(
    keys: Keys, rows: Iterable[Sequence[Any]], given: Mapping[tuple[bytes, str], Address]
) -> frozenset[Address]:
    return frozenset(
        given[digest, channel]
        if (digest, channel) in given
        else restore_address(keys.open(ciphertext, context=digest), Channel(channel))
        for channel, digest, ciphertext in rows
        if (digest, channel) in given or ciphertext is not None
    )


@dataclass(frozen=True, slots=True)
class SubjectAddress:
    """One address of the request. `id` is None where nothing is stored about it.

    `text` is its canonical form; None where only a digest of it is stored.
    """

    channel: str
    digest: bytes = field(repr=False)
    id: int | None = None
    text: str | None = field(default=None, repr=False)
    created_at: datetime | None = None
    erased_at: datetime | None = None


def list_addresses(
    connection: Connection,
    keys: Keys,
    digests: Iterable[bytes],
    ids: Iterable[int],
) -> list[SubjectAddress]:
    """The stored addresses with these exact digests or ids."""
    rows = connection.execute(
        _SELECT_SUBJECT_ADDRESSES, {"digests": list(digests), "ids": list(ids)}, binary=True
    )
    return [
        SubjectAddress(
            channel,
            digest,
            address_id,
            None if ciphertext is None or erased_at else keys.open(ciphertext, context=digest),
            created_at,
            erased_at,
        )
        for channel, digest, address_id, ciphertext, created_at, erased_at in rows
    ]
