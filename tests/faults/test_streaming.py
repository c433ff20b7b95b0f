"""Lists of any length, through the real web server: what ends early never looks whole."""

from __future__ import annotations

import http.client
import json
import signal
import socket
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from dev.engines import Engines
from dev.processes import wait_until
from tests.faults.service import PATIENCE, Process, Service
from tests.faults.streams import PATH, Stream
from tests.web.api.sender import make_sender

LOOKED_AT = 200
"""People after whom the server has read enough to answer the first of them."""


@pytest.fixture
def web(service: Service, monkeypatch: pytest.MonkeyPatch) -> Process:
    monkeypatch.setenv("WEB_WORKERS", "1")
    return service.start("web")


@pytest.fixture
def key(service: Service) -> str:
    return make_sender(service.app, scopes=["check"]).key


@pytest.fixture
def stream(web: Process, service: Service, key: str) -> Iterator[Stream]:
    """A stream of which some lines are answered, and more are still to be sent."""
    with Stream(service, key) as stream:
        stream.send(0, LOOKED_AT)
        assert stream.read()["recipient"] == "person-0@example.com"
        yield stream


def rest(stream: Stream) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.answer.read().splitlines()]


def test_answers_come_while_the_list_is_sent(stream: Stream) -> None:
    stream.send(LOOKED_AT, 1)
    stream.finish()
    *answers, end = rest(stream)
    assert answers[-1]["recipient"] == f"person-{LOOKED_AT}@example.com"
    assert (end["end"], end["count"]) == (True, LOOKED_AT + 1)


def test_a_client_that_reads_nothing_before_it_has_sent_everything_is_served(
    web: Process, service: Service, key: str
) -> None:
    # Neither fits into the buffers between us, and the list into what the service reads ahead.
    body = b'{"recipient": "ada@example.com", "padding": "%b"}\n' % (b"x" * 300) * 80_000
    with socket.socket() as sock:
        for buffer in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            sock.setsockopt(socket.SOL_SOCKET, buffer, 1 << 16)
        sock.connect(("127.0.0.1", service.port))
        sock.settimeout(PATIENCE)
        client = http.client.HTTPConnection("127.0.0.1", service.port)
        client.sock = sock
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/x-ndjson"}
        client.request("POST", PATH, body, headers)
        *answers, end = client.getresponse().read().splitlines()
    assert len(answers) == json.loads(end)["count"] == 80_000


def test_a_web_process_that_is_killed_leaves_no_answer_that_looks_whole(
    stream: Stream, web: Process
) -> None:
    web.signal(signal.SIGKILL)
    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
        stream.answer.read()


def test_a_database_that_stays_away_ends_it_with_a_problem(
    service: Service, own_engines: Engines, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:  # I11
    monkeypatch.setenv("WEB_APP", "tests.faults.impatient:app")
    service.start("web")
    with Stream(service, key) as stream:
        stream.send(0, LOOKED_AT)
        assert stream.read()["recipient"] == "person-0@example.com"
        own_engines.database.kill()
        stream.send(LOOKED_AT, LOOKED_AT)
        stream.finish()
        last = rest(stream)[-1]
    assert not last["end"]
    assert "unavailable" in json.dumps(last["problem"])

    own_engines.database.start()
    with Stream(service, key) as again:
        again.send(0, 1)
        again.finish()
        assert rest(again)[-1]["end"]


def test_a_client_that_goes_away_gives_its_place_back(
    web: Process, service: Service, key: str
) -> None:
    def gets_a_place(then: Callable[[Stream], None]) -> bool:
        with Stream(service, key) as stream:
            stream.send(0, LOOKED_AT)
            status = stream.answer.status
            if status == 200:  # else the server has closed it already
                then(stream)
        return status == 200

    for leave in (Stream.abort, Stream.hang_up) * 2:
        assert wait_until(partial(gets_a_place, leave), PATIENCE)
    assert wait_until(lambda: not service.rows(_BUSY), PATIENCE)


_BUSY = """SELECT FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND state LIKE 'idle in%'"""
