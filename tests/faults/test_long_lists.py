"""Lists of any length through the shipped nginx: whole or visibly not, in bounded memory."""

from __future__ import annotations

import signal
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import httpx
import pytest

from dev.engines import Engines
from dev.processes import children
from preference_center.core.events import EventKind
from preference_center.ledger import record
from preference_center_client import Client
from preference_center_client.long_lists import PART_ROWS
from tests.faults.freezing import freeze_for, kill_for
from tests.faults.long_lists import LongAnswer, ask, person
from tests.faults.service import PATIENCE, Process, Service, change
from tests.nginx import Nginx, nginx
from tests.web.api.sender import make_sender

ROWS = 300_000
"""Eleven MB, and 20 of answers."""
OPTED_OUT = range(0, 1_000, 100)
FROZEN = 4.0
"""Seconds, of which the limits of a page allow 1.5."""
MEMORY = 100 << 20
"""Bytes: what may be read ahead, thrice."""


@pytest.fixture
def web(service: Service, monkeypatch: pytest.MonkeyPatch) -> Process:
    monkeypatch.setenv("WEB_WORKERS", "1")
    with service.app.app_context():
        record([change(person(number), EventKind.OPTED_OUT) for number in OPTED_OUT])
    return service.start("web")


@pytest.fixture
def key(service: Service) -> str:
    return make_sender(service.app, scopes=["check"]).key


@pytest.fixture
def front(service: Service, web: Process, tmp_path: Path) -> Iterator[Nginx]:
    with nginx(tmp_path / "nginx", [service.port], service.console_port) as front:
        yield front


@pytest.fixture
def connection(front: Nginx) -> Iterator[ssl.SSLSocket]:
    with (
        socket.create_connection(("127.0.0.1", front.port), PATIENCE) as plain,
        front.trust.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        yield connection


def peak(web: Process) -> int:
    """The most memory that the process behind it has had, in bytes."""
    (worker,) = children(web.popen.pid)
    status = Path(f"/proc/{worker}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) << 10


def test_a_database_that_stands_still_for_a_while_makes_it_late_and_no_more(
    service: Service, web: Process, key: str, connection: ssl.SSLSocket
) -> None:  # I11
    freezing: list[Thread] = []

    def freeze(answer: LongAnswer) -> None:
        if answer.rows > ROWS / 3 and not freezing:
            freezing.append(freeze_for(service.settings.database_url, FROZEN))

    before = peak(web)
    answer = ask(connection, key, ROWS, freeze)
    freezing[0].join()
    assert answer.last.startswith(b"#end,count=%d," % ROWS), answer
    assert (answer.rows, answer.denied) == (ROWS, len(OPTED_OUT))
    assert peak(web) < before + MEMORY


def test_a_database_that_is_away_for_a_while_makes_it_late_and_no_more(
    service: Service, own_engines: Engines, key: str, connection: ssl.SSLSocket
) -> None:  # I11
    killed: list[int] = []

    def restart(answer: LongAnswer) -> None:
        if answer.rows > ROWS / 3 and not killed:
            killed.append(answer.rows)
            own_engines.database.kill()
            own_engines.database.start()

    answer = ask(connection, key, ROWS, restart)
    assert killed
    assert answer.last.startswith(b"#end,count=%d," % ROWS), answer
    assert (answer.rows, answer.denied) == (ROWS, len(OPTED_OUT))


def test_a_web_process_that_is_killed_leaves_no_answer_that_looks_whole(
    web: Process, key: str, connection: ssl.SSLSocket
) -> None:  # I11
    def kill(answer: LongAnswer) -> None:
        if answer.rows > ROWS / 3:
            web.signal(signal.SIGKILL)

    answer = ask(connection, key, ROWS, kill)
    assert answer.is_cut
    assert answer.last == b""


def test_our_client_goes_on_when_web_process_and_database_are_replaced(
    service: Service, own_engines: Engines, web: Process, key: str, front: Nginx
) -> None:  # I11
    rows = 2 * PART_ROWS + 1
    transport = httpx.HTTPTransport(verify=front.trust)
    with Client(front.url, key, transport=transport) as client:
        pairs = client.decide_stream("offers.weekly", map(person, range(rows)))
        found = [next(pairs)]
        killing = kill_for(own_engines.database, FROZEN)
        web.end()
        service.start("web", ready=False)
        found += pairs
    killing.join()
    assert [who for who, _ in found] == [person(number) for number in range(rows)]
    denied = [number for number, (_, decision) in enumerate(found) if not decision.allow]
    assert denied == [*OPTED_OUT]
