"""A migration that meets an open transaction: it waits, and requests behind it do not."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click
import psycopg
import pytest
from flask import Flask
from flask_migrate import downgrade, upgrade

from dev.postgres import make_database
from dev.processes import wait_until
from preference_center.app import create_app
from preference_center.extensions import db
from preference_center.storage.db import migrate
from tests.environment import MIGRATIONS, Environment, settings_for, with_database

LOCKED = "pending_mail_opt_out"
"""A table of the first migration, which the next one alters."""
NEXT_MIGRATION = f"""
from alembic import op

revision, down_revision = "0002", "0001"


def upgrade():
    op.execute("ALTER TABLE {LOCKED} ADD COLUMN added int")


def downgrade():
    op.execute("ALTER TABLE {LOCKED} DROP COLUMN added")
"""


@pytest.fixture
def migrations(tmp_path: Path) -> str:
    """The folder of our migrations, and one more."""
    folder = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, folder)
    (folder / "versions" / "0002_next.py").write_text(NEXT_MIGRATION)
    return str(folder)


@pytest.fixture
def app(
    environment: Environment, database_url: str, redis_url: str, migrations: str
) -> Iterator[Flask]:
    """On a database of its own, with the tables of 0001."""
    name = f"{environment.run}_migrating_{secrets.token_hex(4)}"
    make_database(database_url, name)
    app = create_app(settings_for(with_database(database_url, name), redis_url))
    with app.app_context():
        upgrade(directory=migrations, revision="0001")
        yield app
        db.engine.dispose()
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


def url(app: Flask) -> str:
    return str(app.extensions["preference_center"].settings.database_url)


def waits(connection: psycopg.Connection) -> bool:
    query = "SELECT FROM pg_locks WHERE NOT granted AND relation = %s::regclass"
    return connection.execute(query, (LOCKED,)).fetchone() is not None


def run_migrations(app: Flask, folder: str) -> None:
    with app.app_context():
        upgrade(directory=folder)


def test_requests_behind_a_waiting_migration_are_not_blocked(
    app: Flask, migrations: str, monkeypatch: pytest.MonkeyPatch
) -> None:  # I2
    monkeypatch.setattr(migrate, "LOCK_TIMEOUT", 0.2)
    monkeypatch.setattr(migrate, "RETRY_DELAY", 0.2)
    monkeypatch.setattr(migrate, "MAX_ATTEMPTS", 1000)
    with psycopg.connect(url(app)) as reader, psycopg.connect(url(app), autocommit=True) as other:
        reader.execute(f"SELECT count(*) FROM {LOCKED}".encode())  # like a snapshot
        with ThreadPoolExecutor(1) as pool:
            migration = pool.submit(run_migrations, app, migrations)
            assert wait_until(lambda: waits(other), 30)
            other.execute("SET lock_timeout = '20s'")  # it gives way long before
            other.execute(f"SELECT count(*) FROM {LOCKED}".encode())
            assert not migration.done()
            reader.rollback()
            migration.result(60)
        other.execute(f"SELECT added FROM {LOCKED}".encode())


def test_it_fails_with_instructions_in_the_end(
    app: Flask, migrations: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "LOCK_TIMEOUT", 0.1)
    monkeypatch.setattr(migrate, "RETRY_DELAY", 0)
    monkeypatch.setattr(migrate, "MAX_ATTEMPTS", 2)
    with psycopg.connect(url(app)) as reader:
        reader.execute(f"SELECT count(*) FROM {LOCKED}".encode())
        with pytest.raises(click.ClickException, match="pg_terminate_backend"):
            upgrade(directory=migrations)
    upgrade(directory=migrations)


def test_migrations_can_be_downgraded(app: Flask, migrations: str) -> None:
    upgrade(directory=migrations)
    downgrade(directory=migrations, revision="base")
    with psycopg.connect(url(app)) as connection:
        left = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        )
        assert {name for (name,) in left} == {"alembic_version", "alembic_version_pkc"}
    upgrade(directory=migrations)
