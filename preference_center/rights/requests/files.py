"""Store the files of a request sealed: those that answer it, and those that prove authority.

The file that answers a request for access is stored in parts, for FILE_RETENTION. Files that prove
an agent's authority are stored for PROOF_RETENTION.
"""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from preference_center.core.keys import Keys
from preference_center.infra.db.rows import insert_row
from preference_center.infra.db.transactions import Connection
from preference_center.infra.keys.sealed_columns import rights_file_context, rights_proof_context
from preference_center.rights.rules.identity import ProofFile, ProofKind, ProofType

PART_BYTES = 512 * 1024
"""Bytes of the file in one part."""


FILE_RETENTION = timedelta(days=7)
"""How long the file is kept, and how long a request again gives the same one."""


_FILE_LOCK = 0x61636365737321
"""Space of the advisory locks by which one worker at a time builds the file of a request."""


def try_lock(connection: Connection, request_id: UUID) -> bool:
    """Whether no other worker builds this file; none can until the transaction ends."""
    row = connection.execute(
        "SELECT pg_try_advisory_xact_lock(%s)", (_FILE_LOCK ^ request_id.int % (1 << 62),)
    ).fetchone()
    assert row
    return bool(row[0])


def insert_part(
    connection: Connection,
    keys: Keys,
    request_id: UUID,
    number: int,
    data: bytes,
    *,
    created_at: datetime,
    expires_at: datetime,
) -> None:
    """Store one part."""
    text = base64.b64encode(data).decode()
    content = keys.seal(text, context=rights_file_context(request_id, number))
    connection.execute(
        """INSERT INTO rights_file (request_id, number, content, created_at, expires_at)
        VALUES (%s, %s, %s, %s, %s)""",
        (request_id, number, content, created_at, expires_at),
    )


def iter_parts(connection: Connection, keys: Keys, request_id: UUID) -> Iterator[bytes]:
    """The file, part by part; nothing if there is none."""
    number = 0
    while True:
        row = connection.execute(
            "SELECT content FROM rights_file WHERE request_id = %s AND number = %s",
            (request_id, number),
        ).fetchone()
        if row is None:
            return
        text = keys.open(row[0], context=rights_file_context(request_id, number))
        yield base64.b64decode(text)
        number += 1


def load_period(connection: Connection, request_id: UUID) -> tuple[datetime, datetime] | None:
    """When the file of this request was made and when it expires (UTC); None without a file."""
    row = connection.execute(
        "SELECT created_at, expires_at FROM rights_file WHERE request_id = %s AND number = 0",
        (request_id,),
    ).fetchone()
    return (row[0], row[1]) if row else None


def list_waiting(connection: Connection, limit: int) -> list[UUID]:
    """The open requests for access, whose files are to be built, the earliest deadline first."""
    rows = connection.execute(
        """SELECT id FROM rights_request
        WHERE closed_at IS NULL AND kind = 'access' AND state = 'open'
        ORDER BY due_at LIMIT %s""",
        (limit,),
    )
    return [row[0] for row in rows]


_OF_SUBJECT = """FROM rights_request r JOIN address a
    ON a.digest = ANY(r.subject_digests) OR a.id = ANY(r.address_ids)"""


def list_erasures(connection: Connection, request_id: UUID) -> set[UUID]:
    """The erasures so far, each by its id, of the addresses of a request."""
    rows = connection.execute(
        f"SELECT e.id {_OF_SUBJECT} JOIN erasure e ON e.address_id = a.id WHERE r.id = %s",
        (request_id,),
    )
    return {row[0] for row in rows}


def lock_subject(connection: Connection, request_id: UUID) -> None:
    """Let nobody of a request be erased until the transaction ends.

    To be called last: anyone who opts out waits for the lock.
    """
    connection.execute(
        f"SELECT {_OF_SUBJECT} WHERE r.id = %s ORDER BY a.digest, a.channel FOR SHARE OF a",
        (request_id,),
    )


def find_same_file(connection: Connection, request_id: UUID, now: datetime) -> UUID | None:
    """Another request of the same people, level and language whose file has not expired yet."""
    row = connection.execute(
        """SELECT earlier.id FROM rights_request asked
        JOIN rights_request earlier ON earlier.kind = asked.kind
            AND earlier.language = asked.language AND earlier.level = asked.level
            AND earlier.subject_digests @> asked.subject_digests
            AND earlier.subject_digests <@ asked.subject_digests
        JOIN rights_file f ON f.request_id = earlier.id AND f.number = 0
        WHERE asked.id = %(id)s AND earlier.id <> asked.id AND f.expires_at > %(now)s
        ORDER BY f.created_at DESC LIMIT 1""",
        {"id": request_id, "now": now},
    ).fetchone()
    return row[0] if row else None


