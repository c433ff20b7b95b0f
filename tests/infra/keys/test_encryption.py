"""Older encryption keys can be removed once everything is sealed with the newest one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

import preference_center.app.tables  # noqa: F401 - so that the metadata is complete
from preference_center.core.errors import KeyMismatch
from preference_center.core.key_rings import parse_ring
from preference_center.core.keys import Keys
from preference_center.infra.context import db, services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.infra.keys import sealed_columns
from preference_center.infra.keys.sealed_columns import (
    SEALED_COLUMNS,
    ColumnProgress,
    SealedColumn,
    count_sealed,
    list_rotations,
    rotate_encryption,
)
from preference_center.rights.erasure.personal_data import TABLES, Holds
from tests.infra.keys.processes import new_key, process_with

if TYPE_CHECKING:
    from flask import Flask

    from preference_center.infra.config import Settings

ROWS = 3
"""Of each table."""


def test_every_sealed_column_is_rotated() -> None:
    """A new store can't be forgotten: the inventory of personal data has it."""
    inventory = {
        f"{table}.{column}"
        for table, content in TABLES.items()
        for column, holds in content.personal.items()
        if holds is Holds.SEALED
    }
    secrets = {"destination.settings", "staff_account.totp_secret", "staff_session.tokens"}
    assert {column.name for column in SEALED_COLUMNS} == inventory | secrets


def filled(column: SealedColumn, number: int) -> dict[str, Any]:
    """A row of its table: every column that must not be null, in a value of its type."""
    by_type = {
        "bytes": b"%032d" % number,
        "str": f"text {number}",
        "int": number,
        "bool": False,
        "list": [],
        "dict": "{}",
        "object": "{}",
        "UUID": f"00000000-0000-0000-0000-{number:012}",
        "datetime": f"2026-11-24T09:00:{number:02}Z",
        "date": "2026-11-24",
    }
    return {
        field.name: by_type[field.type.python_type.__name__]
        for field in db.metadata.tables[column.table].columns
        if field.name == column.column
        or not (field.nullable or field.identity or field.server_default or field.computed)
    }


def insert(connection: Connection, table: str, values: dict[str, Any]) -> None:
    names = ", ".join(f'"{name}"' for name in values)
    places = ", ".join(f"%({name})s" for name in values)
    connection.execute(
        f"INSERT INTO {table} ({names}) OVERRIDING SYSTEM VALUE VALUES ({places})".encode(), values
    )


def fill(connection: Connection) -> None:
    """Rows in each table with sealed columns, sealed as their modules seal them."""
    keys = services().keys
    for column in SEALED_COLUMNS:
        for number in range(1, ROWS + 1):
            values = filled(column, number)
            if "id" in column.key:
                values.setdefault("id", number)
            values |= {"address_id": number} if column.table == "erasure" else {}
            insert(connection, column.table, values)
        for row in connection.execute(select(column)).fetchall():
            sealed = keys.seal("Ada's", context=column.context(*row[2:]))
            connection.execute(
                f"UPDATE {column.table} SET {column.column} = %s WHERE ctid = %s".encode(),
                (sealed, row[0]),
            )


def select(column: SealedColumn) -> bytes:
    context = ", ".join(column.context_columns)
    return (
        f"SELECT t.ctid, t.{column.column}, {context} FROM {column.table} t {column.join}"
    ).encode()


@pytest.fixture
def sealed(app: Flask) -> Iterator[Settings]:
    """The settings of a database with rows sealed by the key e1."""
    with app.app_context():
        run_in_transaction(fill)
        yield services().settings


def ring(settings: Settings) -> str:
    return f"{new_key('e2')},{settings.encryption_keys}"


def silent(_: ColumnProgress) -> None:
    """Of no interest."""


