"""Vendor events that were acknowledged and not understood, until somebody decides (I1, I3).

Each is stored with the questions that it leaves open: a body that cannot be parsed, a type that
its integration does not know, a target that no topic maps to. The sealed body stays in
`webhook_inbox` while one of its questions is open.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from preference_center.core.deadlines import AT_RISK, WINDOW, DeadlineStage, deadline_stage
from preference_center.destinations.store.late_rows import MAX_LATE_PER_STAGE
from preference_center.infra.db.transactions import Connection

DECISION_RETENTION = timedelta(days=30)
"""How long a decision is kept, in addition to the audit."""


class BacklogKind(StrEnum):
    """What waits for a decision, or to be processed."""

    VENDOR_EVENT = "vendor_event"
    """A webhook that was acknowledged and not understood: `/console/review`."""
    WEBHOOK = "webhook"
    """A webhook that was acknowledged and is not processed yet."""
    MAIL_OPT_OUT = "mail_opt_out"
    """An opt-out by mail whose address is not known: `flask inbound pending`."""
    REVIEW_ITEM = "review_item"
    """A mail or text whose meaning is not clear: `/console/review`."""
    DEFERRED_FORMS = "deferred_forms"
    """Forms of a mailbox whose sync states are still to be updated: `ledger.forms`."""


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

_COUNT_WAITING = " UNION ALL ".join(
    f"""(SELECT '{what}', count(*) FROM (
        {query.replace("DISTINCT ", "")}
        ORDER BY received_at LIMIT {MAX_LATE_PER_STAGE}) AS pending)"""  # noqa: S608 - as above
    for what, query in _PENDING_QUERIES.items()
)
"""By the same indexes. Without DISTINCT, which would read all: each open question counts."""


def count_waiting(connection: Connection) -> dict[BacklogKind, int]:
    """How many items wait, however long; counted up to MAX_LATE_PER_STAGE of each kind."""
    return {BacklogKind(what): count for what, count in connection.execute(_COUNT_WAITING)}


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
