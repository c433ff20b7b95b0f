"""Apply an import: chunk by chunk through `ledger.record`, each with its own checkpoint.

Chunk and checkpoint are one transaction, so that a process killed at any moment leaves
neither a gap nor a double, and whoever goes on begins where it ended.
"""

from __future__ import annotations

import itertools
from contextlib import suppress
from pathlib import PurePath
from uuid import UUID

from preference_center.domain.imports import Instructions, Record, Tally
from preference_center.errors import ImportMoved, PreferenceCenterError
from preference_center.extensions import services
from preference_center.imports.budget import LEASE, Work
from preference_center.imports.evaluate import Judge
from preference_center.imports.instructions import stored_instructions
from preference_center.imports.read_rows import Start, records
from preference_center.imports.sources import Source, unpacked
from preference_center.imports.throttle import Pace
from preference_center.ledger import Recorded, record
from preference_center.storage.access import audit
from preference_center.storage.catalogues import current_catalogue
from preference_center.storage.db.database import Connection, run
from preference_center.storage.imports import import_jobs, uploaded_parts
from preference_center.storage.imports.import_jobs import Import, State, Step


def begin(source: Source, instructions: Instructions, *, name: str, actor: str, plan: str) -> UUID:
    """Enter an import that is to be applied now, as it was planned; returns its id.

    Raises ImportMoved if the file or the instructions are not those of the plan, or if it
    was applied already.
    """
    digest = source.digest()
    if instructions.plan(digest) != plan:
        raise ImportMoved(
            "the file or the options are not those of this plan: run `flask imports plan` again"
        )
    context = services()
    import_id, now = context.new_id(), context.now()

    def work(connection: Connection) -> None:
        refuse_twice(connection, plan, import_id)
        import_jobs.add(
            connection,
            import_id,
            state=State.APPLYING,
            actor=actor,
            name=PurePath(name).name,
            instructions=instructions.to_json(),
            now=now,
            plan=plan,
            digest=digest,
            octets=source.octets,
        )
        audit.append(connection, now, actor, "import.applying", {"import": str(import_id)})

    run(work)
    return import_id


def refuse_twice(connection: Connection, plan: str, import_id: UUID) -> None:
    """Raises ImportMoved if another import of this plan stands; none begins meanwhile."""
    connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (plan,))
    for other in import_jobs.of_plan(connection, plan):
        if other.id == import_id:  # our own, said again after a broken connection
            continue
        if other.state is State.APPLYING:
            raise ImportMoved(
                f"this is under way already as {other.id}, at row {other.position:,}."
                f" If that stopped: flask imports resume {other.id} FILE"
            )
        raise ImportMoved(f"this very file was imported already, as {other.id}")


def apply(import_id: UUID, source: Source, work: Work, *, even_if_held: bool = False) -> Import:
    """Go on with an import that is being applied, to its end or as long as `work` allows.

    Raises ImportMoved if it is not being applied (any more), if another process has it, or
    if the file has changed.
    """
    context = services()
    lease = context.new_id()
    found = run(lambda c: import_jobs.by_id(c, import_id))
    _check(found, source)
    taken = run(
        lambda c: import_jobs.take(
            c,
            import_id,
            lease,
            now=context.now(),
            until=context.now() + LEASE,
            even_if_held=even_if_held,
        )
    )
    if not taken:
        raise ImportMoved("another process is at work on this import")
    try:
        # Read again: the process that held it may have moved it on, or to its end.
        found = run(lambda c: import_jobs.by_id(c, import_id))
        _check_state(found)
        _apply(found, source, lease, work)
    finally:
        with suppress(PreferenceCenterError):
            run(lambda c: import_jobs.release(c, import_id, lease))
    return run(lambda c: import_jobs.by_id(c, import_id))


def _check_state(found: Import) -> None:
    if found.state is not State.APPLYING:
        raise ImportMoved(f"this import is {found.state}: there is nothing to go on with")


def _check(found: Import, source: Source) -> None:
    _check_state(found)
    if source.digest() != found.digest:
        raise ImportMoved(
            "this is not the file that the import began with, or it has changed since"
            f" (SHA-256 {(found.digest or b'').hex()[:12]}...): nothing was imported from it"
        )


def _apply(found: Import, source: Source, lease: UUID, work: Work) -> None:
    instructions = stored_instructions(found)
    pace = work.pace or Pace()
    assert found.begun_at
    judge = Judge(
        instructions,
        current_catalogue(),
        import_id=found.id,
        begun_at=found.begun_at,
        actor=found.actor,
    )
    tally = Tally.from_json(found.tally)
    start = Start(found.position, found.line, found.octets_done)
    with unpacked(source) as stream:
        rows = records(stream, instructions, start)
        done = found.position
        while work.goes_on():
            chunk = list(itertools.islice(rows, pace.size))
            if not chunk:
                _finish(found, lease)
                return
            begun = work.clock()
            _record(found, lease, judge, chunk, tally, done)
            done = chunk[-1].index + 1
            work.progress(chunk[-1])
            work.pause(pace.after(work.clock() - begun))


class _Moved(Exception):
    """What a row leaned on is being taken back: look again."""


def _record(
    found: Import, lease: UUID, judge: Judge, chunk: list[Record], tally: Tally, before: int
) -> None:
    """One chunk and its checkpoint; `tally` counts it then."""
    last = chunk[-1]
    while True:
        judged = judge.judge(chunk)
        total = Tally.from_json(tally.to_json())
        total.add(judged.tally)
        step = Step(
            before=before,
            position=last.index + 1,
            octets_done=last.end,
            line=last.last_line,
            tally=total.to_json(),
            leans_on=judged.leans_on,
        )

        def beside(connection: Connection, _: Recorded, step: Step = step) -> None:
            if not import_jobs.hold(connection, step.leans_on):
                raise _Moved
            until = services().now() + LEASE
            if not import_jobs.step(connection, found.id, lease, step, until):
                raise ImportMoved(
                    "this import was taken over by another process, or is being undone"
                )

        try:
            record(judged.changes, beside, bulk=True)
        except _Moved:
            continue
        tally.add(judged.tally)
        return


def _finish(found: Import, lease: UUID) -> None:
    now = services().now()

    def work(connection: Connection) -> None:
        if import_jobs.move(
            connection, found.id, {State.APPLYING}, State.APPLIED, now, lease=lease
        ):
            uploaded_parts.forget(connection, found.id)
            audit.append(connection, now, found.actor, "import.applied", {"import": str(found.id)})

    run(work)
