"""Files that prove an agent's authority: sealed, for RETENTION."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from preference_center.core.keys import Keys
from preference_center.infra.db.transactions import Connection
from preference_center.infra.keys.sealed_columns import rights_proof_context
from preference_center.rights.rules.proof_files import ProofFile, ProofKind, ProofType

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
    connection.execute(
        """INSERT INTO rights_proof (id, request_id, kind, content, declared_type, sniffed_type,
            size_bytes, sha256, received_at, forget_at)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (id) DO NOTHING""",
        (
            proof_id,
            request_id,
            proof.kind,
            keys.seal(text, context=rights_proof_context(proof_id)),
            proof.declared_type[:_DECLARED_LENGTH],
            proof.type,
            len(proof.content),
            hashlib.sha256(proof.content).digest(),
            now,
            now + PROOF_RETENTION,
        ),
    )


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
        "SELECT content FROM rights_proof WHERE id = %s AND request_id = %s",
        (proof_id, request_id),
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
