"""What the database role of running processes needs, and no more: it changes rows, not tables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from psycopg import sql
from sqlalchemy import Table

from preference_center.infra.models import writes

FUNCTIONS = ("md5_matching_enabled()", "require_current_epoch()")
"""Those that statements call. Functions of triggers need no right."""
EPOCH_SEQUENCE = "event_seq_seq"
"""Which a new epoch raises."""
REVISION_TABLE = "alembic_version"
SCHEMA = "public"
ANY_ROW = ("SELECT", "INSERT", "UPDATE", "DELETE")


def grant_statements(role: str, tables: Iterable[Table]) -> Iterator[str]:
    """SQL for the owner of the tables, in one transaction. It may be run again at any time.

    What a later migration makes is granted by default, until the statements of that version are
    run: they take back what its append-only tables don't need (I8).
    """
    by_rights: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    sequences = []
    for table in tables:
        by_rights["SELECT", *writes(table)].append(table.name)
        numbered = (column for column in table.columns if column.identity)
        sequences += [f"{table.name}_{column.name}_seq" for column in numbered]
    by_rights["SELECT",].append(REVISION_TABLE)
    names = sorted(name for group in by_rights.values() for name in group)
    yield "BEGIN;"
    yield _quote(f"GRANT USAGE ON SCHEMA {SCHEMA} TO {{}};", role)
    by_default = f"ALTER DEFAULT PRIVILEGES IN SCHEMA {SCHEMA} GRANT"
    yield _quote(f"{by_default} {', '.join(ANY_ROW)} ON TABLES TO {{}};", role)
    yield _quote(f"{by_default} USAGE ON SEQUENCES TO {{}};", role)
    yield _quote(f"{by_default} EXECUTE ON FUNCTIONS TO {{}};", role)
    yield _quote(f"REVOKE ALL ON {', '.join(names)} FROM {{}};", role)
    for rights, group in sorted(by_rights.items()):
        listed = ", ".join(sorted(group))
        yield _quote(f"GRANT {', '.join(rights)} ON {listed} TO {{}};", role)
    yield _quote(f"GRANT USAGE ON SEQUENCE {', '.join(sorted(sequences))} TO {{}};", role)
    yield _quote(f"GRANT SELECT, UPDATE ON SEQUENCE {EPOCH_SEQUENCE} TO {{}};", role)
    yield _quote(f"GRANT EXECUTE ON FUNCTION {', '.join(FUNCTIONS)} TO {{}};", role)
    yield "COMMIT;"


def _quote(statement: str, role: str) -> str:
    return statement.format(sql.Identifier(role).as_string(None))
