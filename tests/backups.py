"""A backup of every table that is put back: a restored database, without its time."""

from __future__ import annotations

from preference_center.infra.context import db
from preference_center.infra.db.transactions import Connection, run_in_transaction
from tests.triggers import without_triggers


def back_up() -> None:
    """A copy of every table."""

    def copy(connection: Connection) -> None:
        connection.execute("CREATE SCHEMA backup")
        for table in db.metadata.sorted_tables:
            connection.execute(f"CREATE TABLE backup.{table.name} AS TABLE {table.name}".encode())

    run_in_transaction(copy)


def put_back() -> None:
    """Every table as it was, also those that only grow."""

    def copy_back(connection: Connection) -> None:
        names = ", ".join(table.name for table in db.metadata.sorted_tables)
        with without_triggers(connection):
            connection.execute(f"TRUNCATE {names}".encode())  # at once: some refer to others
            for table in db.metadata.sorted_tables:
                columns = ", ".join(
                    f'"{column.name}"' for column in table.columns if column.computed is None
                )
                connection.execute(
                    f"INSERT INTO {table.name} ({columns}) OVERRIDING SYSTEM VALUE"
                    f" SELECT {columns} FROM backup.{table.name}".encode()
                )
        connection.execute("DROP SCHEMA backup CASCADE")

    run_in_transaction(copy_back)


def drop_backup() -> None:
    """Leave nothing of a backup that was not put back."""
    run_in_transaction(lambda c: c.execute("DROP SCHEMA IF EXISTS backup CASCADE"))
