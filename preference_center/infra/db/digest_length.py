"""How many of the digest keys the stored digests were made with, and keeping to it.

While a key waits to be rotated in, each transaction asks. Otherwise only a new connection does:
so a process that does not have the newest key is stopped when it connects again.
"""

from __future__ import annotations

from typing import Any

import psycopg

from preference_center.core.keys import Keys

_SELECT_LENGTH = "SELECT count(*) FROM key_fingerprint WHERE key LIKE 'digest:%'"
APPEND_LOCK = 0x7265747261637421
"""Advisory lock: shared for appends; exclusive to retract an event that is not stored yet, and to
change the digest keys in use."""


APPLICATION_NAME = "preference_center"


def application_name(keys: Keys) -> str:
    """The name of our sessions: it shows how many digest keys a process has been given."""
    return f"{APPLICATION_NAME}/{len(keys.digest_chain)}"


def load_digest_length(connection: psycopg.Connection[tuple[Any, ...]]) -> int | None:
    """How many digest keys are in use; None if the database has none yet."""
    row = connection.execute(_SELECT_LENGTH).fetchone()
    return row[0] or None if row else None


def follow_on_connect(connection: psycopg.Connection[tuple[Any, ...]], keys: Keys) -> None:
    """Make `keys` follow the database that this new connection is to.

    Raises KeyMismatch if the newest one is missing.
    """
    try:
        length = load_digest_length(connection)
    except psycopg.errors.UndefinedTable:  # before the first migration
        return
    if length is not None:
        keys.follow(length)


def follow_if_waiting(connection: psycopg.Connection[tuple[Any, ...]], keys: Keys) -> None:
    """Make `keys` follow the database while one of them waits to be used."""
    if keys.is_digest_key_waiting:
        length = load_digest_length(connection)
        if length is not None:
            keys.follow(length)


def hold_digest_length(connection: psycopg.Connection[tuple[Any, ...]], keys: Keys) -> None:
    """Keep the digest keys in use as they are until this transaction ends.

    To be called before digests are made that will be stored. Does nothing while no key waits.
    """
    if keys.is_digest_key_waiting:
        connection.execute("SELECT pg_advisory_xact_lock_shared(%s)", (APPEND_LOCK,))
        follow_if_waiting(connection, keys)


def list_other_applications(
    connection: psycopg.Connection[tuple[Any, ...]], name: str
) -> list[int]:
    """The server processes of our sessions in this database with another application name."""
    rows = connection.execute(
        """SELECT pid FROM pg_stat_activity WHERE datname = current_database()
        AND application_name LIKE %s AND application_name <> %s ORDER BY pid""",
        (f"{APPLICATION_NAME}/%", name),
    )
    return [row[0] for row in rows]
