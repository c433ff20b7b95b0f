"""A dump of the database, and its restore."""

from __future__ import annotations

from dataclasses import dataclass, field

import psycopg
from psycopg import sql

from tests.triggers import without_triggers


@dataclass(slots=True)
class Backup:
    """A dump of every table, to be restored as `pg_restore --data-only --disable-triggers` does."""

    database_url: str
    tables: dict[str, bytes] = field(default_factory=dict)
    sequences: dict[str, int] = field(default_factory=dict)

    def take(self) -> None:
        """Dump them."""
        with psycopg.connect(self.database_url) as connection:
            names = connection.execute(
                "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
                " AND tablename <> 'alembic_version'"
            ).fetchall()
            for (name,) in names:
                statement = sql.SQL("COPY {} TO STDOUT (FORMAT binary)")
                with connection.cursor().copy(statement.format(sql.Identifier(name))) as copy:
                    self.tables[name] = b"".join(bytes(part) for part in copy)
            self.sequences = dict(
                connection.execute(
                    "SELECT sequencename, last_value FROM pg_sequences"
                    " WHERE schemaname = 'public' AND last_value IS NOT NULL"
                ).fetchall()
            )

    def restore(self) -> None:
        """Bring every table to what it held."""
        with psycopg.connect(self.database_url) as connection, without_triggers(connection):
            for name, rows in self.tables.items():
                table = sql.Identifier(name)
                connection.execute(sql.SQL("DELETE FROM {}").format(table))
                statement = sql.SQL("COPY {} FROM STDIN (FORMAT binary)").format(table)
                with connection.cursor().copy(statement) as copy:
                    copy.write(rows)
            for name, value in self.sequences.items():
                connection.execute("SELECT setval(%s::regclass, %s)", (name, value))
