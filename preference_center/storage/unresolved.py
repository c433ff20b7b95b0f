"""Opt-outs by mail whose address nobody knows yet: kept, honoured, never guessed.

A mail token names an address by half of its digest. Until the address turns up, all that
there is to keep is that half, the scope and the time; nothing of the mail itself (I8).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from preference_center.storage.database import Connection


@dataclass(frozen=True, slots=True)
class Unresolved:
    """One "no" by mail. Times are UTC; `scope` is None while no catalogue has its topic."""

    id: UUID
    digest_prefix: bytes
    scope_mark: bytes
    scope: str | None
    key_id: str
    issued_on: date | None
    received_at: datetime
    """The first time: the 72 hours run from here."""
    last_received_at: datetime
    """The newest time: a repeat after an opt-in must count after it."""


_KEEP = """
INSERT INTO inbound_unresolved AS u (id, digest_prefix, scope_mark, scope, key_id, issued_on,
    received_at, last_received_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (digest_prefix, scope_mark) DO UPDATE SET
    scope = COALESCE(u.scope, EXCLUDED.scope),
    received_at = LEAST(u.received_at, EXCLUDED.received_at),
    last_received_at = GREATEST(u.last_received_at, EXCLUDED.last_received_at)
"""

_COLUMNS = """id, digest_prefix, scope_mark, scope, key_id, issued_on, received_at,
    last_received_at"""


def keep(connection: Connection, rows: Sequence[Unresolved]) -> None:
    """Store these; one of the same address and scope is kept once, with both its times."""
    with connection.cursor() as cursor:
        cursor.executemany(
            _KEEP,
            [
                (
                    row.id,
                    row.digest_prefix,
                    row.scope_mark,
                    row.scope,
                    row.key_id,
                    row.issued_on,
                    row.received_at,
                    row.last_received_at,
                )
                # In one order for all writers, so that none waits in a ring.
                for row in sorted(rows, key=lambda row: (row.digest_prefix, row.scope_mark))
            ],
        )


def every(connection: Connection) -> list[Unresolved]:
    """All of them, the one that has waited longest first."""
    query = f"SELECT {_COLUMNS} FROM inbound_unresolved ORDER BY received_at, id"  # noqa: S608 - constants of this module
    return [Unresolved(*row) for row in connection.execute(query)]


def settle(connection: Connection, rows: Collection[Unresolved]) -> None:
    """Forget these, now that the ledger has them, unless another mail came meanwhile."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "DELETE FROM inbound_unresolved WHERE id = %s AND last_received_at = %s",
            [(row.id, row.last_received_at) for row in rows],
        )
