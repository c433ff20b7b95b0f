"""Real processes spool while the database is away; killed or not, nothing accepted is lost (I1)."""

from __future__ import annotations

import signal
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dev.engines import Engines
from dev.processes import wait_until
from dev.server import free_port
from preference_center.ledger.spool import SpoolFolder
from tests.faults.freezing import frozen
from tests.faults.service import PATIENCE, Process, Service
from tests.faults.test_mail import _answers as mail_answers
from tests.faults.test_mail import to
from tests.faults.test_web import Load, lost
from tests.faults.tool import SlowReceiver
from tests.inbound.mail.mails import apple, send

JANE, PAUL, ANN = "jane@example.com", "paul@example.com", "ann@example.com"
EVENTS = "SELECT received_at, recorded_at, source FROM event ORDER BY received_at"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def spooling(service: Service, folder: Path) -> Service:
    """The service, every process of which may spool into `folder`."""
    service.settings = service.settings.model_copy(update={"spool_dir": str(folder)})
    return service


def waiting(folder: Path) -> int:
    return SpoolFolder(folder, 2**26).status().pending


def start_web(service: Service) -> Process:
    """Start it whether or not the database is there."""
    web = service.start("web", ready=False)
    assert wait_until(lambda: service.status("/livez") == 200, PATIENCE), service.logs()
    return web


def start_mail(service: Service, port: int) -> Process:
    mail = service.start("mail")
    assert wait_until(lambda: mail_answers(port), PATIENCE), service.logs()
    return mail


def test_accepted_in_an_outage_it_outlives_the_process_and_is_recorded_once(
    spooling: Service, own_engines: Engines, tool: SlowReceiver, folder: Path
) -> None:  # I1, I3
    for name in ("worker", "scheduler"):
        spooling.start(name)
    web = start_web(spooling)
    tokens = [spooling.token(JANE), spooling.token(PAUL)]
    own_engines.database.stop()
    before = datetime.now(UTC)
    assert spooling.post(tokens[0]).status_code == 202
    assert spooling.post(tokens[0]).status_code == 202
    assert spooling.post(tokens[1]).status_code == 202
    accepted = datetime.now(UTC)
    assert spooling.status("/readyz") == 200
    web.signal(signal.SIGKILL)
    web.popen.wait()
    assert waiting(folder) == 3
    content = b"".join(path.read_bytes() for path in folder.glob("*.spool"))
    assert not any(secret in content for secret in (b"example", b"jane", tokens[0].encode()))

    start_web(spooling)
    assert spooling.post(spooling.token(ANN)).status_code == 202
    own_engines.database.start()
    assert wait_until(lambda: waiting(folder) == 0, PATIENCE), spooling.logs()
    *events, anns = spooling.rows(EVENTS)
    assert accepted < anns[0] < anns[1]
    assert len(events) == 2  # not three: a double click is one act (I7)
    for received_at, recorded_at, source in events:
        assert before <= received_at <= accepted < recorded_at
        assert source == "one_click"
    assert wait_until(lambda: {JANE, PAUL, ANN} == set(tool.off), PATIENCE)
    kept = {"known.json", "newest_event.json"}
    assert wait_until(lambda: {p.name for p in folder.iterdir()} == kept, PATIENCE)


def test_a_database_that_restarts_under_load_has_no_click_refused(
    durable: None, spooling: Service, own_engines: Engines, folder: Path
) -> None:  # I1: by two processes that share the folder
    start_web(spooling)
    load = Load(spooling)
    with load:
        assert wait_until(lambda: load.counts[200] >= 50, PATIENCE)
        own_engines.database.stop()
        assert wait_until(lambda: load.counts[202] >= 50, PATIENCE), load.counts
        own_engines.database.start()
        before = load.counts[200]
        assert wait_until(lambda: load.counts[200] >= before + 50, PATIENCE)
    assert set(load.counts) == {200, 202}, load.bodies
    assert wait_until(lambda: waiting(folder) == 0, PATIENCE)
    assert lost(spooling, load) == []


def test_a_frozen_database_keeps_no_click_waiting_and_loses_none(
    spooling: Service, folder: Path
) -> None:  # I1, I2
    start_web(spooling)
    tokens = [spooling.token(f"person-{number}@example.com") for number in range(10)]
    token = spooling.token(JANE)  # the first request to a process may be slow, and be spooled
    assert wait_until(lambda: spooling.post(token).status_code == 200, PATIENCE)
    with frozen(spooling.settings.database_url):
        assert {spooling.post(token).status_code for token in tokens} == {202}
    assert wait_until(lambda: waiting(folder) == 0, PATIENCE)
    assert spooling.rows("SELECT count(*) FROM event") == [(11,)]
    assert wait_until(lambda: spooling.post(tokens[0]).status_code == 200, PATIENCE)


def test_a_process_started_in_an_outage_accepts_and_shows_its_page(
    spooling: Service, own_engines: Engines, folder: Path
) -> None:  # I1
    token = spooling.token(JANE)
    own_engines.database.stop()
    start_web(spooling)
    assert spooling.status(f"/u/{token}") == 200
    assert spooling.status("/static/pages.css") == 200
    assert spooling.status(f"/p/{token}") == 503
    assert spooling.post(token).status_code == 202
    own_engines.database.start()
    assert wait_until(lambda: waiting(folder) == 0, PATIENCE)
    assert spooling.rows("SELECT count(*) FROM event") == [(1,)]
    assert wait_until(lambda: spooling.status("/healthz") == 200, PATIENCE)


def test_an_opt_out_by_mail_is_received_in_an_outage(
    spooling: Service, own_engines: Engines, folder: Path
) -> None:  # I1
    port = free_port()
    given = {"mail_receiver_port": port, "mail_receiver_protocol": "smtp"}
    spooling.settings = spooling.settings.model_copy(update=given)
    jane, paul = to(spooling, JANE), to(spooling, PAUL)
    mail = start_mail(spooling, port)
    own_engines.database.stop()
    assert send(port, apple(jane, JANE), jane, sender=JANE) == {}
    mail.signal(signal.SIGKILL)
    mail.popen.wait()
    start_mail(spooling, port)  # which has never seen the database
    assert send(port, apple(paul, PAUL), paul, sender=PAUL) == {}
    assert waiting(folder) == 2
    own_engines.database.start()
    assert wait_until(lambda: waiting(folder) == 0, PATIENCE)
    assert [source for _, _, source in spooling.rows(EVENTS)] == ["mailto", "mailto"]
