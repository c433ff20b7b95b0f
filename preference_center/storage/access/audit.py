"""Who did or tried what outside the ledger: keys created and revoked, requests refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from psycopg.types.json import Jsonb

from preference_center.storage.db.database import Connection


def insert_audit_entry(
    connection: Connection,
    at: datetime,
    actor: str,
    action: str,
    detail: Mapping[str, str | Sequence[str]],
) -> None:
    """Record that `actor` did `action`. `detail` must hold nothing personal (I12)."""
    connection.execute(
        "INSERT INTO audit (at, actor, action, detail) VALUES (%s, %s, %s, %s)",
        (at, actor, action, Jsonb(dict(detail))),
    )
