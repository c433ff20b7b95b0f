"""Uploaded imports, while nothing of them is applied yet: file, plan, instructions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from preference_center.infra.db.transactions import Connection
from preference_center.lists.store.import_jobs import ImportState, ImportStep


def record_plan_step(
    connection: Connection,
    import_id: UUID,
    lease: UUID,
    step: ImportStep,
    rejected_rows: Sequence[Mapping[str, Any]],
    until: datetime,
) -> bool:
    """Store the progress of planning; False if the lease was lost."""
    moved = connection.execute(
        """UPDATE list_import SET position = %(position)s, bytes_done = %(bytes)s,
            line_number = %(line)s, planned_stats = %(planned)s, rejected_rows = %(rejected_rows)s,
            lease_until = %(until)s
        WHERE id = %(id)s AND lease = %(lease)s AND state = 'uploaded'""",
        {
            "id": import_id,
            "lease": lease,
            "position": step.position,
            "bytes": step.bytes_done,
            "line": step.line_number,
            "planned": json.dumps(step.stats),
            "rejected_rows": json.dumps(rejected_rows),
            "until": until,
        },
    )
    return moved.rowcount == 1


def record_plan_finished(
    connection: Connection, import_id: UUID, lease: UUID, *, plan: str, problem: str
) -> None:
    """Finish planning: the import can be applied from its first row on, or has a problem."""
    connection.execute(
        """UPDATE list_import SET state = %(state)s, plan = %(plan)s, problem = %(problem)s,
            position = 0, bytes_done = 0, line_number = 0
        WHERE id = %(id)s AND lease = %(lease)s AND state = 'uploaded'""",
        {
            "id": import_id,
            "lease": lease,
            "state": ImportState.UNUSABLE if problem else ImportState.PLANNED,
            "plan": plan,
            "problem": problem,
        },
    )


def record_upload(
    connection: Connection, import_id: UUID, lease: UUID, *, digest: bytes, size_bytes: int
) -> bool:
    """Record that the file is complete and can be planned; False if the lease was lost."""
    moved = connection.execute(
        """UPDATE list_import SET state = 'uploaded', file_stored = true, digest = %(digest)s,
            size_bytes = %(bytes)s, lease = NULL, lease_until = NULL
        WHERE id = %(id)s AND lease = %(lease)s AND state = 'awaiting_file'""",
        {"id": import_id, "lease": lease, "digest": digest, "bytes": size_bytes},
    )
    return moved.rowcount == 1


def reset_plan(
    connection: Connection,
    import_id: UUID,
    state: ImportState,
    instructions: Mapping[str, Any] | None = None,
) -> None:
    """Delete the result of an earlier plan, of other instructions or another file."""
    connection.execute(
        """UPDATE list_import SET state = %(state)s, plan = '', problem = '', planned_stats = '{}',
            rejected_rows = '[]', position = 0, bytes_done = 0, line_number = 0,
            file_stored = file_stored AND %(state)s <> 'awaiting_file',
            instructions = COALESCE(%(instructions)s::jsonb, instructions)
        WHERE id = %(id)s""",
        {
            "id": import_id,
            "state": state,
            "instructions": instructions and json.dumps(instructions),
        },
    )