def delete_expired(connection: Connection, now: datetime) -> int:
    """Delete the files that have expired; returns how many parts."""
    return connection.execute("DELETE FROM rights_file WHERE expires_at <= %s", (now,)).rowcount


def delete_file(connection: Connection, request_id: UUID) -> None:
    """Delete the file of a request."""
    connection.execute("DELETE FROM rights_file WHERE request_id = %s", (request_id,))


class FileWriter(io.RawIOBase):
    """A stream that stores what is written to it in sealed parts; `finish` stores the last one.

    It can't seek, so that no more than one part is ever in memory.
    """

    def __init__(
        self,
        connection: Connection,
        keys: Keys,
        request_id: UUID,
        *,
        created_at: datetime,
        expires_at: datetime,
    ) -> None:
        self._connection = connection
        self._keys = keys
        self._request_id = request_id
        self._created_at = created_at
        self._expires_at = expires_at
        self._pending = bytearray()
        self._number = 0

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, data: object) -> int:
        """Take all of `data`, and store the parts that are complete."""
        view = bytes(data)  # type: ignore[call-overload]
        self._pending += view
        while len(self._pending) >= PART_BYTES:
            self._store(self._pending[:PART_BYTES])
            del self._pending[:PART_BYTES]
        return len(view)

    def finish(self) -> None:
        """Store what is left."""
        if self._pending:
            self._store(self._pending)
            self._pending.clear()

    def _store(self, data: bytearray) -> None:
        insert_part(
            self._connection,
            self._keys,
            self._request_id,
            self._number,
            bytes(data),
            created_at=self._created_at,
            expires_at=self._expires_at,
        )
        self._number += 1


PROOF_RETENTION = timedelta(days=90)


_DECLARED_LENGTH = 100
"""Characters that are kept of what a browser called a file."""


@dataclass(frozen=True, slots=True)
class StoredProof:
    """A stored file, without its bytes."""

    id: UUID
    request_id: UUID
    kind: ProofKind
    declared_type: str
    type: ProofType
    size_bytes: int
    received_at: datetime
    forget_at: datetime


def insert_proof(
    connection: Connection,
    keys: Keys,
    proof_id: UUID,
    request_id: UUID,
    proof: ProofFile,
    now: datetime,
) -> None:
    """Store a file that was checked. An id is stored once."""
    text = base64.b64encode(proof.content).decode()
    row = {
        "id": proof_id,
        "request_id": request_id,
        "kind": proof.kind,
        "content": keys.seal(text, context=rights_proof_context(proof_id)),
        "declared_type": proof.declared_type[:_DECLARED_LENGTH],
        "sniffed_type": proof.type,
        "size_bytes": len(proof.content),
        "sha256": hashlib.sha256(proof.content).digest(),
        "received_at": now,
        "forget_at": now + PROOF_RETENTION,
    }
    insert_row(connection, "rights_proof", row, "(id) DO NOTHING")


def list_proofs(connection: Connection, request_id: UUID) -> list[StoredProof]:
    """The files of a request that are still here, the oldest first."""
    rows = connection.execute(
        """SELECT id, request_id, kind, declared_type, sniffed_type, size_bytes, received_at,
            forget_at
        FROM rights_proof WHERE request_id = %s ORDER BY received_at, id""",
        (request_id,),
    )
    return [
        StoredProof(row[0], row[1], ProofKind(row[2]), row[3], ProofType(row[4]), *row[5:])
        for row in rows
    ]


def load_content(
    connection: Connection, keys: Keys, request_id: UUID, proof_id: UUID
) -> bytes | None:
    """The bytes of a file of this request; None if it is gone. Raises DecryptionError."""
    row = connection.execute(
        "SELECT content FROM rights_proof WHERE id = %s AND request_id = %s", (proof_id, request_id)
    ).fetchone()
    if row is None:
        return None
    return base64.b64decode(keys.open(row[0], context=rights_proof_context(proof_id)))


def delete_proof(connection: Connection, request_id: UUID, proof_id: UUID) -> bool:
    """Delete one file of a request; False if it is gone."""
    query = "DELETE FROM rights_proof WHERE id = %s AND request_id = %s"
    return connection.execute(query, (proof_id, request_id)).rowcount > 0


def purge_proofs(connection: Connection, now: datetime) -> int:
    """Delete the files whose time is over; returns how many."""
    return connection.execute("DELETE FROM rights_proof WHERE forget_at <= %s", (now,)).rowcount
