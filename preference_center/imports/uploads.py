"""Imports by API: a file comes in, and workers plan, apply and undo it step by step.

The database is the queue: every step is checkpointed, and whoever holds the lease goes on.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

from preference_center.domain.imports import Instructions
from preference_center.errors import ImportMoved, InvalidInput, PreferenceCenterError
from preference_center.extensions import services
from preference_center.imports.apply import apply, refuse_twice
from preference_center.imports.budget import LEASE, Work
from preference_center.imports.evaluate import Judge
from preference_center.imports.instructions import stored_instructions
from preference_center.imports.json_documents import kept_by_rows
from preference_center.imports.plan import CHUNK, Findings
from preference_center.imports.read_rows import Start, records
from preference_center.imports.sources import Spooled, unpacked, unpacked_blocks
from preference_center.imports.undo import undo
from preference_center.storage.access import audit
from preference_center.storage.catalogues import current_catalogue
from preference_center.storage.db.database import Connection, run
from preference_center.storage.imports import import_jobs, plans, uploaded_parts
from preference_center.storage.imports.import_jobs import Import, State, Step

KEPT = timedelta(days=7)
"""How long an uploaded file is kept that nobody has applied."""

CAN_CHANGE = frozenset({State.AWAITING_FILE, State.UPLOADED, State.PLANNED, State.UNUSABLE})
"""States in which nothing is applied yet, so that file and instructions may be replaced."""

MAX_REFUSALS = 1_000
"""That are kept with a plan; it counts them all."""


def receive(import_id: UUID, blocks: Iterable[bytes]) -> Import:
    """Keep a file as it comes in, in place of one before it; workers then plan.

    What is in gzip is kept unpacked, a JSON document as its rows; the digest is that of the
    file as it was sent. Raises InvalidInput for such a file that is damaged, ImportMoved if
    it is being applied, or another upload is under way.
    """
    context = services()
    lease = context.new_id()

    def begin(connection: Connection) -> Instructions:
        found = import_jobs.lock(connection, import_id)
        now = context.now()
        if found.state not in CAN_CHANGE:
            raise ImportMoved(f"this import is {found.state}: its file can't be replaced")
        if not import_jobs.take(connection, import_id, lease, now=now, until=now + LEASE):
            raise ImportMoved("another upload is under way, or it is being planned")
        plans.plan_anew(connection, import_id, State.AWAITING_FILE)
        uploaded_parts.forget(connection, import_id)
        return stored_instructions(found)

    instructions = run(begin)
    try:
        digest, octets = _keep(import_id, lease, blocks, instructions.preset.json_list)
    except BaseException:
        with suppress(PreferenceCenterError):
            run(lambda c: import_jobs.release(c, import_id, lease))
        raise
    if not run(lambda c: plans.uploaded(c, import_id, lease, digest=digest, octets=octets)):
        raise ImportMoved("another upload took the place of this one")
    context.queue.nudge_import(import_id)
    return run(lambda c: import_jobs.by_id(c, import_id))


def _keep(
    import_id: UUID, lease: UUID, blocks: Iterable[bytes], json_list: str
) -> tuple[bytes, int]:
    digest, octets = hashlib.sha256(), 0

    def as_sent() -> Iterator[bytes]:
        for block in blocks:
            digest.update(block)
            yield block

    # Unpacked and parsed once, here: a gzip file and a JSON document can be read from their
    # beginning only, and every tick of an import goes on from where the one before it stopped.
    kept = kept_by_rows(unpacked_blocks(as_sent()), json_list)
    for number, part in enumerate(_parts(kept)):

        def work(connection: Connection, number: int = number, part: bytes = part) -> bool:
            now = services().now()
            uploaded_parts.write(connection, import_id, number, part)
            return import_jobs.take(connection, import_id, lease, now=now, until=now + LEASE)

        if not run(work):
            raise ImportMoved("another upload took the place of this one")
        octets += len(part)
    return digest.digest(), octets


def _parts(blocks: Iterable[bytes]) -> Iterator[bytes]:
    kept = bytearray()
    for block in blocks:
        kept += block
        while len(kept) >= uploaded_parts.PART:
            yield bytes(kept[: uploaded_parts.PART])
            del kept[: uploaded_parts.PART]
    if kept:
        yield bytes(kept)


def confirm(connection: Connection, import_id: UUID, plan: str, actor: str) -> None:
    """Decide to apply a planned import, from its first row on. Safe to repeat.

    Raises ImportMoved unless `plan` names what was planned, or if it was applied already.
    """
    found = import_jobs.lock(connection, import_id)
    if found.state is State.APPLYING and found.plan == plan:
        return
    if found.state is not State.PLANNED:
        raise ImportMoved(f"this import is {found.state}: there is no plan to apply")
    if found.plan != plan:
        raise ImportMoved("the plan is another one by now: look at it first")
    refuse_twice(connection, plan, import_id)
    now = services().now()
    import_jobs.move(connection, import_id, {State.PLANNED}, State.APPLYING, now)
    audit.append(connection, now, actor, "import.applying", {"import": str(import_id)})


def instruct(connection: Connection, import_id: UUID, instructions: Instructions) -> None:
    """Replace the instructions; a file that is there is planned anew.

    Raises ImportMoved if it is being applied.
    """
    found = import_jobs.lock(connection, import_id)
    if found.state not in CAN_CHANGE:
        raise ImportMoved(f"this import is {found.state}: its instructions can't be replaced")
    state = State.UPLOADED if found.spooled else State.AWAITING_FILE
    plans.plan_anew(connection, import_id, state, instructions.to_json())
    import_jobs.drop_lease(connection, import_id)


def go_on(import_id: UUID, work: Work) -> None:
    """Do the next part of what is to be done with an uploaded import, if it is free."""
    found = run(lambda c: import_jobs.by_id(c, import_id))
    with suppress(ImportMoved):  # somebody else is at it, or it was decided otherwise
        if found.state is State.UPLOADED:
            _plan(found, work)
        elif found.state is State.APPLYING:
            apply(import_id, _source(found), work)
        elif found.state is State.UNDOING:
            undo(import_id, work, found.actor)


def _source(found: Import) -> Spooled:
    return Spooled(found.id, found.octets, found.digest or b"")


def _plan(found: Import, work: Work) -> None:
    context = services()
    lease, now = context.new_id(), context.now()
    if not run(lambda c: import_jobs.take(c, found.id, lease, now=now, until=now + LEASE)):
        raise ImportMoved("another process is at work on this import")
    try:
        _plan_on(run(lambda c: import_jobs.by_id(c, found.id)), lease, work)
    finally:
        with suppress(PreferenceCenterError):
            run(lambda c: import_jobs.release(c, found.id, lease))


def _plan_on(found: Import, lease: UUID, work: Work) -> None:
    instructions = stored_instructions(found)
    plan = instructions.plan(found.digest or b"")
    problem = ""
    try:
        if not _plan_rows(found, instructions, lease, work):
            return
    except InvalidInput as error:
        problem = str(error)
    run(lambda c: plans.finish_plan(c, found.id, lease, plan=plan, problem=problem))


def _plan_rows(found: Import, instructions: Instructions, lease: UUID, work: Work) -> bool:
    """Whether the end was reached. Raises InvalidInput if it can't be imported like this."""
    catalogue = current_catalogue()
    instructions.check()
    instructions.scopes.check(catalogue)
    findings, refusals = Findings.from_json(found.planned), list(found.refusals)
    judge = Judge(
        instructions,
        catalogue,
        import_id=found.id,
        begun_at=services().now(),
        actor=found.actor,
    )
    start = Start(found.position, found.line, found.octets_done)
    with unpacked(_source(found)) as stream:
        rows = records(stream, instructions, start)
        while work.goes_on():
            chunk = list(itertools.islice(rows, CHUNK))
            if not chunk:
                findings.check(catalogue)
                return True
            judged = judge.judge(chunk)
            findings.add(judged)
            room = MAX_REFUSALS - len(refusals)
            refusals += [{"line": r.line, "reason": r.reason} for r in judged.refusals[:room]]
            last = chunk[-1]
            step = Step(
                before=start.index,
                position=last.index + 1,
                octets_done=last.end,
                line=last.last_line,
                tally=findings.to_json(),
            )
            _note(found.id, lease, step, refusals)
    return False


def _note(import_id: UUID, lease: UUID, step: Step, refusals: Sequence[Mapping[str, Any]]) -> None:
    until = services().now() + LEASE
    if not run(lambda c: plans.plan_step(c, import_id, lease, step, refusals, until)):
        raise ImportMoved("the file or the instructions were replaced meanwhile")
