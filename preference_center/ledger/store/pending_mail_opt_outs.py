"""Opt-outs by mail whose address is not known yet. Checks apply them already.

A mail token identifies an address by half of its digest. Until the address is stored, only that
half, the scope and the time are kept; nothing of the mail itself (I8).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from preference_center.core.keys import DIGEST_BYTES, Keys
from preference_center.core.links.tokens import DIGEST_PREFIX_BYTES
from preference_center.infra.db.transactions import Connection
from preference_center.ledger.store.addresses import find_by_digest_prefix


@dataclass(frozen=True, slots=True)
class PendingMailOptOut:
    """One opt-out by mail. Times are UTC; `scope` is None while no catalogue has its topic."""

    id: UUID
    digest_prefix: bytes
    scope_hash: bytes
    scope: str | None
    key_id: str
    issued_on: date | None
    received_at: datetime
    """The first time: the window of 72 hours begins here."""
    last_received_at: datetime
    """The last time: a repeat after an opt-in must count after that."""


_INSERT = """
INSERT INTO pending_mail_opt_out AS u (id, digest_prefix, scope_hash, scope, key_id, issued_on,
    received_at, last_received_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (digest_prefix, scope_hash) DO UPDATE SET
    scope = COALESCE(u.scope, EXCLUDED.scope),
    received_at = LEAST(u.received_at, EXCLUDED.received_at),
    last_received_at = GREATEST(u.last_received_at, EXCLUDED.last_received_at)
"""
"""A repeat does not reopen a dismissed one: its address is still unknown."""

_COLUMNS = """id, digest_prefix, scope_hash, scope, key_id, issued_on, received_at,
    last_received_at"""


def insert_pending(connection: Connection, rows: Sequence[PendingMailOptOut]) -> None:
    """Store these. Those of one address and scope share a row, with the first and last time."""
    with connection.cursor() as cursor:
        cursor.executemany(
            _INSERT,
            [
                (
                    row.id,
                    row.digest_prefix,
                    row.scope_hash,
                    row.scope,
                    row.key_id,
                    row.issued_on,
                    row.received_at,
                    row.last_received_at,
                )
                # All writers use the same order, to avoid deadlocks.
                for row in sorted(rows, key=lambda row: (row.digest_prefix, row.scope_hash))
            ],
        )


def list_oldest(connection: Connection, limit: int) -> list[PendingMailOptOut]:
    """The `limit` that have waited longest."""
    query = f"SELECT {_COLUMNS} FROM pending_mail_opt_out ORDER BY received_at, id LIMIT %s"  # noqa: S608 - constants of this module
    return [PendingMailOptOut(*row) for row in connection.execute(query, (limit,))]


def list_open(connection: Connection, limit: int) -> list[PendingMailOptOut]:
    """The `limit` that have waited longest, of those that were not dismissed."""
    query = f"""SELECT {_COLUMNS} FROM pending_mail_opt_out WHERE dismissed_at IS NULL
    ORDER BY received_at, id LIMIT %s"""  # noqa: S608 - constants of this module
    return [PendingMailOptOut(*row) for row in connection.execute(query, (limit,))]


def list_by_prefix(connection: Connection, prefixes: Sequence[bytes]) -> list[PendingMailOptOut]:
    """Those of these digest prefixes."""
    query = f"SELECT {_COLUMNS} FROM pending_mail_opt_out WHERE digest_prefix = ANY(%s)"  # noqa: S608 - constants of this module
    return [PendingMailOptOut(*row) for row in connection.execute(query, (list(prefixes),))]


def count_pending(connection: Connection) -> int:
    """How many there are."""
    row = connection.execute("SELECT count(*) FROM pending_mail_opt_out").fetchone()
    return int(row[0]) if row else 0


PendingPosition = tuple[bytes, bytes]
"""Digest prefix and scope hash of a row: rows are listed in this order."""
FIRST_POSITION: PendingPosition = (b"", b"")


@dataclass(frozen=True, slots=True)
class ResolvablePage:
    """Rows whose address is readable now, with its canonical form, and where to continue."""

    rows: Sequence[tuple[PendingMailOptOut, str]]
    next_position: PendingPosition | None


_SELECT_RESOLVABLE = f"""
WITH page AS (
    SELECT *, row_number() OVER (ORDER BY digest_prefix, scope_hash) AS n
    FROM (SELECT * FROM pending_mail_opt_out
        WHERE (digest_prefix, scope_hash) > (%(prefix)s, %(scope_hash)s)
        ORDER BY digest_prefix, scope_hash LIMIT %(limit)s) AS batch
)
SELECT {_COLUMNS}, n, a.digest, a.ciphertext FROM page LEFT JOIN LATERAL (
    SELECT digest, ciphertext FROM address
    WHERE digest BETWEEN page.digest_prefix AND page.digest_prefix || %(suffix)s::bytea
        AND channel = 'email' AND ciphertext IS NOT NULL LIMIT 1) AS a ON true
WHERE a.digest IS NOT NULL OR n = (SELECT max(n) FROM page)
ORDER BY n
"""  # noqa: S608 - constants of this module
"""In the order of their index, which is also that of the addresses' digests, so that neighbouring
rows find their addresses on the same pages. The last row is always returned, to continue from.
"""


def list_resolvable(
    connection: Connection, keys: Keys, after: PendingPosition, limit: int
) -> ResolvablePage:
    """Of the `limit` rows after this position, those whose address is stored and readable."""
    if keys.digest_length > 1:
        return _list_resolvable_by_earlier_keys(connection, keys, after, limit)
    given = {
        "prefix": after[0],
        "scope_hash": after[1],
        "limit": limit,
        "suffix": b"\xff" * (DIGEST_BYTES - DIGEST_PREFIX_BYTES),
    }
    rows = connection.execute(_SELECT_RESOLVABLE, given).fetchall()
    found = [
        (PendingMailOptOut(*columns), keys.open(ciphertext, context=digest))
        for *columns, _, digest, ciphertext in rows
        if digest is not None
    ]
    if not rows or rows[-1][-3] < limit:
        return ResolvablePage(found, None)
    last = PendingMailOptOut(*rows[-1][:-3])
    return ResolvablePage(found, (last.digest_prefix, last.scope_hash))


def _list_resolvable_by_earlier_keys(
    connection: Connection, keys: Keys, after: PendingPosition, limit: int
) -> ResolvablePage:
    """The same where a token may be older than the rotation of the digest keys."""
    rows = connection.execute(
        f"""SELECT {_COLUMNS} FROM pending_mail_opt_out WHERE (digest_prefix, scope_hash) > (%s, %s)
        ORDER BY digest_prefix, scope_hash LIMIT %s""",  # noqa: S608 - a constant
        (*after, limit),
    )
    page = [PendingMailOptOut(*row) for row in rows]
    known = find_by_digest_prefix(connection, keys, {row.digest_prefix for row in page})
    exact = [(row, known.get(row.digest_prefix)) for row in page]
    found = [(row, address) for row, address in exact if address is not None]
    last = page[-1] if len(page) == limit else None
    return ResolvablePage(found, (last.digest_prefix, last.scope_hash) if last else None)


def dismiss_pending(connection: Connection, pending_id: UUID, reason: str, now: datetime) -> bool:
    """Record that its address can't be found: it is not late any more. Checks still apply it.

    It is recorded if the address is stored later. False if there is none, or it was dismissed.
    """
    done = connection.execute(
        """UPDATE pending_mail_opt_out SET dismissed_at = %s, dismissal_reason = %s
        WHERE id = %s AND dismissed_at IS NULL""",
        (now, reason, pending_id),
    )
    return done.rowcount > 0


def delete_resolved(connection: Connection, rows: Collection[PendingMailOptOut]) -> None:
    """Delete these, which the ledger has now, unless another mail was received meanwhile."""
    connection.execute(
        """DELETE FROM pending_mail_opt_out u
        USING unnest(%s::uuid[], %s::timestamptz[]) AS given (id, last_received_at)
        WHERE u.id = given.id AND u.last_received_at = given.last_received_at""",
        ([row.id for row in rows], [row.last_received_at for row in rows]),
    )
