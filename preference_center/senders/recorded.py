"""What an API key has recorded, and how what it turned on is retracted after it leaked.

Only opt-ins and consents are retracted: they are what lets mail out. An opt-out stays (I5): a
repetition by the person, an import and a report of a tool write nothing while it stands, so
retracting it could lose what they said themselves. The plan names what it retracts; the same plan
is applied, or none, and can be applied again after it was stopped.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid5

from preference_center.core.errors import InvalidInput
from preference_center.core.events import IMPORT_SOURCE, EventKind, Retraction
from preference_center.infra import audit
from preference_center.infra.commands import SOURCE
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger import record
from preference_center.web.api.keys import get_key

_BATCH = 20_000
"""Events of the ledger that one transaction reads."""

_CHUNK = 100
"""Events that one transaction retracts: others wait for it."""

_MAX_SEQ = 2**63 - 1

_CLOCK_TOLERANCE = timedelta(days=1)
"""By how much `recorded_at` may be out of order: processes have clocks of their own."""


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """An event of a key, without its address."""

    seq: int
    id: UUID
    kind: EventKind
    scope: str
    recorded_at: datetime
    is_retracted: bool
    is_imported: bool
    """Of an import: `flask imports undo` takes it back, with what relies on it."""

    @property
    def can_be_retracted(self) -> bool:
        """Whether undoing the key's work retracts it, or has retracted it."""
        return self.kind.rules.is_consent and not self.is_imported


@dataclass(frozen=True, slots=True)
class UndoPlan:
    """The events of a key that are to be retracted, the oldest first."""

    name: str
    events: tuple[UUID, ...]
    pending: tuple[UUID, ...]
    """Those that are not retracted yet."""

    @property
    def id(self) -> str:
        """The same until all are retracted; another one if the key has recorded more since."""
        text = "\n".join([self.name, *map(str, self.events)])
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def list_recorded(name: str, since: datetime) -> list[RecordedEvent]:
    """What the key has recorded since then, the oldest first, its imports too.

    Raises InvalidInput if there is no such key. Takes as long as the ledger has grown since.
    """
    key = run_in_transaction(lambda connection: get_key(connection, name))
    found = [event for batch in _iter_batches(key.actor, since) for event in batch]
    return sorted(found, key=lambda event: event.seq)


def count_kinds(recorded: Sequence[RecordedEvent]) -> Counter[tuple[EventKind, str]]:
    """How many there are of each kind and scope."""
    return Counter((event.kind, event.scope) for event in recorded)


def plan_undo(name: str, recorded: Sequence[RecordedEvent]) -> UndoPlan:
    """What is to be retracted of what `list_recorded` returned."""
    events = [event for event in recorded if event.can_be_retracted]
    pending = tuple(event.id for event in events if not event.is_retracted)
    return UndoPlan(name, tuple(event.id for event in events), pending)


def apply_undo(name: str, since: datetime, plan_id: str, actor: str) -> int:
    """Retract exactly what the plan has; returns how many events were retracted now.

    Raises InvalidInput if the key is not revoked, or if this is not the plan any more.
    """
    key = run_in_transaction(lambda connection: get_key(connection, name))
    if key.revoked_at is None:
        raise InvalidInput(f"revoke the key first: flask keys revoke {name}")
    plan = plan_undo(name, list_recorded(name, since))
    if plan.id != plan_id:
        raise InvalidInput("this is not the plan any more: run `flask keys events` again")
    _audit(plan, actor, "api_key.undoing")
    for start in range(0, len(plan.pending), _CHUNK):
        record([_retraction(plan, plan.pending[start : start + _CHUNK], actor)], bulk=True)
    _audit(plan, actor, "api_key.undone")
    return len(plan.pending)


def _retraction(plan: UndoPlan, events: tuple[UUID, ...], actor: str) -> Retraction:
    return Retraction(
        id=uuid5(events[0], "undo of an API key"),
        event_ids=events,
        occurred_at=services().now(),
        source=SOURCE,
        actor=actor,
        evidence={"key": plan.name, "why": "undo"},
    )


def _audit(plan: UndoPlan, actor: str, action: str) -> None:
    detail = {"name": plan.name, "plan": plan.id, "events": str(len(plan.pending))}
    now = services().now()
    run_in_transaction(
        lambda connection: audit.insert_audit_entry(connection, now, actor, action, detail)
    )


_SELECT_BATCH = """
SELECT min(seq), max(recorded_at)
FROM (SELECT seq, recorded_at FROM event WHERE seq < %s ORDER BY seq DESC LIMIT %s) AS batch
"""

_SELECT_EVENTS = """
SELECT e.seq, e.id, e.kind, e.scope, e.recorded_at, r.event_id IS NOT NULL, e.source = %(imported)s
FROM event e LEFT JOIN retraction r ON r.event_id = e.id
WHERE e.seq >= %(first)s AND e.seq < %(before)s AND e.actor = %(actor)s
    AND e.recorded_at >= %(since)s
"""


def _iter_batches(actor: str, since: datetime) -> Iterator[list[RecordedEvent]]:
    """Go back in the ledger by its own order: no index has the actor, and each write would pay."""
    before: int | None = _MAX_SEQ
    while before is not None:
        given = before
        before, found = run_in_transaction(lambda c: _load_batch(c, actor, since, given))  # noqa: B023 - called at once
        yield found


def _load_batch(
    connection: Connection, actor: str, since: datetime, before: int
) -> tuple[int | None, list[RecordedEvent]]:
    """Those of the batch before this seq, and where the next one ends; None after the last."""
    row = connection.execute(_SELECT_BATCH, (before, _BATCH)).fetchone()
    first, newest = row or (None, None)
    if first is None or newest < since - _CLOCK_TOLERANCE:
        return None, []
    rows = connection.execute(
        _SELECT_EVENTS,
        {
            "first": first,
            "before": before,
            "actor": actor,
            "since": since,
            "imported": IMPORT_SOURCE,
        },
    )
    return first, [
        RecordedEvent(seq, event_id, EventKind(kind), *others)
        for seq, event_id, kind, *others in rows
    ]
