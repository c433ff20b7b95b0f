"""The shipped nginx in front of a real web process: it passes on what it should, logs no token."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from dev.engines import for_test
from dev.server import free_port
from tests.faults.service import Service
from tests.nginx import PATIENCE, Nginx, nginx

PATHS = (
    "/u/{}", "/U/{}", "/{}", "/unsubscribe/{}", "//u/{}", "/u//{}", "/u/{}/", "/x/../u/{}",
    "/%75/{}", "/u%2F{}", "/u?{}", "/?token={}", "/form?to={}", "/p/{}", "/w/{}",
    "/w/{}/receipt.json", "/m/{}", "/c/{}", "/s/{}", "/emails/{}", "/portal/{}", "/reason/{}",
    "/rights/{}", "/rights/access/{}", "/in/shop/{}", "/console/{}", "/v1/{}", "/v1/u/{}",
    "/v1/decisions/{}", "/static/{}", "/static/../u/{}", "/consent/{}", "/brand/{}/logo",
    "/problems/{}", "/cookies/{}", "/consent.js/{}", "/healthz/{}", "/metrics?{}", "/form/{}",
)  # fmt: skip
"""Where a token may stand: where it belongs, where a mail program or a person has put it, and next
to every name that the log may have."""

UNFINISHED = "List-"
"""Begins a body; its client goes away."""

GARBLED = (
    "GET /u/{}\r\n\r\n",
    "GET /u/{} HTTP/9.9\r\n\r\n",
    "GET /u/{} HTTP/1.1\r\n\r\n",
    "GET /u/{} HTTP/1.0\r\n\r\n",
    "get /u/{} HTTP/1.1\r\nHost: a\r\n\r\n",
    "{} / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET u/{} HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /u/{} x HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /u/{}\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /u/{}%zz HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /../../{} HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET https://a/u/{} HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: {}\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: /{}\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nReferer: https://a/u/{}\r\nCookie: {}\r\nUser-Agent: {}\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: {}\r\nX-Forwarded-For: {}\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\n{} no colon\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic {}\r\n\r\n",
    "GET /u/{} HTTP/1.1\r\nHost: a\r\nX: " + "x" * 40_000 + "\r\n\r\n",
    "GET /u/{}/" + "x" * 40_000 + " HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST /u/{} HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    "POST /u/{} HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n",
    "POST /u/{} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: odd\r\n\r\n",
    "POST /u/{} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nnot a size\r\n",
    "POST /u/{} HTTP/1.1\r\nHost: a\r\nContent-Length: 26\r\n\r\n" + UNFINISHED,
    "TRACE /u/{} HTTP/1.1\r\nHost: a\r\n\r\n",
    "CONNECT /u/{} HTTP/1.1\r\nHost: a\r\n\r\n",
)
"""What nginx refuses by itself, each in another place of its code, and headers."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A web process of its own, as the Procfile starts it."""
    with (
        for_test(environ={}) as engines,
        Service(engines, tmp_path_factory.mktemp("service"), forks=True) as service,
    ):
        service.start("web")
        yield service


@pytest.fixture
def front(service: Service, tmp_path: Path) -> Iterator[Nginx]:
    with nginx(tmp_path / "nginx", [service.port]) as front:
        yield front


def send(front: Nginx, raw: bytes, port: int | None = None, *, tls: bool = True) -> None:
    """Send these bytes and nothing more, and read until the answer has begun, if one comes."""
    with ExitStack() as stack:
        client = stack.enter_context(
            socket.create_connection(("127.0.0.1", port or front.port), PATIENCE)
        )
        if tls:
            client = stack.enter_context(
                front.trust.wrap_socket(client, server_hostname="127.0.0.1")
            )
        stack.enter_context(suppress(OSError))  # nginx may close before all is sent
        client.settimeout(1 if raw.endswith(UNFINISHED.encode()) else PATIENCE)
        client.sendall(raw)
        client.recv(65_536)


def assert_unwritten(front: Nginx, token: str) -> None:
    """Nothing that nginx wrote has the token or its beginning (I12)."""
    front.stop()
    written = front.written()
    assert {"preference-center.log", "access.log", "error.log", "output"} <= written.keys()
    names = [name for name, text in written.items() if token[:12].encode() in text]
    assert not names, {name: written[name].decode(errors="replace")[:2000] for name in names}


def test_no_path_puts_a_token_into_a_log(service: Service, front: Nginx) -> None:  # I12
    token = service.token("jane@example.com")
    with front.client() as client:
        for path in PATHS:
            for method in ("GET", "POST"):
                client.request(method, path.format(token))
        plain = httpx.get(f"http://127.0.0.1:{front.plain_port}/u/{token}")
    assert plain.status_code == 301
    front.stop()
    assert len(front.access_log()) == 2 * len(PATHS)
    assert_unwritten(front, token)


def test_no_garbled_request_puts_a_token_into_a_log(service: Service, front: Nginx) -> None:  # I12
    token = service.token("jane@example.com")
    for text in GARBLED:
        send(front, text.replace("{}", token).encode())
    send(front, f"GET /u/{token} HTTP/1.1\r\n\r\n".encode(), tls=False)  # plain HTTP to TLS
    send(front, f"GET /u/{token} HTTP/9\r\n\r\n".encode(), front.plain_port, tls=False)
    assert_unwritten(front, token)


def test_no_failure_behind_it_puts_a_token_into_a_log(service: Service, front: Nginx) -> None:
    token = service.token("jane@example.com")  # I12
    with closing_each_connection() as rude, front.client() as client:
        for port in (free_port(), rude):
            front.reload([port])
            for path in ("/u/{}", "/{}", "/v1/decisions/stream?{}"):
                assert client.get(path.format(token)).status_code == 502
    assert all(' "502" ' in line for line in front.access_log())  # so an operator sees who failed
    assert_unwritten(front, token)


@contextmanager
def closing_each_connection() -> Iterator[int]:
    """A port whose server reads a request and answers nothing."""

    def serve() -> None:
        with suppress(OSError):  # the end of the test
            while True:
                connection, _ = server.accept()
                with connection:
                    connection.recv(65_536)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        yield int(server.getsockname()[1])
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
