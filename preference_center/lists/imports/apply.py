"""This module applies and undoes an import, chunk by chunk, each with its own checkpoint.

`ledger.recording.record` adds the events. Chunk and checkpoint are one transaction, so that a
process killed at any time leaves neither a gap nor a duplicate, and the next one resumes where it
ended. Undo retracts exactly the events that the import added, and nothing newer (I5).
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import PurePath
from uuid import UUID, uuid5

from preference_center.catalogue.store import current_catalogue
from preference_center.core.errors import ImportConflict, PreferenceCenterError
from preference_center.core.events import IMPORT_SOURCE, Retraction
from preference_center.infra import audit
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, outlast_outage, run_in_transaction
from preference_center.ledger import RecordResult, record
from preference_center.lists import store
from preference_center.lists.imports.plan import evaluate_chunk, stored_instructions
from preference_center.lists.imports.read import ResumePoint, read_rows
from preference_center.lists.imports.sources import ImportSource, open_unpacked
from preference_center.lists.rules.instructions import ImportInstructions, ImportStats
from preference_center.lists.rules.rows import FileRow
from preference_center.lists.rules.translator import RowTranslator, event_id_range
from preference_center.lists.store import Import, ImportState, ImportStep

MIN_CHUNK_SIZE, MAX_CHUNK_SIZE = 100, 5_000


@dataclass(slots=True)
class Throttle:
    """Chunks of about `target_seconds`, with pauses that keep the load at `max_load`.

    A chunk is one transaction: a request about an address in it waits until it ends.
    """

    target_seconds: float = 0.2
    max_load: float = 0.5
    chunk_size: int = 500

    def next_pause(self, elapsed: float) -> float:
        """Adapt to a chunk that took `elapsed` seconds. Returns the seconds to pause."""
        wanted = self.chunk_size * self.target_seconds / max(elapsed, 0.001)
        # At most double: one fast chunk proves nothing.
        self.chunk_size = int(min(max(wanted, MIN_CHUNK_SIZE), MAX_CHUNK_SIZE, 2 * self.chunk_size))
        return elapsed * (1 - self.max_load) / self.max_load


@dataclass(frozen=True, slots=True)
class ImportBudget:
    """Time limit and throttle of an import, and its callbacks between chunks.

    `patience` is how long a chunk waits for an unavailable database, in seconds.
    `on_progress` is called with the last row of each recorded chunk, `on_undone` with the number
    of retracted events.
    """

    until: datetime | None = None
    should_stop: Callable[[], bool] = lambda: False
    throttle: Throttle | None = None
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    patience: float = 0.0
    on_progress: Callable[[FileRow], None] = lambda _: None
    on_undone: Callable[[int], None] = lambda _: None

    def may_continue(self) -> bool:
        """Whether another chunk may begin."""
        return not self.should_stop() and (self.until is None or services().now() < self.until)


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
        store.insert_import(
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
    for other in store.list_imports_by_plan(connection, plan_id):
        if other.id == import_id:  # our own, repeated after a broken connection
            continue
        if other.state is ImportState.APPLYING:
            raise ImportConflict(
                f"this is already being imported as {other.id}, at row {other.position:,}."
                f" If that stopped: flask imports resume {other.id} FILE"
            )
        raise ImportConflict(f"this very file was imported already, as {other.id}")


@contextmanager
def hold_import(import_id: UUID, *, ignore_lease: bool = False) -> Iterator[tuple[Import, UUID]]:
    """The import as it is once this process has claimed it, with the lease.

    Raises ImportConflict if another process holds it, unless `ignore_lease`.
    """
    context = services()
    lease, now = context.new_id(), context.now()
    if not run_in_transaction(
        lambda c: store.claim_import(c, import_id, lease, now, force=ignore_lease)
    ):
        raise ImportConflict("another process is working on this import")
    try:
        yield _load(import_id), lease
    finally:
        with suppress(PreferenceCenterError):
            run_in_transaction(lambda c: store.release_import(c, import_id, lease))


def _load(import_id: UUID) -> Import:
    return run_in_transaction(lambda c: store.get_import(c, import_id))


def apply_import(
    import_id: UUID, source: ImportSource, budget: ImportBudget, *, ignore_lease: bool = False
) -> Import:
    """Continue an import that is being applied, to its end or as far as `budget` allows.

    Raises ImportConflict if it is not being applied (any more), if another process holds it, or
    if the file has changed.
    """
    found = _load(import_id)
    _check_state(found)
    if source.digest() != found.digest:
        raise ImportConflict(
            "this is not the file that the import began with, or it has changed since"
            f" (SHA-256 {(found.digest or b'').hex()[:12]}...): nothing was imported from it"
        )
    with hold_import(import_id, ignore_lease=ignore_lease) as (found, lease):
        _check_state(found)  # the process that held it may have finished it
        _apply_chunks(found, source, lease, budget)
    return _load(import_id)


def _check_state(found: Import) -> None:
    if found.state is not ImportState.APPLYING:
        raise ImportConflict(f"this import is {found.state}: there is nothing to continue")


def _apply_chunks(found: Import, source: ImportSource, lease: UUID, budget: ImportBudget) -> None:
    instructions = stored_instructions(found)
    pace = budget.throttle or Throttle()
    assert found.started_at
    region = services().settings.phone_region
    translator = RowTranslator(
        instructions, current_catalogue(), found.id, found.started_at, found.actor, region
    )
    stats = ImportStats.from_json(found.stats)
    start = ResumePoint(found.position, found.line_number, found.bytes_done)
    with open_unpacked(source) as stream:
        rows = read_rows(stream, instructions, start)
        done = found.position
        while budget.may_continue():
            chunk = list(itertools.islice(rows, pace.chunk_size))
            if not chunk:
                finish = partial(_finish, found, lease, ImportState.APPLIED, found.actor)
                outlast_outage(finish, patience=budget.patience)
                return
            begun = budget.clock()
            work = partial(_record_chunk, found, lease, translator, chunk, stats, done)
            outlast_outage(work, patience=budget.patience)
            done = chunk[-1].index + 1
            budget.on_progress(chunk[-1])
            budget.sleep(pace.next_pause(budget.clock() - begun))


class _DependencyUndone(Exception):
    """An import that a row depended on is being undone: evaluate again."""


def _record_chunk(
    found: Import,
    lease: UUID,
    translator: RowTranslator,
    chunk: list[FileRow],
    stats: ImportStats,
    position: int,
) -> None:
    """Record one chunk and its checkpoint; `stats` counts it then."""
    last = chunk[-1]
    while True:
        evaluation = evaluate_chunk(translator, chunk)
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
            if not store.lock_against_undo(connection, step.depends_on):
                raise _DependencyUndone
            if not store.record_step(connection, found.id, lease, step, services().now()):
                raise ImportConflict(
                    "this import was taken over by another process, or is being undone"
                )

        try:
            record(evaluation.changes, in_transaction, bulk=True)
        except _DependencyUndone:
            continue
        stats.add(evaluation.stats)
        return


def _finish(found: Import, lease: UUID, state: ImportState, actor: str) -> None:
    """The last chunk is done: from now on it is applied or undone."""
    before = ImportState.APPLYING if state is ImportState.APPLIED else ImportState.UNDOING
    now = services().now()

    def finish(connection: Connection) -> None:
        if store.change_state(connection, found.id, {before}, state, now, lease=lease):
            if before is ImportState.APPLYING:
                store.delete_parts(connection, found.id)
            detail = {"import": str(found.id)}
            audit.insert_audit_entry(connection, now, actor, f"import.{state}", detail)

    run_in_transaction(finish)


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
    if another import, applied or under way, found rows "already present" because of this one.
    """
    found = store.get_import(connection, import_id, lock=True)
    if found.state is ImportState.UNDONE:
        raise ImportConflict("this import is undone already")
    if found.state not in {ImportState.APPLYING, ImportState.APPLIED, ImportState.UNDOING}:
        raise ImportConflict(f"this import is {found.state}: nothing of it was applied")
    leaning = store.list_dependent_imports(connection, import_id)
    if leaning:
        raise ImportConflict(
            "these imports skipped rows that this one had recorded; to keep those rows, undo"
            " these imports first, and import their files again afterwards: "
            + ", ".join(map(str, leaning))
        )
    if found.state is not ImportState.UNDOING:
        now = services().now()
        store.change_state(connection, import_id, {found.state}, ImportState.UNDOING, now)
        store.release_import(connection, import_id)
        audit.insert_audit_entry(
            connection, now, actor, "import.undoing", {"import": str(import_id)}
        )
    return store.get_import(connection, import_id)


