"""Undo an import: retract exactly the events that it added, and nothing newer (I5)."""

from __future__ import annotations

from contextlib import suppress
from uuid import UUID, uuid5

from preference_center.core.errors import ImportConflict, PreferenceCenterError
from preference_center.core.events import IMPORT_SOURCE, Retraction
from preference_center.infra import audit
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger import RecordResult, record
from preference_center.lists.imports.budget import LEASE_DURATION, ImportBudget, Throttle
from preference_center.lists.imports.event_ids import event_id_range
from preference_center.lists.store import import_jobs
from preference_center.lists.store.import_jobs import Import, ImportState

_NEXT_EVENTS = """
SELECT id FROM event WHERE id BETWEEN %s AND %s AND id > %s AND source = %s
ORDER BY id LIMIT %s
"""
_FIRST_ID = UUID(int=0)


def start_undo(import_id: UUID, actor: str) -> Import:
    """Decide to undo, which stops an import that is still being applied.

    Raises UnknownImport and ImportConflict, as `start_undo_in_transaction`.
    """
    return run_in_transaction(
        lambda connection: start_undo_in_transaction(connection, import_id, actor)
    )


def start_undo_in_transaction(connection: Connection, import_id: UUID, actor: str) -> Import:
    """`start_undo` within an existing transaction. Safe to repeat.

    Raises UnknownImport, and ImportConflict if nothing of it was applied, if it is undone, or
    if another applied import found rows "already present" because of this one.
    """
    found = import_jobs.lock_import(connection, import_id)
    if found.state is ImportState.UNDONE:
        raise ImportConflict("this import is undone already")
    if found.state not in {ImportState.APPLYING, ImportState.APPLIED, ImportState.UNDOING}:
        raise ImportConflict(f"this import is {found.state}: nothing of it was applied")
    leaning = import_jobs.list_dependent_imports(connection, import_id)
    if leaning:
        raise ImportConflict(
            "these imports skipped rows that this one had recorded; to keep those rows, undo"
            " these imports first, and import their files again afterwards: "
            + ", ".join(map(str, leaning))
        )
    if found.state is not ImportState.UNDOING:
        now = services().now()
        import_jobs.change_state(connection, import_id, {found.state}, ImportState.UNDOING, now)
        import_jobs.revoke_lease(connection, import_id)
        audit.insert_audit_entry(
            connection, now, actor, "import.undoing", {"import": str(import_id)}
        )
    return import_jobs.get_import(connection, import_id)


def undo_import(
    import_id: UUID, budget: ImportBudget, actor: str, *, ignore_lease: bool = False
) -> Import:
    """Continue an undo, to the end or as far as `budget` allows; call `start_undo` before.

    Raises ImportConflict if another process holds it.
    """
    context = services()
    lease, now = context.new_id(), context.now()
    until = now + LEASE_DURATION
    if not run_in_transaction(
        lambda c: import_jobs.claim_import(
            c, import_id, lease, now=now, until=until, force=ignore_lease
        )
    ):
        raise ImportConflict("another process is working on this import")
    try:
        found = run_in_transaction(lambda c: import_jobs.get_import(c, import_id))
        _undo_chunks(found, lease, budget, actor)
    finally:
        with suppress(PreferenceCenterError):
            run_in_transaction(lambda c: import_jobs.release_import(c, import_id, lease))
    return run_in_transaction(lambda c: import_jobs.get_import(c, import_id))


def _undo_chunks(found: Import, lease: UUID, budget: ImportBudget, actor: str) -> None:
    assert found.started_at
    first, last = event_id_range(found.id, found.started_at)
    after = found.last_undone_event or _FIRST_ID
    pace = budget.throttle or Throttle(chunk_size=100)
    while budget.may_continue():
        ids = _next_events(first, last, after, pace.chunk_size)
        if not ids:
            _finish_undoing(found, lease, actor)
            return
        begun = budget.clock()
        _retract(found, lease, ids, actor)
        after = ids[-1]
        budget.on_undone(len(ids))
        budget.sleep(pace.next_pause(budget.clock() - begun))


def _next_events(first: UUID, last: UUID, after: UUID, size: int) -> list[UUID]:
    rows = run_in_transaction(
        lambda c: c.execute(_NEXT_EVENTS, (first, last, after, IMPORT_SOURCE, size)).fetchall()
    )
    return [row[0] for row in rows]


def _retract(found: Import, lease: UUID, ids: list[UUID], actor: str) -> None:
    now = services().now()
    retraction = Retraction(
        id=uuid5(found.id, f"undo {ids[0]}"),
        event_ids=tuple(ids),
        occurred_at=now,
        source=IMPORT_SOURCE,
        actor=actor,
        evidence={"import": str(found.id), "why": "undo"},
    )

    def in_transaction(connection: Connection, _: RecordResult) -> None:
        until = services().now() + LEASE_DURATION
        if not import_jobs.record_undo_step(
            connection, found.id, lease, last_event=ids[-1], count=len(ids), until=until
        ):
            raise ImportConflict("this import was taken over by another process")

    record([retraction], in_transaction, bulk=True)


def _finish_undoing(found: Import, lease: UUID, actor: str) -> None:
    now = services().now()

    def mark_undone(connection: Connection) -> None:
        if import_jobs.change_state(
            connection, found.id, {ImportState.UNDOING}, ImportState.UNDONE, now, lease=lease
        ):
            audit.insert_audit_entry(
                connection, now, actor, "import.undone", {"import": str(found.id)}
            )

    run_in_transaction(mark_undone)
