"""This module stores imports: state, progress, lease, and uploaded files.

A lease belongs to the process that works on the import. Uploaded files are stored in parts,
compressed and sealed, so that every process can read them.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb
from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, Text, Uuid, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from preference_center.core.errors import ImportConflict, UnknownImport
from preference_center.infra.context import db, services
from preference_center.infra.db.rows import columns_of, fetch_rows, insert_row
from preference_center.infra.db.transactions import Connection
from preference_center.infra.keys.sealed_columns import import_part_context
from preference_center.infra.models import describe_table


class ImportState(StrEnum):
    """The state of an import."""

    AWAITING_FILE = "awaiting_file"
    UPLOADED = "uploaded"
    """A worker has to read and plan it."""
    PLANNED = "planned"
    UNUSABLE = "unusable"
    """It can't be imported as it is; `problem` states what to fix."""
    APPLYING = "applying"
    APPLIED = "applied"
    UNDOING = "undoing"
    UNDONE = "undone"


UNFINISHED_STATES = frozenset({ImportState.UPLOADED, ImportState.APPLYING, ImportState.UNDOING})
"""States in which a worker has something to do."""


@dataclass(frozen=True, slots=True)
class Import:
    """One import. Its progress is updated in the transaction that records its rows.

    `position` counts the rows done, `bytes_done` is the offset of the next one. `lease` is the
    process at work; if another one claims the import, the first one's next step fails.
    `planned_stats` are of the dry run of an uploaded file, `stats` of applying it.
    `depends_on` are the imports whose events made rows of this one "already present".
    """

    id: UUID
    state: ImportState
    plan: str
    actor: str
    name: str
    instructions: Mapping[str, Any]
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    file_stored: bool
    digest: bytes | None
    size_bytes: int
    position: int
    bytes_done: int
    line_number: int
    planned_stats: Mapping[str, Any]
    stats: Mapping[str, Any]
    rejected_rows: Sequence[Mapping[str, Any]]
    problem: str
    depends_on: Sequence[UUID]
    last_undone_event: UUID | None
    undone_count: int
    lease: UUID | None
    lease_until: datetime | None


LIST_IMPORT = describe_table(
    "list_import",
    Import,
    Column("plan", Text, nullable=False, server_default=""),
    Column("name", Text, nullable=False, server_default=""),
    Column("instructions", JSONB, nullable=False),
    Column("file_stored", Boolean, nullable=False, server_default=text("false")),
    *(
        Column(name, BigInteger, nullable=False, server_default="0")
        for name in ("size_bytes", "position", "bytes_done", "line_number", "undone_count")
    ),
    Column("planned_stats", JSONB, nullable=False, server_default="{}"),
    Column("stats", JSONB, nullable=False, server_default="{}"),
    Column("rejected_rows", JSONB, nullable=False, server_default="[]"),
    Column("problem", Text, nullable=False, server_default=""),
    Column("depends_on", ARRAY(Uuid), nullable=False, server_default="{}"),
    Index("list_import_state", "state"),
    Index("list_import_plan", "plan"),
)


@dataclass(frozen=True, slots=True)
class ImportStep:
    """The progress after a chunk, stored in the transaction that records the chunk."""

    start_position: int
    """The position it began at."""
    position: int
    bytes_done: int
    line_number: int
    stats: Mapping[str, Any]
    depends_on: frozenset[UUID] = frozenset()


LEASE_DURATION = timedelta(seconds=60)
"""How long an import stays locked after its worker stops responding."""


_COLUMNS = columns_of(Import)


def _select(
    connection: Connection, condition: str, columns: str = _COLUMNS, **given: Any
) -> list[Import]:
    query = f"SELECT {columns} FROM list_import {condition}"  # noqa: S608 - constants of this module
    found = fetch_rows(connection, Import, query, given)
    return [replace(each, state=ImportState(each.state)) for each in found]


def get_import(connection: Connection, import_id: UUID, *, lock: bool = False) -> Import:
    """The import; with `lock` it is locked until this transaction ends. Raises UnknownImport."""
    condition = f"WHERE id = %(id)s {'FOR UPDATE' if lock else ''}"
    if found := _select(connection, condition, id=import_id):
        return found[0]
    raise UnknownImport("there is no import of this id")


def list_imports(connection: Connection) -> list[Import]:
    """All imports, the newest first."""
    return _select(connection, "ORDER BY created_at DESC, id DESC")


def list_newest_imports(
    connection: Connection, limit: int, before: UUID | None = None
) -> list[Import]:
    """The newest imports, or the newest of those before the one with the id `before`.

    Without their refusals. Ids sort by time.
    """
    return _select(
        connection,
        "WHERE %(before)s::uuid IS NULL OR id < %(before)s ORDER BY id DESC LIMIT %(limit)s",
        _COLUMNS.replace("rejected_rows", "'[]'::jsonb AS rejected_rows"),
        before=before,
        limit=limit,
    )


def delete_import(connection: Connection, import_id: UUID) -> None:
    """Delete an import of which nothing was applied."""
    connection.execute("DELETE FROM list_import WHERE id = %s", (import_id,))


