"""This module finds the statements of an import that the ledger has already."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from preference_center.core.deadlines import UNDO_PERIOD
from preference_center.core.events import (
    ALL_MARKETING,
    CONSENT_KINDS,
    IMPORT_SOURCE,
    KEPT_BY_OPT_OUTS,
    NOT_MARKETING,
    UNDELIVERABLE,
    EventKind,
)
from preference_center.core.events import MOVE_SOURCE as MOVE
from preference_center.infra.db.transactions import Connection
from preference_center.ledger.store.lookup import KINDS_MAY_MATCH


@dataclass(frozen=True, slots=True)
class MatchQuery:
    """One statement of a row: of this digest, on this channel, for this scope."""

    digest: bytes
    channel: str
    scope: str
    received_at: datetime
    is_opt_in: bool
    """Whether it is a subscription, not an opt-out."""


@dataclass(frozen=True, slots=True)
class ImportMatch:
    """The newest event of the same kind, and for an opt-out the newest own lift of its scope.

    The lift is of any form of the mailbox: the opt-out is not active for what was lifted (I9).
    """

    counts_at: datetime
    lifted_at: datetime | None
    import_id: UUID | None
    """The import that recorded it, if one did."""

    def is_redundant(self, counts_at: datetime | None) -> bool:
        """Whether recording it again changes nothing: it is as new, or undated and still active."""
        if counts_at is None:
            return self.lifted_at is None or self.counts_at >= self.lifted_at
        return self.counts_at >= counts_at


_OPT_OUT_KINDS = [kind.value for kind in EventKind if kind.suppresses]


_NOT_MARKETING = ", ".join(f"'{scope}'" for scope in sorted(NOT_MARKETING))


_KEPT_BY_OPT_OUTS = ", ".join(f"'{scope}'" for scope in sorted(KEPT_BY_OPT_OUTS))


_SELECT_MATCHES = f"""
SELECT given.n, newest.counts_at, lift.counts_at, newest.import_id
FROM unnest(%(indexes)b::int[], %(digests)b::bytea[], %(channels)b::text[], %(scopes)b::text[],
    %(received)b::timestamptz[], %(is_opt_in)b::boolean[])
    AS given (n, digest, channel, scope, received_at, is_opt_in)
JOIN address ON address.digest = given.digest AND address.channel = given.channel
CROSS JOIN LATERAL (
    SELECT e.counts_at, CASE WHEN e.source = '{IMPORT_SOURCE}'
        THEN v.evidence->>'import' END AS import_id
    FROM event e LEFT JOIN event_evidence v ON v.event_id = e.id
    WHERE e.address_id = address.id AND e.scope = given.scope AND e.source <> '{MOVE}'
        AND NOT EXISTS (SELECT FROM retraction r WHERE r.event_id = e.id OFFSET 0)
        AND e.kind = ANY(
            CASE WHEN given.is_opt_in THEN %(opt_ins)s::text[] ELSE %(opt_outs)s::text[] END)
        AND e.id NOT BETWEEN %(first)s AND %(last)s
        AND NOT (e.own AND e.received_at > %(undoable_since)s)
        AND (given.is_opt_in OR e.received_at <= given.received_at)
        AND (e.source = '{IMPORT_SOURCE}'
            AND v.evidence->>'import' = ANY(%(undoing)s::text[])) IS NOT TRUE
    ORDER BY e.counts_at DESC, import_id NULLS FIRST LIMIT 1
) AS newest
LEFT JOIN LATERAL (
    SELECT max(s.lift_at) AS counts_at FROM address_key a
    JOIN address_key b ON b.digest = a.digest AND b.channel = a.channel AND {KINDS_MAY_MATCH} <> 0
    JOIN suppression s ON s.address_id = b.address_id
    WHERE a.address_id = address.id AND (s.scope = given.scope
        OR (given.scope = '{ALL_MARKETING}' AND s.scope NOT IN ({_KEPT_BY_OPT_OUTS}))
        OR (given.scope = '{UNDELIVERABLE}' AND s.scope NOT IN ({_NOT_MARKETING})))
) AS lift ON NOT given.is_opt_in
"""  # noqa: S608 - constants of this module
"""What may be undone is no match, as it would take with it what is not recorded for it (I5): what a
correction of an address recorded, and a press on a page of the last half hour. Nor is an opt-out
that was received later than this one, whose 72 hours began earlier (I3).
"""


def find_matches(
    connection: Connection,
    queries: Sequence[MatchQuery],
    *,
    own_event_range: tuple[UUID, UUID],
    undoing_imports: Collection[UUID],
    now: datetime,
) -> dict[int, ImportMatch]:
    """The matches of these queries, by their index. Events must be of exactly this form.

    Events with ids in `own_event_range` are ignored, so that a row that is in a file twice is
    treated as in the plan; so are those of `undoing_imports`.
    """
    rows = connection.execute(
        _SELECT_MATCHES,
        {
            "indexes": list(range(len(queries))),
            "digests": [query.digest for query in queries],
            "channels": [query.channel for query in queries],
            "scopes": [query.scope for query in queries],
            "received": [query.received_at for query in queries],
            "is_opt_in": [query.is_opt_in for query in queries],
            "opt_outs": _OPT_OUT_KINDS,
            "opt_ins": [kind.value for kind in CONSENT_KINDS],
            "first": own_event_range[0],
            "last": own_event_range[1],
            "undoing": [str(each) for each in undoing_imports],
            "undoable_since": now - UNDO_PERIOD,
        },
        binary=True,
    )
    return {row[0]: ImportMatch(row[1], row[2], row[3] and UUID(row[3])) for row in rows}
