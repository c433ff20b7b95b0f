"""Whether the tables of the database are those that this version of the service needs.

During an upgrade the two differ for a while: the tables are migrated first, then one process after
the other is replaced. A newer schema is accepted as long as our reads and writes still fit it
(docs/upgrading.md); an older one never is, since a constraint or an index may be missing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import psycopg

from preference_center.core.errors import Unavailable, UnavailableCause
from preference_center.infra.context import db
from preference_center.infra.files import ROOT

VERSIONS = ROOT / "migrations" / "versions"

_SELECT_REVISION = "SELECT version_num FROM alembic_version"
_HAS_REVISION = "SELECT to_regclass('alembic_version') IS NOT NULL"
_SELECT_COLUMNS = """
    SELECT relname, attname, attnotnull AND NOT atthasdef AND attidentity = ''
    FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
    WHERE relkind IN ('r', 'p') AND attnum > 0 AND NOT attisdropped
        AND pg_table_is_visible(attrelid) AND relname = ANY(%s)
"""


@dataclass(frozen=True, slots=True)
class Revisions:
    """The migrations that this version has."""

    known: frozenset[str]
    newest: str


def require_fitting_schema(connection: psycopg.Connection[tuple[Any, ...]]) -> None:
    """Return if this version can work with the tables of the database.

    Raises Unavailable with the cause SCHEMA; its `reason` states what to do.
    """
    revision, ours = _load_revision(connection), load_revisions()
    if revision == ours.newest:
        return
    if revision is None:
        raise _misfit("the database has no tables of the service: run `flask db upgrade`")
    if revision in ours.known:
        raise _misfit(
            f"the schema of the database is at revision {revision}, and this version needs"
            f" {ours.newest}: run `flask db upgrade`"
        )
    needed = {name: frozenset(table.columns.keys()) for name, table in db.metadata.tables.items()}
    if difference := describe_difference(needed, _load_columns(connection, needed)):
        raise _misfit(
            f"the schema of the database is at revision {revision}, which this version does not"
            f" know, and {difference}: run the version that fits it"
        )


def describe_difference(
    needed: Mapping[str, frozenset[str]], found: Mapping[str, Mapping[str, bool]]
) -> str | None:
    """What keeps our statements from working with other tables than our own; None if nothing.

    `needed` has our columns by table, `found` those of the database, each with whether an INSERT
    must give it a value.
    """
    for table, columns in sorted(needed.items()):
        there = found.get(table)
        if there is None:
            return f"lacks the table {table}"
        if missing := sorted(columns - there.keys()):
            return f"lacks the column {table}.{missing[0]}"
        if unfilled := sorted(name for name in there.keys() - columns if there[name]):
            return f"needs a value for the column {table}.{unfilled[0]}"
    return None


@cache
def load_revisions(folder: Path = VERSIONS) -> Revisions:
    """The revisions of the migrations in `folder`."""
    texts = [path.read_text(encoding="utf-8") for path in folder.glob("*.py")]
    known = {_assigned(text, "revision") for text in texts}
    (newest,) = known - {_assigned(text, "down_revision") for text in texts}
    return Revisions(frozenset(name for name in known if name), str(newest))


def _assigned(text: str, name: str) -> str | None:
    found = re.search(rf'^{name} = "([^"]+)"$', text, re.MULTILINE)
    return found.group(1) if found else None


def _misfit(reason: str) -> Unavailable:
    return Unavailable("the database has other tables", UnavailableCause.SCHEMA, reason)


def _load_revision(connection: psycopg.Connection[tuple[Any, ...]]) -> str | None:
    if connection.execute(_HAS_REVISION).fetchone() != (True,):
        return None
    row = connection.execute(_SELECT_REVISION).fetchone()
    return row[0] if row else None


def _load_columns(
    connection: psycopg.Connection[tuple[Any, ...]], names: Mapping[str, object]
) -> dict[str, dict[str, bool]]:
    found: dict[str, dict[str, bool]] = {}
    for table, column, must_be_given in connection.execute(_SELECT_COLUMNS, [list(names)]):
        found.setdefault(table, {})[column] = must_be_given
    return found