def list_imports_by_plan(connection: Connection, plan: str) -> list[Import]:
    """Imports of these instructions and this file that are applied or under way."""
    condition = "WHERE plan = %(plan)s AND state IN ('applying', 'applied', 'undoing')"
    return _select(connection, condition, plan=plan)


def insert_import(
    connection: Connection,
    import_id: UUID,
    *,
    state: ImportState,
    actor: str,
    name: str,
    instructions: Mapping[str, Any],
    now: datetime,
    plan: str = "",
    digest: bytes | None = None,
    size_bytes: int = 0,
) -> None:
    """Store an import. Safe to repeat. One that is applied at once has a digest and a plan."""
    values = {
        "id": import_id,
        "state": state,
        "plan": plan,
        "actor": actor,
        "name": name,
        "instructions": Jsonb(instructions),
        "created_at": now,
        "started_at": now if state is ImportState.APPLYING else None,
        "digest": digest,
        "size_bytes": size_bytes,
    }
    insert_row(connection, "list_import", values, "DO NOTHING")


def update_import(
    connection: Connection,
    import_id: UUID,
    values: Mapping[str, Any],
    *,
    state: ImportState | None = None,
    lease: UUID | None = None,
) -> bool:
    """Set these columns. False unless it is in that `state`, and the `lease` is still held."""
    changed = ", ".join(f"{name} = %({name})s" for name in values)
    query = f"""UPDATE list_import SET {changed} WHERE id = %(of_id)s
        AND (%(of_state)s::text IS NULL OR state = %(of_state)s)
        AND (%(of_lease)s::uuid IS NULL OR lease = %(of_lease)s)"""  # noqa: S608 - names of columns
    given = {**values, "of_id": import_id, "of_state": state, "of_lease": lease}
    return connection.execute(query.encode(), given).rowcount == 1


def claim_import(
    connection: Connection, import_id: UUID, lease: UUID, now: datetime, *, force: bool = False
) -> bool:
    """Claim the import for the lease; False while another process holds it.

    With `force` it is claimed anyway, and the other process's next step fails.
    """
    claimed = connection.execute(
        """UPDATE list_import SET lease = %(lease)s, lease_until = %(until)s
        WHERE id = %(id)s AND (%(force)s OR lease_until IS NULL OR lease_until <= %(now)s
            OR lease = %(lease)s)""",
        {
            "id": import_id,
            "lease": lease,
            "now": now,
            "until": now + LEASE_DURATION,
            "force": force,
        },
    )
    return claimed.rowcount == 1


def release_import(connection: Connection, import_id: UUID, lease: UUID | None = None) -> None:
    """Let other processes continue it. Without `lease` any process's next step fails."""
    update_import(connection, import_id, {"lease": None, "lease_until": None}, lease=lease)


def record_step(
    connection: Connection, import_id: UUID, lease: UUID, step: ImportStep, now: datetime
) -> bool:
    """Store the progress. Safe to repeat. False if another process holds the import."""
    moved = connection.execute(
        """UPDATE list_import SET position = %(position)s, bytes_done = %(bytes)s,
            line_number = %(line)s, stats = %(stats)s, lease_until = %(until)s,
            depends_on = ARRAY(SELECT unnest(depends_on)
                UNION SELECT unnest(%(depends_on)s::uuid[]))
        WHERE id = %(id)s AND lease = %(lease)s AND state = 'applying'
            AND position IN (%(before)s, %(position)s)""",
        {
            "id": import_id,
            "lease": lease,
            "before": step.start_position,
            "position": step.position,
            "bytes": step.bytes_done,
            "line": step.line_number,
            "stats": Jsonb(step.stats),
            "until": now + LEASE_DURATION,
            "depends_on": list(step.depends_on),
        },
    )
    return moved.rowcount == 1


def lock_against_undo(connection: Connection, ids: Collection[UUID]) -> bool:
    """Lock these imports so that none is undone before the transaction ends; False if one was."""
    rows = connection.execute(
        "SELECT state FROM list_import WHERE id = ANY(%s) ORDER BY id FOR SHARE", (list(ids),)
    )
    return not {row[0] for row in rows} & {ImportState.UNDOING, ImportState.UNDONE}


def list_dependent_imports(connection: Connection, import_id: UUID) -> list[UUID]:
    """Imports, not undone, that skipped rows because this one had recorded them."""
    rows = connection.execute(
        """SELECT id FROM list_import WHERE %s = ANY(depends_on) AND state <> 'undone'
        ORDER BY created_at DESC""",
        (import_id,),
    )
    return [row[0] for row in rows]


def record_undo_step(
    connection: Connection,
    import_id: UUID,
    lease: UUID,
    *,
    last_event: UUID,
    count: int,
    now: datetime,
) -> bool:
    """Record that the events up to `last_event` are retracted; False if the lease was lost."""
    moved = connection.execute(
        """UPDATE list_import SET lease_until = %(until)s, last_undone_event = %(last_event)s,
            undone_count = undone_count + CASE
                WHEN last_undone_event IS DISTINCT FROM %(last_event)s THEN %(count)s ELSE 0 END
        WHERE id = %(id)s AND lease = %(lease)s AND state = 'undoing'""",
        {
            "id": import_id,
            "lease": lease,
            "last_event": last_event,
            "count": count,
            "until": now + LEASE_DURATION,
        },
    )
    return moved.rowcount == 1


