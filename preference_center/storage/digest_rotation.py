"""The tables whose digests are brought to a newer digest key, and how.

The large ones get their new digests in columns next to the old ones, which nobody reads, while
the service runs; then one transaction swaps the columns and converts the small tables. Triggers
make a row's new digests void whenever what they were made from changes, so that nobody else has to
know of a rotation. `address_key` has rows of both digests meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from preference_center.storage.db.connections import DeadlineConnection
from preference_center.storage.db.database import Connection
from preference_center.storage.db.digest_length import APPEND_LOCK


class DigestRotation(StrEnum):
    """What a rotation of the digest keys does with a column of digests."""

    AHEAD = "ahead"
    """Its new digests are stored ahead, and swapped in."""
    AT_ONCE = "at_once"
    """Converted in the transaction that swaps the others: a small table."""
    EXPIRES = "expires"
    """Left: its rows live for days, and at worst something is processed twice meanwhile."""
    STAYS = "stays"
    """Left for ever, and looked up under each length of the chain."""


DIGEST_COLUMNS: Mapping[str, DigestRotation] = {
    "address.digest": DigestRotation.AHEAD,
    "address.domain_digest": DigestRotation.AHEAD,
    "address_key.digest": DigestRotation.AHEAD,
    "contact_external_id.digest": DigestRotation.AHEAD,
    "counted_bounce.digest": DigestRotation.AT_ONCE,
    "outgoing_mail.recipient_digest": DigestRotation.AT_ONCE,
    "email_stop.digest": DigestRotation.AT_ONCE,
    "rights_request.subject_digests": DigestRotation.AT_ONCE,
    "burst.domain_digest": DigestRotation.AT_ONCE,
    "person_access.digest": DigestRotation.AT_ONCE,
    "deferred_form.digest": DigestRotation.EXPIRES,
    "review_queue.content_digest": DigestRotation.EXPIRES,
    "webhook_inbox.body_digest": DigestRotation.EXPIRES,
    "event.evidence_hash": DigestRotation.STAYS,
    "burst.message_ids": DigestRotation.STAYS,
    "pending_mail_opt_out.digest_prefix": DigestRotation.STAYS,
}
"""Every column of digests; a test compares it with `storage.personal_data`."""


@dataclass(frozen=True, slots=True)
class SwappedTable:
    """A table with new digests next to the old ones: `columns`, by their types.

    `unique` is what the digest and these columns are unique together with.
    """

    table: str
    key: str
    columns: Sequence[str]
    indexes: Mapping[str, str]
    """Its indexes with these columns, and their definitions for the new ones."""


ADDRESS = SwappedTable(
    "address",
    "id",
    ("digest", "ciphertext", "domain_digest"),
    {
        "address_digest": "CREATE UNIQUE INDEX CONCURRENTLY {} ON address (next_digest, channel)",
        "address_domain": "CREATE INDEX CONCURRENTLY {} ON address (next_domain_digest)"
        " WHERE next_domain_digest IS NOT NULL",
    },
)
EXTERNAL_ID = SwappedTable(
    "contact_external_id",
    "digest",
    ("digest", "ciphertext"),
    {
        "contact_external_id_pkey": "CREATE UNIQUE INDEX CONCURRENTLY {}"
        " ON contact_external_id (next_digest)"
    },
)
SWAPPED_TABLES = (ADDRESS, EXTERNAL_ID)

_CREATE_FUNCTIONS = """
CREATE OR REPLACE FUNCTION void_next_digests() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.next_digest := NULL;
    NEW.next_ciphertext := NULL;
    RETURN NEW;
END $$;
CREATE OR REPLACE FUNCTION void_next_digests_of_address() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE address SET next_digest = NULL, next_ciphertext = NULL, next_domain_digest = NULL
    WHERE id = NEW.address_id AND next_digest IS NOT NULL;
    RETURN NULL;
END $$;
"""
_CREATE_TRIGGERS = """
CREATE OR REPLACE TRIGGER void_next_digests BEFORE UPDATE ON address FOR EACH ROW
    WHEN (OLD.ciphertext IS DISTINCT FROM NEW.ciphertext
        OR OLD.domain_digest IS DISTINCT FROM NEW.domain_digest)
    EXECUTE FUNCTION void_next_digests();
CREATE OR REPLACE TRIGGER void_next_digests BEFORE UPDATE ON contact_external_id FOR EACH ROW
    WHEN (OLD.ciphertext IS DISTINCT FROM NEW.ciphertext) EXECUTE FUNCTION void_next_digests();
CREATE OR REPLACE TRIGGER void_next_digests AFTER INSERT ON address_key FOR EACH ROW
    WHEN (current_setting('preference_center.rotating', true) IS DISTINCT FROM 'on')
    EXECUTE FUNCTION void_next_digests_of_address();
