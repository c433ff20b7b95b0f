"""This module stores imports: state, progress, lease, and uploaded files.

A lease belongs to the process that works on the import. Uploaded files are stored in parts,
compressed and sealed, so that every process can read them.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Boolean, Index, Integer, LargeBinary, Text, Uuid, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from preference_center.core.errors import ImportConflict, UnknownImport
from preference_center.infra.context import db, services
from preference_center.infra.db.transactions import Connection
from preference_center.infra.keys.sealed_columns import import_part_context
from preference_center.infra.models import TimestampTz


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
    """One import."""

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
    last_undone_event: UUID | None
    undone_count: int
    lease_until: datetime | None


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


_COLUMNS = """id, state, plan, actor, name, instructions, created_at, started_at, finished_at,
    file_stored, digest, size_bytes, position, bytes_done, line_number, planned_stats, stats,
    rejected_rows, problem, last_undone_event, undone_count, lease_until"""


def get_import(connection: Connection, import_id: UUID) -> Import:
    """The import. Raises UnknownImport."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM list_import WHERE id = %s",  # noqa: S608 - a constant
        (import_id,),
    ).fetchone()
    if row is None:
        raise UnknownImport("there is no import of this id")
    return _to_import(row)


def list_imports(connection: Connection) -> list[Import]:
    """All imports, the newest first."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM list_import ORDER BY created_at DESC, id DESC"  # noqa: S608 - constants of this module
    )
    return [_to_import(row) for row in rows]


def list_newest_imports(
    connection: Connection, limit: int, before: UUID | None = None
) -> list[Import]:
    """The newest imports, or the newest of those before the one with the id `before`.

    Without their refusals. Ids sort by time.
    """
    columns = _COLUMNS.replace("rejected_rows", "'[]'::jsonb")
    rows = connection.execute(
        f"""SELECT {columns} FROM list_import
        WHERE %(before)s::uuid IS NULL OR id < %(before)s ORDER BY id DESC LIMIT %(limit)s""",  # noqa: S608 - constants of this module
        {"before": before, "limit": limit},
    )
    return [_to_import(row) for row in rows]


def delete_import(connection: Connection, import_id: UUID) -> None:
    """Delete an import of which nothing was applied."""
    connection.execute("DELETE FROM list_import WHERE id = %s", (import_id,))


def list_imports_by_plan(connection: Connection, plan: str) -> list[Import]:
    """Imports of these instructions and this file that are applied or under way."""
    rows = connection.execute(
        f"""SELECT {_COLUMNS} FROM list_import WHERE plan = %s
        AND state IN ('applying', 'applied', 'undoing')""",  # noqa: S608 - a constant
        (plan,),
    )
    return [_to_import(row) for row in rows]


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
    connection.execute(
        """INSERT INTO list_import
            (id, state, plan, actor, name, instructions, created_at, started_at, digest,
                size_bytes)
        VALUES (%(id)s, %(state)s, %(plan)s, %(actor)s, %(name)s, %(instructions)s, %(now)s,
            %(started)s, %(digest)s, %(bytes)s)
        ON CONFLICT DO NOTHING""",
        {
            "id": import_id,
            "state": state,
            "plan": plan,
            "actor": actor,
            "name": name,
            "instructions": json.dumps(instructions),
            "now": now,
            "started": now if state is ImportState.APPLYING else None,
            "digest": digest,
            "bytes": size_bytes,
        },
    )


def claim_import(
    connection: Connection,
    import_id: UUID,
    lease: UUID,
    *,
    now: datetime,
    until: datetime,
    force: bool = False,
) -> bool:
    """Claim the import for the lease; False while another process holds it.

    With `force` it is claimed anyway, and the other process's next step fails.
    """
    row = connection.execute(
        """UPDATE list_import SET lease = %(lease)s, lease_until = %(until)s
        WHERE id = %(id)s AND (%(force)s OR lease_until IS NULL OR lease_until <= %(now)s
            OR lease = %(lease)s)
        RETURNING id""",
        {"id": import_id, "lease": lease, "now": now, "until": until, "force": force},
    ).fetchone()
    return row is not None


def release_import(connection: Connection, import_id: UUID, lease: UUID) -> None:
    """Release the import, so that other processes can continue it."""
    connection.execute(
        "UPDATE list_import SET lease = NULL, lease_until = NULL WHERE id = %s AND lease = %s",
        (import_id, lease),
    )


def revoke_lease(connection: Connection, import_id: UUID) -> None:
    """End any lease of the import: its holder's next step fails."""
    connection.execute(
        "UPDATE list_import SET lease = NULL, lease_until = NULL WHERE id = %s", (import_id,)
    )


