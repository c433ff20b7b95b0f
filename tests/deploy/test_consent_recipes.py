"""Each endpoint that a site can mount passes a choice on, and nothing else."""

from __future__ import annotations

import asyncio
import io
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from werkzeug.serving import make_server

from dev.processes import wait_until
from dev.server import free_port
from tests.cookies.pages.shop import ORIGIN, SITES
from tests.in_force import put_in_force
from tests.infra.tls import serving as serving_tls
from tests.web.pages.fixtures import CATALOGUE

if TYPE_CHECKING:
    from flask import Flask

RECIPES = Path(__file__).resolve().parents[2] / "deploy" / "consent"
PACKAGES = {"node": "nodejs", "nginx": "nginx-light"}
NAMES = ("wsgi", "asgi", "node", "nginx")
OLD = "1.00000000000000000000000000000001.abc.20261101.-"
SECRET = "s" * 32
PATIENCE = 60
"""Seconds, since a busy machine may take its time."""
POLL = 0.01
"""Seconds that the server may take to notice that it is to stop."""

Ask = Callable[..., httpx.Response]


class Center:
    """The service on a port, and the requests that it got."""

    def __init__(self, app: Flask) -> None:
        self.seen: list[dict[str, Any]] = []

        def record(environ: dict[str, Any], start_response: Any) -> Any:
            self.seen.append(environ)
            return app.wsgi_app(environ, start_response)

        self._server = make_server("127.0.0.1", 0, record, threaded=True)
        self.target = f"http://127.0.0.1:{self._server.port}/consent/shop"

    @contextmanager
    def running(self) -> Iterator[Center]:
        thread = threading.Thread(target=self._server.serve_forever, args=(POLL,), daemon=True)
        thread.start()
        yield self
        self._server.shutdown()
        thread.join()
        self._server.server_close()


@pytest.fixture
def center(app: Flask) -> Iterator[Center]:
    put_in_force(app, CATALOGUE + SITES)
    with Center(app).running() as center:
        yield center


def load(name: str) -> Any:
    spec = spec_from_file_location(f"consent_{name}", RECIPES / f"{name}.py")
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.ConsentEndpoint


def through_wsgi(target: str, _folder: Path, _stack: ExitStack, seconds: int = PATIENCE) -> Ask:
    app = load("wsgi")(target, timeout=seconds, secret=SECRET)
    transport = httpx.WSGITransport(app=app, wsgi_errors=sys.stderr)
    return httpx.Client(transport=transport, base_url=ORIGIN).request


def through_asgi(target: str, _folder: Path, _stack: ExitStack, seconds: int = PATIENCE) -> Ask:
    def ask(*args: Any, **values: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(
                app=load("asgi")(target, timeout=seconds, secret=SECRET)
            )
            async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as client:
                return await client.request(*args, **values)

        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, send()).result()  # noqa: TID251 - in its own thread

    return ask


def through_node(target: str, folder: Path, stack: ExitStack, seconds: int = PATIENCE) -> Ask:
    script = folder / "site.mjs"
    port = free_port()
    script.write_text(
        f"import http from 'node:http';\n"
        f"import {{consentEndpoint}} from '{RECIPES / 'node.mjs'}';\n"
        f"const consent = consentEndpoint('{target}', {seconds}_000, '{SECRET}');\n"
        f"http.createServer(consent).listen({port}, '127.0.0.1');\n"
    )
    return running(["node", str(script)], port, stack)


def through_nginx(target: str, folder: Path, stack: ExitStack, seconds: int = PATIENCE) -> Ask:
    port, inner = free_port(), str(free_port())
    changes = {
        "https://preferences.example.com/consent/shop": target,
        "8097": inner,
        "127.0.0.53": f"127.0.0.1:{free_port()}",
        'X-Consent-Secret ""': f'X-Consent-Secret "{SECRET}"',
        "timeout 3s": f"timeout {seconds}s",
    }
    parts = []
    for name in ("nginx-http.conf", "nginx.conf"):
        recipe = (RECIPES / name).read_text()
        for old, new in changes.items():
            recipe = recipe.replace(old, new)
        parts.append(recipe)
    assert target in parts[0]
    paths = "".join(
        f"{kind}_temp_path {folder};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config = folder / "nginx.conf"
    config.write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/log;\n"
        f"events {{}}\nhttp {{ access_log off; {paths}\n{parts[0]}\n"
        f"server {{ listen 127.0.0.1:{port};\n{parts[1]}\n}} }}\n"
    )
    return running(["nginx", "-p", str(folder), "-c", str(config)], port, stack)


