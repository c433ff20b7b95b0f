"""Apply an import: chunk by chunk through `ledger.record`, each with its own checkpoint.

Chunk and checkpoint are one transaction, so that a process killed at any time leaves neither a
gap nor a duplicate, and the next one resumes where it ended.
"""

from __future__ import annotations

import itertools
from contextlib import suppress
from pathlib import PurePath
from uuid import UUID

from preference_center.catalogue.store import current_catalogue
from preference_center.core.errors import ImportConflict, PreferenceCenterError
from preference_center.infra import audit
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger import RecordResult, record
from preference_center.lists.imports.budget import LEASE_DURATION, ImportBudget, Throttle
from preference_center.lists.imports.evaluate import ChunkEvaluator
from preference_center.lists.imports.imports_read_rows import ResumePoint, read_rows
from preference_center.lists.imports.instructions import stored_instructions
from preference_center.lists.imports.sources import ImportSource, open_unpacked
from preference_center.lists.rules.instructions import ImportInstructions
from preference_center.lists.rules.row_statements import FileRow
from preference_center.lists.rules.stats import ImportStats
from preference_center.lists.store import import_jobs, uploaded_parts
from preference_center.lists.store.import_jobs import Import, ImportState, ImportStep


def create_import(
    source: ImportSource, instructions: ImportInstructions, *, name: str, actor: str, plan_id: str
) -> UUID:
    """Insert an import that is to be applied now, as it was planned; returns its id.

    Raises ImportConflict if the file or the instructions are not those of the plan, or if it
    was applied already.
    """
    digest = source.digest()
    if instructions.plan_id(digest) != plan_id:
        raise ImportConflict(
            "the file or the options are not those of this plan: run `flask imports plan` again"
        )
    context = services()
    import_id, now = context.new_id(), context.now()

    def insert(connection: Connection) -> None:
        ensure_not_applied(connection, plan_id, import_id)
        import_jobs.insert_import(
            connection,
            import_id,
            state=ImportState.APPLYING,
            actor=actor,
            name=PurePath(name).name,
            instructions=instructions.to_json(),
            now=now,
            plan=plan_id,
            digest=digest,
            size_bytes=source.size,
        )
        audit.insert_audit_entry(
            connection, now, actor, "import.applying", {"import": str(import_id)}
        )

    run_in_transaction(insert)
    return import_id


def ensure_not_applied(connection: Connection, plan_id: str, import_id: UUID) -> None:
    """Raises ImportConflict if another import of this plan exists; blocks concurrent ones."""
    connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (plan_id,))
    for other in import_jobs.list_imports_by_plan(connection, plan_id):
        if other.id == import_id:  # our own, repeated after a broken connection
            continue
        if other.state is ImportState.APPLYING:
            raise ImportConflict(
                f"this is already being imported as {other.id}, at row {other.position:,}."
                f" If that stopped: flask imports resume {other.id} FILE"
            )
        raise ImportConflict(f"this very file was imported already, as {other.id}")


def apply_import(
    import_id: UUID, source: ImportSource, budget: ImportBudget, *, ignore_lease: bool = False
) -> Import:
    """Continue an import that is being applied, to its end or as far as `budget` allows.

    Raises ImportConflict if it is not being applied (any more), if another process holds it, or
    if the file has changed.
    """
    context = services()
    lease = context.new_id()
    found = run_in_transaction(lambda c: import_jobs.get_import(c, import_id))
    _check_file(found, source)
    taken = run_in_transaction(
        lambda c: import_jobs.claim_import(
            c,
            import_id,
            lease,
            now=context.now(),
            until=context.now() + LEASE_DURATION,
            force=ignore_lease,
        )
    )
    if not taken:
        raise ImportConflict("another process is working on this import")
    try:
        # Load again: the process that held it may have advanced or finished it.
        found = run_in_transaction(lambda c: import_jobs.get_import(c, import_id))
        _check_state(found)
        _apply_chunks(found, source, lease, budget)
    finally:
        with suppress(PreferenceCenterError):
            run_in_transaction(lambda c: import_jobs.release_import(c, import_id, lease))
    return run_in_transaction(lambda c: import_jobs.get_import(c, import_id))


def _check_state(found: Import) -> None:
    if found.state is not ImportState.APPLYING:
        raise ImportConflict(f"this import is {found.state}: there is nothing to continue")


def _check_file(found: Import, source: ImportSource) -> None:
    _check_state(found)
    if source.digest() != found.digest:
        raise ImportConflict(
            "this is not the file that the import began with, or it has changed since"
            f" (SHA-256 {(found.digest or b'').hex()[:12]}...): nothing was imported from it"
        )


def _apply_chunks(found: Import, source: ImportSource, lease: UUID, budget: ImportBudget) -> None:
    instructions = stored_instructions(found)
    pace = budget.throttle or Throttle()
    assert found.started_at
    evaluator = ChunkEvaluator(
        instructions,
        current_catalogue(),
        import_id=found.id,
        started_at=found.started_at,
        actor=found.actor,
    )
    stats = ImportStats.from_json(found.stats)
    start = ResumePoint(found.position, found.line_number, found.bytes_done)
    with open_unpacked(source) as stream:
        rows = read_rows(stream, instructions, start)
        done = found.position
        while budget.may_continue():
            chunk = list(itertools.islice(rows, pace.chunk_size))
            if not chunk:
                _finish_applying(found, lease)
                return
            begun = budget.clock()
            _record_chunk(found, lease, evaluator, chunk, stats, done)
            done = chunk[-1].index + 1
            budget.on_progress(chunk[-1])
            budget.sleep(pace.next_pause(budget.clock() - begun))


class _DependencyUndone(Exception):
    """An import that a row depended on is being undone: evaluate again."""


def _record_chunk(
    found: Import,
    lease: UUID,
    evaluator: ChunkEvaluator,
    chunk: list[FileRow],
    stats: ImportStats,
    position: int,
) -> None:
    """Record one chunk and its checkpoint; `stats` counts it then."""
    last = chunk[-1]
    while True:
        evaluation = evaluator.evaluate(chunk)
        total = ImportStats.from_json(stats.to_json())
        total.add(evaluation.stats)
        step = ImportStep(
            start_position=position,
            position=last.index + 1,
            bytes_done=last.end_offset,
            line_number=last.last_line,
            stats=total.to_json(),
            depends_on=evaluation.depends_on,
        )

        def in_transaction(
            connection: Connection, _: RecordResult, step: ImportStep = step
        ) -> None:
            if not import_jobs.lock_against_undo(connection, step.depends_on):
                raise _DependencyUndone
            until = services().now() + LEASE_DURATION
            if not import_jobs.record_step(connection, found.id, lease, step, until):
                raise ImportConflict(
                    "this import was taken over by another process, or is being undone"
                )

        try:
            record(evaluation.changes, in_transaction, bulk=True)
        except _DependencyUndone:
            continue
        stats.add(evaluation.stats)
        return


def _finish_applying(found: Import, lease: UUID) -> None:
    now = services().now()

    def mark_applied(connection: Connection) -> None:
        if import_jobs.change_state(
            connection, found.id, {ImportState.APPLYING}, ImportState.APPLIED, now, lease=lease
        ):
            uploaded_parts.delete_parts(connection, found.id)
            audit.insert_audit_entry(
                connection, now, found.actor, "import.applied", {"import": str(found.id)}
            )

    run_in_transaction(mark_applied)
