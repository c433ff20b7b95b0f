"""A migration beside a transaction that was left open: it waits, and nobody behind it does."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

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

TARGET = "0022"
"""Alters what is NEEDED."""
NEEDED = "inbound_unresolved"
"""A table that is there before."""


@pytest.fixture
def app(environment: Environment, database_url: str, redis_url: str) -> Iterator[Flask]:
    """On a database of its own, with the tables of 0021."""
    name = f"{environment.run}_migrating_{secrets.token_hex(4)}"
    make_database(database_url, name)
    app = create_app(settings_for(with_database(database_url, name), redis_url))
    with app.app_context():
        upgrade(directory=str(MIGRATIONS), revision="0021")
        yield app
        db.engine.dispose()
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


def url(app: Flask) -> str:
    return str(app.extensions["preference_center"].settings.database_url)


def waits(connection: psycopg.Connection) -> bool:
    query = "SELECT FROM pg_locks WHERE NOT granted AND relation = %s::regclass"
    return connection.execute(query, (NEEDED,)).fetchone() is not None


def go(app: Flask) -> None:
    with app.app_context():
        upgrade(directory=str(MIGRATIONS), revision=TARGET)


def test_who_comes_behind_a_migration_that_waits_is_not_held_up(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:  # I2
    monkeypatch.setattr(migrate, "LOCK_TIMEOUT", 0.2)
    monkeypatch.setattr(migrate, "RETRY_DELAY", 0.2)
    monkeypatch.setattr(migrate, "MAX_ATTEMPTS", 1000)
    with psycopg.connect(url(app)) as reader, psycopg.connect(url(app), autocommit=True) as other:
        reader.execute(f"SELECT count(*) FROM {NEEDED}".encode())  # like a snapshot
        with ThreadPoolExecutor(1) as pool:
            migration = pool.submit(go, app)
            assert wait_until(lambda: waits(other), 30)
            other.execute("SET lock_timeout = '20s'")  # it gives way long before
            other.execute(f"SELECT count(*) FROM {NEEDED}".encode())
            assert not migration.done()
            reader.rollback()
            migration.result(60)
        other.execute(f"SELECT dismissed_at FROM {NEEDED}".encode())


def test_it_gives_up_in_the_end_and_says_what_to_do(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "LOCK_TIMEOUT", 0.1)
    monkeypatch.setattr(migrate, "RETRY_DELAY", 0)
    monkeypatch.setattr(migrate, "MAX_ATTEMPTS", 2)
    with psycopg.connect(url(app)) as reader:
        reader.execute(f"SELECT count(*) FROM {NEEDED}".encode())
        with pytest.raises(click.ClickException, match="pg_terminate_backend"):
            upgrade(directory=str(MIGRATIONS), revision=TARGET)
    upgrade(directory=str(MIGRATIONS), revision=TARGET)


def test_there_is_a_way_back(app: Flask) -> None:
    upgrade(directory=str(MIGRATIONS))
    downgrade(directory=str(MIGRATIONS), revision="0021")
    upgrade(directory=str(MIGRATIONS))
