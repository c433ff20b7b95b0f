"""Whether the migrations of this version are those that made a database's tables."""

from __future__ import annotations

from collections.abc import Collection

import click
from sqlalchemy import Connection, inspect

OF_FIRST_SCHEMA = "webhook_inbox"
"""A table that the first migration makes, and that no commit before it had."""

_ADVICE = "create a new database and name it in DATABASE_URL"
_UNKNOWN = (
    "The tables are at revision {}, which this version does not have: a newer version made them, or"
    f" another application. Use that version, or {_ADVICE}."
)
_OTHER_MIGRATIONS = (
    "A commit before the first release made these tables. Its migrations had the same numbers but"
    f" were others, so this version can't continue: {_ADVICE}."
)
_NO_REVISION = (
    "There are tables, {} among them, but no revision that states which migrations made them:"
    f" restore the table alembic_version, or {_ADVICE}."
)


def require_own_tables(
    connection: Connection, revisions: Collection[str], tables: Collection[str]
) -> None:
    """Check the tables before the first migration runs.

    `revisions` are those of this version, `tables` the names of its tables. Raises ClickException
    with what to do.
    """
    inspector = inspect(connection)
    present = set(inspector.get_table_names())
    found = _read_revision(connection) if "alembic_version" in present else None
    if found is None:
        ours = sorted(present & set(tables))
        message = _NO_REVISION.format(ours[0]) if ours else None
    elif found not in revisions:
        message = _UNKNOWN.format(found)
    else:
        message = None if OF_FIRST_SCHEMA in present else _OTHER_MIGRATIONS
    connection.rollback()
    if message:
        raise click.ClickException(message)


def _read_revision(connection: Connection) -> str | None:
    query = "SELECT version_num FROM alembic_version LIMIT 1"
    return connection.exec_driver_sql(query).scalar()
