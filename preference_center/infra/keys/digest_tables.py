"""The tables whose digests are brought to a newer digest key, and how.

The large ones get their new digests in columns next to the old ones, which nobody reads, while
the service runs; then one transaction swaps the columns and converts the small tables. Triggers
make a row's new digests void whenever what they were made from changes, so that nobody else has to
know of a rotation. `address_key` has rows of both digests meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from preference_center.infra.db.connections import APPEND_LOCK, DeadlineConnection
from preference_center.infra.db.transactions import Connection, fetch_count


class DigestRotation(StrEnum):
    """What a rotation of the digest keys does with a column of digests."""

    AHEAD = "ahead"
    """Its new digests are stored ahead, and swapped in."""
    AT_ONCE = "at_once"
    """Converted in the transaction that swaps the others: a small table."""
    EXPIRES = "expires"
    """Left: its rows live for days, and at worst something is processed twice meanwhile."""
    FIRST = "first"
    """Left: it is of the first key of the chain alone, and so never changes."""
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
    "review_queue.content_digest": DigestRotation.FIRST,
    "webhook_inbox.body_digest": DigestRotation.EXPIRES,
    "event.evidence_hash": DigestRotation.STAYS,
    "burst.message_ids": DigestRotation.STAYS,
    "pending_mail_opt_out.digest_prefix": DigestRotation.STAYS,
}
"""Every column of digests; a test compares it with `rights.erasure.personal_data`."""


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
_LOCKED = """address, address_key, contact_external_id, erasure, outgoing_mail, email_stop,
    counted_bounce, rights_request, burst, burst_event, person_access"""

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
CREATE_TRIGGERS = (
    """CREATE OR REPLACE TRIGGER void_next_digests BEFORE UPDATE ON address FOR EACH ROW
    WHEN (OLD.ciphertext IS DISTINCT FROM NEW.ciphertext
        OR OLD.domain_digest IS DISTINCT FROM NEW.domain_digest)
    EXECUTE FUNCTION void_next_digests()""",
    """CREATE OR REPLACE TRIGGER void_next_digests BEFORE UPDATE ON contact_external_id FOR EACH ROW
    WHEN (OLD.ciphertext IS DISTINCT FROM NEW.ciphertext) EXECUTE FUNCTION void_next_digests()""",
    """CREATE OR REPLACE TRIGGER void_next_digests AFTER INSERT ON address_key FOR EACH ROW
    WHEN (current_setting('preference_center.rotating', true) IS DISTINCT FROM 'on')
    EXECUTE FUNCTION void_next_digests_of_address()""",
)
"""One for each table, in a transaction of its own: who waits for one table holds no other."""
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


def end_autovacuum(connection: Connection) -> None:
    """End an autovacuum of the tables to be locked, and let none begin in this transaction.

    PostgreSQL ends it for a waiter after `deadlock_timeout`, a second. Nobody who reads or writes
    waits for this lock.
    """
    connection.execute(
        f"LOCK TABLE {_LOCKED}, key_fingerprint IN SHARE UPDATE EXCLUSIVE MODE".encode()
    )


def add_next_columns(connection: Connection, table: SwappedTable) -> None:
    """Add the columns of one table. Safe to repeat."""
    for column in table.columns:
        if not has_column(connection, table.table, f"next_{column}"):
            connection.execute(f"ALTER TABLE {table.table} ADD COLUMN next_{column} bytea".encode())


def create_trigger(connection: Connection, trigger: str) -> None:
    """Create one of CREATE_TRIGGERS, and the functions. Safe to repeat."""
    connection.execute(_CREATE_FUNCTIONS)
    connection.execute(trigger.encode())


def add_next_indexes(connection: Connection) -> None:
    """Build the indexes of the new columns, and of the rows that lack them.

    Outside of a transaction. Safe to repeat; one that was interrupted is built again. It waits for
    older transactions without a limit, and nobody waits for it.
    """
    with _without_lock_timeout(connection):
        for each in SWAPPED_TABLES:
            _build_indexes(connection, each)


@contextmanager
def _without_lock_timeout(connection: Connection) -> Iterator[None]:
    if isinstance(connection, DeadlineConnection) and connection.is_pooled:
        yield  # its session has no limit of ours
        return
    (timeout,) = connection.execute("SHOW lock_timeout").fetchone() or ("0",)
    connection.execute("SET lock_timeout = 0")
    try:
        yield
    finally:
        connection.execute("SELECT set_config('lock_timeout', %s, false)", (timeout,))


def _build_indexes(connection: Connection, table: SwappedTable) -> None:
    definitions = {f"next_{name}": text for name, text in table.indexes.items()}
    definitions[f"{table.table}_without_next"] = (
        f"CREATE INDEX CONCURRENTLY {{}} ON {table.table} ({table.key}) WHERE next_digest IS NULL"
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
    query = (
        f"SELECT count(*) FROM (SELECT FROM {table.table} WHERE next_digest IS NULL LIMIT %s) AS n"  # noqa: S608 - a constant
    )
    return fetch_count(connection, query.encode(), (limit,))


def lock_for_swap(connection: Connection) -> None:
    """Keep everybody from the tables until this transaction ends. Waits as long as limits allow.

    It waits for `key_fingerprint` first, and keeps nobody from anything yet: while a key waits,
    each transaction begins by reading that table, so nobody whom it waits for waits for it.
    """
    connection.execute("LOCK TABLE key_fingerprint IN ACCESS EXCLUSIVE MODE")
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (APPEND_LOCK,))
    connection.execute(f"LOCK TABLE {_LOCKED} IN ACCESS EXCLUSIVE MODE".encode())


def swap_columns(connection: Connection) -> None:
    """Make the new digests the digests. The old ones are in `previous_` columns from now on.

    No table is scanned meanwhile: see `validate_digests`.
    """
    connection.execute(_DROP_TRIGGERS)
    for each in SWAPPED_TABLES:
        for column in each.columns:
            for old, new in ((column, f"previous_{column}"), (f"next_{column}", column)):
                connection.execute(f"ALTER TABLE {each.table} RENAME {old} TO {new}".encode())
        connection.execute(f"DROP INDEX {each.table}_without_next".encode())
        connection.execute(
            f"ALTER TABLE {each.table} ADD CONSTRAINT {each.table}_has_digest"
            " CHECK (digest IS NOT NULL) NOT VALID".encode()
        )
    connection.execute("""
        ALTER TABLE address ALTER COLUMN previous_digest DROP NOT NULL;
        DROP INDEX address_digest;
        ALTER INDEX next_address_digest RENAME TO address_digest;
        DROP INDEX address_domain;
        ALTER INDEX next_address_domain RENAME TO address_domain;
        ALTER TABLE contact_external_id DROP CONSTRAINT contact_external_id_pkey;
        ALTER TABLE contact_external_id ALTER COLUMN previous_digest DROP NOT NULL;
    """)


def validate_digests(connection: Connection) -> None:
    """Scan the tables for rows without a digest, which nobody waits for. Safe to repeat.

    Outside of a transaction, and without a limit on the wait for other such scans.
    """
    with _without_lock_timeout(connection):
        for each in SWAPPED_TABLES:
            if _checks_digests(connection, each):
                connection.execute(
                    f"ALTER TABLE {each.table} VALIDATE CONSTRAINT {each.table}_has_digest".encode()
                )


def require_digests(connection: Connection, table: SwappedTable) -> None:
    """Make the digest NOT NULL, and the primary key where it was. Safe to repeat.

    The valid constraint proves that there is none: nothing is scanned.
    """
    if not _checks_digests(connection, table):
        return
    connection.execute(f"ALTER TABLE {table.table} ALTER COLUMN digest SET NOT NULL".encode())
    if f"{table.table}_pkey" in table.indexes:
        connection.execute(
            f"ALTER TABLE {table.table} ADD CONSTRAINT {table.table}_pkey"
            f" PRIMARY KEY USING INDEX next_{table.table}_pkey".encode()
        )
    connection.execute(
        f"ALTER TABLE {table.table} DROP CONSTRAINT {table.table}_has_digest".encode()
    )


def _checks_digests(connection: Connection, table: SwappedTable) -> bool:
    found = connection.execute(
        "SELECT FROM pg_constraint WHERE conrelid = %s::regclass AND conname = %s",
        (table.table, f"{table.table}_has_digest"),
    )
    return found.fetchone() is not None


def drop_previous_columns(connection: Connection, table: SwappedTable) -> None:
    """Drop the old columns of one table, which are empty by now."""
    drops = ", ".join(f"DROP COLUMN IF EXISTS previous_{name}" for name in table.columns)
    connection.execute(f"ALTER TABLE {table.table} {drops}".encode())
