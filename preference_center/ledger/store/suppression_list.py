"""Listing active suppressions by a key that never changes: address id and scope.

A page continues after the last key that was scanned, so a suppression that is active from the
first page to the last is listed once, whatever is written meanwhile. No page scans more than
MAX_SCANNED_ROWS.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from preference_center.core.addresses import Channel
from preference_center.core.events import ALL_MARKETING, UNDELIVERABLE, EventKind
from preference_center.core.keys import Keys
from preference_center.infra.db.transactions import Connection
from preference_center.ledger.models.ledger import MAY_BE_ACTIVE

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
# those of the page. The expressions are those of the indexes (`tables.ledger`). A lift of all
# marketing ends a bounce, which has a scope of its own (`delivery_status.active_suppressions`).
_ACTIVE_REASON = "(CASE WHEN s.active THEN s.reason ELSE 'paused' END)"
_SELECT = f"""
SELECT s.address_id, s.scope, {_ACTIVE_REASON}, a.channel, a.digest, a.ciphertext,
    CASE WHEN s.active THEN s.out_at ELSE s.pause_at END AS since,
    CASE WHEN NOT s.active THEN s.pause_until END AS until,
    CASE WHEN s.active THEN s.out_event ELSE s.pause_event END AS event,
    (s.active OR s.pause_until > %(now)s AND (s.lift_at IS NULL OR s.pause_at >= s.lift_at))
        AND (s.scope <> '{UNDELIVERABLE}' OR NOT COALESCE((
            SELECT all_marketing.lift_at > CASE WHEN s.active THEN s.out_at ELSE s.pause_at END
            FROM suppression all_marketing
            WHERE all_marketing.address_id = s.address_id
                AND all_marketing.scope = '{ALL_MARKETING}'), false))
    AS is_active
FROM suppression s CROSS JOIN LATERAL (SELECT channel, digest, ciphertext FROM address
    WHERE id = s.address_id LIMIT 1) AS a
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

    Reads an index for a topic with active suppressions, and all suppressions for one without any.
    """
    rows = connection.execute(
        f"""SELECT topic FROM unnest(%s::text[]) AS topic WHERE EXISTS (
            SELECT FROM suppression WHERE scope = topic AND ({MAY_BE_ACTIVE})
                AND (out_at IS NOT NULL OR pause_until > %s)
        ) OR EXISTS (SELECT FROM suppression WHERE scope = topic AND out_at IS NOT NULL)""",  # noqa: S608 - a constant
        (list(topics), now),
    )
    return frozenset(row[0] for row in rows)


def count_chosen_frequencies(connection: Connection) -> dict[tuple[str, str], int]:
    """How many addresses chose each frequency, by topic and key. Reads all suppressions."""
    rows = connection.execute(
        """SELECT scope, frequency, count(*) FROM suppression WHERE frequency IS NOT NULL
        GROUP BY scope, frequency"""
    )
    return {(scope, key): number for scope, key, number in rows}
