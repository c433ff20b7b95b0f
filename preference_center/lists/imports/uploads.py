"""This module carries out an import by API: workers plan, apply and undo it step by step.

The database is the queue: every step is checkpointed, and whichever process holds the lease
continues.

An uploaded JSON document is stored with one row per line, so that reading can resume where it
stopped. The stored form is a JSON text sequence (RFC 7464): each row in its own page, an array or
an object with the list that it was in, as an API returns them.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from functools import cache, partial
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from preference_center.catalogue.store import current_catalogue
from preference_center.core.errors import (
    ImportConflict,
    InvalidInput,
    PreferenceCenterError,
    UnknownImport,
)
from preference_center.infra import audit
from preference_center.infra.context import services
from preference_center.infra.db.connections import WORKER_TIMEOUTS
from preference_center.infra.db.transactions import Connection, outlast_outage, run_in_transaction
from preference_center.integrations.registry import load_presets
from preference_center.lists import store
from preference_center.lists.imports.apply import (
    ImportBudget,
    apply_import,
    ensure_not_applied,
    hold_import,
    undo_import,
)
from preference_center.lists.imports.plan import (
    CHUNK_SIZE,
    PlanStats,
    evaluate_chunk,
    stored_instructions,
)
from preference_center.lists.imports.read import (
    MAX_LINE_BYTES,
    RECORD_SEPARATOR,
    UTF8_BOM,
    ResumePoint,
    is_row_line,
    list_member,
    read_rows,
)
from preference_center.lists.imports.sources import (
    TOP_LEVEL_LIST,
    JsonRowParser,
    UploadedFile,
    open_unpacked,
    unpack_blocks,
)
from preference_center.lists.rules.instructions import ImportInstructions
from preference_center.lists.rules.translator import RowTranslator
from preference_center.lists.store import LEASE_DURATION, Import, ImportState
from preference_center.lists.text_files import to_plain_text

MAX_BYTES_WITHOUT_ROW = 8 * 1024 * 1024
"""Bytes of a document that must contain a row: what is read up to there may be in memory."""


_BLOCK = 64 * 1024


def to_row_sequence(blocks: Iterable[bytes], json_rows_path: str) -> Iterator[bytes]:
    """The stored form of a file: the rows of a JSON document; any other file unchanged.

    `json_rows_path` is the preset's, which distinguishes a row from a document. Rows of all
    lists are stored that any preset reads, since the preset may be changed later. Raises
    InvalidInput for a damaged document.
    """
    remaining = iter(blocks)
    head = b""
    for block in remaining:
        head += block
        if len(head) > MAX_LINE_BYTES or b"\n" in head.removeprefix(UTF8_BOM).lstrip():
            break
    text = head.removeprefix(UTF8_BOM)
    begins = text.lstrip()[:1]
    whole = itertools.chain([text], remaining)
    if begins == b"[":
        yield from _encode_rows(whole, {TOP_LEVEL_LIST})
    elif begins == b"{" and not is_row_line(
        text[:MAX_LINE_BYTES].partition(b"\n")[0], json_rows_path
    ):
        yield from _encode_rows(whole, _list_members())
    else:
        yield head
        yield from remaining


@cache
def _list_members() -> frozenset[str]:
    return frozenset(list_member(preset.json_rows_path) for preset in load_presets().values())


def _encode_rows(blocks: Iterable[bytes], lists: Collection[str]) -> Iterator[bytes]:
    yield RECORD_SEPARATOR + b"\n"  # even without rows
    rows, rowless = JsonRowParser(lists), 0
    for block in blocks:
        for at in range(0, len(block), _BLOCK):
            piece = block[at : at + _BLOCK]
            rowless += len(piece)
            for name, row in rows.feed(piece):
                yield _encode_row(name, row)
                rowless = 0
            if rowless > MAX_BYTES_WITHOUT_ROW:
                raise InvalidInput(
                    f"the JSON document has no row in {MAX_BYTES_WITHOUT_ROW // 1024 // 1024} "
                    "MiB: is it a list?"
                )
    rows.close()


def _encode_row(name: str, row: Any) -> bytes:
    page = [row] if name == TOP_LEVEL_LIST else {name: [row]}
    line = RECORD_SEPARATOR + json.dumps(page, ensure_ascii=False).encode(errors="replace") + b"\n"
    if len(line) > MAX_LINE_BYTES:
        raise InvalidInput("a row of the JSON document is longer than a mebibyte")
    return line


REPLACEABLE_STATES = frozenset(
    {ImportState.AWAITING_FILE, ImportState.UPLOADED, ImportState.PLANNED, ImportState.UNUSABLE}
)
"""States in which nothing is applied yet, so that file and instructions may be replaced."""


_FIRST_ROW = {"position": 0, "bytes_done": 0, "line_number": 0}


_WITHOUT_PLAN = _FIRST_ROW | {
    "plan": "",
    "problem": "",
    "planned_stats": Jsonb({}),
    "rejected_rows": Jsonb([]),
}


MAX_REFUSALS = 1_000
"""Refusals that are stored with a plan; all are counted."""


MAX_FILE_BYTES = 4 * 1024**3
"""Of an uploaded file. Ten million rows take about a tenth of it."""


def create_upload(
    connection: Connection,
    import_id: UUID,
    instructions: ImportInstructions,
    actor: str,
    now: datetime,
    *,
    name: str = "",
) -> None:
    """Create an import whose file is uploaded next. Safe to repeat."""
    store.insert_import(
        connection,
        import_id,
        state=ImportState.AWAITING_FILE,
        actor=actor,
        name=name,
        instructions=instructions.to_json(),
        now=now,
    )
    audit.insert_audit_entry(connection, now, actor, "import.created", {"import": str(import_id)})


def cancel_upload(connection: Connection, import_id: UUID, actor: str) -> None:
    """Delete an import of which nothing was applied, and its file; what works on it stops.

    Raises UnknownImport, and ImportConflict if it is or was applied.
    """
    found = store.get_import(connection, import_id, lock=True)
    if found.state not in REPLACEABLE_STATES:
        raise ImportConflict(f"this import is {found.state}: it can only be undone")
    store.delete_parts(connection, import_id)
    store.delete_import(connection, import_id)
    audit.insert_audit_entry(
        connection, services().now(), actor, "import.cancelled", {"import": str(import_id)}
    )


def receive_upload(import_id: UUID, blocks: Iterable[bytes]) -> Import:
    """Store a file as it arrives, in place of an earlier one; workers then plan.

    A gzip file is stored unpacked, a JSON document as its rows; the digest is that of the file
    as it was sent. Raises InvalidInput for a damaged file, ImportConflict if it is being
    applied, or another upload is in progress.
    """
    context = services()
    lease = context.new_id()

    def claim(connection: Connection) -> ImportInstructions:
        found = store.get_import(connection, import_id, lock=True)
        now = context.now()
        if found.state not in REPLACEABLE_STATES:
            raise ImportConflict(f"this import is {found.state}: its file can't be replaced")
        if not store.claim_import(connection, import_id, lease, now):
            raise ImportConflict("another upload is in progress, or it is being planned")
        values = _WITHOUT_PLAN | {"state": ImportState.AWAITING_FILE, "file_stored": False}
        store.update_import(connection, import_id, values)
        store.delete_parts(connection, import_id)
        return stored_instructions(found)

    instructions = run_in_transaction(claim)
    try:
        digest, size = _store_parts(import_id, lease, blocks, instructions.preset.json_rows_path)
    except BaseException:
        with suppress(PreferenceCenterError):
            run_in_transaction(lambda c: store.release_import(c, import_id, lease))
        raise
    stored = {
        "state": ImportState.UPLOADED,
        "file_stored": True,
        "digest": digest,
        "size_bytes": size,
        "lease": None,
        "lease_until": None,
    }
    if not run_in_transaction(
        lambda c: store.update_import(
            c, import_id, stored, state=ImportState.AWAITING_FILE, lease=lease
        )
    ):
        raise ImportConflict("another upload replaced this one")
    context.queue.nudge_import(import_id)
    return run_in_transaction(lambda c: store.get_import(c, import_id))


def _store_parts(
    import_id: UUID, lease: UUID, blocks: Iterable[bytes], json_rows_path: str
) -> tuple[bytes, int]:
    digest, size = hashlib.sha256(), 0

    def as_sent() -> Iterator[bytes]:
        for block in blocks:
            digest.update(block)
            yield block

    # Unpacked and parsed once, here: a gzip file and a JSON document can only be read from their
    # beginning, and every step of an import resumes where the one before it stopped.
    kept = to_row_sequence(to_plain_text(unpack_blocks(as_sent())), json_rows_path)
    for number, part in enumerate(_split_parts(kept)):

        def write_part(connection: Connection, number: int = number, part: bytes = part) -> None:
            if not store.claim_import(connection, import_id, lease, services().now()):
                raise ImportConflict("another upload replaced this one, or it was cancelled")
            store.insert_part(connection, import_id, number, part)

        # The client sends the whole file again where one part fails.
        outlast_outage(partial(run_in_transaction, write_part), WORKER_TIMEOUTS)
        size += len(part)
    return digest.digest(), size


def _split_parts(blocks: Iterable[bytes]) -> Iterator[bytes]:
    kept = bytearray()
    for block in blocks:
        kept += block
        while len(kept) >= store.PART_BYTES:
            yield bytes(kept[: store.PART_BYTES])
            del kept[: store.PART_BYTES]
    if kept:
        yield bytes(kept)


def confirm_plan(connection: Connection, import_id: UUID, plan_id: str, actor: str) -> None:
    """Decide to apply a planned import, from its first row on. Safe to repeat.

    Raises ImportConflict unless `plan_id` is the current plan, or if it was applied already.
    """
    found = store.get_import(connection, import_id, lock=True)
    if found.state is ImportState.APPLYING and found.plan == plan_id:
        return
    if found.state is not ImportState.PLANNED:
        raise ImportConflict(f"this import is {found.state}: there is no plan to apply")
    if found.plan != plan_id:
        raise ImportConflict("the plan has changed: review it first")
    ensure_not_applied(connection, plan_id, import_id)
    now = services().now()
    store.change_state(connection, import_id, {ImportState.PLANNED}, ImportState.APPLYING, now)
    audit.insert_audit_entry(connection, now, actor, "import.applying", {"import": str(import_id)})


def replace_instructions(
    connection: Connection, import_id: UUID, instructions: ImportInstructions
) -> None:
    """Replace the instructions; an uploaded file is planned again.

    Raises ImportConflict if it is being applied.
    """
    found = store.get_import(connection, import_id, lock=True)
    if found.state not in REPLACEABLE_STATES:
        raise ImportConflict(f"this import is {found.state}: its instructions can't be replaced")
    state = ImportState.UPLOADED if found.file_stored else ImportState.AWAITING_FILE
    values = {"state": state, "instructions": Jsonb(instructions.to_json())}
    store.update_import(connection, import_id, _WITHOUT_PLAN | values)
    store.release_import(connection, import_id)


def continue_import(import_id: UUID, budget: ImportBudget) -> None:
    """Do the next step of an uploaded import, if no other process holds it."""
    # Another process may have it, or have changed its state; or it was cancelled.
    with suppress(ImportConflict, UnknownImport):
        found = run_in_transaction(lambda c: store.get_import(c, import_id))
        if found.state is ImportState.UPLOADED:
            with hold_import(import_id) as (found, lease):
                _plan(found, lease, budget)
        elif found.state is ImportState.APPLYING:
            apply_import(import_id, _source(found), budget)
        elif found.state is ImportState.UNDOING:
            undo_import(import_id, budget, found.actor)


def _source(found: Import) -> UploadedFile:
    return UploadedFile(found.id, found.size_bytes, found.digest or b"")


def _plan(found: Import, lease: UUID, budget: ImportBudget) -> None:
    plan = problem = ""
    try:
        instructions = stored_instructions(found)
        plan = instructions.plan_id(found.digest or b"")
        if not _plan_rows(found, instructions, lease, budget):
            return
    except InvalidInput as error:
        problem = str(error)
    values = _FIRST_ROW | {
        "state": ImportState.UNUSABLE if problem else ImportState.PLANNED,
        "plan": plan,
        "problem": problem,
    }
    run_in_transaction(
        lambda c: store.update_import(c, found.id, values, state=ImportState.UPLOADED, lease=lease)
    )


def _plan_rows(
    found: Import, instructions: ImportInstructions, lease: UUID, budget: ImportBudget
) -> bool:
    """Whether the end was reached. Raises InvalidInput if these instructions can't be applied."""
    catalogue = current_catalogue()
    instructions.check()
    instructions.scopes.validate(catalogue)
    findings, refusals = PlanStats.from_json(found.planned_stats), list(found.rejected_rows)
    now, region = services().now(), services().settings.phone_region
    translator = RowTranslator(instructions, catalogue, found.id, now, found.actor, region)
    start = ResumePoint(found.position, found.line_number, found.bytes_done)
    with open_unpacked(_source(found)) as stream:
        rows = read_rows(stream, instructions, start)
        while budget.may_continue():
            chunk = list(itertools.islice(rows, CHUNK_SIZE))
            if not chunk:
                findings.validate(catalogue)
                return True
            evaluation = evaluate_chunk(translator, chunk)
            findings.add(evaluation)
            capacity = MAX_REFUSALS - len(refusals)
            refusals += [
                {"line": r.line, "reason": r.reason} for r in evaluation.refusals[:capacity]
            ]
            last = chunk[-1]
            step = {
                "position": last.index + 1,
                "bytes_done": last.end_offset,
                "line_number": last.last_line,
                "planned_stats": Jsonb(findings.to_json()),
                "rejected_rows": Jsonb(refusals),
                "lease_until": services().now() + LEASE_DURATION,
            }
            if not run_in_transaction(
                partial(
                    store.update_import,
                    import_id=found.id,
                    values=step,
                    state=ImportState.UPLOADED,
                    lease=lease,
                )
            ):
                raise ImportConflict("the file or the instructions were replaced in the meantime")
    return False
