"""The migrations make exactly the schema that the models describe."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import create_engine

import preference_center.app.tables  # noqa: F401 - so that the metadata is complete
from preference_center.infra.context import db
from tests.environment import Environment

QUERIES = {
    "columns": """
        SELECT table_name, column_name, udt_name, is_nullable, column_default, is_identity,
            generation_expression
        FROM information_schema.columns WHERE table_schema = 'public'""",
    "indexes": "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'",
    "constraints": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace""",
    "settings": """
        SELECT relname, option FROM pg_class, unnest(reloptions) AS option
        WHERE relnamespace = 'public'::regnamespace""",
}


@pytest.fixture
def models_url(environment: Environment, admin_url: str) -> Iterator[str]:
    """A database with the tables of the models."""
    name = f"{environment.run}_models_{secrets.token_hex(4)}"
    url = environment.make_database(name)
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    db.metadata.create_all(engine)
    engine.dispose()
    yield url
    with psycopg.connect(admin_url, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


@pytest.mark.parametrize("kind", QUERIES)
def test_the_migrated_schema_is_that_of_the_models(
    kind: str, models_url: str, database_url: str
) -> None:
    assert described(kind, database_url) == described(kind, models_url)


@pytest.mark.parametrize("table", ["event", "event_evidence", "delivery", "delivery_ack"])
def test_large_tables_that_only_grow_are_vacuumed_often(table: str, database_url: str) -> None:
    settings = {option for name, option in described("settings", database_url) if name == table}
    assert settings == {
        "autovacuum_vacuum_insert_scale_factor=0.02",
        "autovacuum_analyze_scale_factor=0.02",
    }


def described(kind: str, url: str) -> set[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        rows = connection.execute(QUERIES[kind].encode()).fetchall()
    return {row for row in rows if "alembic_version" not in repr(row)}
