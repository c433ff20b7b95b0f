"""The shipped nginx in front of a real web process: it passes on what it should, logs no token."""

from __future__ import annotations

import http.client
import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from dev.engines import for_test
from dev.processes import wait_until
from dev.server import free_port, is_free
from tests.faults.service import Service
from tests.faults.streams import Stream
from tests.nginx import CONSOLE, PATIENCE, Nginx, nginx
from tests.web.api.sender import make_sender

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
        service.start("console")
        yield service


@pytest.fixture
def front(service: Service, tmp_path: Path) -> Iterator[Nginx]:
    with nginx(tmp_path / "nginx", [service.port], service.console_port) as front:
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


def ask(client: httpx.Client, method: str, path: str, **headers: str) -> httpx.Response:
    """Send a path as it is; httpx by itself would put it in order."""
    return client.request(method, "/", headers=headers, extensions={"target": path.encode()})


def assert_unwritten(front: Nginx, token: str) -> None:
    """Nothing that nginx wrote has the token or its beginning (I12)."""
    front.stop()
    written = front.written()
    assert {"preference-center.log", "access.log", "error.log", "output"} <= written.keys()
    names = [name for name, text in written.items() if token[:12].encode() in text]
    assert not names, {name: written[name].decode(errors="replace")[:2000] for name in names}


def test_no_path_puts_a_token_into_a_log(service: Service, front: Nginx) -> None:  # I12
    token = service.token("jane@example.com")
    routes = {rule.rule for rule in service.app.url_map.iter_rules() if rule.arguments}
    paths = [*PATHS, *(re.sub("<[^>]+>", "{}", route) for route in routes)]
    with front.client() as client:
        for path in paths:
            for method in ("GET", "POST"):
                ask(client, method, path.replace("{}", token))
        plain = httpx.get(f"http://127.0.0.1:{front.plain_port}/u/{token}")
    assert plain.status_code == 301
    front.stop()
    assert len(front.access_log()) == 2 * len(paths)
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
    with process_answering(b"") as (broken, _), front.client() as client:
        for port in (free_port(), broken):
            front.reload([port])
            for path in ("/u/{}", "/{}", "/v1/decisions/stream?{}"):
                assert client.get(path.format(token)).status_code == 502
    front.stop()
    # So that an operator sees who failed; the second is the same one as the last resort.
    assert all(' "502, 502" ' in line for line in front.access_log())
    assert_unwritten(front, token)


def test_an_opt_out_that_a_broken_process_took_is_recorded_by_the_next(
    service: Service, front: Nginx
) -> None:  # I1: a mail program posts once
    token = service.token("joan@example.com")
    with process_answering(b"") as (broken, seen), front.client() as client:
        front.reload([broken, service.port])
        answer = client.post(f"/u/{token}", data={"List-Unsubscribe": "One-Click"})
    assert answer.status_code == 200
    assert token.encode() in seen[0]
    front.stop()
    assert f'"127.0.0.1:{broken}, 127.0.0.1:{service.port}" "502, 200"' in front.access_log()[-1]


def test_what_may_not_be_done_twice_is_not_asked_of_the_next(
    service: Service, front: Nginx
) -> None:
    with process_answering(b"") as (broken, _), front.client() as client:
        front.reload([broken, service.port])
        assert client.post("/form", data={"address": "joan@example.com"}).status_code == 502


def test_a_process_that_failed_is_left_out(service: Service, front: Nginx) -> None:
    gone = free_port()
    with front.client() as client:
        front.reload([gone, service.port])
        assert {client.get("/form").status_code for _ in range(9)} == {200}
    front.stop()
    assert sum(str(gone) in line for line in front.access_log()) <= 2  # again after two seconds


def test_the_visitor_is_added_to_those_named_before(front: Nginx) -> None:
    with process_answering(b"HTTP/1.1 204 No Content\r\n\r\n") as (port, seen):
        front.reload([port])
        with front.client() as client:
            client.get("/form", headers={"X-Forwarded-For": "9.9.9.9"})
    assert b"\r\nX-Forwarded-For: 9.9.9.9, 127.0.0.1\r\n" in seen[0]
    assert b"\r\nHost: 127.0.0.1\r\n" in seen[0]
    assert b"\r\nConnection:" not in seen[0]  # it is kept for the next request


def test_a_list_of_more_than_8_mib_is_answered_whole(service: Service, front: Nginx) -> None:
    key = make_sender(service.app, scopes=["check"]).key
    for _ in range(5):  # most times it would come through by chance
        proxy = http.client.HTTPSConnection(
            "127.0.0.1", front.port, timeout=PATIENCE, context=front.trust
        )
        with Stream(service, key, proxy) as stream:
            for block in range(20):  # of 550 KB; nothing is read meanwhile
                stream.send(block * 1000, 1000)
            stream.finish()
            *_, end = stream.answer.read().splitlines()
        assert json.loads(end)["count"] == 20_000


def test_a_list_that_is_refused_is_answered_while_it_is_sent(front: Nginx) -> None:
    with front.client() as client:
        refused = client.post("/v1/decisions/stream", content=b"x" * 20_000_000)
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, 'Bearer realm="api"')


def test_nothing_that_is_sent_lies_on_the_disk_of_nginx(front: Nginx) -> None:
    for name in ("body", "proxy"):
        (front.folder / name).rmdir()  # where it would lie
    with front.client() as client:
        assert client.post("/v1/decisions", content=b"x" * 7_000_000).status_code == 401
        assert client.post("/v1/decisions", content=b"x" * 9_000_000).status_code == 413
        assert client.get("/v1/openapi.json").status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/livez", "/metrics", "//%68ealthz"])
def test_probes_are_not_for_the_public(front: Nginx, path: str) -> None:
    with front.client() as client:
        assert ask(client, "GET", path).status_code == 404
    front.stop()
    assert '"-" "-"' in front.access_log()[-1]  # no process was asked


def test_the_console_is_on_its_own_host_only(service: Service, front: Nginx) -> None:
    assert wait_until(lambda: not is_free(service.console_port), PATIENCE)
    with front.client() as client:
        here = client.get("/console/sign-in", headers={"Host": CONSOLE})
        assert here.status_code == 200
        assert 'name="password"' in here.text
        assert client.get("/", headers={"Host": CONSOLE}).headers["location"] == "/console/"
        assert client.get("/form", headers={"Host": CONSOLE}).status_code == 404
        for host in ("127.0.0.1", "elsewhere.example"):
            for path in ("/console", "/console/sign-in", "//console/sign-in", "/%63onsole/people"):
                assert ask(client, "GET", path, Host=host).status_code == 404
                assert ask(client, "POST", path, Host=host).status_code == 404


@contextmanager
def process_answering(answer: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """A port whose server answers each request so and hangs up; the requests that it got."""
    seen: list[bytes] = []

    def serve() -> None:
        with suppress(OSError):  # the end of the test
            while True:
                connection, _ = server.accept()
                with connection:
                    seen.append(connection.recv(65_536))
                    connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        yield int(server.getsockname()[1]), seen
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
