"""The audit records who did or tried what outside the ledger.

Examples are keys that were created or revoked, and requests that were refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from preference_center.infra.db.transactions import Connection


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


MAX_NAMES = 200
"""How many actors or actions are listed to choose from."""

# Jumps from one value to the next in the index, however many entries each has.
_NAMES = """
WITH RECURSIVE found AS (
    (SELECT {0} AS name FROM audit ORDER BY {0} LIMIT 1)
    UNION ALL
    SELECT (SELECT {0} FROM audit WHERE {0} > found.name ORDER BY {0} LIMIT 1)
    FROM found WHERE found.name IS NOT NULL
)
SELECT name FROM found WHERE name IS NOT NULL LIMIT %s
"""


@dataclass(frozen=True, slots=True)
class AuditKey:
    """Where an entry is in the order of time."""

    at: datetime
    id: int


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One entry. `reference` is the ticket of a look at a person's data, if it has one."""

    key: AuditKey
    actor: str
    action: str
    detail: Mapping[str, str | Sequence[str]]
    reference: str = ""


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries: of one actor, of some actions, from a time until before another."""

    actor: str = ""
    actions: Sequence[str] = ()
    since: datetime | None = None
    until: datetime | None = None


def list_audit_entries(
    connection: Connection, wanted: AuditFilter, before: AuditKey | None = None, *, limit: int
) -> list[AuditEntry]:
    """The entries of a filter, the newest first; those before a key, to page on."""
    conditions: list[str] = []
    given: list[Any] = []

    def add(condition: str, *values: Any) -> None:
        conditions.append(condition)
        given.extend(values)

    if wanted.actor:
        add("a.actor = %s", wanted.actor)
    if wanted.actions:
        add("a.action = ANY(%s)", list(wanted.actions))
    if wanted.since:
        add("a.at >= %s", wanted.since)
    if wanted.until:
        add("a.at < %s", wanted.until)
    if before:
        add("(a.at, a.id) < (%s, %s)", before.at, before.id)
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    rows = connection.execute(
        "SELECT a.at, a.id, a.actor, a.action, a.detail, p.reference FROM ("  # noqa: S608 - constants
        f"SELECT * FROM audit a {where} ORDER BY a.at DESC, a.id DESC LIMIT %s"
        ") a LEFT JOIN person_access p ON p.audit_id = a.id"
        " ORDER BY a.at DESC, a.id DESC".encode(),
        [*given, limit],
    )
    return [
        AuditEntry(AuditKey(at, entry_id), actor, action, detail, reference or "")
        for at, entry_id, actor, action, detail, reference in rows
    ]


def list_audit_actors(connection: Connection) -> list[str]:
    """Everybody who is in the audit, by name; the first 200."""
    return _list_names(connection, "actor")


def list_audit_actions(connection: Connection) -> list[str]:
    """Everything that was done, by name."""
    return _list_names(connection, "action")


def _list_names(connection: Connection, column: str) -> list[str]:
    return [name for (name,) in connection.execute(_NAMES.format(column).encode(), (MAX_NAMES,))]