"""
_DROP_TRIGGERS = """
DROP TRIGGER IF EXISTS void_next_digests ON address;
DROP TRIGGER IF EXISTS void_next_digests ON contact_external_id;
DROP TRIGGER IF EXISTS void_next_digests ON address_key;
DROP FUNCTION IF EXISTS void_next_digests;
DROP FUNCTION IF EXISTS void_next_digests_of_address;
"""


def has_column(connection: Connection, table: str, column: str) -> bool:
    """Whether the table has this column now."""
    row = connection.execute(
        """SELECT FROM pg_attribute WHERE attrelid = %s::regclass AND attname = %s
        AND NOT attisdropped""",
        (table, column),
    ).fetchone()
    return row is not None


def add_next_columns(connection: Connection) -> None:
    """Add the columns and triggers. Safe to repeat."""
    for each in SWAPPED_TABLES:
        for column in each.columns:
            if not has_column(connection, each.table, f"next_{column}"):
                connection.execute(
                    f"ALTER TABLE {each.table} ADD COLUMN next_{column} bytea".encode()
                )
    connection.execute(_CREATE_FUNCTIONS)
    connection.execute(_CREATE_TRIGGERS)


def add_next_indexes(connection: Connection) -> None:
    """Build the indexes of the new columns, and of the rows that lack them.

    Outside of a transaction. Safe to repeat; one that was interrupted is built again. It waits for
    older transactions without a limit, and nobody waits for it.
    """
    if isinstance(connection, DeadlineConnection) and connection.is_pooled:
        _build_indexes(connection)  # its session has no limit of ours
        return
    (timeout,) = connection.execute("SHOW lock_timeout").fetchone() or ("0",)
    connection.execute("SET lock_timeout = 0")
    try:
        _build_indexes(connection)
    finally:
        connection.execute("SELECT set_config('lock_timeout', %s, false)", (timeout,))


def _build_indexes(connection: Connection) -> None:
    for each in SWAPPED_TABLES:
        definitions = {f"next_{name}": text for name, text in each.indexes.items()}
        definitions[f"{each.table}_without_next"] = (
            f"CREATE INDEX CONCURRENTLY {{}} ON {each.table} ({each.key}) WHERE next_digest IS NULL"
        )
        for name, definition in definitions.items():
            valid = connection.execute(
                "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)", (name,)
            ).fetchone()
            if valid == (False,):
                connection.execute(f"DROP INDEX CONCURRENTLY {name}".encode())
            if valid != (True,):
                connection.execute(definition.format(name).encode())


def count_without_next(connection: Connection, table: SwappedTable, limit: int) -> int:
    """How many rows have no new digests yet, up to `limit`."""
    row = connection.execute(
        f"SELECT count(*) FROM (SELECT FROM {table.table} WHERE next_digest IS NULL"  # noqa: S608 - a constant
        " LIMIT %s) AS missing".encode(),
        (limit,),
    ).fetchone()
    assert row  # an aggregate
    return int(row[0])


def lock_for_swap(connection: Connection) -> None:
    """Keep everybody from the tables until this transaction ends. Waits as long as limits allow.

    It waits for `key_fingerprint` first, and holds nothing yet: while a key waits, each transaction
    begins by reading that table, so nobody whom it waits for waits for it.
    """
    connection.execute("LOCK TABLE key_fingerprint IN ACCESS EXCLUSIVE MODE")
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (APPEND_LOCK,))
    connection.execute(
        """LOCK TABLE address, address_key, contact_external_id, erasure, outgoing_mail,
        email_stop, counted_bounce, rights_request, burst, burst_event, person_access
        IN ACCESS EXCLUSIVE MODE"""
    )


def swap_columns(connection: Connection) -> None:
    """Make the new digests the digests. The old ones are in `previous_` columns from now on."""
    connection.execute(_DROP_TRIGGERS)
    for each in SWAPPED_TABLES:
        for column in each.columns:
            for old, new in ((column, f"previous_{column}"), (f"next_{column}", column)):
                connection.execute(f"ALTER TABLE {each.table} RENAME {old} TO {new}".encode())
        connection.execute(f"DROP INDEX {each.table}_without_next".encode())
    connection.execute("""
        ALTER TABLE address ALTER COLUMN digest SET NOT NULL,
            ALTER COLUMN previous_digest DROP NOT NULL;
        DROP INDEX address_digest;
        ALTER INDEX next_address_digest RENAME TO address_digest;
        DROP INDEX address_domain;
        ALTER INDEX next_address_domain RENAME TO address_domain;
        ALTER TABLE contact_external_id DROP CONSTRAINT contact_external_id_pkey;
        ALTER TABLE contact_external_id ALTER COLUMN previous_digest DROP NOT NULL,
            ADD CONSTRAINT contact_external_id_pkey PRIMARY KEY USING INDEX
                next_contact_external_id_pkey;
    """)


def drop_previous_columns(connection: Connection) -> None:
    """Drop the old columns, which are empty by now."""
    for each in SWAPPED_TABLES:
        drops = ", ".join(f"DROP COLUMN IF EXISTS previous_{name}" for name in each.columns)
        connection.execute(f"ALTER TABLE {each.table} {drops}".encode())
