"""Tables are rewritten and dumped while people click: VACUUM FULL, pg_dump, and both at once.

VACUUM FULL lets nobody read or write its table. While a dump reads it, it waits, and everybody
who comes after waits for it (PostgreSQL's manual, 13.3.1).
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import psycopg
import pytest

from dev.engines import Engines
from dev.postgres import Postgres
from dev.processes import wait_until
from tests.faults.asking import Asking
from tests.faults.service import PATIENCE, Service
from tests.faults.test_spool import waiting
from tests.faults.test_web import lost

TABLES = ("event", "suppression", "address")
SECONDS = 8.0
"""More than any request waits for a lock."""


@pytest.fixture
def asking(service: Service, tmp_path: Path) -> Iterator[Asking]:
    """Clicks and questions; in the end everything that was acknowledged is there."""
    folder = tmp_path / "spool"
    service.settings = service.settings.model_copy(update={"spool_dir": str(folder)})
    service.start("web")
    asking = Asking(service)
    with asking:
        asking.await_service()
        yield asking
        asking.await_service()
    assert wait_until(lambda: waiting(folder) == 0, PATIENCE)
    assert (asking.allowed, asking.denied) == (set(), set())
    assert set(asking.counts) <= {200, 202}, asking.bodies
    assert lost(service, asking) == []
    assert service.rows("SELECT count(*) - count(DISTINCT address_id) FROM event") == [(0,)]
    assert '"unexpected"' not in service.logs()


@contextmanager
def repeated(work: Callable[[], object]) -> Iterator[None]:
    """Inside, a thread does it again and again."""
    ending = Event()

    def go_on() -> None:
        while not ending.is_set():
            work()

    thread = Thread(target=go_on)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()


def vacuum_full(service: Service) -> None:
    with psycopg.connect(service.settings.database_url, autocommit=True) as connection:
        for table in TABLES:
            connection.execute(f"VACUUM FULL {table}".encode())


def dump(service: Service, database: Postgres, folder: Path) -> None:
    program = database.program.sibling("pg_dump")
    words = [str(program), "-Fc", "-f", str(folder / "dump"), service.settings.database_url]
    subprocess.run(words, check=True, capture_output=True)


def test_no_click_is_refused_while_tables_are_rewritten_and_dumped(
    service: Service, own_engines: Engines, asking: Asking, tmp_path: Path
) -> None:  # I1, I2
    database = own_engines.database
    assert isinstance(database, Postgres)
    with (
        repeated(lambda: vacuum_full(service)),
        repeated(lambda: dump(service, database, tmp_path)),
    ):
        for _ in range(5):
            asking.await_progress()


@pytest.mark.parametrize("table", TABLES)
def test_a_rewrite_that_waits_for_a_dump_has_no_click_refused(
    service: Service, asking: Asking, table: str
) -> None:  # I1, I2
    with psycopg.connect(service.settings.database_url) as dumping:
        dumping.execute(f"SELECT FROM {table} LIMIT 0".encode())  # as pg_dump begins
        rewriting = Thread(target=vacuum_full, args=(service,))
        rewriting.start()
        awaited = "SELECT FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND NOT granted"
        assert wait_until(lambda: service.rows(awaited) != [], PATIENCE)
        for _ in range(3):
            asking.await_progress()
        Event().wait(SECONDS)
        assert asking.counts[202] > 0
    rewriting.join()