def record_step(
    connection: Connection, import_id: UUID, lease: UUID, step: ImportStep, until: datetime
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
            "stats": json.dumps(step.stats),
            "until": until,
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
    until: datetime,
) -> bool:
    """Record that the events up to `last_event` are retracted; False if the lease was lost."""
    moved = connection.execute(
        """UPDATE list_import SET lease_until = %(until)s, last_undone_event = %(last_event)s,
            undone_count = undone_count + CASE
                WHEN last_undone_event IS DISTINCT FROM %(last_event)s THEN %(count)s ELSE 0 END
        WHERE id = %(id)s AND lease = %(lease)s AND state = 'undoing'""",
        {"id": import_id, "lease": lease, "last_event": last_event, "count": count, "until": until},
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


def lock_import(connection: Connection, import_id: UUID) -> Import:
    """The import, locked until this transaction ends."""
    connection.execute("SELECT FROM list_import WHERE id = %s FOR UPDATE", (import_id,))
    return get_import(connection, import_id)


def list_due_imports(connection: Connection, now: datetime) -> list[UUID]:
    """Uploaded imports with something to do that no process holds."""
    rows = connection.execute(
        """SELECT id FROM list_import WHERE state = ANY(%s) AND file_stored
            AND (lease_until IS NULL OR lease_until <= %s) ORDER BY created_at""",
        (sorted(UNFINISHED_STATES), now),
    )
    return [row[0] for row in rows]


def list_undoing(connection: Connection) -> list[UUID]:
    """The imports that are being undone."""
    rows = connection.execute("SELECT id FROM list_import WHERE state = 'undoing'")
    return [row[0] for row in rows]


def _to_import(row: tuple[Any, ...]) -> Import:
    return Import(row[0], ImportState(row[1]), *row[2:])


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


class ImportRow(db.Model):  # type: ignore[misc,name-defined]
    """One import. Its progress is updated in the transaction that records its rows.

    `position` counts the rows done, `bytes_done` is the offset of the next one. `lease` is the
    process at work; if another one claims the import, the first one's next step fails.
    `planned_stats` are of the dry run of an uploaded file, `stats` of applying it.
    `depends_on` are the imports whose events made rows of this one "already present".
    """

    __tablename__ = "list_import"
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    state: Mapped[str] = mapped_column(Text)
    plan: Mapped[str] = mapped_column(Text, server_default="")
    actor: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text, server_default="")
    instructions: Mapped[dict[str, Any]] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(TimestampTz)
    started_at: Mapped[datetime | None] = mapped_column(TimestampTz)
    finished_at: Mapped[datetime | None] = mapped_column(TimestampTz)
    file_stored: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    digest: Mapped[bytes | None] = mapped_column(LargeBinary)
    size_bytes: Mapped[int] = mapped_column(BigInteger, server_default="0")
    position: Mapped[int] = mapped_column(BigInteger, server_default="0")
    bytes_done: Mapped[int] = mapped_column(BigInteger, server_default="0")
    line_number: Mapped[int] = mapped_column(BigInteger, server_default="0")
    planned_stats: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
    stats: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
    rejected_rows: Mapped[list[Any]] = mapped_column(JSONB, server_default="[]")
    problem: Mapped[str] = mapped_column(Text, server_default="")
    depends_on: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid), server_default="{}")
    last_undone_event: Mapped[UUID | None] = mapped_column(Uuid)
    undone_count: Mapped[int] = mapped_column(BigInteger, server_default="0")
    lease: Mapped[UUID | None] = mapped_column(Uuid)
    lease_until: Mapped[datetime | None] = mapped_column(TimestampTz)
    __table_args__ = (Index("list_import_state", "state"), Index("list_import_plan", "plan"))


class ImportPartRow(db.Model):  # type: ignore[misc,name-defined]
    """A part of an uploaded file, compressed and sealed; deleted when the import is done."""

    __tablename__ = "list_import_part"
    import_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    size_bytes: Mapped[int] = mapped_column(Integer)
    content: Mapped[bytes] = mapped_column(LargeBinary)