def running(command: list[str], port: int, stack: ExitStack) -> Ask:
    """Start a server, which ends with the test, and wait until it listens."""
    process = stack.enter_context(subprocess.Popen(command))
    stack.callback(process.terminate)
    assert wait_until(lambda: listens(port), 60)
    client = stack.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60))
    return client.request


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(params=NAMES)
def through(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Ask]]:
    """`through(target, seconds)`: how a browser asks a site that has mounted this recipe."""
    name = request.param
    if name in PACKAGES and shutil.which(name) is None:
        pytest.skip(f"{name} is missing: apt-get install {PACKAGES[name]}")
    make = globals()[f"through_{name}"]
    with ExitStack() as stack:
        yield lambda target, *seconds: make(target, tmp_path, stack, *seconds)


@pytest.fixture
def ask(center: Center, through: Callable[..., Ask]) -> Ask:
    return through(center.target)


def choice(ask: Ask) -> dict[str, object]:
    version = ask("GET", "/consent").text.partition('name="version" value="')[2].partition('"')[0]
    return {
        "choices": {"functional": True, "advertising": True},
        "method": "accept",
        "version": version,
    }


def test_a_choice_is_passed_on_with_our_cookie_alone(center: Center, ask: Ask) -> None:
    headers = {
        "Origin": ORIGIN,
        "Sec-GPC": "1",
        "Cookie": f"session=secret; pc_consent={OLD}; other=1",
        "Authorization": "Basic c2VjcmV0",
        "User-Agent": "Jane's browser",
        "Referer": f"{ORIGIN}/private",
        "X-Consent-Secret": "a visitor's",
    }
    response = ask("POST", "/consent", json=choice(ask), headers=headers)
    assert response.status_code == 201
    assert response.json()["choices"] == {"functional": True, "advertising": False}
    assert response.headers["Set-Cookie"].startswith("pc_consent=1.")
    environ = center.seen[-1]
    assert environ["HTTP_COOKIE"] == f"pc_consent={OLD}"
    assert environ["HTTP_X_CONSENT_SECRET"] == SECRET
    assert "HTTP_AUTHORIZATION" not in environ
    assert "HTTP_REFERER" not in environ
    assert "Jane" not in environ.get("HTTP_USER_AGENT", "")


def test_the_page_comes_with_its_headers_and_language(ask: Ask) -> None:
    headers = {"Accept-Language": "it", "Cookie": "a=1"}
    response = ask("GET", "/consent?saved=yes", headers=headers)
    assert response.status_code == 200
    assert '<html lang="it">' in response.text
    assert "Il browser non ha conservato il cookie" in response.text
    assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Referrer-Policy"] == "same-origin"


def test_the_form_leads_back_to_the_page(ask: Ask) -> None:
    form = {"press": "refuse", "version": str(choice(ask)["version"])}
    response = ask("POST", "/consent", data=form, headers={"Sec-Fetch-Site": "same-origin"})
    assert (response.status_code, response.headers["Location"]) == (303, "?saved=yes#result")
    assert "Set-Cookie" in response.headers


def test_another_site_is_refused_through_it_too(ask: Ask) -> None:
    headers = {"Origin": "https://evil.example"}
    response = ask("POST", "/consent", json=choice(ask), headers=headers)
    assert response.status_code == 403
    assert "Set-Cookie" not in response.headers


def test_an_oversized_body_goes_no_further(center: Center, ask: Ask) -> None:
    response = ask("POST", "/consent", content=b"x" * 200_000)
    assert response.status_code == 413
    assert not center.seen


def assert_not_saved(response: httpx.Response) -> None:
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "60"
    assert "Nothing optional is used" in response.text


def test_without_an_answer_it_says_that_nothing_was_saved(through: Callable[..., Ask]) -> None:
    target = f"http://127.0.0.1:{free_port()}/consent/shop"
    assert_not_saved(through(target)("GET", "/consent"))


