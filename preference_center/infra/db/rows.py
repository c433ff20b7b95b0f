"""Read and write the rows of a table whose columns are the fields of a frozen dataclass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from psycopg.rows import class_row

from preference_center.infra.db.transactions import Connection

T = TypeVar("T")


def columns_of(kind: type[Any]) -> str:
    """The columns, for a SELECT: those of its fields."""
    return ", ".join(field.name for field in fields(kind))


def fetch_rows(
    connection: Connection, kind: type[T], query: str, given: Mapping[str, Any]
) -> list[T]:
    """What a query finds; its columns have the names of the fields."""
    with connection.cursor(row_factory=class_row(kind)) as cursor:
        return cursor.execute(query.encode(), given).fetchall()


def insert_row(
    connection: Connection, table: str, values: Mapping[str, Any], on_conflict: str = ""
) -> None:
    """Store a row with these columns; `on_conflict` is what follows ON CONFLICT."""
    query = f"""INSERT INTO {table} ({", ".join(values)})
        VALUES ({", ".join(f"%({name})s" for name in values)})"""  # noqa: S608 - names of this package
    query += f" ON CONFLICT {on_conflict}" if on_conflict else ""
    connection.execute(query.encode(), values)
