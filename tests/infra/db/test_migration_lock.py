"""Several upgrades at once, as real processes: one migrates, the others find nothing to do."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Event

import psycopg
import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from dev.processes import wait_until
from preference_center.infra.db.migrate import MIGRATION_LOCK, only_process
from preference_center.infra.files import ROOT
from tests.environment import MIGRATIONS, Environment, settings_for

HEAD = ScriptDirectory(str(MIGRATIONS)).get_current_head()
PATIENCE = 120
WAITING = "waiting_for_another_process"
MIGRATED = '"event": "migrated"'


@pytest.fixture
def url(environment: Environment, admin_url: str) -> Iterator[str]:
    """An empty database."""
    name = f"{environment.run}_upgrading_{secrets.token_hex(4)}"
    yield environment.make_database(name)
    with psycopg.connect(admin_url, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


def start(url: str, folder: Path, *arguments: str) -> tuple[subprocess.Popen[bytes], Path]:
    """`flask db`, and the file that it writes to."""
    given = settings_for(url, "redis://127.0.0.1:1/0").model_dump(exclude_none=True)
    log = folder / f"{secrets.token_hex(4)}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "flask", "db", *arguments],
            cwd=ROOT,
            env=os.environ | {name.upper(): str(value) for name, value in given.items()},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    return process, log


def upgrade_thrice(environment: Environment, url: str, folder: Path) -> list[str]:
    """Start three at once, each of them before one has the lock, and return what they wrote."""
    with psycopg.connect(url) as first:
        first.execute("SELECT pg_advisory_xact_lock(%s)", (MIGRATION_LOCK,))
        started = [start(environment.service_url(url), folder, "upgrade") for _ in range(3)]
        assert wait_until(lambda: all(WAITING in log.read_text() for _, log in started), PATIENCE)
    assert [process.wait(PATIENCE) for process, _ in started] == [0, 0, 0], [
        log.read_text() for _, log in started
    ]
    return [log.read_text() for _, log in started]


def revision(url: str) -> str | None:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return row[0] if row else None


def test_three_upgrades_of_an_empty_database_are_one(
    environment: Environment, url: str, tmp_path: Path
) -> None:
    outputs = upgrade_thrice(environment, url, tmp_path)
    assert revision(url) == HEAD
    assert sum(MIGRATED in output for output in outputs) == 1
    assert not [output for output in outputs if "Traceback" in output]


def test_three_upgrades_to_the_newest_revision_are_one(
    environment: Environment, url: str, tmp_path: Path
) -> None:
    before, log = start(environment.service_url(url), tmp_path, "upgrade", f"{HEAD}-1")
    assert before.wait(PATIENCE) == 0, log.read_text()
    assert revision(url) != HEAD
    outputs = upgrade_thrice(environment, url, tmp_path)
    assert revision(url) == HEAD
    assert sum(MIGRATED in output for output in outputs) == 1


def test_an_index_is_built_concurrently_while_others_wait(url: str) -> None:
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    waiting = Event()

    def pause(_seconds: float) -> None:
        waiting.set()

    def wait_for_turn() -> None:
        with engine.connect() as connection, only_process(connection, MIGRATION_LOCK, pause):
            pass

    with ThreadPoolExecutor(1) as pool, psycopg.connect(url, autocommit=True) as builder:
        builder.execute("CREATE TABLE item (id int)")
        builder.execute("SET statement_timeout = '60s'")  # it would wait for ever
        with ExitStack() as turn:
            first = turn.enter_context(engine.connect())
            turn.enter_context(only_process(first, MIGRATION_LOCK))
            other = pool.submit(wait_for_turn)
            assert waiting.wait(PATIENCE)
            builder.execute("CREATE INDEX CONCURRENTLY item_id ON item (id)")
            assert not other.done()
        other.result(PATIENCE)
    engine.dispose()
