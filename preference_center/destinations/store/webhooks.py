"""Webhooks of tools are stored as they arrived, sealed; then they are processed, and deleted.

Vendor events that were acknowledged and not understood are kept until somebody decides (I1, I3).
Each is stored with the questions that it leaves open: a body that cannot be parsed, a type that
its integration does not know, a target that no topic maps to. The sealed body stays in
`webhook_inbox` while one of its questions is open.

Types of vendor events that tools reported and no integration knows are stored with their counts.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from preference_center.core.deadlines import AT_RISK, WINDOW, DeadlineStage, deadline_stage
from preference_center.core.keys import Keys
from preference_center.destinations.rules.promise import BacklogKind
from preference_center.destinations.store.states import MAX_LATE_PER_STAGE
from preference_center.infra.db.transactions import Connection, fetch_count
from preference_center.infra.keys.sealed_columns import webhook_context

BODY_RETENTION = timedelta(days=7)
"""How long a body is kept after it was received, for replays. It is kept longer while it is not
processed, or has an open question (`undecided_event`)."""


INGESTED_OUTCOME = "ingested"
"""The outcome of one whose events were recorded, or needed no record."""


UNREADABLE_OUTCOME = "unreadable"
"""The outcome of one that its integration cannot parse."""


INSERT_WEBHOOK = """
WITH receiver AS (
    SELECT id FROM destination WHERE id = %(destination)s FOR KEY SHARE
), stored AS (
    INSERT INTO webhook_inbox (id, destination_id, body_digest, body, received_at, next_at)
    SELECT %(id)s, id, %(body_digest)s, %(body)s, %(now)s, %(now)s FROM receiver
    ON CONFLICT (destination_id, body_digest) DO NOTHING RETURNING id
)
SELECT EXISTS (SELECT FROM stored) FROM receiver
"""


MAX_CLAIMED_BYTES = 4_000_000
"""How much is held in memory, and processed within one lease."""


@dataclass(frozen=True, slots=True)
class StoredWebhook:
    """One verified body, held until its lease ends."""

    id: UUID
    body: bytes
    received_at: datetime
    attempts: int


def insert_webhook(
    connection: Connection,
    keys: Keys,
    webhook_id: UUID,
    destination: int,
    body: bytes,
    now: datetime,
) -> bool | None:
    """Store a body to be processed; False if the tool had sent the same one before.

    None, and nothing is stored, if the destination was removed: see `remove_destination`.
    """
    body_digest = keys.digest_sha256(hashlib.sha256(body).digest())
    sealed = _seal_body(keys, body, webhook_id)
    given = {"id": webhook_id, "destination": destination, "body": sealed, "now": now}
    given |= {"body_digest": body_digest}
    row = connection.execute(INSERT_WEBHOOK, given).fetchone()
    return None if row is None else bool(row[0])


def consume_webhook_token(
    connection: Connection,
    keys: Keys,
    webhook_id: UUID,
    destination: int,
    token: str,
    now: datetime,
) -> bool:
    """Record that this webhook used a token; False if another webhook did before."""
    row = connection.execute(
        """INSERT INTO used_webhook_token AS u (destination_id, token_digest, webhook_id, used_at)
        VALUES (%s, %s, %s, %s)
        ON CONFLICT (destination_id, token_digest) DO UPDATE SET used_at = u.used_at
        WHERE u.webhook_id = EXCLUDED.webhook_id RETURNING u.webhook_id""",
        (destination, keys.digest_sha256(hashlib.sha256(token.encode()).digest()), webhook_id, now),
    ).fetchone()
    return row is not None


def count_due_webhooks(connection: Connection, now: datetime) -> dict[int, int]:
    """Destinations with webhooks to be processed, and how many (to 10,000).

    Whatever the destination's status (I13).
    """
    rows = connection.execute(
        """SELECT d.id, (SELECT count(*) FROM (SELECT FROM webhook_inbox
            WHERE destination_id = d.id AND next_at <= %s LIMIT 10000) AS due)
        FROM destination d""",
        (now,),
    )
    return {row[0]: row[1] for row in rows if row[1]}


def claim_webhooks(
    connection: Connection,
    keys: Keys,
    destination: int,
    *,
    now: datetime,
    until: datetime,
    limit: int,
) -> list[StoredWebhook]:
    """Claim up to `limit` webhooks, the oldest first, until `until`.

    Together they have at most MAX_CLAIMED_BYTES, unless a single one has more.
    """
    rows = connection.execute(
        """WITH due AS (
            SELECT id, next_at, octet_length(body) AS size
            FROM webhook_inbox WHERE destination_id = %s AND next_at <= %s
            ORDER BY next_at, id LIMIT %s FOR UPDATE SKIP LOCKED
        ), within_size AS (
            SELECT id, sum(size) OVER (ORDER BY next_at, id) - size AS preceding_bytes FROM due
        )
        UPDATE webhook_inbox p SET next_at = %s, attempts = attempts + 1 FROM within_size
        WHERE p.id = within_size.id AND within_size.preceding_bytes < %s
        RETURNING p.id, p.body, p.received_at, p.attempts""",
        (destination, now, limit, until, MAX_CLAIMED_BYTES),
    )
    found = [
        StoredWebhook(number, _open_body(keys, body, number), at, attempts)
        for number, body, at, attempts in rows
    ]
    return sorted(found, key=lambda webhook: (webhook.received_at, webhook.id))


def record_processed(connection: Connection, webhook_ids: Sequence[UUID], outcome: str) -> None:
    """Mark these as done with this outcome; they are kept for a while, for replays."""
    connection.execute(
        "UPDATE webhook_inbox SET next_at = NULL, outcome = %s WHERE id = ANY(%s)",
        (outcome[:200], list(webhook_ids)),
    )


def defer_webhook(connection: Connection, webhook_id: UUID, at: datetime, reason: str) -> None:
    """It could not be processed: retry at `at`."""
    connection.execute(
        "UPDATE webhook_inbox SET next_at = %s, outcome = %s WHERE id = %s",
        (at, reason[:200], webhook_id),
    )


def replay_webhooks(
    connection: Connection, destination: int, since: datetime, now: datetime
) -> int:
    """Process again all that were received since then and are still stored; returns how many."""
    return connection.execute(
        """UPDATE webhook_inbox SET next_at = %s, attempts = 0
        WHERE destination_id = %s AND received_at >= %s AND next_at IS NULL""",
        (now, destination, since),
    ).rowcount


def requeue_webhooks(
    connection: Connection, webhook_ids: Sequence[UUID], now: datetime
) -> set[int]:
    """Process these again; returns the destinations that they came from."""
    rows = connection.execute(
        """UPDATE webhook_inbox SET next_at = %s, attempts = 0
        WHERE id = ANY(%s) AND next_at IS NULL RETURNING destination_id""",
        (now, list(webhook_ids)),
    )
    return {row[0] for row in rows}


MAX_UNPROCESSED = 1_000


def load_unprocessed(connection: Connection, destination: int) -> tuple[int, str]:
    """How many are not processed yet (to MAX_UNPROCESSED), and why one failed, if one did."""
    row = connection.execute(
        """SELECT count(*), COALESCE(max(outcome) FILTER (WHERE outcome <> ALL(%s)), '')
        FROM (SELECT outcome FROM webhook_inbox
            WHERE destination_id = %s AND next_at IS NOT NULL
            ORDER BY next_at, id LIMIT %s) AS pending""",
        ([INGESTED_OUTCOME, UNREADABLE_OUTCOME], destination, MAX_UNPROCESSED),
    ).fetchone()
    assert row  # an aggregate
    return row[0], row[1]


def count_unreadable(connection: Connection, destination: int) -> int:
    """How many of the stored ones could not be parsed."""
    query = """SELECT count(*) FROM webhook_inbox
        WHERE destination_id = %s AND next_at IS NULL AND outcome = %s"""
    return fetch_count(connection, query, (destination, UNREADABLE_OUTCOME))


def purge_webhooks(connection: Connection, now: datetime) -> None:
    """Delete webhooks older than RETENTION; no vendor's signature is valid for that long.

    Never one that was acknowledged and is neither recorded nor decided (I1).
    """
    connection.execute(
        """DELETE FROM webhook_inbox p WHERE received_at < %s AND next_at IS NULL
        AND NOT EXISTS (SELECT FROM undecided_event u
            WHERE u.webhook_id = p.id AND u.decided_at IS NULL)""",
        (now - BODY_RETENTION,),
    )
    connection.execute("DELETE FROM used_webhook_token WHERE used_at < %s", (now - BODY_RETENTION,))


def _seal_body(keys: Keys, body: bytes, webhook_id: UUID) -> bytes:
    return keys.seal(base64.b64encode(body).decode(), context=webhook_context(webhook_id))


def _open_body(keys: Keys, body: bytes, webhook_id: UUID) -> bytes:
    return base64.b64decode(keys.open(body, context=webhook_context(webhook_id)))


DECISION_RETENTION = timedelta(days=30)
"""How long a decision is kept, in addition to the audit."""


@dataclass(frozen=True, slots=True)
class OverdueBacklog:
    """Items that have waited for 36 hours or more, by destination (None for mail) and stage."""

    kind: BacklogKind
    destination: str | None
    stage: DeadlineStage
    count: int
    due_at: datetime
    """When the earliest of them must be applied in every tool."""
    at_least: bool
    """Whether there may be more than `count`."""


@dataclass(frozen=True, slots=True)
class WaitingBacklog:
    """Items that wait, by destination (None for mail), and when the oldest was received."""

    kind: BacklogKind
    destination: str | None
    count: int
    oldest_received_at: datetime


@dataclass(frozen=True, slots=True)
class OpenQuestion:
    """One open question of one vendor event."""

    webhook_id: UUID
    destination: str
    question: str
    received_at: datetime


_PENDING_QUERIES = {
    BacklogKind.VENDOR_EVENT: """SELECT DISTINCT received_at, destination_id, webhook_id
        FROM undecided_event WHERE decided_at IS NULL""",
    BacklogKind.WEBHOOK: """SELECT received_at, destination_id, id
        FROM webhook_inbox WHERE next_at IS NOT NULL""",
    BacklogKind.MAIL_OPT_OUT: """SELECT received_at, NULL::int AS destination_id, id
        FROM pending_mail_opt_out WHERE dismissed_at IS NULL""",
    BacklogKind.REVIEW_ITEM: """SELECT received_at, NULL::int AS destination_id, id
        FROM review_queue WHERE resolved_at IS NULL""",
    BacklogKind.DEFERRED_FORMS: """SELECT received_at, NULL::int AS destination_id, id
        FROM deferred_form WHERE received_at IS NOT NULL""",
}


_SELECT_LATE = " UNION ALL ".join(
    f"""(SELECT '{what}', pending.received_at, d.name FROM (
        {query} AND received_at <= %(upto)s
        ORDER BY received_at LIMIT {MAX_LATE_PER_STAGE}) AS pending
    LEFT JOIN destination d ON d.id = pending.destination_id)"""  # noqa: S608 - constants of this module
    for what, query in _PENDING_QUERIES.items()
)
"""At most MAX_LATE_PER_STAGE of each kind, the oldest first, each by an index of its own."""


_LIST_WAITING = " UNION ALL ".join(
    f"""(SELECT '{what}', d.name, count(*), min(pending.received_at) FROM (
        {query.replace("DISTINCT ", "")}
        ORDER BY received_at LIMIT {MAX_LATE_PER_STAGE}) AS pending
    LEFT JOIN destination d ON d.id = pending.destination_id GROUP BY d.name)"""  # noqa: S608 - as above
    for what, query in _PENDING_QUERIES.items()
)
"""By the same indexes. Without DISTINCT, which would read all: each open question counts."""


def list_waiting(connection: Connection) -> list[WaitingBacklog]:
    """All items that wait, however long; up to the MAX_LATE_PER_STAGE oldest of each kind."""
    return [
        WaitingBacklog(BacklogKind(what), *row) for what, *row in connection.execute(_LIST_WAITING)
    ]


def count_waiting(found: Sequence[WaitingBacklog]) -> dict[BacklogKind, int]:
    """How many items of each kind wait, of all destinations."""
    return {kind: sum(each.count for each in found if each.kind is kind) for kind in BacklogKind}


def list_overdue_backlog(connection: Connection, now: datetime) -> list[OverdueBacklog]:
    """Items that have waited for 36 hours or more, the most urgent first."""
    rows = connection.execute(_SELECT_LATE, {"upto": now - AT_RISK}).fetchall()
    total: dict[str, int] = {}
    found: dict[tuple[str, str | None, DeadlineStage], tuple[int, datetime]] = {}
    for what, received_at, name in rows:
        due_at = received_at + WINDOW
        key = (what, name, deadline_stage(due_at, now))
        count, first = found.get(key, (0, due_at))
        found[key] = (count + 1, min(first, due_at))
        total[what] = total.get(what, 0) + 1
    late = [
        OverdueBacklog(
            BacklogKind(what), name, of, count, due_at, at_least=total[what] >= MAX_LATE_PER_STAGE
        )
        for (what, name, of), (count, due_at) in found.items()
    ]
    return sorted(late, key=lambda each: (each.due_at, each.kind))


def replace_open_questions(
    connection: Connection,
    destination: int,
    questions: Mapping[UUID, tuple[datetime, Collection[str]]],
) -> None:
    """Set the open questions of these webhooks, each with when it was received.

    Questions that were decided before stay decided.
    """
    connection.execute(
        "DELETE FROM undecided_event WHERE webhook_id = ANY(%s) AND decided_at IS NULL",
        (list(questions),),
    )
    rows = [(post, at, text) for post, (at, texts) in questions.items() for text in sorted(texts)]
    if not rows:
        return
    webhook_ids, received_at, texts = zip(*rows, strict=True)
    connection.execute(
        """INSERT INTO undecided_event (webhook_id, question, destination_id, received_at)
        SELECT given.id, given.question, %(destination)s, given.at
        FROM unnest(%(webhook_ids)s::uuid[], %(received_at)s::timestamptz[], %(questions)s::text[])
            AS given (id, at, question)
        WHERE NOT EXISTS (SELECT FROM ignored_question i
            WHERE i.destination_id = %(destination)s AND i.question = given.question)
        ON CONFLICT DO NOTHING""",
        {
            "destination": destination,
            "webhook_ids": list(webhook_ids),
            "received_at": list(received_at),
            "questions": list(texts),
        },
    )


def list_open_questions(connection: Connection, limit: int) -> Sequence[OpenQuestion]:
    """Open questions, the one that has waited longest first."""
    rows = connection.execute(
        """SELECT u.webhook_id, d.name, u.question, u.received_at
        FROM undecided_event u JOIN destination d ON d.id = u.destination_id
        WHERE u.decided_at IS NULL ORDER BY u.received_at, u.webhook_id, u.question LIMIT %s""",
        (limit,),
    )
    return [OpenQuestion(*row) for row in rows]


def list_webhooks_with_open_questions(connection: Connection) -> list[UUID]:
    """The webhooks with open questions."""
    rows = connection.execute(
        "SELECT DISTINCT webhook_id FROM undecided_event WHERE decided_at IS NULL"
    )
    return [row[0] for row in rows]


def has_open_work(connection: Connection, destination: int) -> bool:
    """Whether something that it reported is not processed, or not decided."""
    row = connection.execute(
        """SELECT EXISTS (SELECT FROM undecided_event
                WHERE destination_id = %(destination)s AND decided_at IS NULL)
            OR EXISTS (SELECT FROM webhook_inbox
                WHERE destination_id = %(destination)s AND next_at IS NOT NULL)""",
        {"destination": destination},
    ).fetchone()
    assert row  # an expression
    return bool(row[0])


def discard_webhook_questions(
    connection: Connection, webhook_id: UUID, reason: str, now: datetime
) -> bool:
    """Decide that this webhook needs no action; False if it has no open question."""
    done = connection.execute(
        """UPDATE undecided_event SET decided_at = %s, decision = %s
        WHERE webhook_id = %s AND decided_at IS NULL""",
        (now, reason, webhook_id),
    )
    return done.rowcount > 0


def ignore_question(
    connection: Connection, destination: int, question: str, reason: str, now: datetime
) -> int:
    """Never ask this question again at this destination; returns how many are decided by that."""
    connection.execute(
        """INSERT INTO ignored_question (destination_id, question, reason, ignored_at)
        VALUES (%s, %s, %s, %s) ON CONFLICT (destination_id, question)
        DO UPDATE SET reason = EXCLUDED.reason, ignored_at = EXCLUDED.ignored_at""",
        (destination, question, reason, now),
    )
    return connection.execute(
        """UPDATE undecided_event SET decided_at = %s, decision = %s
        WHERE destination_id = %s AND question = %s AND decided_at IS NULL""",
        (now, reason, destination, question),
    ).rowcount


def purge_decisions(connection: Connection, now: datetime) -> None:
    """Delete decisions older than RETENTION."""
    connection.execute(
        "DELETE FROM undecided_event WHERE decided_at < %s", (now - DECISION_RETENTION,)
    )


MAX_TYPES = 50
"""How many types are stored per destination; further ones are counted together."""


OTHER_TYPES = "(others)"


@dataclass(frozen=True, slots=True)
class UnknownEventType:
    """One type, how often it was received, and when last (UTC)."""

    type: str
    count: int
    last_at: datetime


def count_unknown_types(
    connection: Connection, destination: int, types: Counter[str], now: datetime
) -> None:
    """Add to the counts of these types."""
    for name, number in sorted(types.items()):
        connection.execute(
            """INSERT INTO unknown_event_type AS u (destination_id, type, count, last_at)
            SELECT %(destination)s, CASE WHEN EXISTS (SELECT FROM unknown_event_type
                    WHERE destination_id = %(destination)s AND type = %(type)s)
                OR (SELECT count(*) FROM unknown_event_type WHERE destination_id = %(destination)s)
                    < %(max_types)s THEN %(type)s ELSE %(others)s END, %(number)s, %(now)s
            ON CONFLICT (destination_id, type) DO UPDATE
            SET count = u.count + EXCLUDED.count, last_at = EXCLUDED.last_at""",
            {
                "destination": destination,
                "type": name,
                "number": number,
                "now": now,
                "max_types": MAX_TYPES,
                "others": OTHER_TYPES,
            },
        )


def list_unknown_types(connection: Connection, destination: int) -> list[UnknownEventType]:
    """All types that were counted, the most frequent first."""
    rows = connection.execute(
        """SELECT type, count, last_at FROM unknown_event_type WHERE destination_id = %s
        ORDER BY count DESC, type""",
        (destination,),
    )
    return [UnknownEventType(*row) for row in rows]
