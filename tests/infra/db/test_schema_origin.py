"""An upgrade of tables that others made ends with one sentence that says what to do."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import click
import psycopg
import pytest
from flask import Flask
from flask_migrate import stamp, upgrade

from preference_center.app.tables import install_migrations
from preference_center.app.web import create_app
from preference_center.infra.context import db
from preference_center.infra.db.connections import COMMAND_TIMEOUTS
from preference_center.infra.db.migrate import OF_FIRST_SCHEMA
from tests.environment import MIGRATIONS, Environment, settings_for

FOLDER = str(MIGRATIONS)
REVISION_TABLE = "CREATE TABLE alembic_version (version_num text)"


@pytest.fixture
def app(environment: Environment, admin_url: str, redis_url: str) -> Iterator[Flask]:
    """On an empty database."""
    name = f"{environment.run}_origin_{secrets.token_hex(4)}"
    url = environment.service_url(environment.make_database(name))
    app = create_app(settings_for(url, redis_url), timeouts=COMMAND_TIMEOUTS)
    install_migrations(app)
    with app.app_context():
        yield app
        db.engine.dispose()
    with psycopg.connect(admin_url, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


def execute(*statements: str) -> None:
    with db.engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
        connection.commit()


def refusal() -> str:
    with pytest.raises(click.ClickException) as error:
        upgrade(directory=FOLDER)
    return error.value.message


@pytest.mark.usefixtures("app")
def test_tables_of_a_commit_before_the_first_release_are_not_continued() -> None:
    execute(  # as at commit 9775f68: its 0015 is another migration than ours
        "CREATE TABLE event (id int)",
        "CREATE TABLE posted_news (id int)",
        REVISION_TABLE,
        "INSERT INTO alembic_version VALUES ('0015')",
    )
    assert "before the first release" in refusal()
    with db.engine.connect() as connection:
        found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    assert found == "0015"


@pytest.mark.usefixtures("app")
def test_a_revision_of_a_newer_version_or_of_another_application_is_named() -> None:
    execute(REVISION_TABLE, "INSERT INTO alembic_version VALUES ('4a1b')")
    assert "revision 4a1b, which this version does not have" in refusal()


@pytest.mark.usefixtures("app")
def test_tables_without_a_revision_are_named() -> None:
    execute("CREATE TABLE suppression (id int)")
    assert "tables, suppression among them, but no revision" in refusal()


@pytest.mark.usefixtures("app")
def test_tables_of_extensions_are_in_nobodys_way() -> None:
    execute("CREATE TABLE spatial_ref_sys (srid int)")
    upgrade(directory=FOLDER)
    execute(f"SELECT FROM {OF_FIRST_SCHEMA}")


@pytest.mark.usefixtures("app")
def test_the_first_schema_can_be_continued() -> None:
    upgrade(directory=FOLDER, revision="0001")
    upgrade(directory=FOLDER)
    stamp(directory=FOLDER)
