"""Uploaded files in parts, compressed and sealed, so that every process can read them."""

from __future__ import annotations

import base64
import zlib
from datetime import datetime
from uuid import UUID

from preference_center.core.errors import ImportConflict
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection
from preference_center.infra.keys.sealed_columns import import_part_context

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


def load_part(connection: Connection, import_id: UUID, part_number: int) -> bytes:
    """One part as it was uploaded. Raises ImportConflict if the file is gone."""
    row = connection.execute(
        "SELECT content FROM list_import_part WHERE import_id = %s AND number = %s",
        (import_id, part_number),
    ).fetchone()
    if row is None:  # another process went on meanwhile
        raise ImportConflict("another process has finished this import, or its file was replaced")
    packed = services().keys.open(row[0], context=import_part_context(import_id, part_number))
    return zlib.decompress(base64.b64decode(packed))


def list_part_sizes(connection: Connection, import_id: UUID) -> list[int]:
    """The size of each part in bytes, in their order."""
    rows = connection.execute(
        "SELECT size_bytes FROM list_import_part WHERE import_id = %s ORDER BY number", (import_id,)
    )
    return [row[0] for row in rows]


def delete_parts(connection: Connection, import_id: UUID) -> None:
    """Delete the file."""
    connection.execute("DELETE FROM list_import_part WHERE import_id = %s", (import_id,))


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