@contextmanager
def serving_part_of(answer: bytes) -> Iterator[str]:
    """A service that sends this, then bytes of its answer one by one until nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            with suppress(OSError), listener.accept()[0] as connection:
                connection.recv(4096)
                connection.sendall(answer)
                while answer:
                    connection.sendall(b"x")
                    time.sleep(0.1)
                connection.recv(4096)

        threading.Thread(target=drip, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/consent/shop"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nX-Slow: ",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
    ],
    ids=["none", "headers", "body", "body without a length"],
)
def test_an_answer_that_is_not_all_there_in_time_holds_nobody_longer(
    through: Callable[..., Ask], answer: bytes
) -> None:
    with serving_part_of(answer) as target:
        assert_not_saved(through(target, 1)("GET", "/consent"))  # the client ends after 60 s


def test_a_service_whose_name_nobody_knows_stops_no_site(through: Callable[..., Ask]) -> None:
    target = "https://preferences.invalid/consent/shop"
    assert_not_saved(through(target, 1)("GET", "/consent"))


@pytest.mark.parametrize("days", [1, -1], ids=["of an unknown authority", "expired"])
def test_a_service_with_a_bad_certificate_is_asked_nothing(
    through: Callable[..., Ask], tmp_path: Path, days: int
) -> None:
    seen: list[object] = []

    def front(environ: Any, start_response: Any) -> Any:
        seen.append(environ["PATH_INFO"])
        start_response("200 OK", [])
        return [b"not to be trusted"]

    folder = tmp_path / "tls"
    folder.mkdir()
    with serving_tls(front, folder, datetime.now(UTC) + timedelta(days=days)) as site:
        assert_not_saved(through(f"{site.url}/consent/shop")("GET", "/consent"))
    assert not seen


def test_the_log_of_the_site_says_that_the_certificate_is_bad(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    said = io.StringIO()
    with serving_tls(lambda *_: [], tmp_path) as site:
        app = load("wsgi")(f"{site.url}/consent/shop", timeout=PATIENCE)
        transport = httpx.WSGITransport(app=app, wsgi_errors=said)
        assert_not_saved(httpx.Client(transport=transport, base_url=ORIGIN).get("/consent"))
        with ExitStack() as stack:
            ask = through_asgi(f"{site.url}/consent/shop", tmp_path, stack)
            assert_not_saved(ask("GET", "/consent"))
    for line in (said.getvalue(), caplog.text):
        assert "certificate verify failed: self-signed certificate" in line


def test_the_limit_of_a_site_is_three_seconds_as_the_page_says() -> None:
    for name in ("wsgi", "asgi"):
        assert load(name).__init__.__defaults__ == (3, "")
    assert "timeout = 3000" in (RECIPES / "node.mjs").read_text()
    assert "proxy_read_timeout 3s;" in (RECIPES / "nginx.conf").read_text()


@pytest.mark.parametrize("query", [b"x=\xe9", b"x=\x01", b"x=%0d%0aEvil:%201", b"?#//evil.example"])
def test_no_query_breaks_a_recipe_in_python(center: Center, query: bytes) -> None:
    statuses: list[object] = []
    environ = {
        "REQUEST_METHOD": "GET",
        "QUERY_STRING": query.decode("latin-1"),
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
    }
    load("wsgi")(center.target, timeout=PATIENCE)(
        environ, lambda status, _headers: statuses.append(int(status[:3]))
    )

    async def receive() -> dict[str, object]:
        return {"type": "http.request"}

    async def send(message: dict[str, object]) -> None:
        statuses.extend([message["status"]] if "status" in message else [])

    scope = {"type": "http", "method": "GET", "query_string": query, "headers": []}
    with ThreadPoolExecutor(1) as thread:
        asked = load("asgi")(center.target, timeout=PATIENCE)(scope, receive, send)
        thread.submit(asyncio.run, asked).result()  # noqa: TID251 - in its own thread
    assert len(statuses) == 2
    assert set(statuses) <= {200, 503}


@pytest.mark.skipif(shutil.which("node") is None, reason="node is missing: apt-get install nodejs")
@pytest.mark.parametrize(
    "sent",
    [
        b"POST /consent HTTP/1.1\r\nHost: shop\r\nContent-Length: 100\r\n\r\nand no more",
        b"GET // HTTP/1.1\r\nHost: shop\r\n\r\n",
    ],
    ids=["a body that breaks off", "no path"],
)
def test_no_request_ends_the_process_of_a_site_on_node(
    center: Center, tmp_path: Path, sent: bytes
) -> None:
    with ExitStack() as stack:
        ask = through_node(center.target, tmp_path, stack)
        url = httpx.URL(ask("GET", "/consent").url)
        with socket.create_connection((url.host, url.port or 0)) as connection:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            connection.recv(1)  # until it has dealt with it
        assert ask("GET", "/consent").status_code == 200
