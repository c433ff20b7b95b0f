"""What the service prints for its database role is what its tables allow, and what it calls."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
import pytest
from psycopg import sql

import preference_center.app.tables  # noqa: F401 - so that the metadata is complete
from preference_center.infra.context import db
from preference_center.infra.db.grants import FUNCTIONS, grant_statements
from preference_center.infra.models import writes
from tests.environment import Environment, make_managed_role, with_role

TRIGGERS = """
SELECT tgrelid::regclass::text, tgname FROM pg_trigger WHERE NOT tgisinternal"""
REJECTED = {"append_only": {"UPDATE", "DELETE"}, "insert_or_delete_only": {"UPDATE"}}
CALLED = """
SELECT oid::regprocedure::text FROM pg_proc
WHERE pronamespace = 'public'::regnamespace AND prorettype <> 'trigger'::regtype"""
HELD = """
SELECT relname, string_agg(privilege_type, ' ' ORDER BY privilege_type)
FROM pg_class, aclexplode(relacl) AS a
WHERE relnamespace = 'public'::regnamespace AND a.grantee = %s::regrole
GROUP BY relname"""


@dataclass(frozen=True, slots=True)
class Granted:
    """The owner's address of a database, and a role that was given its rights there."""

    url: str
    role: str

    def grant(self) -> None:
        with psycopg.connect(self.url, autocommit=True) as owner:
            for statement in grant_statements(self.role, db.metadata.sorted_tables):
                owner.execute(statement.encode())

    def held(self) -> dict[str, str]:
        with psycopg.connect(self.url) as owner:
            return dict(owner.execute(HELD, (f'"{self.role}"',)).fetchall())


@pytest.fixture
def granted(environment: Environment, admin_url: str) -> Iterator[Granted]:
    """In a copy of the tables, for a role whose name has to be quoted."""
    name = f"{environment.run}_granted_{secrets.token_hex(4)}"
    role = f"{name}-App"
    granted = Granted(environment.make_database(name, f"{environment.run}_template"), role)
    make_managed_role(admin_url, role)
    granted.grant()
    yield granted
    with psycopg.connect(admin_url, autocommit=True) as admin:
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
        admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


def test_the_models_know_what_triggers_reject(database_url: str) -> None:  # I8
    with psycopg.connect(database_url) as connection:
        found = connection.execute(TRIGGERS.encode()).fetchall()
    rejected = {table: REJECTED[name] for table, name in found}
    everything = {"INSERT", "UPDATE", "DELETE"}
    by_models = {table.name: everything - {*writes(table)} for table in db.metadata.sorted_tables}
    assert {table: kinds for table, kinds in by_models.items() if kinds} == rejected


def test_the_functions_are_those_that_no_trigger_calls(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        assert {name for (name,) in connection.execute(CALLED)} == {*FUNCTIONS}


def test_every_table_and_sequence_is_granted_and_no_right_to_change_one(granted: Granted) -> None:
    held = granted.held()
    with psycopg.connect(granted.url) as owner:
        names = owner.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            " AND relkind IN ('r', 'p', 'S')"
        )
        assert {*held} == {name for (name,) in names}
    assert {*held.values()} == {
        "DELETE INSERT SELECT UPDATE",
        "DELETE INSERT SELECT",
        "INSERT SELECT",
        "SELECT",  # the revision
        "USAGE",
        "SELECT UPDATE USAGE",  # a sequence that a new epoch raises
    }
    assert held["event"] == "INSERT SELECT"  # I8


def test_tables_of_a_later_migration_can_be_used_before_it_is_run_again(granted: Granted) -> None:
    before = granted.held()
    with psycopg.connect(granted.url, autocommit=True) as owner:
        owner.execute("CREATE TABLE later (id bigint GENERATED ALWAYS AS IDENTITY)")
    url = with_role(granted.url, granted.role)
    with psycopg.connect(url, password=granted.role) as connection:
        connection.execute("INSERT INTO later DEFAULT VALUES")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("DROP TABLE later")
    granted.grant()
    assert {name: rights for name, rights in granted.held().items() if name in before} == before
