"""Imports, uploads and scrubbed lists wait for a database that stands still or is gone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread

import pytest
from click.testing import Result

from dev.engines import Engines
from preference_center.core.events import ALL_MARKETING, EventKind
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger import record
from preference_center.lists.imports.uploads import create_upload, receive_upload
from tests.faults.freezing import freeze_for, kill_for
from tests.faults.service import Service, change
from tests.lists.imports.importing import instructions_for

ROWS = 3_000
SECONDS = 3.0
OPT_OUTS = instructions_for("addresses", ("list", ALL_MARKETING), only="opt-outs")
OPTIONS = ("--preset", "addresses", "--scope", "list=all_marketing", "--meaning", "opt-outs")

Interrupt = Callable[[], Thread]


@pytest.fixture(params=["stands still", "is gone"])
def interrupt(
    service: Service, own_engines: Engines, request: pytest.FixtureRequest
) -> Iterator[Interrupt]:
    """What takes the database away for a few seconds."""
    threads: list[Thread] = []

    def work() -> Thread:
        threads.append(
            freeze_for(service.settings.database_url, SECONDS)
            if request.param == "stands still"
            else kill_for(own_engines.database, SECONDS)
        )
        return threads[-1]

    yield work
    assert threads
    for thread in threads:
        thread.join()


@pytest.fixture
def people(tmp_path: Path) -> Path:
    path = tmp_path / "people.csv"
    path.write_text("email\n" + "".join(f"person-{n}@example.com\n" for n in range(ROWS)))
    return path


def flask(service: Service, *words: str) -> Result:
    return service.app.test_cli_runner().invoke(args=[*words, "--as", "ops"])


def once(service: Service, query: str, interrupt: Interrupt) -> Thread:
    """Interrupt once the query finds something."""

    def work() -> None:
        while not service.rows(query):
            Event().wait(0.01)
        interrupt()

    thread = Thread(target=work)
    thread.start()
    return thread


def test_an_import_and_its_undo_go_on(service: Service, people: Path, interrupt: Interrupt) -> None:
    plan = flask(service, "imports", "plan", str(people), *OPTIONS).output.split()[-1]
    watching = once(service, "SELECT FROM list_import WHERE position > 0", interrupt)
    done = flask(service, "imports", "apply", str(people), *OPTIONS, "--plan", plan)
    watching.join()
    assert done.exit_code == 0, done.output
    assert service.rows("SELECT count(*) FROM event") == [(ROWS,)]

    ((number,),) = service.rows("SELECT id FROM list_import")
    watching = once(service, "SELECT FROM list_import WHERE undone_count > 0", interrupt)
    done = flask(service, "imports", "undo", str(number))
    watching.join()
    assert done.exit_code == 0, done.output
    assert service.rows("SELECT state, undone_count FROM list_import") == [("undone", ROWS)]


def test_an_uploaded_file_is_stored_whole(service: Service, interrupt: Interrupt) -> None:
    block = b"".join(b"person-%d@example.com\n" % number for number in range(1_000))

    def blocks() -> Iterator[bytes]:
        yield b"email\n"
        for number in range(200):
            if number == 100:
                interrupt()
            yield block

    with service.app.app_context():
        context = services()
        number = context.new_id()
        run_in_transaction(lambda c: create_upload(c, number, OPT_OUTS, "test", context.now()))
        assert receive_upload(number, blocks()).state == "uploaded"
    ((size,),) = service.rows("SELECT sum(size_bytes) FROM list_import_part")
    assert size == len(b"email\n") + 200 * len(block)


def test_a_list_is_scrubbed(
    service: Service, people: Path, tmp_path: Path, interrupt: Interrupt
) -> None:
    pytest.importorskip("duckdb")
    with service.app.app_context():
        record([change("person-7@example.com", EventKind.OPTED_OUT)])
    interrupt()
    clean, removed = tmp_path / "clean.csv", tmp_path / "removed.csv"
    files = (str(people), "-o", str(clean), "--removed", str(removed))
    done = flask(service, "scrub", *files, "--message-type", "offers.weekly")
    assert done.exit_code == 0, done.output
    assert len(removed.read_text().splitlines()) == 2
    assert len(clean.read_text().splitlines()) == ROWS