def change_state(
    connection: Connection,
    import_id: UUID,
    from_states: Collection[ImportState],
    to_state: ImportState,
    now: datetime,
    *,
    lease: UUID | None = None,
) -> bool:
    """Change the state; False unless it was one of `from_states` (and `lease` is still held)."""
    moved = connection.execute(
        """UPDATE list_import SET state = %(after)s,
            started_at = CASE WHEN %(after)s = 'applying' THEN COALESCE(started_at, %(now)s)
                ELSE started_at END,
            finished_at = CASE WHEN %(after)s IN ('applied', 'undone') THEN %(now)s END
        WHERE id = %(id)s AND state = ANY(%(before)s)
            AND (%(lease)s::uuid IS NULL OR lease = %(lease)s)""",
        {
            "id": import_id,
            "before": [state.value for state in from_states],
            "after": to_state,
            "now": now,
            "lease": lease,
        },
    )
    return moved.rowcount == 1


def list_due_imports(connection: Connection, now: datetime) -> list[UUID]:
    """Imports that no process holds: of stored files, and those that are to be undone."""
    rows = connection.execute(
        """SELECT id FROM list_import
        WHERE state = ANY(%s) AND (file_stored OR state = 'undoing')
            AND (lease_until IS NULL OR lease_until <= %s) ORDER BY created_at""",
        (sorted(UNFINISHED_STATES), now),
    )
    return [row[0] for row in rows]


def list_undoing(connection: Connection) -> list[UUID]:
    """The imports that are being undone."""
    rows = connection.execute("SELECT id FROM list_import WHERE state = 'undoing'")
    return [row[0] for row in rows]


PART_BYTES = 512 * 1024
"""Bytes of the file in one part."""


def insert_part(connection: Connection, import_id: UUID, part_number: int, data: bytes) -> None:
    """Store one part. Safe to repeat."""
    packed = base64.b64encode(zlib.compress(data, 1)).decode()
    content = services().keys.seal(packed, context=import_part_context(import_id, part_number))
    connection.execute(
        """INSERT INTO list_import_part (import_id, number, size_bytes, content)
        VALUES (%s, %s, %s, %s) ON CONFLICT (import_id, number)
        DO UPDATE SET size_bytes = EXCLUDED.size_bytes, content = EXCLUDED.content""",
        (import_id, part_number, len(data), content),
    )


_FILE_GONE = "another process has finished this import, or its file was replaced"


def load_part(connection: Connection, import_id: UUID, part_number: int) -> bytes:
    """One part as it was uploaded. Raises ImportConflict if the file is gone."""
    row = connection.execute(
        "SELECT content FROM list_import_part WHERE import_id = %s AND number = %s",
        (import_id, part_number),
    ).fetchone()
    if row is None:
        raise ImportConflict(_FILE_GONE)
    packed = services().keys.open(row[0], context=import_part_context(import_id, part_number))
    return zlib.decompress(base64.b64decode(packed))


def list_part_sizes(connection: Connection, import_id: UUID, size: int) -> list[int]:
    """The bytes of each part of a file of `size` bytes. Raises ImportConflict if it is gone."""
    rows = connection.execute(
        "SELECT size_bytes FROM list_import_part WHERE import_id = %s ORDER BY number", (import_id,)
    )
    sizes = [row[0] for row in rows]
    if sum(sizes) != size:
        raise ImportConflict(_FILE_GONE)
    return sizes


def delete_parts(connection: Connection, import_id: UUID) -> None:
    """Delete the file."""
    connection.execute("DELETE FROM list_import_part WHERE import_id = %s", (import_id,))


UPLOAD_RETENTION = timedelta(days=7)
"""How long an uploaded file is kept that was not applied."""


def delete_expired_parts(connection: Connection, before: datetime) -> int:
    """Delete the files of imports created before that and not applied; returns how many parts."""
    return connection.execute(
        """WITH expired AS (
            UPDATE list_import i SET state = 'awaiting_file', file_stored = false, plan = ''
            WHERE i.created_at < %s AND i.state IN ('awaiting_file', 'planned', 'unusable')
                AND EXISTS (SELECT FROM list_import_part p WHERE p.import_id = i.id)
            RETURNING i.id
        )
        DELETE FROM list_import_part p USING expired WHERE p.import_id = expired.id""",
        (before,),
    ).rowcount


class ImportPartRow(db.Model):  # type: ignore[misc,name-defined]
    """A part of an uploaded file, compressed and sealed; deleted when the import is done."""

    __tablename__ = "list_import_part"
    import_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    size_bytes: Mapped[int] = mapped_column(Integer)
    content: Mapped[bytes] = mapped_column(LargeBinary)