def undo_import(
    import_id: UUID, budget: ImportBudget, actor: str, *, ignore_lease: bool = False
) -> Import:
    """Continue an undo, to the end or as far as `budget` allows; call `start_undo` before.

    Raises ImportConflict if another process holds it.
    """
    with hold_import(import_id, ignore_lease=ignore_lease) as (found, lease):
        _undo_chunks(found, lease, budget, actor)
    return _load(import_id)


def _undo_chunks(found: Import, lease: UUID, budget: ImportBudget, actor: str) -> None:
    assert found.started_at
    first, last = event_id_range(found.id, found.started_at)
    after = found.last_undone_event or _FIRST_ID
    pace = budget.throttle or Throttle(chunk_size=100)
    while budget.may_continue():
        find = partial(_next_events, first, last, after, pace.chunk_size)
        ids = outlast_outage(find, patience=budget.patience)
        if not ids:
            finish = partial(_finish, found, lease, ImportState.UNDONE, actor)
            outlast_outage(finish, patience=budget.patience)
            return
        begun = budget.clock()
        outlast_outage(partial(_retract, found, lease, ids, actor), patience=budget.patience)
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
        if not store.record_undo_step(
            connection, found.id, lease, last_event=ids[-1], count=len(ids), now=now
        ):
            raise ImportConflict("this import was taken over by another process")

    record([retraction], in_transaction, bulk=True)
