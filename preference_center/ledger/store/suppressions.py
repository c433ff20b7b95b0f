"""These functions list active suppressions, and opt-outs by mail whose address is not known yet.

Suppressions are listed by a key that never changes: address id and scope. A page continues after
the last key that was scanned, so a suppression that is active from the first page to the last is
listed once, whatever is written meanwhile. No page scans more than MAX_SCANNED_ROWS.

A mail token identifies an address by half of its digest. Until the address is stored, only that
half, the scope and the time are kept; nothing of the mail itself (I8). Checks apply these opt-outs
already.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from preference_center.core.addresses import Channel
from preference_center.core.events import ALL_MARKETING, UNDELIVERABLE, EventKind
from preference_center.core.keys import DIGEST_BYTES, Keys
from preference_center.core.links.tokens import DIGEST_PREFIX_BYTES
from preference_center.infra.db.transactions import Connection
from preference_center.ledger.models import MAY_BE_ACTIVE
from preference_center.ledger.store.addresses import find_by_digest_prefix

MAX_SCANNED_ROWS = 20_000


SuppressionKey = tuple[int, str]


FIRST_KEY: SuppressionKey = (0, "")


@dataclass(frozen=True, slots=True)
class SuppressionFilter:
    """Criteria; a suppression must meet all that are given."""

    scope: str | None = None
    reason: EventKind | None = None
    channel: Channel | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True, repr=False)
class ListedSuppression:
    """One active suppression. `address` is None where only its digest is known (I6)."""

    key: SuppressionKey
    channel: Channel
    address: str | None
    scope: str
    reason: EventKind
    since: datetime
    until: datetime | None
    """The end of a pause."""
    event: UUID
    source: str


@dataclass(frozen=True, slots=True)
class SuppressionPage:
    """Suppressions in the order of their keys; `next_key` if there may be more after it."""

    suppressions: Sequence[ListedSuppression]
    next_key: SuppressionKey | None


# LATERAL with a LIMIT keeps the planner from a merge join, which would read all addresses up to
# those of the page. The expressions are those of the indexes (`ledger.models`). A lift of all
# marketing ends a bounce, which has a scope of its own (`destinations.rules.delivery`); the row of
# one that it ended, and of a suppression by counted bounces since, keeps its reason.
_ACTIVE_REASON = "(CASE WHEN s.active THEN s.reason ELSE 'paused' END)"


_SELECT = f"""
SELECT s.address_id, s.scope, {_ACTIVE_REASON}, a.channel, a.digest, a.ciphertext,
    CASE WHEN state.off THEN s.out_at ELSE s.pause_at END AS since,
    CASE WHEN NOT state.off THEN s.pause_until END AS until,
    CASE WHEN state.off THEN s.out_event ELSE s.pause_event END AS event,
    state.off OR COALESCE(s.pause_until > %(now)s AND s.pause_at >= lifts.newest, false)
        AS is_active
FROM suppression s CROSS JOIN LATERAL (SELECT channel, digest, ciphertext FROM address
    WHERE id = s.address_id LIMIT 1) AS a
CROSS JOIN LATERAL (SELECT COALESCE(GREATEST(s.lift_at, CASE WHEN s.scope = '{UNDELIVERABLE}' THEN (
    SELECT lift_at FROM suppression
    WHERE address_id = s.address_id AND scope = '{ALL_MARKETING}') END), '-infinity') AS newest
    ) AS lifts