def test_afterwards_the_older_key_can_be_removed(sealed: Settings) -> None:
    with process_with(sealed, encryption_keys=ring(sealed)):
        assert {key for counts in count_sealed().values() for key in counts} == {"e1"}
        rotate_encryption(silent)
        assert all(counts == {"e2": ROWS} for counts in count_sealed().values())
        assert all(each.finished_at for each in run_in_transaction(list_rotations))
    keys = Keys(parse_ring(sealed.digest_keys), parse_ring(new_key("e2")))
    for column in SEALED_COLUMNS:
        rows = run_in_transaction(lambda c, column=column: c.execute(select(column)).fetchall())  # type: ignore[misc]
        texts = [keys.open(row[1], context=column.context(*row[2:])) for row in rows]
        assert texts == ["Ada's"] * ROWS


def test_a_repeat_changes_nothing(sealed: Settings) -> None:
    with process_with(sealed, encryption_keys=ring(sealed)):
        rotate_encryption(silent)
        done: list[ColumnProgress] = []
        rotate_encryption(done.append)
        assert done == []


def test_it_continues_where_it_was_killed(
    sealed: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = [replace(column, chunk=1) for column in SEALED_COLUMNS]
    monkeypatch.setattr(sealed_columns, "SEALED_COLUMNS", small)
    done: list[ColumnProgress] = []

    def die(progress: ColumnProgress) -> None:
        done.append(progress)
        if len(done) % 2 == 0:
            raise KeyboardInterrupt

    with process_with(sealed, encryption_keys=ring(sealed)):
        for _ in range(ROWS * len(small)):
            try:
                rotate_encryption(die)
            except KeyboardInterrupt:
                continue
            break
        assert len(done) == ROWS * len(small)  # no row twice
        assert all(counts == {"e2": ROWS} for counts in count_sealed().values())
        rotations = run_in_transaction(list_rotations)
        assert {each.rows_done for each in rotations} == {ROWS}


def test_a_row_that_a_writer_holds_is_left_to_the_next_pass(sealed: Settings) -> None:
    with (
        process_with(sealed, encryption_keys=ring(sealed)),
        psycopg.connect(sealed.database_url) as writer,
    ):
        writer.execute("SELECT FROM address WHERE id = 2 FOR UPDATE")
        seen: list[ColumnProgress] = []

        def release(progress: ColumnProgress) -> None:
            seen.append(progress)
            if len(seen) == 1:
                assert (progress.column, progress.rows_done) == ("address.ciphertext", ROWS - 1)
                writer.rollback()

        rotate_encryption(release)
        assert count_sealed()["address.ciphertext"] == {"e2": ROWS}


def test_what_a_process_with_the_older_key_writes_meanwhile_is_noticed(
    sealed: Settings, app: Flask
) -> None:
    with process_with(sealed, encryption_keys=ring(sealed)):
        number = 10

        def seal_with_older_key(progress: ColumnProgress) -> None:
            nonlocal number
            number += 1
            if progress.column != "destination.settings":
                return
            with app.app_context():
                keys = services().keys
                settings = next(each for each in SEALED_COLUMNS if each.name == progress.column)
                values = filled(settings, number) | {"id": -number}
                values["settings"] = keys.seal("{}", context=values["name"].encode())
                run_in_transaction(lambda c: insert(c, "destination", values))

        with pytest.raises(KeyMismatch, match="ENCRYPTION_KEYS of every process"):
            rotate_encryption(seal_with_older_key)
        rotate_encryption(silent)
        assert count_sealed()["destination.settings"].keys() == {"e2"}


def test_the_command_shows_what_is_left_and_rotates(sealed: Settings) -> None:
    with process_with(sealed, encryption_keys=ring(sealed)) as app:

        def run(*words: str) -> str:
            result = app.test_cli_runner().invoke(args=["keys", *words])
            assert result.exit_code == 0, result.output
            return result.output

        line = f"encryption\taddress.ciphertext\te1\t{ROWS}\tolder key"
        assert line in run("rotate", "encryption", "--dry-run").splitlines()
        assert line in run("status").splitlines()
        assert "key e2: older keys can be removed" in run("rotate", "encryption")
        assert f"encryption\taddress.ciphertext\te2\t{ROWS}" in run("status").splitlines()
        assert "older" not in run("status")
