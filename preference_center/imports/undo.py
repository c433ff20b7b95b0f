"""Undo an import: take back exactly the events that it added, and nothing said since (I5)."""

from __future__ import annotations

from contextlib import suppress
from uuid import UUID, uuid5

from preference_center.domain.events import Retraction
from preference_center.domain.imports import SOURCE
from preference_center.errors import ImportMoved, PreferenceCenterError
from preference_center.extensions import services
from preference_center.imports.budget import LEASE, Work
from preference_center.imports.event_ids import id_range
from preference_center.imports.throttle import Pace
from preference_center.ledger import Recorded, record
from preference_center.storage.access import audit
from preference_center.storage.db.database import Connection, run
from preference_center.storage.imports import import_jobs
from preference_center.storage.imports.import_jobs import Import, State

_NEXT = """
SELECT id FROM event WHERE id BETWEEN %s AND %s AND id > %s AND source = %s
ORDER BY id LIMIT %s
"""
_BEFORE_ALL = UUID(int=0)


def begin_undo(import_id: UUID, actor: str) -> Import:
    """Decide to undo, which stops an import that is still being applied.

    Raises UnknownImport and ImportMoved, as `decide_undo`.
    """
    return run(lambda connection: decide_undo(connection, import_id, actor))


def decide_undo(connection: Connection, import_id: UUID, actor: str) -> Import:
    """The same in a transaction that there is already. Safe to repeat.

    Raises UnknownImport, and ImportMoved if nothing of it was applied, if it is undone, or
    if another import that stands found rows "already there" because of this one.
    """
    found = import_jobs.lock(connection, import_id)
    if found.state is State.UNDONE:
        raise ImportMoved("this import is undone already: nothing is left to do")
    if found.state not in {State.APPLYING, State.APPLIED, State.UNDOING}:
        raise ImportMoved(f"this import is {found.state}: nothing of it was applied")
    leaning = import_jobs.leaning_on(connection, import_id)
    if leaning:
        raise ImportMoved(
            "these imports left rows out that this one had recorded; to keep them, undo"
            " those first, and import their files again afterwards: " + ", ".join(map(str, leaning))
        )
    if found.state is not State.UNDOING:
        now = services().now()
        import_jobs.move(connection, import_id, {found.state}, State.UNDOING, now)
        import_jobs.drop_lease(connection, import_id)
        audit.append(connection, now, actor, "import.undoing", {"import": str(import_id)})
    return import_jobs.by_id(connection, import_id)


def undo(import_id: UUID, work: Work, actor: str, *, even_if_held: bool = False) -> Import:
    """Go on undoing, to the end or as long as `work` allows; call `begin_undo` before.

    Raises ImportMoved if another process has it.
    """
    context = services()
    lease, now = context.new_id(), context.now()
    until = now + LEASE
    if not run(
        lambda c: import_jobs.take(
            c, import_id, lease, now=now, until=until, even_if_held=even_if_held
        )
    ):
        raise ImportMoved("another process is at work on this import")
    try:
        found = run(lambda c: import_jobs.by_id(c, import_id))
        _undo(found, lease, work, actor)
    finally:
        with suppress(PreferenceCenterError):
            run(lambda c: import_jobs.release(c, import_id, lease))
    return run(lambda c: import_jobs.by_id(c, import_id))


def _undo(found: Import, lease: UUID, work: Work, actor: str) -> None:
    assert found.begun_at
    first, last = id_range(found.id, found.begun_at)
    after = found.undone_to or _BEFORE_ALL
    pace = work.pace or Pace(size=100)
    while work.goes_on():
        ids = _next(first, last, after, pace.size)
        if not ids:
            _finish(found, lease, actor)
            return
        begun = work.clock()
        _take_back(found, lease, ids, actor)
        after = ids[-1]
        work.undone(len(ids))
        work.pause(pace.after(work.clock() - begun))


def _next(first: UUID, last: UUID, after: UUID, size: int) -> list[UUID]:
    rows = run(lambda c: c.execute(_NEXT, (first, last, after, SOURCE, size)).fetchall())
    return [row[0] for row in rows]


def _take_back(found: Import, lease: UUID, ids: list[UUID], actor: str) -> None:
    now = services().now()
    retraction = Retraction(
        id=uuid5(found.id, f"undo {ids[0]}"),
        event_ids=tuple(ids),
        occurred_at=now,
        source=SOURCE,
        actor=actor,
        evidence={"import": str(found.id), "why": "undo"},
    )

    def beside(connection: Connection, _: Recorded) -> None:
        until = services().now() + LEASE
        if not import_jobs.undo_step(
            connection, found.id, lease, to=ids[-1], count=len(ids), until=until
        ):
            raise ImportMoved("this import was taken over by another process")

    record([retraction], beside, bulk=True)


def _finish(found: Import, lease: UUID, actor: str) -> None:
    now = services().now()

    def work(connection: Connection) -> None:
        if import_jobs.move(connection, found.id, {State.UNDOING}, State.UNDONE, now, lease=lease):
            audit.append(connection, now, actor, "import.undone", {"import": str(found.id)})

    run(work)