CROSS JOIN LATERAL (SELECT COALESCE(s.out_at >= lifts.newest, false) AS off) AS state
WHERE (s.active OR s.pause_until IS NOT NULL)
"""  # noqa: S608 - constants


_AFTER = " AND (s.address_id, s.scope) > (%(address)s, %(scope_before)s)"


_BY_SCOPE = " AND s.scope = %(scope)s AND s.address_id > %(address)s"


_BY_REASON = f" AND {_ACTIVE_REASON} = %(reason)s{_AFTER}"


_ORDER = " ORDER BY s.address_id, s.scope LIMIT %(limit)s"


def list_active_suppressions(
    connection: Connection,
    keys: Keys,
    criteria: SuppressionFilter,
    after: SuppressionKey,
    limit: int,
    now: datetime,
) -> SuppressionPage:
    """Up to `limit` suppressions whose key comes after `after`.

    `next_key` is also set if MAX_SCANNED_ROWS were scanned and fewer were found.
    """
    query = _query(criteria)
    found: list[tuple[Any, ...]] = []
    scanned, chunk = 0, limit + 1
    while True:
        given = {"scope": criteria.scope, "reason": criteria.reason, "now": now, "limit": chunk}
        given |= {"address": after[0], "scope_before": after[1]}
        rows = connection.execute(query, given, binary=True).fetchall()
        for row in rows:
            if _matches(row, criteria):
                if len(found) == limit:
                    return SuppressionPage(_to_suppressions(connection, keys, found), found[-1][:2])
                found.append(row)
        scanned += len(rows)
        if len(rows) < chunk:
            return SuppressionPage(_to_suppressions(connection, keys, found), None)
        after, chunk = rows[-1][:2], min(2 * chunk, MAX_SCANNED_ROWS - scanned)
        if chunk <= 0:
            return SuppressionPage(_to_suppressions(connection, keys, found), after)


def _query(criteria: SuppressionFilter) -> str:
    """The query by the index that leaves the fewest rows: nearly every reason is an opt-out."""
    by_reason = criteria.reason is not None and criteria.reason is not EventKind.OPTED_OUT
    if by_reason or (criteria.reason and criteria.scope is None):
        return _SELECT + _BY_REASON + _ORDER
    return _SELECT + (_AFTER if criteria.scope is None else _BY_SCOPE) + _ORDER


def _matches(row: Sequence[Any], criteria: SuppressionFilter) -> bool:
    _, scope, reason, channel, _, _, since, _, _, is_active = row
    return bool(
        is_active
        and criteria.scope in {None, scope}
        and criteria.reason in {None, reason}
        and criteria.channel in {None, channel}
        and (criteria.since is None or since >= criteria.since)
    )


def _to_suppressions(
    connection: Connection, keys: Keys, rows: Sequence[tuple[Any, ...]]
) -> list[ListedSuppression]:
    events = connection.execute(
        "SELECT id, source FROM event WHERE id = ANY(%(ids)b)",
        {"ids": [row[8] for row in rows]},
        binary=True,
    )
    sources: dict[UUID, str] = {row[0]: row[1] for row in events}
    return [
        ListedSuppression(
            key=(address_id, scope),
            channel=Channel(channel),
            address=None if ciphertext is None else keys.open(ciphertext, context=digest),
            scope=scope,
            reason=EventKind(reason),
            since=since,
            until=until,
            event=event,
            source=sources[event],
        )
        for address_id, scope, reason, channel, digest, ciphertext, since, until, event, _ in rows
    ]


def list_suppressed_topics(
    connection: Connection, topics: Collection[str], now: datetime
) -> frozenset[str]:
    """Those of `topics` that must not be deleted: an opt-out or a running pause refers to them.

    Reads the index of those that may be active, and that of opt-outs that were lifted.
    """
    rows = connection.execute(
        f"""SELECT topic FROM unnest(%s::text[]) AS topic WHERE EXISTS (
            SELECT FROM suppression WHERE scope = topic AND ({MAY_BE_ACTIVE})
                AND (out_at IS NOT NULL OR pause_until > %s)
        ) OR EXISTS (
            SELECT FROM suppression WHERE scope = topic AND out_at IS NOT NULL AND NOT active)""",  # noqa: S608 - a constant
        (list(topics), now),
    )
    return frozenset(row[0] for row in rows)


def count_chosen_frequencies(connection: Connection) -> dict[tuple[str, str], int]:
    """How many addresses chose each frequency, by topic and key. Reads the index of those."""
    rows = connection.execute(
        """SELECT scope, frequency, count(*) FROM suppression WHERE frequency IS NOT NULL
        GROUP BY scope, frequency"""
    )
    return {(scope, key): number for scope, key, number in rows}


@dataclass(frozen=True, slots=True)
class PendingMailOptOut:
    """One opt-out by mail, or what a bounce or complaint stops, whose address is not known yet.

    Times are UTC; `scope` is None while no catalogue has its topic.
    """

    id: UUID
    digest_prefix: bytes
    scope_hash: bytes
    """That of a complaint differs from that of an opt-out of the same scope."""
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
